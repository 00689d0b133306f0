"""The panel's end of its media child: starts it, watches it, replaces it, and believes nothing that it says unchecked.

Nothing here imports a codec. The child may crash, leak, hang or be killed at any moment: the alarm path never waits for
it, what it was capturing is ordered again from its successor, and what it left on disk the successor makes whole.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

from firmware.adapters.bucket import Bucket
from firmware.core.effects import Capture, Seal
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.media import control
from firmware.media.control import Beat, CaptureAgain, ControlError, Lines
from firmware.media.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from firmware.core.report import ReportId
    from firmware.media.control import Word
    from firmware.media.spec import MediaSpec
    from hal.ports import Clock

log = logging.getLogger(__name__)

SILENCE_S = 3.0
"""A child that says nothing for this long hangs: it beats each 0.2 s. Sound and pictures are the only price of waiting,
and each child that is killed for nothing tears a gap into both: on a loaded emulated board one that encoded a still and
sent it on was silent for more than 1 s, as it is on a small board with a full processor or a slow card."""
BIRTH_S = 20.0
"""The same until its first word: a slow board loads Python and FFmpeg from a slow card. Who kills it there kills the
next one at the same place, for ever: 5 s were too short on an emulated board that had other work."""
YOUNG_S = 5.0
"""A child that dies before this age was not well born; the next one waits a little."""
BACKOFF_S = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Pause by the number of children in a row that died young."""
STATUS_S, STATUS_POLL_S = 0.05, 0.005
CLOSE_S = 3.0
"""What a child has to end its files when the panel stops."""
OUT_MAX = 2**20
SOURCES = ("media", "microphone", "adapter spool", "adapter uploader")
"""Troubles that a child may report, beside those of the configured cameras."""
TROUBLE = "media"
READS_MAX = 16
"""Reads before orders are looked at again."""
WORDS_HZ, WORDS_BURST = 100.0, 2000
"""Beats and files: a child says some ten a second, and all that it saved up when the panel was held up for minutes."""
NEWS_HZ, NEWS_BURST = 8.0, 128
"""Troubles and seals: each costs the thread that decides alarms some work, and no child may keep it busy."""


class ChildProcess(Protocol):
    """A child as the link sees it.

    Synchronization: one thread.
    """

    def fileno(self) -> int:
        """Readable when the child said something or is gone."""
        ...

    def send(self, data: bytes) -> int:
        """Write what fits; how many bytes that was. Raises `OSError` when the child is gone."""
        ...

    def receive(self) -> bytes | None:
        """What the child said; None when nothing waits, empty when it is gone."""
        ...

    def kill(self) -> str:
        """End it now, whatever it does, and say how it ended."""
        ...

    def finish(self, timeout_s: float) -> None:
        """Let it end by itself, but not for longer than this."""
        ...


