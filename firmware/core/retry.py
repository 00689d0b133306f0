"""When a connection is tried again and how long a try may last: one rule for every connection of a panel.

A broker's death takes all its panels at once. Each then waits a random share of half a minute, and from then on as long
between one try and the next: whenever the broker returns, one panel in 30 comes a second. Full jitter that doubles to
the same cap would bring one in 15, and from a short outage all within a second or two.

Who has an alarm to send does not take part in that. It tries within two seconds, and it does not wait long for an
answer: behind a router that forgot it, or at a broker that takes connections and is dead, a connection never comes to
life, and the way back is found by a new one alone. Only a link that was measured to be slow is given longer.

What a broker refused on a connection that stands is asked for again at the same pace.
"""

from __future__ import annotations

import math

STEP_S = 8.0
"""For each step of the greeting: until the far end takes the session, until it answers for the subscriptions."""
STEP_HURRIED_S = 3.0
"""The same while an alarm waits."""
STEP_MAX_S = 30.0
TRIPS = 4
"""A step may take so many times as long as the slowest before it: a round trip, and what stands in front of the
answer."""
USUAL = 2
"""Or so many times as long as the slowest step of the last connection that carried reports."""
PATIENT_EVERY = 16
"""While an alarm waits, one try in so many is given the full time: a link may be slow where nothing measures it."""

STABLE_S = 30.0
"""A connection that held this long has earned a fresh start of the pauses."""
PAUSE_CAP_S = 30.0
"""Longest pause while nothing hurries."""
PAUSE_BASE_S = 1.0
PAUSE_CAP_HURRIED_S = 2.0
"""Pauses while an alarm waits: a random share of the base, which doubles with each failure up to the cap."""
HASTE_S = 0.5
"""A new alarm brings the next try forward, but never nearer than this to the last one's end."""

ASKED_MAX = 8
"""So many refusals on one connection, and it is made anew: there are brokers that know a client's rights from its login
on, and look at them no more."""


class Retry:
    """The tries of one connection.

    Args:
        idle_cap_s: Longest pause while nothing hurries.

    Attributes:
        next_s: Monotonic seconds of the next try.

    Synchronization: one thread.
    """

    def __init__(self, idle_cap_s: float = PAUSE_CAP_S) -> None:
        self.next_s = -math.inf
        self._idle_cap_s = idle_cap_s
        self._failures = 0
        self._scattered = False
        self._tried_s = self._lost_s = -math.inf
        self._slowest_s = self._usual_s = 0.0

    def begin(self, now_s: float) -> None:
        """A try begins."""
        self._tried_s = now_s
        self._slowest_s = 0.0

    def reached(self, took_s: float) -> None:
        """The far end took the connection, or a later step, in so many seconds."""
        self._slowest_s = max(self._slowest_s, took_s)

    def greeted(self, took_s: float) -> None:
        """The last step took so many seconds; the connection carries reports."""
        self.reached(took_s)
        self._usual_s = self._slowest_s

    @property
    def usual_s(self) -> float:
        """How long the slowest step of the last greeting took."""
        return self._usual_s

    def step_s(self, *, hurried: bool) -> float:
        """How long the next step of the greeting may take.

        Args:
            hurried: Whether an alarm waits.
        """
        impatient = hurried and (self._failures + 1) % PATIENT_EVERY
        least_s = STEP_HURRIED_S if impatient else STEP_S
        return min(STEP_MAX_S, max(least_s, TRIPS * self._slowest_s, USUAL * self._usual_s))

    def lost(self, now_s: float, jitter: float, *, held_s: float | None, hurried: bool, eager: bool) -> None:
        """A connection is gone, or did not come about.

        Args:
            now_s: Monotonic seconds.
            jitter: A random number, 0 to 1: the share of the pause that is waited.
            held_s: How long it carried reports; None when it never did.
            hurried: Whether an alarm waits.
            eager: Whether the first loss after a stable time is followed by a try at once.
        """
        if held_s is not None:
            self._scattered = False
            if held_s >= STABLE_S:
                self._failures = 0
        at_once = eager and held_s is not None and not self._failures
        self.next_s = now_s if at_once else self._after(now_s, jitter, hurried=hurried)
        self._failures += 1
        self._lost_s = now_s

    def hurry(self, now_s: float) -> None:
        """There is an alarm now."""
        self.next_s = min(self.next_s, max(now_s, self._lost_s + HASTE_S))

    def _after(self, now_s: float, jitter: float, *, hurried: bool) -> float:
        if hurried:
            return now_s + jitter * min(PAUSE_CAP_HURRIED_S, PAUSE_BASE_S * 2.0 ** min(self._failures, 16))
        if not self._scattered:
            self._scattered = True
            return now_s + jitter * self._idle_cap_s
        return max(now_s, self._tried_s + self._idle_cap_s)


class Asking:
    """When to ask again for what a broker refused, on the connection that stands and now and then on a new one.

    Args:
        idle_cap_s: Longest pause while nothing hurries.

    Synchronization: one thread.
    """

    def __init__(self, idle_cap_s: float = PAUSE_CAP_S) -> None:
        self._idle_cap_s = idle_cap_s
        self._scattered = False
        self.rest()

    def rest(self) -> None:
        """Nothing is refused, or there is no connection to ask on."""
        self._next_s = self._hurried_s = self._overdue_s = math.inf
        self._refusals = 0

    def granted(self) -> None:
        """All that was asked for was given."""
        self._scattered = False
        self.rest()

    def refused(self, now_s: float, jitter: float) -> None:
        """The answer was no.

        Args:
            now_s: Monotonic seconds.
            jitter: A random number, 0 to 1: the share of the first pause that is waited.
        """
        self._refusals += 1
        self._next_s = now_s + self._idle_cap_s * (1.0 if self._scattered else jitter)
        self._hurried_s = now_s + PAUSE_CAP_HURRIED_S
        self._overdue_s = math.inf
        self._scattered = True

    def asked(self, now_s: float) -> None:
        """It was asked for again; an answer is due."""
        self._next_s = self._hurried_s = math.inf
        self._overdue_s = now_s + STEP_S

    def due_s(self, *, hurried: bool) -> float:
        """Monotonic seconds at which to ask again; infinite when there is nothing to ask for."""
        return min(self._next_s, self._hurried_s) if hurried else self._next_s

    @property
    def overdue_s(self) -> float:
        """Monotonic seconds at which the answer is missing and the connection counts as dead."""
        return self._overdue_s

    @property
    def in_vain(self) -> bool:
        """Whether this connection has been asked often enough, and the next one is to be asked."""
        return self._refusals >= ASKED_MAX
