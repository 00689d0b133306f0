"""How much somebody may say who is not trusted: a burst at once, and a little all the time."""

from __future__ import annotations


class Bucket:
    """So many at once, so many a second; whoever wants more has said enough.

    Synchronization: one thread.
    """

    def __init__(self, rate_hz: float, burst: int, now_s: float) -> None:
        self._rate_hz = rate_hz
        self._burst = self._left = float(burst)
        self._now_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one; False when there is none."""
        self._left = min(self._burst, self._left + (now_s - self._now_s) * self._rate_hz)
        self._now_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
