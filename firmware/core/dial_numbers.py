"""The numbers of a DC-09 path's frames: which comes next, and whose report a number was given to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.report import Report

NUMBER_MAX = 9999
NUMBER_STEP = 617
"""Has no factor in common with 9999: runs that follow each other begin at numbers far apart."""
LATE_MAX = 64
"""Numbers given up whose answer is still understood."""


class Numbers:
    """Counts from 1 to 9999 and begins anew; 0 is the link test's.

    Args:
        run: The panel's epoch. Each begins at another number, or a receiver could take the first alarm of this run for
            the repetition of one of the last.
        place: Where in the circle this path begins, 0 to 1: two of one account at one receiver begin far apart.

    Synchronization: one thread.
    """

    def __init__(self, run: int, place: float = 0.0) -> None:
        self._last = (run * NUMBER_STEP + round(place * NUMBER_MAX)) % NUMBER_MAX
        self._late: dict[int, Report] = {}

    def next(self) -> int:
        """A number for a report that has none."""
        self._last = self._last % NUMBER_MAX + 1
        self._late.pop(self._last, None)
        return self._last

    def give_up(self, number: int, report: Report) -> None:
        """No more tries under this number; an answer that still comes counts for its report."""
        self._late[number] = report
        if len(self._late) > LATE_MAX:
            del self._late[next(iter(self._late))]

    def late(self, number: int | None) -> Report | None:
        """The report of a number that was given up, once."""
        return None if number is None else self._late.pop(number, None)
