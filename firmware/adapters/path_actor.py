"""What every path does alike, whatever it speaks: look after its connection, and say how it stands.

A subclass owns a pure machine (what to send when) and a way (how it travels); here they are kept going.
"""

from __future__ import annotations

import abc
import logging
import math
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from firmware.core.facts import PathDown, PathUp, Refused, Trouble, TroubleOver
from firmware.core.link import Due

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from firmware.core.report import Report
    from hal.ports import Clock

log = logging.getLogger(__name__)

INPUT_EVERY_S = 60.0
"""Bad input is told at most this often."""
INPUT_QUIET_S = 600.0
"""Without bad input for this long its trouble is over."""

E = TypeVar("E")


class Way(Protocol[E]):
    """A connection, as every path drives it.

    Synchronization: one thread.
    """

    def drive(self) -> list[E]:
        """What came of it since the last call."""
        ...

    def next_deadline(self) -> float:
        """Monotonic seconds at which `drive` is wanted even if `wait` saw nothing."""
        ...

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait until `fd` or the connection is ready, or the time is over."""
        ...


class PathActor(abc.ABC, Generic[E]):
    """One path's actor, without its language.

    Args:
        path: The path's name.
        way: Its connection.
        clock: Both clocks.
        post: Where facts go.

    Synchronization: one thread.
    """

    def __init__(self, path: str, way: Way[E], clock: Clock, post: Callable[[Fact], None]) -> None:
        self._path = path
        self._way = way
        self._clock = clock
        self._post = post
        self._doorman = Doorman(path, post)
        self._told: str | None = None
        self._standing: set[str] = set()

    def tick(self) -> None:
        """Look after the connection and send what may be sent."""
        for event in self._way.drive():
            self._on(event)
        now_s = self._clock.now().mono_s
        match self._due(now_s):
            case Due.OPEN:
                self._open()
            case Due.CLOSE:
                self._give_up()
            case Due.NOTHING:
                pass
        self._doorman.settle(now_s)
        self._pump()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        return min(self._way.next_deadline(), self._doorman.quiet_s)

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait for an order (`fd` becomes readable), for the connection, or for the time to pass; for the `Worker`."""
        self._way.wait(fd, timeout_s)

    # ── what each does in its own way ──────────────────────────────────────────────────────────────────────────────

    @abc.abstractmethod
    def _on(self, event: E) -> None:
        """Take what the connection tells."""

    @abc.abstractmethod
    def _due(self, now_s: float) -> Due:
        """What the machine wants done with the connection."""

    @abc.abstractmethod
    def _open(self) -> None:
        """Begin a connection."""

    @abc.abstractmethod
    def _give_up(self) -> None:
        """End a connection that owes an answer."""

    @abc.abstractmethod
    def _pump(self) -> None:
        """Send what may be sent."""

    # ── how it stands ──────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, alarm: Report) -> None:
        why = f"path {self._path} holds as many alarms as it can; this one is repeated later"
        self._post(Refused(self._path, alarm.id, 0, why))

    def _tell_up(self) -> None:
        if self._told != "":
            self._told = ""
            self._post(PathUp(self._path))

    def _tell_down(self, why: str, *, closed: bool = False, stands: bool = False) -> None:
        """Tell it once, and again with another reason; `closed`, `stands`: as in `PathDown`."""
        if why != self._told:
            self._told = why
            self._post(PathDown(self._path, why, closed, stands))

    def _stand(self, what: str, why: str) -> None:
        """Something of this path is out of order, though it may go on; "" when it is not, or not any more."""
        source = f"path {self._path} {what}"
        if why:
            self._standing.add(source)
            self._post(Trouble(source, why))
        elif source in self._standing:
            self._standing.discard(source)
            self._post(TroubleOver(source))


class Doorman:
    """Tells of bad input, but not more often than a person can read.

    Synchronization: one thread.
    """

    def __init__(self, path: str, post: Callable[[Fact], None]) -> None:
        self._source = f"path {path} input"
        self._post = post
        self._silent = 0
        self._next_s = -math.inf
        self.quiet_s = math.inf
        """When the trouble is over if nothing bad comes any more."""

    def refuse(self, why: str, now_s: float) -> None:
        """One bad message came."""
        self.quiet_s = now_s + INPUT_QUIET_S
        if now_s < self._next_s:
            self._silent += 1
            return
        more = f" ({self._silent} more since the last line)" if self._silent else ""
        log.warning("%s refused: %s%s", self._source, why, more)
        self._post(Trouble(self._source, why))
        self._silent, self._next_s = 0, now_s + INPUT_EVERY_S

    def settle(self, now_s: float) -> None:
        """Say that it is over when it is."""
        if now_s >= self.quiet_s:
            self.quiet_s = math.inf
            self._post(TroubleOver(self._source))
