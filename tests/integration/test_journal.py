"""What the journal promises to the panel, on a disk in memory and on a real one."""

import logging
import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.disk import dead
from rigs.journals import SMALL, Bench, HandClock, again, make_mark, make_report, troubles

from firmware.adapters.journal import DONE_MAX, Journal
from firmware.adapters.journal_lock import JournalInUseError
from firmware.adapters.ring_files import REAL
from firmware.config import JournalConfig
from firmware.core.effects import Store
from firmware.core.facts import NotStored, Recovered, ReportsDropped, Stored, Trouble, TroubleOver
from firmware.core.report import ReportId, Step
from firmware.worker import Worker
from hal.clock import SystemClock

TINY = JournalConfig(alarm_kib=16, event_kib=32)


@pytest.fixture
def bench(disk):
    return again(disk)


# ---- alarms


def test_an_alarm_is_one_synchronous_write_and_then_stored(disk, bench):
    before = disk.syncs, len(disk.trace)
    report = bench.alarm()
    assert bench.facts == [Stored(report.id)]
    assert disk.syncs == before[0] + 1
    kinds = [op[0] for op in disk.trace[before[1] :]]
    assert kinds == ["write"]


def test_several_alarms_are_one_write_each(disk, bench):
    before = disk.syncs
    reports = [bench.alarm() for _ in range(10)]
    assert disk.syncs == before + 10
    assert bench.facts == [Stored(report.id) for report in reports]


def test_a_stored_alarm_is_there_at_the_next_start(disk, bench):
    report = bench.alarm(text="北门")
    assert again(disk).recovery.reports == (report,)


def test_alarms_and_resets_come_back_in_the_order_of_their_identities(disk, bench):
    reports = tuple(bench.alarm(code) for code in ("PA", "HA", "PR", "TA"))
    assert again(disk).recovery.reports == reports


def test_marks_come_back_with_their_reports_along_the_chain(disk, bench):
    first, second = bench.alarm(), bench.alarm()
    late = bench.note(first, Step.ACCEPTED)
    early = bench.note(first, Step.BROKERED, "main")
    other = bench.note(second, Step.RECEIVED)
    bench.wait(1)
    assert again(disk).recovery.marks == (early, late, other)


def test_marks_share_one_write_within_a_second(disk, bench):
    report = bench.alarm()
    before = disk.syncs
    for by in ("110", "station", "county"):
        bench.note(report, by=by)
    bench.wait(0.9)
    assert disk.syncs == before
    bench.wait(0.2)
    assert disk.syncs == before + 1


def test_a_mark_told_twice_is_kept_once(disk, bench):
    report = bench.alarm()
    mark = bench.note(report)
    bench.wait(1)
    bench.note(report)
    bench.wait(1)
    assert again(disk).recovery.marks == (mark,)


def test_a_report_stored_twice_is_kept_once(disk, bench):
    report = bench.alarm()
    before = disk.syncs
    bench.journal.handle(Store(report))
    assert disk.syncs == before
    assert bench.facts == [Stored(report.id)] * 2
    assert again(disk).recovery.reports == (report,)


def test_a_finished_report_is_gone_after_a_second(disk, bench):
    kept, ended = bench.alarm(), bench.alarm()
    bench.note(ended, Step.CLOSED)
    bench.finish(ended)
    bench.wait(1)
    recovery = again(disk).recovery
    assert recovery.reports == (kept,)
    assert recovery.marks == ()


def test_ends_share_one_write(disk, bench):
    reports = [bench.alarm() for _ in range(20)]
    before = disk.syncs
    bench.finish(*reports)
    bench.wait(1)
    assert disk.syncs == before + 1


def test_closing_writes_what_has_gathered(disk, bench):
    kept, ended = bench.alarm(), bench.alarm()
    mark = bench.note(kept)
    bench.finish(ended)
    status = bench.event()
    bench.journal.close()
    bench.journal.close()
    later = again(disk)
    assert later.recovery.reports == (kept,)
    assert later.recovery.marks == (mark,)
    assert later.journal.backlog.take(9) == [status]


def test_alarms_survive_many_laps_of_the_ring(disk):
    bench = Bench(disk.calls(), config=TINY)
    kept = bench.alarm(text="the first")
    mark = bench.note(kept)
    for _ in range(1000):
        bench.finish(bench.alarm(text="x" * 60))
        bench.wait(0.3)
    assert not bench.of(NotStored)
    recovery = again(disk, config=TINY).recovery
    assert recovery.reports[0] == kept
    assert recovery.marks == (mark,)
    assert len(recovery.reports) < 8


