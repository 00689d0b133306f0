"""`gatebooth demo`: broker, two desks and a panel on this machine; one press from the button to sealed evidence.

With a terminal a person plays; without one the demonstration presses once by itself, and its exit code tells whether
every link of the chain held and every file of evidence plays.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from firmware.demo import cast
from firmware.demo.broker import BrokerError, EmbeddedBroker
from firmware.demo.devices import offer
from firmware.demo.show import open_show
from firmware.demo.stage import RECEIVERS, ZONE, Devices, Stage, keep_folder
from firmware.demo.story import DESK, PANEL, Story
from firmware.language import language
from firmware.receiver.keys import is_terminal, single_keys, standard_input

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from firmware.demo.cast import Player
    from firmware.demo.show import Show

LIMIT_S = 50.0
"""From the start to sealed evidence when nobody sits there; it takes about 20 s."""
BEFORE_S = 4.0
"""Sound and pictures that the panel may gather before it is pressed, so that the clip shows what was before."""
PRESS_S = 0.3
AUTO_ACCEPT_S = 3.0
STATION_ACCEPT_S = 1.5
STEP_S = 0.5
REASON = "the demonstration is over"


class LinkMissing(RuntimeError):  # noqa: N818 - the demonstration's finding
    """A link of the chain did not hold; the message names it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `gatebooth demo` takes."""
    parser.add_argument("--json", action="store_true", help="press once by itself and print one JSON object a line")
    parser.add_argument(
        "--real-microphone", metavar="NAME", default="test:", help="a sound device, by a part of its name"
    )
    parser.add_argument("--real-camera", metavar="URL", default="test:", help="a camera, as rtsp://... or /dev/video0")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where evidence stays (default: ./demo-evidence/TIME)")
    parser.add_argument(
        "--limit", type=float, default=LIMIT_S, metavar="SECONDS", help=f"give up (default: {LIMIT_S:g})"
    )
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the system's)")


def main(args: argparse.Namespace) -> int:
    """Play; 0 when every link held (or a person quit), 1 when one did not."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    person = not args.json and is_terminal(standard_input()) and sys.stdout.isatty()
    spoken = language(args.lang)
    devices = Devices(args.real_microphone, args.real_camera)
    if person:
        devices = offer(devices, spoken)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatebooth-demo-")))
        stage = Stage(folder, keep_folder(args.keep), spoken, devices)
        show = open_show(spoken, as_json=args.json, screen=person)
        stack.callback(show.close)
        why = ""
        try:
            Play(stage, show, person=person, limit_s=args.limit).run(stack)
        except (LinkMissing, cast.PlayerLost, BrokerError, OSError) as error:
            why = str(error)
        show.result(why, stage.keep)
    return 1 if why else 0


