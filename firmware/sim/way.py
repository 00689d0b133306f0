"""What a simulated pipe and a simulated line have in common: a connection, and what came out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from firmware.sim.clock import BoardClock


class _Vanishing(Protocol):
    vanished: bool


_Connection = TypeVar("_Connection", bound=_Vanishing)
_Event = TypeVar("_Event")


class SimWay(Generic[_Connection, _Event]):
    """One path's way to what it ends at.

    Args:
        clock: The panel's.
        end: The kind of event after which nothing comes any more.

    Synchronization: one thread.
    """

    def __init__(self, clock: BoardClock, end: type[object]) -> None:
        self._clock = clock
        self._end = end
        self._connection: _Connection | None = None
        self._events: list[_Event] = []

    def drive(self) -> list[_Event]:
        """What has come since the last call."""
        events, self._events = self._events, []
        if events and isinstance(events[-1], self._end):
            self._connection = None
        return events

    def next_deadline(self) -> float:
        """At once when something has come."""
        return self._clock.now().mono_s if self._events else float("inf")

    def wait(self, fd: int, timeout_s: float) -> None:
        """Nobody waits in virtual time."""
        raise NotImplementedError(f"a simulated connection is stepped, not waited for (fd {fd}, {timeout_s} s)")

    def arrive(self, connection: _Connection, event: _Event, *, anyway: bool = False) -> None:
        """Something comes out of a connection; from one that was given up or (save `anyway`) vanished nothing does."""
        if connection is not self._connection or (connection.vanished and not anyway):
            return
        if not (self._events and isinstance(self._events[-1], self._end)):
            self._events.append(event)

    def _give_up(self) -> _Connection | None:
        """Forget the connection, and what came out of it and nobody took."""
        connection, self._connection = self._connection, None
        self._events.clear()
        return connection