def test_no_segment_is_emptied_while_an_alarm_waits(disk):
    bench = Bench(disk.calls(), config=TINY)
    for _ in range(30):
        bench.alarm(text="x" * 60)
    for _ in range(200):
        bench.wait(1.2)
        before = disk.syncs
        bench.finish(bench.alarm(text="x" * 60))
        assert disk.syncs == before + 1


def test_a_full_ring_refuses_the_newest_tells_why_and_keeps_the_rest(disk):
    bench = Bench(disk.calls(), config=TINY)
    stored = []
    while not bench.of(NotStored):
        stored.append(bench.alarm(text="x" * 60))
    refused = stored.pop()
    fact = bench.of(NotStored)[0]
    assert fact.id == refused.id
    assert "unfinished" in fact.why
    assert "journal.alarm_kib" in fact.why
    assert [trouble.source for trouble in bench.of(Trouble)] == ["journal"]
    assert len(stored) > 40
    assert again(disk, config=TINY).recovery.reports == tuple(stored)


def test_a_refused_alarm_is_stored_late_when_room_comes(disk):
    bench = Bench(disk.calls(), config=TINY)
    stored = []
    while not bench.of(NotStored):
        stored.append(bench.alarm(text="x" * 60))
    bench.finish(*stored[:20])
    bench.wait(5)
    assert Stored(stored[-1].id) in bench.facts
    assert bench.facts[-1] == TroubleOver("journal")
    assert stored[-1] in again(disk, config=TINY).recovery.reports


def test_the_trouble_of_a_full_ring_ends_though_the_refused_alarm_was_delivered_from_memory(disk):
    bench = Bench(disk.calls(), config=TINY)
    stored = []
    while not bench.of(NotStored):
        stored.append(bench.alarm(text="x" * 60))
    bench.finish(*stored[:20], stored[-1])
    bench.wait(5)
    assert bench.facts[-1] == TroubleOver("journal")


def test_a_report_too_long_for_the_ring_is_refused_with_both_lengths(bench):
    report = bench.alarm(text="x" * 5000)
    (fact,) = bench.of(NotStored)
    assert fact.id == report.id
    assert "512 is the limit" in fact.why
    bench.alarm()
    assert bench.facts[-1] == TroubleOver("journal")


def test_an_order_that_is_none_of_its_own_is_a_programming_error(bench):
    with pytest.raises(TypeError, match="Store, Note and Finish, not str"):
        bench.journal.handle("store it")


def test_nothing_grows_at_run_time(disk):
    bench = again(disk, config=TINY)
    names = sorted(disk.names)
    sizes = {name: len(disk.content(name)) for name in names}
    for _ in range(300):
        bench.finish(bench.alarm())
        bench.event()
        bench.wait(0.5)
    assert sorted(disk.names) == names
    assert {name: len(disk.content(name)) for name in names} == sizes


def test_the_log_says_nothing_of_a_covert_alarm(disk, caplog):
    caplog.set_level(logging.DEBUG)
    bench = Bench(disk.calls(), config=TINY)
    while not bench.of(NotStored):
        bench.alarm("HA", covert=True, text="quiet" * 12)
    bench.wait(20)
    assert "is full" in caplog.text
    for secret in ("HA", "quiet", "booth", "p1/"):
        assert secret not in caplog.text


def test_a_trouble_does_not_show_at_the_moment_of_a_covert_press(disk):
    bench = Bench(disk.calls())
    disk.fault = dead
    bench.alarm("HA", covert=True)
    assert not bench.of(Trouble)
    bench.wait(3)
    assert [trouble.source for trouble in bench.of(Trouble)] == ["journal"]


# ---- epochs


def test_the_epoch_rises_over_a_hundred_starts(disk):
    epochs = []
    for _ in range(100):
        bench = Bench(disk.calls())
        epochs.append(bench.recovery.epoch)
        bench.journal.close()
    assert epochs == list(range(epochs[0], epochs[0] + 100))


def test_the_epoch_is_durable_before_open_returns(disk):
    bench = Bench(disk.calls())
    held = [disk.cut(random.Random(seed)) for seed in range(5)]
    assert {Bench(after.calls()).recovery.epoch for after in held} == {bench.recovery.epoch + 1}


