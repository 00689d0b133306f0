"""How long a broker may owe its answer: three seconds, and longer only where slow answers were seen.

A dead link answers nothing, so each answer is a sign of life, and the time counts from the last one: sixteen reports in
a row on a narrow link are answered one by one. What nobody answered measures nothing. A link that is slow all the same
is known by the time that its greeting took, or by an answer that came late; one that is narrow, by nothing but the size
of what is carried over it.
"""

from __future__ import annotations

import math

from firmware.core.retry import USUAL

ANSWER_S = 3.0
"""The broker must answer for what was sent within this time, or the connection counts as dead."""
ANSWER_MAX_S = 24.0
"""No measure gives longer than this."""
GOOD_S = ANSWER_S / 2
"""An answer in this time is no slow one: twice as much is given anyway."""
LIGHT = 2000
"""Bytes that even the narrowest link (9600 bit/s) carries in good time."""
_NARROW_HZ = 1000.0
"""Bytes a second of that link, with what TCP and TLS put around them."""
_TRIP_S = 1.0


class Patience:
    """What is known of how quickly one path's broker answers.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._slow_s = 0.0
        self._heard_s = -math.inf
        self._heavy: dict[int, int] = {}

    def greeted(self, slowest_s: float) -> None:
        """A connection came about, whose slowest step took so long."""
        if slowest_s > GOOD_S:
            self._slow_s = max(self._slow_s, slowest_s)

    def weigh(self, token: int, size: int) -> None:
        """What was sent just now has more than `LIGHT` bytes."""
        self._heavy[token] = size

    def answered(self, token: int, sent_s: float, now_s: float, *, in_turn: bool) -> None:
        """The broker answered for what was sent at `sent_s`.

        Args:
            token: Its token.
            sent_s: Monotonic seconds.
            now_s: The same.
            in_turn: Whether it was the oldest: one that was passed over is owed all the same.
        """
        silent_s = now_s - max(sent_s, self._heard_s)
        if silent_s > GOOD_S:
            self._slow_s = silent_s
        elif now_s - sent_s < GOOD_S:
            self._slow_s = 0.0
        self._heavy.pop(token, None)
        if in_turn:
            self._heard_s = now_s

    def betrayed(self) -> None:
        """It did not answer in the time that it was given: what was seen of it is believed half from now on."""
        self._slow_s /= 2

    def forget(self) -> None:
        """Nothing is under way any more."""
        self._heavy.clear()

    def until_s(self, token: int, sent_s: float, *, first: bool) -> float:
        """Monotonic seconds at which a broker that says nothing counts as dead.

        Args:
            token: The oldest item under way.
            sent_s: When it was sent.
            first: Whether no alarm stands behind it, which a new connection would carry first.
        """
        size = self._heavy.get(token, 0) if first else 0
        heavy_s = _TRIP_S + size / _NARROW_HZ
        return max(sent_s, self._heard_s) + min(ANSWER_MAX_S, max(ANSWER_S, USUAL * self._slow_s, heavy_s))
