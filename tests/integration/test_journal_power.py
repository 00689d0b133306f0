"""The power is cut in the middle of every step that a journal takes: nothing accepted is lost, nothing is invented."""

import random
from dataclasses import replace

import pytest
from rigs.disk import MemoryDisk
from rigs.journals import Bench

from firmware.adapters.ring_format import Draft, Kind, encode
from firmware.config import JournalConfig
from firmware.core.effects import Store
from firmware.core.facts import ReportsDropped, Stored
from firmware.core.report import Step
from firmware.wire.stored import pack_report

TINY = JournalConfig(alarm_kib=16, event_kib=32)
CUTS = 400
TINY_SEGMENTS = 8
"""Also the first lap's number."""


class Ledger:
    """What was promised up to some step of a trace."""

    def __init__(self, trace):
        notes = [op[1] for op in trace if op[0] == "note"]
        self.asked = {report.id: report for kind, report in notes if kind == "asked"}
        self.accepted = {identity for kind, identity in notes if kind == "accepted"}
        self.finish_asked = {identity for kind, identity in notes if kind == "finish"}
        self.gone = {identity for kind, identity in notes if kind == "gone"}
        self.events = {identity for kind, identity in notes if kind == "event durable"}
        self.events_left = {identity for kind, identity in notes if kind == "event left"}
        self.epochs = {epoch for kind, epoch in notes if kind == "epoch"}


def live(disk, rng, presses):
    """One life of a panel: presses, marks, ends, status reports, and time."""
    bench = Bench(disk.calls(), config=TINY, on_post=lambda fact: posted(disk, fact))
    disk.note(("epoch", bench.recovery.epoch))
    open_reports = list(bench.recovery.reports)
    for _ in range(presses):
        report = bench.report(text="x" * rng.randint(0, 100))
        disk.note(("asked", report))
        bench.journal.handle(Store(report))
        open_reports.append(report)
        for _ in range(rng.randint(0, 3)):
            bench.note(rng.choice(open_reports), rng.choice((Step.BROKERED, Step.RECEIVED, Step.CLOSED)))
        if len(open_reports) > 5:
            ended = open_reports.pop(rng.randrange(len(open_reports)))
            disk.note(("finish", ended.id))
            bench.finish(ended)
            if rng.random() < 0.5:
                bench.wait(1.1)
                disk.note(("gone", ended.id))
        status = bench.report("RR")
        disk.note(("asked", status))
        bench.journal.handle(Store(status))
        if rng.random() < 0.3:
            bench.wait(1.1)
            disk.note(("event durable", status.id))
        if rng.random() < 0.2:
            for taken in bench.journal.backlog.take(rng.randint(1, 4)):
                disk.note(("event left", taken.id))
                bench.journal.backlog.done([taken.id])


def posted(disk, fact):
    match fact:
        case Stored(identity):
            disk.note(("accepted", identity))
        case ReportsDropped():
            disk.note(("event left", fact.first))


def check(disk, ledger):
    bench = Bench(disk.calls(), config=TINY)
    found = {report.id: report for report in bench.recovery.reports}
    assert ledger.accepted - ledger.finish_asked <= set(found), "accepted and lost"
    assert all(ledger.asked[identity] == report for identity, report in found.items()), "invented"
    assert not ledger.gone & set(found), "finished, and back again"
    assert not bench.recovery.troubles, "a cut of the power is no damage"
    assert bench.recovery.epoch > max(ledger.epochs, default=0)
    bench.settle()
    waiting = {report.id for report in bench.journal.backlog.take(1000)}
    assert ledger.events - ledger.events_left <= waiting
    assert waiting <= set(ledger.asked)
    assert not [fact for fact in bench.facts if type(fact).__name__ == "Trouble"]
    return bench


@pytest.fixture(scope="module")
def trace_disk():
    rng = random.Random(20260901)
    disk = MemoryDisk()
    live(disk, rng, 25)
    live(disk, rng, 25)
    return disk


def steps_to_cut(disk):
    rng = random.Random(7)
    steps = range(len(disk.trace) + 1)
    return sorted(rng.sample(steps, min(CUTS, len(steps))))


