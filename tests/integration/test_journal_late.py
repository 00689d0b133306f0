"""Segments that cannot be read when the panel starts, and can be later: what they hold is taken in, not lost."""

import errno
import random
from dataclasses import replace

import pytest
from rigs.disk import MemoryDisk
from rigs.journals import SMALL, UTC_S, Bench, HandClock, again, troubles

from firmware.core.facts import NotStored, Recovered, Stored, TroubleOver

RETRIES_S = 700.0
"""More than the longest pause between two tries to read a file."""


def unreadable(disk, *parts):
    """Let no file be read whose name has one of these parts."""
    disk.fault = lambda call, path: errno.EIO if call == "pread" and any(part in path for part in parts) else 0


def files(disk, part):
    return {name: bytes(disk.content(name)) for name in disk.names if part in name}


def recovered(bench):
    return {report for fact in bench.of(Recovered) for report in fact.reports}


def test_what_could_not_be_read_at_the_start_goes_to_the_core_with_its_marks_once_it_can(disk):
    bench = again(disk)
    reports = [bench.alarm() for _ in range(3)]
    marks = tuple(bench.note(report) for report in reports)
    bench.finish(bench.alarm())
    bench.journal.close()
    unreadable(disk, "alarms-8x4096-0")
    later = again(disk)
    assert later.recovery.reports == ()
    assert "read again later" in troubles(later.recovery)["journal"]
    disk.fault = None
    later.wait(RETRIES_S)
    assert later.of(Recovered) == [Recovered(tuple(reports), marks)]
    assert [fact.id for fact in later.of(Stored)] == [report.id for report in reports]
    assert later.of(TroubleOver) == [TroubleOver("journal")]
    assert again(disk).recovery.reports == tuple(reports)


def test_a_segment_that_cannot_be_read_is_not_written_over_however_often_the_ring_goes_round(disk):
    bench = again(disk)
    reports = [bench.alarm() for _ in range(3)]
    bench.journal.close()
    unreadable(disk, "alarms-8x4096-0")
    before = files(disk, "alarms-8x4096-0")
    later = again(disk)
    for _ in range(300):
        later.finish(later.alarm())
        later.wait(1.1)
    assert not later.of(NotStored)
    assert files(disk, "alarms-8x4096-0") == before
    disk.fault = None
    later.wait(RETRIES_S)
    assert recovered(later) == set(reports)
    assert again(disk).recovery.reports == tuple(reports)


def test_the_segment_is_written_to_again_once_its_alarms_lie_elsewhere(disk):
    bench = again(disk)
    bench.alarm()
    bench.journal.close()
    unreadable(disk, "alarms-8x4096-0")
    before = files(disk, "alarms-8x4096-0")
    later = again(disk)
    disk.fault = None
    later.wait(RETRIES_S)
    for _ in range(300):
        later.finish(later.alarm())
        later.wait(1.1)
    assert files(disk, "alarms-8x4096-0") != before


def test_what_was_finished_does_not_come_back_though_its_end_was_overwritten_meanwhile(disk):
    bench = again(disk)
    ended = [bench.alarm() for _ in range(3)]
    kept = bench.alarm(text="x" * 300)
    while not any(files(disk, "alarms-8x4096-1").values()) or not bytes(
        disk.content(next(iter(files(disk, "4096-1"))))
    ).strip(b"\0"):
        filler = bench.alarm(text="x" * 300)
        bench.finish(filler)
    bench.finish(*ended)
    bench.wait(2)
    bench.journal.close()
    unreadable(disk, "alarms-8x4096-0")
    later = again(disk)
    for _ in range(300):
        later.finish(later.alarm())
        later.wait(1.1)
    disk.fault = None
    later.wait(RETRIES_S)
    assert kept in recovered(later)
    assert not {report.id for report in recovered(later)} & {report.id for report in ended}


def test_pages_that_can_be_read_later_give_their_alarms_later(disk):
    config = replace(SMALL, alarm_kib=128)
    bench = again(disk, config=config)
    reports = {bench.alarm(text="x" * 200) for _ in range(30)}
    bench.journal.close()
    calls, bad = disk.calls(), [True]

    def pread(fd, size, offset):
        if bad[0] and "alarms-8x16384-0" in disk._open[fd][1] and offset < 8192 < offset + size + 1:
            raise OSError(errno.EIO, "Input/output error")
        return calls.pread(fd, size, offset)

    later = Bench(replace(calls, pread=pread), config=config)
    assert 0 < len(later.recovery.reports) < len(reports)
    assert "journal damage" not in troubles(later.recovery)
    bad[0] = False
    later.wait(RETRIES_S)
    assert {*later.recovery.reports, *recovered(later)} == reports
    assert set(again(disk, config=config).recovery.reports) == reports


