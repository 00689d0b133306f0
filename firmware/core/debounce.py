"""From raw levels to decided ones: a level counts when it has held.

A settled loop leaves its level and an *episode* begins. The episode ends when one level has held for `hold_s`: with
another level than before it was a press or a release, with the same one it was a glitch, and is counted. A contact that
never comes to rest is decided too: once the loop has been in alarm for `STORM_HOLDS` times the hold within one episode,
it is an alarm (nothing may delay a 24-hour zone), marked as chatter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hal.types import LoopState

STORM_HOLDS = 3.0
"""Three holds in alarm within one restless episode: more than a burst of interference gives between two quiet holds."""

_SLACK_S = 1e-9
"""Deadlines are sums of floats: a timer that fires on the nanosecond must find its hold complete."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A loop has a new level.

    Attributes:
        state: The level.
        since_s: Monotonic time of the edge that began it.
        chatter: Decided by sum, because the contact did not come to rest.
    """

    state: LoopState
    since_s: float
    chatter: bool


class Debounce:
    """The filter of one loop.

    Args:
        hold_s: How long a level must hold.

    Synchronization: one thread.
    """

    def __init__(self, hold_s: float) -> None:
        self.settled = LoopState.NORMAL
        self.glitches = 0
        self._hold_s = hold_s
        self._raw = LoopState.NORMAL
        self._since_s = -math.inf
        self._last_s = -math.inf
        self._episode_s: float | None = None
        self._alarm_s = 0.0

    def see(self, state: LoopState, at_s: float) -> tuple[Decision, ...]:
        """Take a level seen at `at_s`; levels older than the last count as seen with it.

        Returns:
            What is decided now: also what held long enough before this edge, however late the edge is handled.
        """
        at_s = max(at_s, self._last_s)
        decisions = self.due(at_s)
        if state is not self._raw:
            self._raw, self._since_s = state, at_s
            if self._episode_s is None:
                self._episode_s, self._alarm_s = at_s, 0.0
        return decisions

    def due(self, now_s: float) -> tuple[Decision, ...]:
        """Decide what has held until `now_s`."""
        if self._episode_s is None:
            self._last_s = now_s
            return ()
        if self._raw is LoopState.ALARM and now_s > self._last_s:
            self._alarm_s += now_s - max(self._last_s, self._since_s)
        self._last_s = max(now_s, self._last_s)
        if now_s - self._since_s >= self._hold_s - _SLACK_S:
            return self._settle()
        if self.settled is not LoopState.ALARM and self._alarm_s >= STORM_HOLDS * self._hold_s - _SLACK_S:
            decision = Decision(LoopState.ALARM, self._episode_s, chatter=True)
            self.settled = LoopState.ALARM
            self._episode_s = self._last_s
            return (decision,)
        return ()

    def deadline(self) -> float:
        """When `due` should be called next; `math.inf` while the loop is at rest."""
        if self._episode_s is None:
            return math.inf
        held = self._since_s + self._hold_s
        if self._raw is not LoopState.ALARM or self.settled is LoopState.ALARM:
            return held
        return min(held, self._last_s + STORM_HOLDS * self._hold_s - self._alarm_s)

    def _settle(self) -> tuple[Decision, ...]:
        self._episode_s = None
        if self._raw is self.settled:
            self.glitches += 1
            return ()
        self.settled = self._raw
        return (Decision(self._raw, self._since_s, chatter=False),)
