"""`gatebooth watch`: a receiver as it stands at the 110 desk."""

from __future__ import annotations

import collections
import contextlib
import os
import secrets
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Self

from firmware.core.report import Step
from firmware.language import language
from firmware.receiver import events as e
from firmware.receiver import options
from firmware.receiver.desk import Desk
from firmware.receiver.keys import Keys, Lines, is_terminal, single_keys, standard_input
from firmware.receiver.link import Link, LinkRefused
from firmware.receiver.mail import MailRoom, PanelKeys
from firmware.receiver.media_desk import MediaDesk
from firmware.receiver.memory import Memory, restore
from firmware.receiver.options import UsageError, add_arguments
from firmware.receiver.show import JsonShow, LineShow
from firmware.receiver.words import Words
from firmware.wire import topics
from firmware.wire.sign import KeyFileError, exposure, load_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from firmware.receiver.link import Letter, LinkConfig
    from firmware.receiver.show import Show

__all__ = ["Watch", "add_arguments", "main"]

REDRAW_S = 1.0
STEPS = {
    "a": Step.ACCEPTED,
    "d": Step.DISPATCHED,
    "o": Step.ARRIVED,
    "c": Step.CLOSED,
    "accept": Step.ACCEPTED,
    "dispatch": Step.DISPATCHED,
    "arrive": Step.ARRIVED,
    "close": Step.CLOSED,
}
RESET, QUIT = ("x", "reset"), ("q", "quit")


def main(args: argparse.Namespace) -> int:
    """Run the desk until a person quits.

    Returns:
        0 after an orderly end, 1 when the broker refuses the desk, 2 when the command line cannot be obeyed.
    """
    os.umask(os.umask(0o077) | 0o077)  # evidence and names of children are for this user alone
    words = Words(language(args.lang))
    try:
        with Watch(args, words) as watch:
            watch.run()
    except (UsageError, KeyFileError) as error:
        sys.stderr.write(f"gatebooth watch: {words.reason(str(error))}\n")
        return 2
    except LinkRefused as error:
        sys.stderr.write(f"gatebooth watch: {args.broker}: {words.reason(str(error))}\n")
        return 1
    return 0


