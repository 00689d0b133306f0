"""Lives of a journal on a disk that records its own trace: presses, marks, ends, status reports, restarts.

Small rings, so that a few hundred orders take them through several laps, with old alarms that must be copied forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rigs.journals import Bench, HandClock

from firmware.adapters.ring_format import Kind, record_at
from firmware.config import JournalConfig
from firmware.core.codes import ReportClass
from firmware.core.effects import Store
from firmware.core.facts import Fact, ReportsDropped, Stored
from firmware.core.report import Step

if TYPE_CHECKING:
    import random

    from rigs.disk import MemoryDisk

    from firmware.core.report import Report

SIZES = (JournalConfig(alarm_kib=16, event_kib=32), JournalConfig(alarm_kib=32, event_kib=64))
TEXT_MAX = {16: 60, 32: 200}
STEPS = (Step.BROKERED, Step.RECEIVED, Step.ACCEPTED, Step.CLOSED)
GROUP_S = 1.1
"""A little more than the journal gathers."""
YOUNG_MAX = 5
"""Alarms that are not finished at one time, besides the old ones."""
OLD_MAX = 3
"""Alarms that nobody acknowledges for a whole life: the ring has to carry them along."""


class Life:
    """One start of a journal on a disk, and its orders at random."""

    def __init__(
        self, disk: MemoryDisk, config: JournalConfig, rng: random.Random, clock: HandClock | None = None
    ) -> None:
        self._disk, self._rng = disk, rng
        self._text_max = TEXT_MAX[config.alarm_kib]
        disk.note(("call", None))
        self.bench = Bench(disk.calls(), config=config, clock=clock, on_post=self._posted)
        disk.note(("epoch", self.bench.recovery.epoch))
        self._open = list(self.bench.recovery.reports)
        self._marks: list = []
        self._events: list = []

    def run(self, orders: int) -> None:
        """So many orders, then nothing: what comes next is a cut, a kill or `close`."""
        acts = (self._press, self._mark, self._finish, self._event, self._send, self._wait)
        for act in self._rng.choices(acts, weights=(6, 5, 5, 4, 2, 3), k=orders):
            self._disk.note(("call", None))
            act()

    def close(self) -> None:
        """An orderly end."""
        self._disk.note(("call", None))
        self.bench.journal.close()
        self._settled()

    def _posted(self, fact: Fact) -> None:
        match fact:
            case Stored(identity):
                self._disk.note(("accepted", identity))
            case ReportsDropped(first, last):
                self._disk.note(("dropped", (first, last)))

    def _report(self, code: str) -> Report:
        report = self.bench.report(code, text="x" * self._rng.randint(0, self._text_max))
        self._disk.note(("asked", report))
        return report

    def _press(self) -> None:
        report = self._report("PA")
        self.bench.journal.handle(Store(report))
        self._open.append(report)

    def _mark(self) -> None:
        if not self._open:
            return
        step, by = self._rng.choice(STEPS), self._rng.choice(("110", "station"))
        report = self._rng.choice(self._open[-YOUNG_MAX:])
        # The note stands before the order: a cut inside it may keep the mark.
        mark = _mark_of(report, step, by)
        self._disk.note(("mark", mark))
        self.bench.note(report, step, by)
        self._marks.append(mark)

    def _finish(self) -> None:
        if len(self._open) <= YOUNG_MAX + OLD_MAX:
            return
        index = self._rng.randrange(OLD_MAX, len(self._open) - 1)
        ended = [self._open.pop(index) for _ in range(min(self._rng.randint(1, 3), len(self._open) - index))]
        for report in ended:
            self._disk.note(("finishing", report.id))
        self.bench.finish(*ended)
        if self._rng.random() < 0.5:
            self._wait()
            if not self.bench.journal._alarms.waiting:
                for report in ended:
                    self._disk.note(("gone", report.id))

    def _event(self) -> None:
        for _ in range(self._rng.choice((1, 1, 2, 6))):
            report = self._report(self._rng.choice(("RR", "YX", "YZ")))
            assert report.cls is not ReportClass.ALARM
            self._events.append(report.id)
            self.bench.journal.handle(Store(report))

    def _send(self) -> None:
        taken = self.bench.journal.backlog.take(self._rng.randint(1, 4))
        if self._rng.random() < 0.2:
            self.bench.journal.backlog.give_back()
            return
        self._disk.note(("left", [report.id for report in taken]))
        self.bench.journal.backlog.done([report.id for report in taken])

    def _wait(self) -> None:
        self.bench.wait(GROUP_S)
        self._settled()

    def _settled(self) -> None:
        if not self.bench.journal._alarms.waiting:
            self._disk.note(("marks durable", tuple(self._marks)))
            self._marks.clear()
        if not self.bench.journal._events.waiting:
            self._disk.note(("events durable", tuple(self._events)))
            self._events.clear()


def _mark_of(report: Report, step: Step, by: str):
    from rigs.journals import make_mark  # noqa: PLC0415 - beside its only use

    return make_mark(report, step, by)


def notes_in_time(trace: list[tuple]) -> list[tuple]:
    """The trace with each word about dropped reports moved to the order that dropped them: the word comes after."""
    moved: list[tuple] = []
    call = 0
    for op in trace:
        if op[0] == "note" and op[1][0] == "dropped":
            moved.insert(call + 1, op)
            continue
        moved.append(op)
        if op[0] == "note" and op[1][0] == "call":
            call = len(moved) - 1
    return moved


@dataclass
class Passed:
    """What the journal did in a trace, so that nobody has to believe that it was exercised."""

    starts: int = 0
    laps: int = 0
    copied: int = 0
    ends: int = 0
    groups: int = 0
    gaps: int = 0

    def add(self, other: Passed) -> None:
        """Take in another one's sums."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def passed(trace: list[tuple]) -> Passed:
    """Read from the bytes written what the journal went through."""
    seen: set[tuple[int, int]] = set()
    sums, ordinals = Passed(), set()
    for op in trace:
        if op[0] != "write" or not op[4]:
            continue
        records = list(_records(op[3]))
        sums.groups += len(records) > 1
        for record in records:
            sums.starts += record.kind == Kind.EPOCH
            sums.ends += record.kind == Kind.FINISH
            sums.gaps += record.kind == Kind.GAP
            if record.kind == Kind.REPORT:
                sums.copied += record.key in seen
                seen.add(record.key)
            ordinals.add((op[1], record.ordinal))
    sums.laps = len(ordinals) - len({number for number, _ in ordinals})
    return sums


def _records(data: bytes):
    offset = 0
    while (record := record_at(data, offset)) is not None:
        yield record
        offset += record.place.size