class OsChild:
    """A real child: `python -m firmware.media` on one end of a socket pair, with a group of processes of its own.

    Its libraries may start helpers; they are in that group and end with it.

    Synchronization: one thread, and one that lives as long as the child: the kernel kills the child when the thread
        that started it ends.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._own_end = False
        ours.setblocking(False)  # noqa: FBT003 - the socket's own word
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module and two numbers
                [sys.executable, "-m", "firmware.media", "--fd", str(theirs.fileno()), "--parent", str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # Few heaps: its threads allocate little, and each heap would keep megabytes.
                env=os.environ | {"MALLOC_ARENA_MAX": "2"},
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def fileno(self) -> int:
        """See `ChildProcess.fileno`."""
        return self._socket.fileno()

    def send(self, data: bytes) -> int:
        """See `ChildProcess.send`."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def receive(self) -> bytes | None:
        """See `ChildProcess.receive`."""
        try:
            return self._socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def kill(self) -> str:
        """See `ChildProcess.kill`."""
        if self._process.returncode is None:
            self._own_end = self._ends_within(STATUS_S)  # its line closes a moment before its status is known
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._socket.close()
        ended = self._process.returncode
        if not self._own_end:
            return "it was killed"
        return f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit status {ended}"

    def finish(self, timeout_s: float) -> None:
        """See `ChildProcess.finish`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if self._process.returncode is None:
            self._ends_within(timeout_s)
        self.kill()

    def _ends_within(self, timeout_s: float) -> bool:
        """Wait for its end and leave its status where it is: until that is taken no other group can have its number."""
        until_s = time.monotonic() + timeout_s
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() >= until_s:
                return False
            time.sleep(STATUS_POLL_S)
        return True


class MediaLink:
    """Obeys `Capture` and `Seal`; posts evidence and troubles.

    Without camera and microphone no child is started and every order is ignored.

    Args:
        spec: What the child is told.
        clock: Monotonic time.
        post: Takes facts.
        spawn: Starts a child; raises `OSError` when it cannot.

    Synchronization: one thread; `wait` is for `Worker(wait=…)`, so that the link needs no other.
    """

    def __init__(
        self,
        spec: MediaSpec,
        *,
        clock: Clock,
        post: Callable[[Fact], None],
        spawn: Callable[[], ChildProcess] = OsChild,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._post = post
        self._spawn = spawn
        self._child: ChildProcess | None = None
        self._lines = Lines()
        self._words = self._news = Bucket(0.0, 0, clock.now().mono_s)
        self._out = bytearray()
        self._captures: dict[ReportId, Capture] = {}
        self._begun: set[ReportId] = set()
        self._sealing: dict[ReportId, None] = {}
        names = [camera.name for camera in spec.cameras]
        self._sources = {*SOURCES, *(f"{what} {name}" for what in ("camera", "picture") for name in names)}
        self._ledger = Ledger(post, knows_all=True)
        self._start_s = clock.now().mono_s if spec.has_sources else float("inf")
        self._born_s = self._heard_s = 0.0
        self._speaks = False
        self._young = 0
        self._dead = False

    @property
    def name(self) -> str:
        """For logs and troubles."""
        return "media"

    @property
    def child(self) -> ChildProcess | None:
        """The child that lives now, for measurements and tests."""
        return self._child

    def handle(self, order: object) -> None:
        """Obey one order."""
        match order:
            case Capture(incident):
                self._captures[incident] = order
            case Seal(incident):
                self._sealing[incident] = None
            case _:
                raise TypeError(f"media: {order!r} is no order for it")
        if self._child is not None:
            self._say(order)

    def tick(self) -> None:
        """Read what the child said; replace one that is gone or silent; start one when it is time."""
        now_s = self._clock.now().mono_s
        if self._child is None:
            if now_s >= self._start_s:
                self._start()
            return
        self._hear()
        self._flush()
        if self._child is None:  # what it said was its end
            return
        if self._dead:
            self._bury("its line broke")
        elif now_s >= self._heard_s + self._patience_s():
            self._bury(f"it was silent for {now_s - self._heard_s:.1f} s and hangs")
        elif self._speaks and now_s >= self._born_s + YOUNG_S:
            self._relent()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        if self._child is None:
            return self._start_s
        if self._dead:
            return self._clock.now().mono_s
        silent_s = self._heard_s + self._patience_s()
        return min(silent_s, self._born_s + YOUNG_S) if self._ledger.stands("link", TROUBLE) else silent_s

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait for an order, the child or the time; what the child says is taken at once."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if self._child is not None:
            poll.register(self._child.fileno(), select.POLLIN | (select.POLLOUT if self._out else 0))
        ready = dict(poll.poll(max(0, int(timeout_s * 1000) + 1)))
        if self._child is not None and self._child.fileno() in ready:
            self._hear()
            self._flush()

    def close(self) -> None:
        """Let the child end its files, then see it off."""
        child, self._child = self._child, None
        self._start_s = float("inf")
        if child is not None:
            child.finish(CLOSE_S)

    # ── birth and death ────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        self._born_s = self._heard_s = self._clock.now().mono_s
        try:
            self._child = self._spawn()
        except OSError as error:
            self._complain(f"the media process cannot be started: {error.strerror or error}")
            self._retry()
            return
        self._lines = Lines()
        self._words = Bucket(WORDS_HZ, WORDS_BURST, self._born_s)
        self._news = Bucket(NEWS_HZ, NEWS_BURST, self._born_s)
        self._out.clear()
        self._dead = self._speaks = False
        self._out += control.encode_order(self._spec)
        for incident, order in self._captures.items():
            self._say(CaptureAgain(order) if incident in self._begun else order)
        for incident in self._sealing:
            self._say(Seal(incident))
        self._flush()

    def _bury(self, why: str) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        how = child.kill()
        log.warning("media process ended: %s (%s)", why, how)
        self._complain(f"the media process ended: {why} ({how}); another is started, sound and pictures had a gap")
        self._retry()

    def _retry(self) -> None:
        now_s = self._clock.now().mono_s
        self._young = self._young + 1 if now_s - self._born_s < YOUNG_S else 0
        self._start_s = now_s + BACKOFF_S[min(self._young, len(BACKOFF_S) - 1)]

    def _patience_s(self) -> float:
        return SILENCE_S if self._speaks else BIRTH_S

    # ── talk ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _say(self, order: Capture | CaptureAgain | Seal) -> None:
        if isinstance(order, (Capture, CaptureAgain)):
            self._begun.add(order.incident if isinstance(order, Capture) else order.order.incident)
        self._out += control.encode_order(order)
        if len(self._out) > OUT_MAX:
            self._bury("it does not read its orders")
        else:
            self._flush()

    def _flush(self) -> None:
        while self._out and self._child is not None:
            try:
                sent = self._child.send(bytes(self._out))
            except OSError:
                self._dead = True
                return
            if not sent:
                return
            del self._out[:sent]

    def _hear(self) -> None:
        for _ in range(READS_MAX):
            data = None if self._child is None else self._child.receive()
            if data is None:
                return
            if not data:
                self._bury("it is gone")
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            for line in self._lines.feed(data):
                word = control.decode_word(line)
                if not self._speaks:
                    self._greet()
                self._count(word)
                self._believe(word)
        except ControlError as error:
            self._bury(f"it said what no media process says: {error}")
            return
        self._heard_s = self._clock.now().mono_s

    def _greet(self) -> None:
        """A child said its first word: what the one before complained of is not known of this one."""
        self._speaks = True
        self._ledger.of("child")(TroubleOver(TROUBLE))
        if not self._young:
            self._relent()

    def _count(self, word: Word) -> None:
        bucket = self._words if isinstance(word, Beat | EvidenceFile) else self._news
        if not bucket.take(self._clock.now().mono_s):
            raise ControlError("far too much")

    def _believe(self, word: Word) -> None:
        match word:
            case Beat():
                pass
            case EvidenceFile(incident) | EvidenceSealed(incident):
                if incident.panel != self._spec.panel:
                    raise ControlError(f"evidence of panel {incident.panel[:80]!r}")
                if isinstance(word, EvidenceSealed):
                    self._forget(incident)
                self._post(word)
            case Trouble(source) | TroubleOver(source):
                if source not in self._sources:
                    raise ControlError(f"a trouble of {source[:80]!r}")
                self._ledger.of("child")(word)

    def _forget(self, incident: ReportId) -> None:
        self._captures.pop(incident, None)
        self._sealing.pop(incident, None)
        self._begun.discard(incident)

    def _complain(self, why: str) -> None:
        self._ledger.of("link")(Trouble(TROUBLE, why))

    def _relent(self) -> None:
        self._ledger.of("link")(TroubleOver(TROUBLE))