class Play:
    """One demonstration.

    Args:
        stage: Its files.
        show: Where it is shown.
        person: Whether somebody plays; else it plays by itself, against the clock.
        limit_s: How long it may take by itself.

    Synchronization: one thread.
    """

    def __init__(self, stage: Stage, show: Show, *, person: bool, limit_s: float) -> None:
        self._stage = stage
        self._show = show
        self._person = person
        self._story = Story()
        self._players: dict[str, Player] = {}
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._ready = False
        self._pressed = False
        self._reset = False
        self._done = False
        self._limit_s = limit_s
        self._end_s = time.monotonic() + limit_s

    def run(self, stack: contextlib.ExitStack) -> None:
        """Play to the end; processes are ended by the stack.

        Raises:
            LinkMissing: A link did not hold.
            PlayerLost: A process ended before its time.
            BrokerError: The embedded broker did not start.
        """
        self._show.say("starting")
        self._show.refresh(self._story)
        broker = EmbeddedBroker()
        stack.callback(broker.close)
        port = broker.start()
        self._stage.write_config(port)
        stack.callback(self._close)
        for name, accept_s in zip(RECEIVERS, (None if self._person else AUTO_ACCEPT_S, STATION_ACCEPT_S), strict=True):
            self._take_on(name, cast.desk(self._stage, name, port, auto_accept_s=accept_s))
        if self._person:
            stack.enter_context(single_keys(standard_input()))
            self._selector.register(standard_input(), selectors.EVENT_READ, None)
        for _ in self._steps():
            if not broker.alive():
                raise LinkMissing("the embedded broker ended")
        if not self._person:
            self._prove()

    def _steps(self) -> Iterator[None]:
        while not self._done:
            self._wait()
            self._run_timers()
            self._advance()
            self._show.refresh(self._story)
            yield

    def _wait(self) -> None:
        pause_s = min((due_s - time.monotonic() for due_s, _ in self._timers), default=STEP_S)
        for key, _ in self._selector.select(min(max(pause_s, 0.0), STEP_S)):
            if key.data is None:
                self._typed(os.read(key.fd, 64))
                continue
            for line in self._players[key.data].read():
                for told in self._story.take(key.data, line):
                    self._show.step(told)
                self._obey_result(line)

    def _advance(self) -> None:
        story = self._story
        if PANEL not in self._players and story.desks_ready:
            self._take_on(PANEL, cast.panel(self._stage))
        if story.panel_seen and not self._ready:
            self._ready = True
            self._show.say("waiting")
            self._at(BEFORE_S, self._be_ready)
        if self._person:
            if self._reset and not story.missing_seals():
                self._reset = False
                self._show.say("sealed")
            return
        if self._pressed and not self._reset and not story.missing_steps() and not self._lacking_before_reset():
            self._order_reset()
        if self._reset and not story.missing_seals() and not story.missing_kinds():
            self._done = True
        elif time.monotonic() > self._end_s:
            raise LinkMissing(f"after {self._limit_s:g} s this is missing: {self._missing()}")

    def _be_ready(self) -> None:
        self._show.say("ready" if self._person else "alone")
        if not self._person:
            self._press()

    def _press(self) -> None:
        if PANEL in self._players:
            self._pressed = True
            self._show.say("pressed", zone=ZONE)
            self._players[PANEL].order(f"press {ZONE}")
            self._at(PRESS_S, lambda: self._players[PANEL].order(f"release {ZONE}"))
            if self._person:
                self._at(PRESS_S, lambda: self._show.say("open"))

    def _order_reset(self) -> None:
        self._reset = True
        self._show.say("resetting")
        self._players[DESK].order(f"reset {REASON}")

    def _typed(self, keys: bytes) -> None:
        for key in keys.decode(errors="replace"):
            match key:
                case " ":
                    self._press()
                case "a":
                    self._players[DESK].order("accept")
                case "r":
                    self._order_reset()
                case "q" | "\x04":
                    self._done = True
                case _:
                    pass
        if not keys:
            self._done = True

    def _obey_result(self, line: dict[str, object]) -> None:
        if line.get("event") == "result" and not line.get("ok") and not self._person:
            raise LinkMissing(f"the panel refused the reset: {line.get('text')}")

    def _lacking_before_reset(self) -> list[str]:
        """The live sound becomes a file when the incident ends; the rest has to be there before."""
        return [kind for kind in self._story.missing_kinds() if kind != "sound"]

    def _missing(self) -> str:
        story = self._story
        if not story.desks_ready:
            return "a desk's connection to the broker"
        if not story.panel_seen:
            return "the panel's first sign of life"
        missing = story.missing_steps() or self._lacking_before_reset()
        missing = missing or [*story.missing_kinds(), *story.missing_seals()]
        troubles = f" (troubles: {'; '.join(story.troubles[-3:])})" if story.troubles else ""
        return ", ".join(missing) + troubles

    def _prove(self) -> None:
        from firmware.demo.proof import ProofError, prove  # noqa: PLC0415 - PyAV is slow to import

        try:
            listed = prove(self._stage, self._story.files)
        except ProofError as error:
            raise LinkMissing(str(error)) from None
        self._show.say("proved", count=len(self._story.files), listed=listed)

    def _take_on(self, name: str, player: Player) -> None:
        self._players[name] = player
        self._selector.register(player, selectors.EVENT_READ, name)

    def _at(self, pause_s: float, action: Callable[[], None]) -> None:
        self._timers.append((time.monotonic() + pause_s, action))

    def _run_timers(self) -> None:
        now_s = time.monotonic()
        due = [item for item in self._timers if item[0] <= now_s]
        self._timers = [item for item in self._timers if item[0] > now_s]
        for _, action in due:
            action()

    def _close(self) -> None:
        for name in reversed(tuple(self._players)):  # the panel first: its last words reach the desks
            self._players[name].close()
        self._selector.close()


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)
