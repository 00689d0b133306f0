"""The oracle of all campaigns: what was promised, and what a later start still knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.core.facts import ReportsDropped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rigs.journals import Bench

    from firmware.core.report import Mark, Report, ReportId

EVENTS_MAX = 100_000


@dataclass
class Ledger:
    """Promises up to one instant, fed with what was noted on the way.

    Attributes:
        asked: Every report the journal was ever given, by identity.
        accepted: Told as stored.
        finishing: Given to `Finish`; from then on a report may go or stay.
        gone: Its end is durable: it must not come back.
        marks: Every mark given.
        kept_marks: Marks that are durable.
        events: Faults and status reports that are durable.
        left: Of these, sent or dropped with a word.
        epochs: Of every start.
    """

    asked: dict[ReportId, Report] = field(default_factory=dict)
    accepted: set[ReportId] = field(default_factory=set)
    finishing: set[ReportId] = field(default_factory=set)
    gone: set[ReportId] = field(default_factory=set)
    marks: set[Mark] = field(default_factory=set)
    kept_marks: set[Mark] = field(default_factory=set)
    events: set[ReportId] = field(default_factory=set)
    left: set[ReportId] = field(default_factory=set)
    epochs: set[int] = field(default_factory=set)

    def take(self, kind: str, what: object) -> None:
        """Enter one note."""
        match kind, what:
            case "asked", report:
                self.asked[report.id] = report
            case "accepted" | "finishing" | "gone", identity:
                getattr(self, kind).add(identity)
            case "mark", mark:
                self.marks.add(mark)
            case "marks durable", marks:
                self.kept_marks.update(marks)
            case "events durable", ids:
                self.events.update(ids)
            case "left", ids:
                self.left.update(ids)
            case "dropped", (first, last):
                self.left.update(one for one in self.asked if first <= one <= last)
            case "epoch", epoch:
                self.epochs.add(epoch)

    @property
    def owed(self) -> set[ReportId]:
        """Alarms that must be there."""
        return self.accepted - self.finishing


@dataclass
class Verdict:
    """What one or many trials came to; everything from `lost` to `false_troubles` has to be zero.

    Attributes:
        trials: How many were judged.
        accepted: How many messages they had to keep, each counted anew in every trial.
        lost: Alarms accepted and not there.
        invented: Alarms, marks or events there that nobody stored, or not as they were stored.
        returned: Alarms there whose end was durable.
        marks_lost: Durable marks of unfinished alarms that are not there.
        events_lost: Durable faults and status reports that are not there, and were neither sent nor told as dropped.
        epochs_reused: Starts that took an epoch that had been used.
        false_troubles: Damage told where there was none.
        unpromised: Alarms lost that nobody promised to keep: the fault had destroyed or hidden them on the medium.
        failures: How to play each bad trial again.
        slowest_s: Longest time from the end of a fault to the receipt, where that is measured.
    """

    trials: int = 0
    accepted: int = 0
    lost: int = 0
    invented: int = 0
    returned: int = 0
    marks_lost: int = 0
    events_lost: int = 0
    epochs_reused: int = 0
    false_troubles: int = 0
    unpromised: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float | None = None

    def add(self, other: Verdict) -> None:
        """Take in another one's sums."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        times = [time for time in (self.slowest_s, other.slowest_s) if time is not None]
        self.slowest_s = max(times, default=None)

    @property
    def bad(self) -> dict[str, int]:
        """The sums that are not zero and have to be."""
        return {name: value for name in COUNTS[2:-1] if (value := getattr(self, name))}


COUNTS = (
    "trials",
    "accepted",
    "lost",
    "invented",
    "returned",
    "marks_lost",
    "events_lost",
    "epochs_reused",
    "false_troubles",
    "unpromised",
)


def judge(bench: Bench, ledger: Ledger, *, damage_allowed: bool = False) -> Verdict:
    """Compare a fresh start with what had been promised.

    Args:
        bench: A journal just opened.
        ledger: What had been promised before.
        damage_allowed: Whether the trial damaged files, so that a trouble about it is the truth.
    """
    found = {report.id: report for report in bench.recovery.reports}
    verdict = Verdict(
        trials=1,
        accepted=len(ledger.owed),
        lost=len(ledger.owed - set(found)),
        invented=_unlike(found.values(), ledger) + len(set(bench.recovery.marks) - ledger.marks),
        returned=len(ledger.gone & set(found)),
        marks_lost=len({mark for mark in ledger.kept_marks if mark.id in ledger.owed} - set(bench.recovery.marks)),
        epochs_reused=int(bench.recovery.epoch <= max(ledger.epochs, default=0)),
    )
    bench.settle()
    waiting = bench.journal.backlog.take(EVENTS_MAX)
    gone = {one for told in bench.of(ReportsDropped) for one in ledger.events if told.first <= one <= told.last}
    verdict.events_lost = len(ledger.events - ledger.left - gone - {report.id for report in waiting})
    verdict.invented += _unlike(waiting, ledger)
    if not damage_allowed:
        told = [fact for fact in bench.facts if type(fact).__name__ == "Trouble"]
        verdict.false_troubles = len(bench.recovery.troubles) + len(told)
    return verdict


def _unlike(reports: Iterable[Report], ledger: Ledger) -> int:
    return sum(ledger.asked.get(report.id) != report for report in reports)