def test_nothing_accepted_is_lost_and_nothing_invented_wherever_the_power_is_cut(trace_disk):
    for step in steps_to_cut(trace_disk):
        ledger = Ledger(trace_disk.trace[:step])
        after = trace_disk.cut(random.Random(step), step)
        try:
            check(after, ledger)
        except AssertionError as error:
            raise AssertionError(f"power cut in step {step} of {len(trace_disk.trace)}: {error}") from error


def test_nothing_is_lost_when_the_power_is_cut_again_while_starting(trace_disk):
    rng = random.Random(11)
    for step in steps_to_cut(trace_disk)[:: CUTS // 40]:
        ledger = Ledger(trace_disk.trace[:step])
        after = trace_disk.cut(random.Random(step), step)
        Bench(after.calls(), config=TINY).settle()
        check(after.cut(rng, rng.randint(after.born, len(after.trace))), ledger)


def test_nothing_is_lost_over_a_hundred_lives_that_each_end_in_a_cut():
    rng = random.Random(3)
    disk = MemoryDisk()
    notes = []
    epochs = []
    begun = 0
    for _ in range(100):
        live(disk, rng, rng.randint(1, 6))
        step = rng.randint(max(begun, len(disk.trace) - 30), len(disk.trace))
        notes += [op for op in disk.trace[:step] if op[0] == "note"]
        disk = disk.cut(rng, step)
        bench = check(disk, Ledger(notes))
        epochs.append(bench.recovery.epoch)
        begun = len(disk.trace)
    assert epochs == sorted(set(epochs))


def test_what_is_left_of_a_torn_copy_is_not_taken_for_the_place_of_an_alarm():
    disk = MemoryDisk()
    bench = Bench(disk.calls(), config=TINY)
    report = bench.alarm()
    ring = bench.journal._alarms.ring
    while ring._head == TINY_SEGMENTS:
        bench.finish(bench.alarm(text="x" * 100))
    lost = Draft(Kind.MARK, (1, 1), b"x" * 60)
    copy = Draft(Kind.REPORT, (report.id.epoch, report.id.seq), pack_report(report))
    data = encode(copy, ring._head, ring._serial + 1, ring.epoch, first=False)
    offset = ring._position + lost.size
    image = disk.content(next(name for name in disk.names if "alarms-8x2048-1" in name))
    image[offset : offset + len(data)] = data
    disk = disk.restarted()
    later = Bench(disk.calls(), config=TINY)
    for _ in range(60):
        later.finish(later.alarm(text="x" * 100))
        later.wait(1.1)
    for step in range(disk.born, len(disk.trace)):
        assert report in Bench(disk.cut(random.Random(1), step).calls(), config=TINY).recovery.reports


def cut_everywhere(disk, config):
    """Every state in which a start on this disk can be interrupted."""
    bench = Bench(disk.calls(), config=config)
    bench.wait(15)
    for step in range(disk.born, len(disk.trace) + 1):
        yield disk.cut(random.Random(step), step)


def test_a_change_of_size_loses_nothing_wherever_it_is_cut():
    disk = MemoryDisk()
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    reports = tuple(bench.alarm() for _ in range(5))
    marks = tuple(bench.note(report) for report in reports)
    events = [bench.event() for _ in range(5)]
    bench.wait(2)
    larger = replace(TINY, alarm_kib=32, event_kib=64)
    for after in cut_everywhere(disk.cut(random.Random(1)), larger):
        later = Bench(after.calls(), config=larger)
        assert later.recovery.reports == reports
        assert later.recovery.marks == marks
        later.settle()
        assert later.journal.backlog.take(99) == events


def test_setting_a_damaged_file_aside_loses_nothing_of_its_rest_wherever_it_is_cut():
    disk = MemoryDisk()
    bench = Bench(disk.calls(), config=TINY)
    reports = tuple(bench.alarm() for _ in range(5))
    del disk.content(next(name for name in disk.names if "alarms-8x2048-0" in name))[-1:]
    for after in cut_everywhere(disk.restarted(), TINY):
        assert Bench(after.calls(), config=TINY).recovery.reports == reports


def test_a_journal_that_did_not_sync_would_be_caught(trace_disk):
    """The rig itself: the same trace with every write taken for unsynced loses alarms."""
    careless = MemoryDisk()
    careless.trace = [(*op[:4], False) if op[0] == "write" else op for op in trace_disk.trace]
    step = len(careless.trace)
    with pytest.raises(AssertionError, match="lost"):
        check(careless.cut(random.Random(1), step), Ledger(trace_disk.trace))
