"""Time that passes only when it is told to."""

from __future__ import annotations

from typing import Final

from hal.types import Instant

START_UTC_S: Final = 1_767_225_600.0
"""2026-01-01 00:00 UTC: a date that no test mistakes for the real one."""


class VirtualClock:
    """Both clocks under a simulator's hand; the wall clock follows the monotonic one until it is set.

    Args:
        mono_s: Monotonic seconds at the start.
        utc_s: Wall clock at the start.
        synced: Whether a time source is said to discipline the wall clock; may be changed at any time.

    Synchronization: one thread.
    """

    def __init__(self, mono_s: float = 0.0, utc_s: float = START_UTC_S, *, synced: bool = True) -> None:
        self.synced = synced
        self._mono_s = mono_s
        self._utc_offset_s = utc_s - mono_s

    def now(self) -> Instant:
        """The present moment."""
        return Instant(self._mono_s, self._mono_s + self._utc_offset_s, self.synced)

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: Monotonic time would run backwards.
        """
        if seconds < 0:
            raise ValueError(f"monotonic time cannot go back by {-seconds} s; set_utc moves the wall clock")
        self._mono_s += seconds

    def advance_to(self, mono_s: float) -> None:
        """Let time pass until a moment, exactly."""
        self.advance(mono_s - self._mono_s)
        self._mono_s = mono_s

    def set_utc(self, utc_s: float) -> None:
        """Step the wall clock, as a time daemon or a flat battery does."""
        self._utc_offset_s = utc_s - self._mono_s
