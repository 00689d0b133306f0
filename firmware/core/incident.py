"""Incidents and the chain of receipt of every alarm in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.core.report import CHAIN, RECEIVER_STEPS, Step

if TYPE_CHECKING:
    from firmware.core.report import Report, ReportId

ORDER: dict[Step, int] = {step: place for place, step in enumerate(CHAIN)}
"""Place of each step in the chain."""


@dataclass(slots=True)
class Delivery:
    """How far one alarm report has come.

    Attributes:
        report: The report.
        born_s: Monotonic time that steps are counted from: its edge, or the panel's start for one of an earlier epoch.
        missing: Receivers that have not acknowledged.
        attempts: Transmissions so far, by path.
        repeats: Timed repetitions so far.
        steps: Steps reached, with who reached them.
        heard: The same with the path that each receiver's word came over.
    """

    report: Report
    born_s: float
    missing: set[str]
    attempts: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    steps: set[tuple[Step, str]] = field(default_factory=set)
    heard: set[tuple[Step, str, str]] = field(default_factory=set)

    def hear(self, step: Step, by: str, path: str) -> bool:
        """Record over which path a receiver told a step; False when that is known, or the path is not."""
        news = bool(path) and (step, by, path) not in self.heard
        self.heard.add((step, by, path))
        return news

    def reach(self, step: Step, by: str) -> bool:
        """Record a step; False when it is known already. A person who accepts has also received."""
        if (step, by) in self.steps:
            return False
        self.steps.add((step, by))
        if step in RECEIVER_STEPS:
            self.missing.discard(by)
        return True


@dataclass(slots=True)
class Incident:
    """Everything from one alarm to its reset, and on until every receiver has the reset.

    Attributes:
        id: Identity of its first alarm.
        zone: The zone that raised it.
        covert: Nothing of it shows at the booth.
        siren_until_s: Monotonic time of the bell cut-off.
        silenced: The siren is not to sound, or no more: it came to its end, a person silenced it, or it never had one.
        closed: A person has reset it.
        reports: All of its alarm reports.
    """

    id: ReportId
    zone: str
    covert: bool
    siren_until_s: float
    silenced: bool = False
    closed: bool = False
    reports: list[ReportId] = field(default_factory=list)
    step: Step = Step.RAISED

    def reach(self, step: Step) -> bool:
        """Move the incident's own place in the chain forward; True when it moved."""
        if ORDER[step] <= ORDER[self.step]:
            return False
        self.step = step
        return True