def test_opening_an_existing_journal_costs_two_flushes(disk, bench):
    before = disk.syncs
    Bench(disk.calls())
    assert disk.syncs == before + 2


def test_a_panel_without_memory_begins_with_the_wall_clock(disk):
    assert Bench(disk.calls(), clock=HandClock(utc_s=1_790_123_456.7)).recovery.epoch == 1_790_123_456


def test_a_clock_that_nothing_stands_behind_is_not_believed(disk):
    clock = HandClock(utc_s=1_790_123_456.7)
    clock.synced = False
    first = Bench(disk.calls(), clock=clock, random53=lambda: 777).recovery.epoch
    assert first == 2**40 + 778
    assert Bench(disk.calls(), clock=clock, random53=lambda: 778).recovery.epoch == first + 1 + 778


@pytest.mark.parametrize("utc_s", [0.0, 1_700_000_000.0, 4_200_000_000.0, -5.0])
def test_a_panel_without_memory_and_with_a_wrong_clock_begins_at_random_above_all_clocks(disk, utc_s):
    bench = Bench(disk.calls(), clock=HandClock(utc_s=utc_s), random53=lambda: 777)
    assert bench.recovery.epoch == 2**40 + 1 + 777


def test_the_first_start_of_all_is_no_trouble(disk):
    assert Bench(disk.calls()).recovery.troubles == ()


# ---- events


def test_events_are_in_the_backlog_at_once_and_on_disk_within_a_second(disk, bench):
    before = disk.syncs
    reports = [bench.event(code) for code in ("RR", "YC", "YX")]
    assert bench.journal.backlog.take(9) == reports
    bench.journal.backlog.give_back()
    assert (disk.syncs, bench.notified) == (before, 0)
    bench.wait(1)
    assert (disk.syncs, bench.notified) == (before + 1, 1)
    assert again(disk).journal.backlog.take(9) == reports


def test_events_that_were_not_done_come_back_at_the_next_start_before_new_ones(disk, bench):
    old = [bench.event() for _ in range(5)]
    bench.wait(1)
    backlog = bench.journal.backlog
    backlog.done(report.id for report in backlog.take(2))
    bench.wait(60)
    later = Bench(disk.calls())
    young = later.event()
    assert later.notified == 0
    later.wait(1)
    assert later.notified == 1
    assert later.journal.backlog.take(9) == [*old[2:], young]


def test_open_does_not_wait_for_the_event_ring(disk):
    bench = Bench(disk.calls())
    assert not [name for name in disk.names if "/events-" in name]
    bench.settle()
    assert len([name for name in disk.names if "/events-" in name]) == 16


def test_an_alarm_waits_for_one_segment_of_the_event_ring_at_most(disk):
    bench = Bench(disk.calls())
    bench.journal.tick()
    assert len([name for name in disk.names if "/events-" in name]) == 1
    report = bench.alarm()
    assert bench.facts == [Stored(report.id)]


def arrived(bench, count):
    for _ in range(count):
        bench.event()
    bench.wait(2)
    backlog = bench.journal.backlog
    backlog.done(report.id for report in backlog.take(count))


def test_done_is_written_in_groups_after_a_minute(disk, bench):
    arrived(bench, 50)
    before = disk.syncs
    bench.wait(59)
    assert disk.syncs == before
    bench.wait(1)
    assert disk.syncs == before + 1
    assert again(disk).journal.backlog.take(99) == []


def test_done_shares_the_write_of_the_next_report(disk, bench):
    arrived(bench, 1)
    before = disk.syncs
    young = bench.event()
    bench.wait(1)
    assert disk.syncs == before + 1
    assert again(disk).journal.backlog.take(99) == [young]


def test_so_many_that_are_done_are_written_at_once(disk):
    bench = again(disk, config=JournalConfig(alarm_kib=256, event_kib=8192))
    arrived(bench, DONE_MAX)
    bench.wait(0)
    assert again(disk, config=JournalConfig(alarm_kib=256, event_kib=8192)).journal.backlog.take(99) == []


def test_done_is_written_at_an_orderly_end(disk, bench):
    arrived(bench, 3)
    bench.journal.close()
    assert again(disk).journal.backlog.take(99) == []


def test_a_finish_order_takes_a_waiting_event_out_of_the_backlog(disk, bench):
    first, second = bench.event(), bench.event()
    bench.finish(first)
    assert bench.journal.backlog.take(9) == [second]
    bench.wait(1)
    assert again(disk).journal.backlog.take(9) == [second]


