"""The journal against a model made of sets, on a disk of tiny segments that wraps all the time."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rigs.disk import MemoryDisk
from rigs.journals import Bench

from firmware.config import JournalConfig
from firmware.core.facts import NotStored, ReportsDropped, Stored
from firmware.core.report import Step

TINY = JournalConfig(alarm_kib=16, event_kib=32)
FEW = 12
"""So many alarms of any length, with their marks, leave room in a ring of 16 KiB."""
steps = st.sampled_from((Step.BROKERED, Step.RECEIVED, Step.ACCEPTED, Step.CLOSED))


class JournalMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.disk = MemoryDisk()
        self.open = {}
        """Stored and not finished: must be there at any later start."""
        self.unsure = {}
        """Finished but perhaps not durably, or not stored and perhaps so by now: may be there."""
        self.marks = set()
        self.fresh_marks = set()
        self.last_epoch = 0
        self.waiting = []
        """Events that have not arrived, in order."""
        self.dropped = 0

    @initialize()
    def first_start(self):
        self.start()
        assert not self.bench.recovery.reports

    def start(self):
        self.bench = Bench(self.disk.calls(), config=TINY)
        assert self.bench.recovery.epoch > self.last_epoch
        assert not self.bench.recovery.troubles
        self.last_epoch = self.bench.recovery.epoch

    def check_recovered(self):
        found = {report.id: report for report in self.bench.recovery.reports}
        assert list(found) == sorted(found)
        assert len(found) == len(self.bench.recovery.reports)
        for identity, report in self.open.items():
            assert found.get(identity) == report
        for identity, report in found.items():
            assert self.open.get(identity, self.unsure.get(identity)) == report
        marks = set(self.bench.recovery.marks)
        assert marks <= self.marks | self.fresh_marks
        assert len(found) > FEW or {mark for mark in self.marks if mark.id in self.open} <= marks
        self.open, self.unsure = found, {}
        self.marks, self.fresh_marks = marks, set()

    @rule(length=st.integers(0, 120))
    def press(self, length):
        report = self.bench.alarm(text="x" * length)
        fact = [fact for fact in self.bench.facts if getattr(fact, "id", None) == report.id][-1]
        if isinstance(fact, Stored):
            self.open[report.id] = report
        else:
            assert isinstance(fact, NotStored)
            assert len(self.open) + len(self.unsure) > FEW, "refused though there must be room"
            self.unsure[report.id] = report

    @rule(data=st.data(), step=steps)
    def mark(self, data, step):
        if self.open:
            self.fresh_marks.add(self.bench.note(self.open[data.draw(st.sampled_from(sorted(self.open)))], step))

    @rule(data=st.data(), many=st.integers(1, 8))
    def finish(self, data, many):
        for identity in sorted(self.open)[:many] if data.draw(st.booleans()) else sorted(self.open)[-many:]:
            self.unsure[identity] = self.open.pop(identity)
            self.bench.finish(self.unsure[identity])

    @rule(seconds=st.sampled_from((0.4, 1.0, 3.0, 12.0)))
    def wait(self, seconds):
        self.bench.wait(seconds)
        if seconds >= 1.0:
            for fact in self.bench.of(Stored):
                if fact.id in self.unsure and self.was_refused(fact.id):
                    self.open[fact.id] = self.unsure.pop(fact.id)
            self.unsure = {key: report for key, report in self.unsure.items() if self.was_refused(key)}
            if len(self.open) < FEW:
                self.marks |= self.fresh_marks
                self.fresh_marks = set()

    def was_refused(self, identity):
        return any(fact.id == identity for fact in self.bench.of(NotStored))

    @rule(length=st.integers(0, 120))
    def event(self, length):
        self.waiting.append(self.bench.event(text="x" * length))

    @rule(many=st.integers(1, 9), arrives=st.booleans())
    def drain(self, many, arrives):
        self.forget_dropped()
        taken = self.bench.journal.backlog.take(many)
        assert taken == self.waiting[: len(taken)]
        if arrives:
            self.bench.journal.backlog.done(report.id for report in taken)
            del self.waiting[: len(taken)]
        else:
            self.bench.journal.backlog.give_back()

    def forget_dropped(self):
        self.bench.settle()
        facts = self.bench.of(ReportsDropped)
        for fact in facts[self.dropped :]:
            run = [report for report in self.waiting if fact.first <= report.id <= fact.last]
            assert len(run) == fact.count
            assert run == self.waiting[: fact.count]
            del self.waiting[: fact.count]
        self.dropped = len(facts)

    @rule()
    def restart(self):
        self.bench.settle()
        self.unsure = {key: report for key, report in self.unsure.items() if self.was_refused(key)}
        self.bench.journal.close()
        self.forget_dropped()
        self.start()
        self.bench.settle()
        self.dropped = len(self.bench.of(ReportsDropped))
        self.check_recovered()
        assert self.bench.journal.backlog.take(10_000) == self.waiting
        self.bench.journal.backlog.give_back()

    @rule(seed=st.integers(0, 2**32))
    def cut_the_power(self, seed):
        self.disk = self.disk.cut(random.Random(seed))
        self.start()
        self.bench.settle()
        self.dropped = len(self.bench.of(ReportsDropped))
        self.check_recovered()
        found = self.bench.journal.backlog.take(10_000)
        assert [report.id for report in found] == sorted(report.id for report in found)
        self.waiting = found
        self.bench.journal.backlog.give_back()

    @invariant()
    def everything_promised_is_remembered(self):
        assert self.last_epoch < 2**53


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
