"""The time of the alarm receiver at the end of a DC-09 path, as far as it is known here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.core.calls import Seal, Word

if TYPE_CHECKING:
    from firmware.core.calls import Answer
    from hal.types import Instant

DRIFT_S = 5.0
"""A NAK whose time is nearer than this to ours is about something else than the time."""
APART_S = 40.0
"""An encrypted answer whose time is further off than this is no answer to what was just sent. A receiver takes a frame
that seems to be 40 s old, so a sound one may be as far ahead of us; one that is more than 20 s behind says NAK."""


class FarClock:
    """Ours, until the receiver tells that its own is another.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._correction_s: float | None = None
        self._heard_s = -math.inf

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

    def hear(self, answer: Answer, now: Instant) -> float:
        """An encrypted answer tells its time: whoever recorded one earlier could play it again.

        Where neither the wall clock is known to be right nor the receiver ever told its time, an answer must be no
        older than the last one that was believed, plus what has passed since.

        Returns:
            0 when it may be believed; else by how many seconds its time differs from what it should be.
        """
        if answer.seal is not Seal.WHOLE or answer.word is Word.NAK or answer.utc_s is None:
            return 0.0
        known = self._correction_s is not None or now.synced
        off_s = answer.utc_s - (self.stamp(now) if known else self._heard_s + now.mono_s)
        if off_s < -APART_S or (known and off_s > APART_S):
            return off_s
        self._heard_s = answer.utc_s - now.mono_s
        return 0.0