class Watch:
    """The desk as a running program.

    Args:
        args: The command line.
        words: In the person's language.

    Raises:
        UsageError: An option cannot be obeyed.
        KeyFileError: A key file cannot be used.

    Synchronization: the main thread.
    """

    def __init__(self, args: argparse.Namespace, words: Words) -> None:
        options.check_names(args)
        keys = PanelKeys(args.key_file)
        receiver_key = load_key(args.receiver_key_file) if args.receiver_key_file else None
        link = options.link_config(args)
        self._words = words
        self._desk = Desk(
            args.name, options.person(args), lambda: f"{args.name}-{secrets.token_hex(8)}", args.auto_accept
        )
        self._memory = _memory(args)
        self._mail = MailRoom(
            self._desk, args.name, keys=keys, receiver_key=receiver_key, now=_now, memory=self._memory
        )
        subscribe = tuple(
            (f"{topics.ROOT}/{args.panel}/{rest}", 1) for rest in ("report/+", "beat", "health", f"result/{args.name}")
        )
        self._link = Link(
            link, subscribe, self._take, lambda up, why: self._show.show(e.LinkChanged("reports", up, why))
        )
        self._posted: collections.deque[e.Shown] = collections.deque()
        self._wake_read, self._wake_write = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._media = _media(args, link, keys, receiver_key, self._post)
        self._open = contextlib.ExitStack()
        self._input: Keys | Lines | None = None
        self._show: Show = JsonShow(sys.stdout)
        self._stopping = False
        self._args = args

    def __enter__(self) -> Self:
        self._input = self._open_input()
        self._show = self._open_show()
        self._open.callback(self._show.close)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        for path in (self._args.key_file, self._args.receiver_key_file, self._args.password_file):
            if path is not None and path.is_file() and exposure(path):
                self._show.show(e.Warned("", exposure(path)))
        if self._memory is not None:
            self._restore(self._memory)
        return self

    def __exit__(self, *_: object) -> None:
        if self._media is not None:
            self._media.stop()
            self._take_posted()
        self._link.close()
        signal.set_wakeup_fd(-1)
        self._open.close()

    def run(self) -> None:
        """Watch until a person quits.

        Raises:
            LinkRefused: The broker will not have this desk.
        """
        if self._media is not None:
            self._media.start()
        while not self._stopping:
            self._step()

    def _step(self) -> None:
        now_s = time.monotonic()
        reading, writing = self._link.sockets()
        typed = [self._input.fd] if self._input else []
        deadline_s = min(self._link.next_deadline(now_s), self._desk.next_deadline(), now_s + REDRAW_S)
        ready, _, _ = select.select(
            [*reading, *typed, self._wake_read.fileno()], writing, [], max(0.0, deadline_s - now_s)
        )
        self._link.step(time.monotonic())
        if self._wake_read.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_read.recv(4096)
            self._take_posted()
        if self._input is not None and self._input.fd in ready:
            self._typed(self._input.read())
        self._do(self._desk.due(_now()))
        self._show.refresh(self._desk, self._input.prompt if self._input else "")

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the broker's flag
        self._pass_on(*self._mail.take(topic, payload, retained))

    def _do(self, acts: list[e.Act]) -> None:
        self._pass_on(*self._mail.seal(acts))

    def _pass_on(self, letters: Iterable[Letter], shown: Iterable[e.Shown]) -> None:
        for letter in letters:
            self._link.publish(letter)
        for event in shown:
            self._show.show(event)

    def _post(self, event: e.Shown) -> None:
        """From the media desk's thread."""
        self._posted.append(event)
        with contextlib.suppress(BlockingIOError):
            self._wake_write.send(b"\0")

    def _take_posted(self) -> None:
        while self._posted:
            event = self._posted.popleft()
            if isinstance(event, e.FileSaved):
                self._desk.evidence(event.saved.incident)
            if isinstance(event, e.Sealed):
                self._desk.seal(event.incident)
            self._show.show(event)

    def _typed(self, typed: list[tuple[str, str]] | None) -> None:
        if typed is None:
            self._stopping = self._stopping or self._args.control_stdin
            self._input = None
            return
        for word, text in typed:
            if word in QUIT:
                self._stopping = True
            elif word in RESET:
                self._reset(text)
            elif word in STEPS:
                self._answer(STEPS[word], text)

    def _answer(self, step: Step, person: str) -> None:
        incident = self._desk.newest(step)
        if incident is None:
            self._show.show(e.Warned("", self._words("nothing-open")))
            return
        self._do(self._desk.answer(incident.id, step, _now(), person))

    def _reset(self, reason: str) -> None:
        waiting = [known for known in self._desk.incidents.values() if not known.reset]
        if not reason or not waiting:
            self._show.show(e.Warned("", self._words("nothing-open" if reason else "no-reason")))
            return
        incident = waiting[-1]
        order = self._desk.order("reset", incident.id.panel, target=incident.zone, reason=reason, now=_now())
        self._do(order)

    def _restore(self, memory: Memory) -> None:
        if memory.bad_lines:
            self._show.show(e.Warned("", f"{self._args.state}: {memory.bad_lines} lines could not be read"))
        self._show.show(e.Restored(restore(self._desk, memory, _now())))

    def _open_input(self) -> Keys | Lines | None:
        fd = standard_input()
        if fd < 0:
            return None
        if self._args.control_stdin:
            return Lines(fd)
        if self._args.json or not is_terminal(fd):
            return None
        self._open.enter_context(single_keys(fd))
        return Keys(fd, {"x": self._words("reason")})

    def _open_show(self) -> Show:
        if self._args.json:
            return JsonShow(sys.stdout)
        if sys.stdout.isatty():
            with contextlib.suppress(ImportError):
                from firmware.receiver.screen import ScreenShow  # noqa: PLC0415 - rich is optional

                return ScreenShow(self._words, self._args.name)
        return LineShow(sys.stdout, self._words)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True


def _media(
    args: argparse.Namespace,
    link: LinkConfig,
    keys: PanelKeys,
    receiver_key: bytes | None,
    post: Callable[[e.Shown], None],
) -> MediaDesk | None:
    if args.evidence is None:
        return None
    try:
        return MediaDesk(
            options.media_link(link),
            args.panel,
            name=args.name,
            folder=args.evidence,
            keys=keys,
            receiver_key=receiver_key,
            live=not args.no_live,
            post=post,
        )
    except OSError as error:
        raise UsageError(f"--evidence {args.evidence}: the folder cannot be made or read: {error.strerror}") from None


def _memory(args: argparse.Namespace) -> Memory | None:
    if args.state is None:
        return None
    try:
        return Memory(args.state)
    except OSError as error:
        raise UsageError(f"--state {args.state}: the file cannot be read or written: {error.strerror}") from None


def _now() -> e.Moment:
    return e.Moment(time.monotonic(), time.time_ns() // 1_000_000)