def test_a_flood_of_events_drops_the_oldest_and_tells_the_exact_run(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    reports = []
    for _ in range(400):
        reports.append(bench.event())
        bench.wait(1.1)
    facts = bench.of(ReportsDropped)
    assert len(facts) > 2
    gone = 0
    for fact in facts:
        run = reports[gone : gone + fact.count]
        assert (fact.first, fact.last) == (run[0].id, run[-1].id)
        gone += fact.count
    assert bench.journal.backlog.take(999) == reports[gone:]
    assert again(disk, config=TINY).journal.backlog.take(999) == reports[gone:]


def test_events_that_were_done_are_not_told_as_dropped(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    for _ in range(400):
        bench.event()
        bench.journal.backlog.done(report.id for report in bench.journal.backlog.take(9))
        bench.wait(1.1)
    assert not bench.of(ReportsDropped)


def test_events_in_the_uplinks_hands_are_not_told_as_dropped(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    taken_reports = [bench.event() for _ in range(3)]
    bench.wait(1)
    assert bench.journal.backlog.take(3) == taken_reports
    for _ in range(300):
        bench.event()
        bench.wait(1.1)
    assert bench.of(ReportsDropped)[0].first.seq == 4
    bench.journal.backlog.give_back()
    assert bench.journal.backlog.take(3) == taken_reports


def overflow(bench):
    while not bench.of(ReportsDropped):
        bench.event(text="x" * 50)
        bench.wait(1.1)
    return bench.of(ReportsDropped)[0]


def test_a_gap_is_told_again_after_a_restart_until_its_report_is_stored(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    fact = overflow(bench)
    later = again(disk, config=TINY)
    assert later.of(ReportsDropped) == [fact]
    later.event("JO")
    later.wait(1)
    assert again(disk, config=TINY).of(ReportsDropped) == []


def test_a_gap_that_was_told_is_not_part_of_the_next_one(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    overflow(bench)
    bench.event("JO")
    bench.wait(1.1)
    bench.facts.clear()
    second = overflow(bench)
    assert again(disk, config=TINY).of(ReportsDropped) == [second]


def test_an_untold_gap_survives_the_laps_of_the_ring(disk):
    bench = Bench(disk.calls(), config=TINY)
    bench.settle()
    first = overflow(bench)
    for _ in range(600):
        bench.event()
        bench.journal.backlog.done(report.id for report in bench.journal.backlog.take(99))
        bench.wait(1.1)
    (told,) = again(disk, config=TINY).of(ReportsDropped)
    assert told.first == first.first
    assert told.count == sum(fact.count for fact in bench.of(ReportsDropped))


def test_a_burst_of_events_is_written_in_pieces_between_which_an_alarm_gets_through(disk):
    bench = again(disk, config=JournalConfig(alarm_kib=256, event_kib=8192))
    for _ in range(2000):
        bench.event(text="x" * 100)
    bench.clock.mono_s += 1
    ticks = 0
    while bench.journal.next_deadline() <= bench.clock.mono_s:
        before = disk.syncs
        bench.journal.tick()
        assert disk.syncs <= before + 2  # the first write of a segment takes two
        ticks += 1
    assert ticks > 5


# ---- another size


@pytest.mark.parametrize("sizes", [(32, 64), (64, 32)])
def test_a_ring_of_another_size_takes_over_what_is_unfinished_and_removes_the_old_files(disk, sizes):
    first, second = (JournalConfig(alarm_kib=size, event_kib=2 * size) for size in sizes)
    bench = again(disk, config=first)
    reports = tuple(bench.alarm() for _ in range(5))
    mark = bench.note(reports[0])
    ended = bench.alarm()
    bench.finish(ended)
    events = [bench.event() for _ in range(5)]
    bench.wait(1)
    old = {name for name in disk.names if name.endswith(".seg")}
    later = Bench(disk.calls(), config=second)
    assert (later.recovery.reports, later.recovery.marks) == (reports, (mark,))
    assert later.recovery.epoch == bench.recovery.epoch + 1
    later.wait(5)
    assert not old & set(disk.names)
    last = again(disk, config=second)
    assert (last.recovery.reports, last.recovery.marks) == (reports, (mark,))
    assert last.journal.backlog.take(99) == events


# ---- on a real disk


def test_a_journal_on_a_real_disk_does_the_same(tmp_path):
    folder = tmp_path / "state" / "journal"
    bench = Bench(folder=folder)
    bench.settle()
    report, status = bench.alarm(), bench.event()
    mark = bench.note(report)
    bench.journal.close()
    later = Bench(folder=folder)
    later.settle()
    assert later.recovery.reports == (report,)
    assert later.recovery.marks == (mark,)
    assert later.journal.backlog.take(9) == [status]
    assert later.recovery.epoch == bench.recovery.epoch + 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    later.journal.close()


def test_a_second_panel_is_refused_and_told_who_has_the_folder(tmp_path):
    first = Bench(folder=tmp_path)
    kept = first.alarm()
    with pytest.raises(JournalInUseError, match=f"runs as process {os.getpid()} on {tmp_path}; stop it"):
        Bench(folder=tmp_path)
    first.journal.close()
    third = Bench(folder=tmp_path)
    assert third.recovery.reports == (kept,)
    third.journal.close()


def test_a_lock_whose_holder_is_dead_lets_the_panel_run_from_memory_until_it_goes(tmp_path):
    first = Bench(folder=tmp_path)
    kept = first.alarm()
    second = Bench(replace(REAL, alive=lambda pid: False), tmp_path, random53=lambda: 4711)
    assert "another process has the journal" in troubles(second.recovery)["journal"]
    assert second.recovery.epoch > 2**40
    refused = second.alarm()
    assert second.of(NotStored)[0].id == refused.id
    first.journal.close()
    second.wait(11)
    assert Stored(refused.id) in second.facts
    assert second.of(Recovered) == [Recovered((kept,), ())]
    assert TroubleOver("journal") in second.facts
    second.journal.close()
    third = Bench(folder=tmp_path)
    assert set(third.recovery.reports) == {kept, refused}
    assert third.recovery.epoch > second.recovery.epoch
    third.journal.close()


def test_no_descriptor_is_left_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        bench = Bench(folder=tmp_path)
        bench.settle()
        bench.alarm()
        bench.wait(12)
        bench.journal.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_uplink_drains_on_its_own_thread_while_the_journal_writes(tmp_path):
    clock = HandClock()
    bench = Bench(folder=tmp_path, config=JournalConfig(alarm_kib=256, event_kib=8192), clock=clock)
    bench.settle()
    wanted = 2000
    seen = []
    finished = threading.Event()

    def uplink():
        backlog = bench.journal.backlog
        while len(seen) < wanted:
            batch = backlog.take(12)
            if len(batch) > 1 and batch[0].id.seq % 7 == 0:
                backlog.give_back()
                batch = backlog.take(1)
            seen.extend(report.id.seq for report in batch)
            backlog.done(report.id for report in batch)
        finished.set()

    thread = threading.Thread(target=uplink, daemon=True)
    thread.start()
    for number in range(wanted):
        bench.event()
        if number % 50 == 0:
            bench.alarm("PA")
            bench.wait(1.1)
    assert finished.wait(20)
    thread.join(5)
    assert seen == sorted(set(seen))
    bench.journal.close()


def test_the_journal_runs_on_a_worker_as_every_actor_does(tmp_path):
    clock = SystemClock()
    stored = threading.Semaphore(0)
    facts = []

    def post(fact):
        facts.append(fact)
        stored.release()

    notified = threading.Event()
    journal, recovery = Journal.open(tmp_path, SMALL, clock, post, random53=lambda: 1, notify=notified.set)
    worker = Worker(journal, clock, post)
    worker.start()
    report = make_report(recovery.epoch, 1)
    worker.put(Store(report))
    assert stored.acquire(timeout=10)
    assert facts == [Stored(report.id)]
    worker.put(Store(make_report(recovery.epoch, 2, "RR")))
    assert notified.wait(10)
    assert [one.id.seq for one in journal.backlog.take(5)] == [2]
    assert worker.stop(10)


def test_a_mark_for_a_report_of_another_start_is_kept(disk, bench):
    report = bench.alarm()
    later = again(disk)
    mark = make_mark(report, Step.ACCEPTED)
    later.note(report, Step.ACCEPTED)
    later.wait(1)
    assert again(disk).recovery.marks == (mark,)


def test_identities_with_the_highest_numbers_are_kept(disk, bench):
    report = make_report(2**53 - 1, 2**53 - 1)
    bench.journal.handle(Store(report))
    assert again(disk).recovery.reports[-1].id == ReportId("p1", 2**53 - 1, 2**53 - 1)
