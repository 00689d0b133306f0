"""Which numbers of a panel's one sequence have come: duplicates are known by it, and losses are seen.

What is forgotten for want of room is forgotten towards *not seen*: a report may be shown twice, never withheld.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

HOLES_MAX = 256
"""Runs of missing numbers that are told apart; beyond it neighbours are joined."""
GAP_S = 60.0
"""A hole this old is a loss: status reports travel behind alarms, so short holes are the rule."""


@dataclass(slots=True)
class Hole:
    """A run of numbers that have not come.

    Attributes:
        since_s: Monotonic time at which it was first seen.
        quiet: Nobody needs to hear of it: announced by the panel, from before this desk began, or told already.
    """

    first: int
    last: int
    since_s: float
    quiet: bool


class Numbers:
    """The numbers of one epoch.

    Args:
        complete: Whether this desk knew the panel before this epoch began, so that all numbers from 1 should come.

    Synchronization: one thread.
    """

    def __init__(self, *, complete: bool) -> None:
        self._complete = complete
        self._highest = -1
        self._holes: list[Hole] = []

    def see(self, seq: int, now_s: float) -> bool:
        """Take a number; True when it had not come before."""
        if seq > self._highest:
            self._skip(self._highest + 1, seq - 1, now_s)
            self._highest = seq
            return True
        place = self._place(seq)
        if place is None:
            return False
        hole = self._holes[place]
        self._holes[place : place + 1] = [part for part in _split(hole, seq, seq) if part.first != seq]
        self._bound()
        return True

    def announce(self, first: int, last: int) -> None:
        """The panel says that it dropped these itself; holes that it explains are not told again."""
        self._holes = [part for hole in self._holes for part in _split(hole, first, last)]
        self._bound()

    def overdue(self, now_s: float) -> list[tuple[int, int]]:
        """Holes that have become losses since the last call, as (first, last)."""
        lost = [hole for hole in self._holes if not hole.quiet and hole.since_s + GAP_S <= now_s]
        for hole in lost:
            hole.quiet = True
        return [(hole.first, hole.last) for hole in lost]

    def next_deadline(self) -> float:
        """Monotonic time at which a hole becomes a loss; infinite when none waits."""
        return min((hole.since_s + GAP_S for hole in self._holes if not hole.quiet), default=float("inf"))

    def awaited(self) -> int:
        """How many numbers are still expected."""
        return sum(hole.last - hole.first + 1 for hole in self._holes if not hole.quiet)

    def _skip(self, first: int, last: int, now_s: float) -> None:
        if first > last:
            return
        if first == 0:  # the beginning: panels count from 1
            self._holes.append(Hole(0, 0 if self._complete else last, now_s, quiet=True))
            first = 1 if self._complete else last + 1
        if first <= last:
            self._holes.append(Hole(first, last, now_s, quiet=False))
        self._bound()

    def _place(self, seq: int) -> int | None:
        place = bisect.bisect_right(self._holes, seq, key=lambda hole: hole.first) - 1
        return place if place >= 0 and seq <= self._holes[place].last else None

    def _bound(self) -> None:
        while len(self._holes) > HOLES_MAX:
            older, old = self._holes[0], self._holes[1]
            joined = Hole(older.first, old.last, older.since_s, older.quiet and old.quiet)
            self._holes[0:2] = [joined]


def _split(hole: Hole, first: int, last: int) -> list[Hole]:
    """The hole in up to three parts: before, inside (quiet) and after the numbers from `first` to `last`."""
    inside = Hole(max(hole.first, first), min(hole.last, last), hole.since_s, quiet=True)
    if inside.first > inside.last:
        return [hole]
    before = Hole(hole.first, inside.first - 1, hole.since_s, hole.quiet)
    after = Hole(inside.last + 1, hole.last, hole.since_s, hole.quiet)
    return [part for part in (before, inside, after) if part.first <= part.last]