def test_a_file_made_anew_is_not_replaced_by_what_an_old_descriptor_cannot_read_any_more(disk):
    bench = again(disk)
    bench.alarm()
    bench.journal.close()
    (name,) = files(disk, "alarms-8x4096-0")
    disk.fault = lambda call, path: errno.EIO if call == "open_write" and path == name else 0
    later = again(disk)
    held = bytes(disk.content(name)).rstrip(b"\0")
    disk.fault = lambda call, path: errno.EIO if call in ("pread", "pwrite") and path == name else 0
    later.wait(30)
    assert bytes(disk.content(name)).startswith(held)


def test_a_card_that_answers_nothing_at_the_start_gives_everything_when_it_does(disk):
    bench = again(disk)
    reports = [bench.alarm(text="x" * 100) for _ in range(40)]
    bench.journal.close()
    unreadable(disk, "/state")
    later = again(disk, clock=HandClock(utc_s=UTC_S + 3600))
    press = later.alarm()
    later.wait(30)
    disk.fault = None
    later.wait(30)
    assert recovered(later) == set(reports)
    assert Stored(press.id) in later.facts
    assert set(again(disk).recovery.reports) == {*reports, press}


def test_a_card_that_can_be_written_and_never_read_takes_alarms_after_a_minute_and_loses_no_file(disk):
    bench = again(disk)
    for _ in range(40):
        bench.alarm(text="x" * 100)
    bench.journal.close()
    unreadable(disk, "alarms-8x4096")
    before = set(files(disk, "/alarms-").values())
    later = again(disk)
    press = later.alarm()
    assert later.of(NotStored)
    later.wait(120)
    assert Stored(press.id) in later.facts
    assert before <= set(files(disk, "/alarms-").values())


def test_presses_are_stored_while_hundreds_of_late_alarms_wait_for_their_new_place(disk):
    config = replace(SMALL, alarm_kib=512)
    bench = again(disk, config=config)
    reports = {bench.alarm() for _ in range(320)}
    bench.journal.close()
    unreadable(disk, "-0.seg")
    later = again(disk, config=config)
    disk.fault = lambda call, path: errno.EIO if call == "pwrite" else 0
    later.wait(RETRIES_S)
    assert recovered(later) == reports - set(later.recovery.reports)
    press = later.alarm()
    disk.fault = None
    another = later.alarm()
    later.wait(60)
    assert set(again(disk, config=config).recovery.reports) >= {*reports, another}
    assert {fact.id for fact in later.of(NotStored)} == {press.id}


def test_status_reports_that_could_not_be_read_wait_for_a_path_once_they_can(disk):
    bench = again(disk)
    events = [bench.event() for _ in range(5)]
    bench.wait(2)
    bench.journal.close()
    unreadable(disk, "events-16x4096-0")
    later = again(disk)
    young = later.event()
    later.wait(2)
    assert later.journal.backlog.take(9) == [young]
    later.journal.backlog.done([young.id])
    disk.fault = None
    later.wait(RETRIES_S)
    assert later.journal.backlog.take(9) == events


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_of_the_power_while_late_alarms_move_loses_none(seed):
    rng = random.Random(seed)
    disk = MemoryDisk()
    bench = again(disk)
    owed = set()
    for _ in range(rng.randint(5, 90)):
        report = bench.alarm(text="x" * rng.randint(0, 200))
        if rng.random() < 0.7:
            bench.finish(report)
        else:
            owed.add(report)
        bench.wait(rng.choice((0.1, 1.2)))
    bench.wait(2)
    disk = disk.cut(rng)
    bad = [f"alarms-8x4096-{index}" for index in range(8) if rng.random() < 0.4]
    unreadable(disk, *bad)
    later = again(disk)
    for _ in range(rng.randint(0, 20)):
        report = later.alarm(text="x" * rng.randint(0, 200))
        if Stored(report.id) in later.facts:
            owed.add(report)
    disk.fault = None
    before = len(disk.trace)
    later.wait(RETRIES_S)
    old = {report for report in owed if report.id.epoch != later.recovery.epoch}
    assert old <= {*later.recovery.reports, *recovered(later)}
    for _ in range(5):
        assert owed <= set(again(disk.cut(rng, rng.randint(before, len(disk.trace)))).recovery.reports)
