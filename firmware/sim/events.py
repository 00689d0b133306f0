"""What happened in a simulated world, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.sim.clock import WorldClock

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        at_s: Seconds since the scenario began.
        kind: "script", "report", "chain", "output", "process", …; conditions look for it.
        text: For people.
        data: For conditions.
    """

    at_s: float
    kind: str
    text: str
    data: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.at_s:10.3f}  {self.kind:<9} {self.text}"


class Log:
    """All events of a run, and who looks at them.

    Synchronization: one thread.
    """

    def __init__(self, clock: WorldClock) -> None:
        self.events: list[Event] = []
        self._clock = clock
        self._watchers: list[Callable[[Event], None]] = []

    def watch(self, watcher: Callable[[Event], None]) -> None:
        """Have every event from now on shown to somebody."""
        self._watchers.append(watcher)

    def add(self, kind: str, text: str, /, **data: Value) -> None:
        """Something happened now."""
        event = Event(self._clock.now_s, kind, text, data)
        self.events.append(event)
        for watcher in self._watchers:
            watcher(event)
