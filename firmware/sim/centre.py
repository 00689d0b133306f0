"""Alarm receivers that speak DC-09, without sockets: a simulated `Line` a connection, and what such machines get wrong.

A centre reads the panel's frames as strictly as the standard allows: checksum, length, account and time. It answers in
clear. Who watches the world is told which report a frame carries, which the frame itself does not say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from firmware.adapters.dc09_line import HungUp, Line, LineError, LineEvent, Opened, Received
from firmware.sim.network import LATENCY_S
from firmware.sim.way import SimWay
from firmware.wire.dc09 import NULL, checksum, format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.report import Report
    from firmware.sim.clock import BoardClock, WorldClock
    from firmware.sim.events import Log
    from firmware.sim.receivers import SimReceiver

BEHIND_S, AHEAD_S = 40.0, 20.0
"""How far a frame's time may be off, as most receivers are set."""
MODES = (
    "answers",
    "hangs-up",
    "mute",
    "refuses",
    "naks",
    "duh",
    "garbles",
    "halves",
    "naks-some",
    "ignores-some",
    "duhs-some",
)
LACKING = ("naks-some", "ignores-some", "duhs-some")
LACKED = frozenset({"PH", "YC", "YK"})
"""Codes that a centre in one of these modes does not take."""
_HEADED = re.compile(rb'\n([0-9A-F]{4})([0-9A-F]{4})(".*)\r', re.DOTALL)
_BODY = re.compile(r'"([A-Z-]+)"(\d{4})R(\w+)L(\w+)#(\w+)\[([^\]]*)\]((?:\[[^\]]*\])*)_(\S+)')
_EVENT = re.compile(r"#\w+\|Nri[01]/([A-Z]{2})(\d\d+)")


class FrameError(ValueError):
    """Bytes that no panel may send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a panel said.

    Attributes:
        token: What kind of frame.
        number: 0 for a link test.
        account: Who says it.
        code: Of its event; empty for a link test.
        zone: Number of its event's zone.
        late: Whether it tells when the event happened.
        utc_s: Its stamp.
    """

    token: str
    number: int
    account: str
    code: str
    zone: int
    late: bool
    utc_s: float


def read(data: bytes) -> Frame:
    """Read one whole frame in clear.

    Raises:
        FrameError: It is none.
    """
    headed = _HEADED.fullmatch(data)
    if headed is None or int(headed[1], 16) != checksum(headed[3]) or int(headed[2], 16) != len(headed[3]):
        raise FrameError(f"no frame, or with a wrong checksum or length: {data!r}")
    body = _BODY.fullmatch(headed[3].decode("ascii"))
    event = None if body is None else _EVENT.fullmatch(body[6])
    if body is None or (event is None) is not (body[1] == NULL):
        raise FrameError(f"a frame with another content than SIA-DCS or NULL has: {data!r}")
    stamp = datetime.strptime(body[8], "%H:%M:%S,%m-%d-%Y").replace(tzinfo=UTC)
    code, zone = ("", 0) if event is None else (event[1], int(event[2]))
    return Frame(body[1], int(body[2]), body[5], code, zone, "[H" in body[7], stamp.timestamp())


def answer(word: str, number: int, account: str) -> bytes:
    """What a receiver says to a frame that it trusts."""
    return _framed(f'"{word}"{number:04d}R0L0#{account}[]')


def nak(utc_s: float) -> bytes:
    """What it says to one that it does not trust: its time, and neither number nor account."""
    return _framed(f'"NAK"0000R0L0A0[]_{format_time(utc_s)}')


def _framed(text: str) -> bytes:
    body = text.encode("ascii")
    return b"\n%04X%04X%b\r" % (checksum(body), len(body), body)


@dataclass(eq=False, slots=True)
class Dial:
    """One TCP connection from the panel to a centre; attributes as those of `network.Connection`."""

    line: SimLine
    vanished: bool = False
    open: bool = True
    out_s: float = 0.0
    in_s: float = 0.0


