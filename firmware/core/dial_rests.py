"""Which alarms a DC-09 path does not send: those that the receiver has, and for a while those that it did not use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.report import ReportId

SETTLED_MAX = 4096


class Rests:
    """Until when each alarm rests; the oldest are forgotten first.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._until_s: dict[ReportId, float] = {}

    def add(self, report: ReportId, until_s: float = math.inf) -> None:
        """It is not sent until then, monotonic seconds; infinite when the receiver has it."""
        self._until_s[report] = until_s
        if len(self._until_s) > SETTLED_MAX:
            del self._until_s[next(iter(self._until_s))]

    def holds(self, report: ReportId, now_s: float) -> bool:
        """Whether it is not to be sent now."""
        return now_s < self._until_s.get(report, -math.inf)

    def settled(self, report: ReportId) -> bool:
        """Whether the receiver has it."""
        return self._until_s.get(report) == math.inf
