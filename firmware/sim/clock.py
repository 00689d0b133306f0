"""Time in a simulated world: the world's own, which only the runner moves, and the panel's view of it."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

from hal.types import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

START_UTC_S: Final = 1_767_225_600.0
"""2026-01-01 00:00 UTC."""
BOOT_S: Final = 1.0
"""What the monotonic clock shows when a board has just started."""


class WorldClock:
    """Seconds since the scenario began, and a calendar of what is to happen.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._calendar: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def true_utc_s(self) -> float:
        """What a right wall clock shows."""
        return START_UTC_S + self.now_s

    def at(self, when_s: float, deed: Callable[[], None]) -> None:
        """Have something happen at a moment; of two at the same one the first entered comes first."""
        self._count += 1
        heapq.heappush(self._calendar, (max(when_s, self.now_s), self._count, deed))

    def after(self, pause_s: float, deed: Callable[[], None]) -> None:
        """Have something happen after a while."""
        self.at(self.now_s + pause_s, deed)

    def next_s(self) -> float:
        """When the next deed is due; infinite when none is."""
        return self._calendar[0][0] if self._calendar else math.inf

    def run_due(self) -> bool:
        """Let what is due happen; whether anything was."""
        done = False
        while self._calendar and self._calendar[0][0] <= self.now_s:
            heapq.heappop(self._calendar)[2]()
            done = True
        return done


class BoardClock:
    """Both clocks of the panel's board; monotonic time begins anew with the power, the wall clock has a battery.

    Args:
        world: The world's time.

    Attributes:
        synced: Whether a time source disciplines the wall clock.

    Synchronization: one thread.
    """

    def __init__(self, world: WorldClock) -> None:
        self.synced = True
        self._world = world
        self._started_s = 0.0
        self._utc_offset_s = START_UTC_S

    def now(self) -> Instant:
        """The present moment."""
        now_s = self._world.now_s
        return Instant(now_s - self._started_s + BOOT_S, now_s + self._utc_offset_s, self.synced)

    def power_on(self) -> None:
        """Monotonic time begins."""
        self._started_s = self._world.now_s

    def set_utc(self, utc_s: float) -> None:
        """Step the wall clock."""
        self._utc_offset_s = utc_s - self._world.now_s

    def world_s(self, mono_s: float) -> float:
        """The earliest moment of the world at which this clock shows at least `mono_s`."""
        if mono_s == math.inf:
            return math.inf
        when_s = mono_s - BOOT_S + self._started_s
        while when_s - self._started_s + BOOT_S < mono_s:
            when_s = math.nextafter(when_s, math.inf)
        return when_s
