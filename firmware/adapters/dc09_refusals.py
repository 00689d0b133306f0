"""Which faults and status an alarm receiver does not take though it is there: one complaint, and when it is over.

The complaint is itself a fault, and so is its end: told anew with each report that is taken or not, they would never
come to rest where a receiver takes the one and not the other.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.report import Report

log = logging.getLogger(__name__)

QUIET_S = 86_400.0
"""A code that was not refused for this long is not complained of any more, though none of its kind was taken."""


class Refusals:
    """The codes that one path's receiver does not take.

    Args:
        path: The path's name.

    Attributes:
        text: The complaint as it stands, naming the code that it began with; empty for none.
        quiet_s: When `settle` is wanted; monotonic seconds.

    Synchronization: one thread.
    """

    def __init__(self, path: str) -> None:
        self.text = ""
        self.quiet_s = math.inf
        self._path = path
        self._codes: dict[str, float] = {}

    def refused(self, report: Report, why: str, now_s: float) -> bool:
        """The receiver did not take this report; whether the complaint begins by it. A silent one is not told."""
        if report.covert:
            return False
        new, first = report.code not in self._codes, not self._codes
        self._codes[report.code] = now_s + QUIET_S
        self.quiet_s = min(self._codes.values())
        told = (
            f"path {self._path}: the receiver takes no code {report.code}: {why}; ask the receiving centre to take it"
        )
        if new:
            log.warning("%s", told)
        if first:
            self.text = told
        return first

    def taken(self, report: Report) -> bool:
        """The receiver took this report; whether the complaint is over by it."""
        return not report.covert and self._over([report.code])

    def settle(self, now_s: float) -> bool:
        """Time passed; whether the complaint is over by it."""
        return self._over([code for code, until_s in self._codes.items() if now_s >= until_s])

    def _over(self, codes: list[str]) -> bool:
        gone = [code for code in codes if self._codes.pop(code, None) is not None]
        self.quiet_s = min(self._codes.values(), default=math.inf)
        if not gone or self._codes:
            return False
        self.text = ""
        return True
