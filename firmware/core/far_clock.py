"""The time of the alarm receiver at the end of a DC-09 path, as far as it is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.types import Instant

DRIFT_S = 5.0
"""A NAK whose time is nearer than this to ours is about something else than the time."""


class FarClock:
    """Ours, until the receiver tells that its own is another.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._correction_s: float | None = None

    def stamp(self, now: Instant) -> float:
        """The present moment as the receiver counts it, in seconds since 1970.

        Once the receiver's time is known the monotonic clock is followed from there on, whatever the wall clock does.
        """
        return now.utc_s if self._correction_s is None else now.mono_s + self._correction_s

    def learn(self, utc_s: float | None, now: Instant) -> bool:
        """A NAK told the receiver's time; whether it is another than ours, so that the NAK is about that."""
        if utc_s is None or abs(utc_s - self.stamp(now)) <= DRIFT_S:
            return False
        self._correction_s = utc_s - now.mono_s
        return True