@dataclass(eq=False, slots=True)
class Centre:
    """One path's network and the alarm receiver at its end.

    Attributes:
        name: The path's.
        account: The one that it knows.
        receiver: Whose machine it is.
        zones: Names of the zones by number.
        defect: Told of every frame that no panel may send.
        link: "up", "down" or "blackhole".
        mode: What the machine does, one of `MODES`.
        latency_s: One way between panel and machine.

    Synchronization: one thread.
    """

    name: str
    account: str
    receiver: SimReceiver
    zones: dict[int, str]
    world: WorldClock
    log: Log
    defect: Callable[[str], None]
    link: str = "up"
    mode: str = "answers"
    latency_s: float = LATENCY_S
    _dials: list[Dial] = field(default_factory=list)
    _last: tuple[int, str, int] | None = None

    # ── what happens to it ─────────────────────────────────────────────────────────────────────────────────────────

    def set_link(self, state: str) -> None:
        """The wire is whole, cut, or swallows everything."""
        self.link = state
        self.latency_s = LATENCY_S
        if state == "down":
            self._hang_up_all("the network is unreachable")
        elif state == "blackhole":
            for dial in self._dials:
                dial.vanished = True

    def set_mode(self, mode: str) -> None:
        """The machine begins to behave in another way."""
        self.mode = mode
        if mode == "refuses":
            self._hang_up_all("the receiver hung up")

    # ── the panel's side ───────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, line: SimLine) -> Dial:
        """A connection begins.

        Raises:
            LineError: Nothing listens there, or there is no way.
        """
        if self.link == "down":
            raise LineError(f"{self.name}: Network is unreachable; is the receiver running?")
        if self.mode == "refuses" and self.link == "up":
            raise LineError(f"{self.name}: Connection refused; is the receiver running?")
        dial = Dial(line, vanished=self.link == "blackhole")
        if not dial.vanished:
            self._dials.append(dial)
            self._to_panel(dial, Opened(), trips=2)
        return dial

    def hear(self, dial: Dial, data: bytes, report: Report | None) -> None:
        """The panel writes a frame, which carries this report."""
        when_s = dial.out_s = max(dial.out_s, self.world.now_s + self.latency_s)
        self.world.at(when_s, lambda: self._arrive(dial, data, report))

    def hang_up(self, dial: Dial, *, quietly: bool = False) -> None:
        """The panel's end is closed, or (`quietly`) gone without a word; what is under way still arrives."""
        if quietly:
            dial.vanished = True
        else:
            self.world.at(max(dial.out_s, self.world.now_s + self.latency_s), lambda: self._end(dial))

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrive(self, dial: Dial, data: bytes, report: Report | None) -> None:
        if dial.vanished or not dial.open or self.mode == "mute":
            return
        try:
            frame = read(data)
        except FrameError as error:
            self.defect(f"path {self.name}: {error}")
            return
        off_s = frame.utc_s - self.world.true_utc_s
        if frame.account != self.account or self.mode == "naks" or not -BEHIND_S <= off_s <= AHEAD_S:
            self._say(dial, nak(self.world.true_utc_s))
        elif self.mode == "duh" and frame.number:
            self._say(dial, answer("DUH", frame.number, self.account))
        elif self.mode in LACKING and frame.code in LACKED:
            self._pass_over(dial, frame)
        else:
            self._take(frame, report)
            self._acknowledge(dial, frame)

    def _pass_over(self, dial: Dial, frame: Frame) -> None:
        """A machine whose table lacks some codes."""
        self.log.add("refused", f"{frame.code} at {self.name}, {frame.number:04d}", code=frame.code, path=self.name)
        if self.mode == "naks-some":
            self._say(dial, nak(self.world.true_utc_s))
        elif self.mode == "duhs-some":
            self._say(dial, answer("DUH", frame.number, self.account))

    def _take(self, frame: Frame, report: Report | None) -> None:
        if not frame.number:
            return
        zone = self.zones.get(frame.zone, "")
        if report is None or (frame.code, zone) != (report.kind.sia, report.zone):
            self.defect(f"path {self.name}: a frame says {frame.code} {zone or '-'} and carries {report}")
            return
        content = (frame.number, frame.code, frame.zone)
        again, self._last = content == self._last, content
        notes = [word for word, on in (("again", again), ("late", frame.late)) if on]
        text = " ".join([f"{report.code} {report.id} {report.zone or '-'} at {self.name}, {frame.number:04d}", *notes])
        self.log.add("frame", text, code=report.code, zone=report.zone, path=self.name, again=again, late=frame.late)
        self.receiver.take_call(report, late=frame.late)

    def _acknowledge(self, dial: Dial, frame: Frame) -> None:
        said = answer("ACK", frame.number, self.account)
        if self.mode == "garbles":
            said = said[:1] + b"FFFF" + said[5:]
        elif self.mode == "halves":
            said = said[: len(said) // 2]
        self._say(dial, said)
        if self.mode == "hangs-up":
            self._to_panel(dial, HungUp(f"{self.name}: the receiver hung up"))
            self._end(dial)

    def _say(self, dial: Dial, data: bytes) -> None:
        self._to_panel(dial, Received(data))

    def _to_panel(self, dial: Dial, event: LineEvent, trips: int = 1) -> None:
        when_s = dial.in_s = max(dial.in_s, self.world.now_s + trips * self.latency_s)
        self.world.at(when_s, lambda: dial.line.arrive(dial, event))

    def _hang_up_all(self, why: str) -> None:
        for dial in list(self._dials):
            if not dial.vanished:
                dial.line.arrive(dial, HungUp(f"{self.name}: {why}"))
            self._end(dial)

    def _end(self, dial: Dial) -> None:
        dial.open = False
        if dial in self._dials:
            self._dials.remove(dial)


class SimLine(SimWay[Dial, LineEvent], Line):
    """One path's way to its simulated centre.

    Args:
        centre: Where it ends.
        clock: The panel's.
        current: The report of the frame that goes out now.

    Synchronization: one thread.
    """

    def __init__(self, centre: Centre, clock: BoardClock, current: Callable[[], Report | None]) -> None:
        super().__init__(clock, HungUp)
        self._centre = centre
        self._current = current

    def open(self, *, hurried: bool) -> None:  # noqa: ARG002 - a line that begins takes its time
        """See `Line.open`."""
        self.close()
        self._connection = self._centre.connect(self)

    def send(self, frame: bytes) -> None:
        """See `Line.send`."""
        if self._connection is not None:
            self._centre.hear(self._connection, frame, self._current())

    def close(self) -> None:
        """See `Line.close`."""
        self.die(quietly=False)

    def die(self, *, quietly: bool) -> None:
        """The process ends: the kernel closes its socket, or (`quietly`) there is no kernel any more."""
        if (dial := self._give_up()) is not None:
            self._centre.hang_up(dial, quietly=quietly)
