"""Disks that are full, read-only, slow, damaged, dead or gone: a press is answered, and nothing kept is lost."""

import errno
import random
from dataclasses import replace

import pytest
from rigs.disk import MemoryDisk, dead, full, read_only
from rigs.journals import FOLDER, SMALL, Bench, HandClock, again, troubles

from firmware.core.facts import NotStored, ReportsDropped, Stored, Trouble, TroubleOver

RANDOM_REGION = 2**40


def seeded(disk, alarms=6, events=4):
    """A journal with a past: reports, marks, an end, events; closed."""
    bench = again(disk)
    reports = [bench.alarm(text="x" * 40) for _ in range(alarms)]
    bench.note(reports[0])
    bench.finish(bench.alarm())
    for _ in range(events):
        bench.event()
    bench.wait(1)
    bench.journal.close()
    return reports, bench.recovery.epoch


def fail_on(disk, call, number, error=errno.EIO):
    """Let one call of a kind fail."""
    left = [number]

    def fault(name, path):
        if name != call:
            return 0
        left[0] -= 1
        return error if left[0] == 0 else 0

    disk.fault = fault


# ---- errors while running


def test_one_failed_write_is_tried_again_through_a_new_descriptor(disk):
    bench = again(disk)
    fail_on(disk, "pwrite", 1)
    report = bench.alarm()
    assert bench.facts == [Stored(report.id)]
    assert again(disk).recovery.reports == (report,)


def test_a_descriptor_that_failed_is_never_written_to_again(disk):
    calls = disk.calls()
    failed, reused = set(), []

    def pwrite(fd, data, offset):
        if fd in failed:
            reused.append(fd)
        try:
            return calls.pwrite(fd, data, offset)
        except OSError:
            failed.add(fd)
            raise

    bench = Bench(replace(calls, pwrite=pwrite))
    bench.settle()
    disk.fault = lambda call, path: errno.EIO if call == "pwrite" and random.random() < 0.5 else 0
    for _ in range(60):
        bench.alarm()
        bench.event()
        bench.wait(1)
    assert failed
    assert not reused


def test_one_bad_segment_does_not_keep_an_alarm_from_the_disk(disk):
    bench = again(disk)
    bad = next(name for name in disk.names if "alarms-8x4096-0" in name)
    disk.fault = lambda call, path: errno.EIO if call == "pwrite" and path == bad else 0
    report = bench.alarm()
    assert bench.facts == [Stored(report.id)]
    assert again(disk).recovery.reports == (report,)


def test_a_dead_disk_is_told_once_and_so_is_its_return(disk):
    bench = again(disk)
    disk.fault = dead
    reports = [bench.alarm() for _ in range(3)]
    assert [fact.id for fact in bench.of(NotStored)] == [report.id for report in reports]
    (trouble,) = bench.of(Trouble)
    assert trouble.source == "journal"
    assert "Input/output error" in trouble.why
    assert str(FOLDER) in trouble.why
    bench.wait(30)
    disk.fault = None
    bench.wait(12)
    assert [fact.id for fact in bench.of(Stored)] == [report.id for report in reports]
    assert bench.of(Trouble) == [trouble]
    assert bench.of(TroubleOver) == [TroubleOver("journal")]
    assert again(disk).recovery.reports == tuple(reports)


def test_events_go_out_from_memory_while_the_disk_is_dead(disk):
    bench = again(disk)
    disk.fault = dead
    reports = [bench.event() for _ in range(5)]
    bench.wait(3)
    assert bench.notified >= 1
    assert bench.journal.backlog.take(9) == reports
    bench.journal.backlog.done(report.id for report in reports[:2])
    bench.journal.backlog.give_back()
    disk.fault = None
    bench.wait(12)
    assert again(disk).journal.backlog.take(9) == reports[2:]


def test_events_in_memory_are_bounded_and_what_is_dropped_is_told(disk):
    bench = again(disk)
    disk.fault = dead
    bench.event()
    bench.wait(2)
    for _ in range(4999):
        bench.event()
    dropped = sum(fact.count for fact in bench.of(ReportsDropped))
    assert dropped > 0
    assert len(bench.of(ReportsDropped)) < 5
    assert len(bench.journal.backlog.take(9999)) == 5000 - dropped


def test_marks_and_ends_wait_for_the_disk(disk):
    bench = again(disk)
    kept, ended = bench.alarm(), bench.alarm()
    disk.fault = dead
    mark = bench.note(kept)
    bench.finish(ended)
    bench.wait(5)
    disk.fault = None
    bench.wait(12)
    recovery = again(disk).recovery
    assert (recovery.reports, recovery.marks) == ((kept,), (mark,))


@pytest.mark.parametrize("call", ["pwrite", "open_write", "fsync", "pread", "lstat", "replace", "listdir", "open"])
def test_no_single_failed_call_loses_an_alarm_or_raises(disk, call):
    for number in range(1, 12):
        disk = MemoryDisk()
        reports, epoch = seeded(disk)
        fail_on(disk, call, number)
        bench = again(disk)
        press = bench.alarm()
        bench.note(press)
        bench.event()
        bench.wait(25)
        disk.fault = None
        bench.wait(25)
        assert bench.recovery.epoch > epoch
        assert set(reports) <= set(bench.recovery.reports)
        last = again(disk)
        assert {*reports, press} <= set(last.recovery.reports)
        assert last.recovery.epoch > bench.recovery.epoch or bench.recovery.epoch > RANDOM_REGION


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_a_disk_that_fails_now_and_then_loses_nothing_it_accepted(share):
    for seed in range(12):
        rng = random.Random(seed)
        disk = MemoryDisk()
        bench = again(disk)
        disk.fault = lambda call, path, rng=rng: errno.EIO if rng.random() < share else 0
        finished = set()
        for _ in range(50):
            bench.event()
            report = bench.alarm(text="x" * rng.randint(0, 80))
            bench.wait(rng.choice((0.1, 1, 5)))
            if rng.random() < 0.4:
                bench.finish(report)
                finished.add(report.id)
        stored = {fact.id for fact in bench.of(Stored)}
        recovery = again(disk.cut(rng)).recovery
        assert stored - finished <= {report.id for report in recovery.reports}
        assert recovery.epoch > bench.recovery.epoch


def test_a_slow_disk_delays_and_loses_nothing(disk):
    bench = again(disk)

    def fault(call, path):
        bench.clock.mono_s += 0.5 if call == "pwrite" else 0.0
        return 0

    disk.fault = fault
    reports = [bench.alarm() for _ in range(10)]
    for _ in range(10):
        bench.event()
    bench.wait(60)
    disk.fault = None
    assert [fact.id for fact in bench.of(Stored)] == [report.id for report in reports]
    assert not bench.of(Trouble)
    later = again(disk)
    assert later.recovery.reports == tuple(reports)
    assert len(later.journal.backlog.take(99)) == 10


# ---- a disk that is not there at the start


@pytest.mark.parametrize("fault", [full, read_only, dead], ids=["full", "read-only", "dead"])
def test_without_a_disk_at_the_first_start_the_panel_runs_from_memory(disk, fault):
    disk.fault = fault
    bench = again(disk, random53=lambda: 99)
    assert bench.recovery.epoch == RANDOM_REGION + 1 + 99
    assert bench.recovery.reports == ()
    assert "journal" in troubles(bench.recovery)
    press, status = bench.alarm(), bench.event()
    assert bench.of(NotStored)[0].id == press.id
    bench.wait(3)
    assert bench.notified
    assert bench.journal.backlog.take(3) == [status]
    bench.journal.backlog.give_back()
    bench.wait(60)
    disk.fault = None
    bench.wait(30)
    assert Stored(press.id) in bench.facts
    assert TroubleOver("journal") in bench.facts
    later = again(disk)
    assert later.recovery.reports == (press,)
    assert later.recovery.epoch > bench.recovery.epoch
    assert later.journal.backlog.take(3) == [status]


def test_a_full_disk_says_so_and_what_to_do(disk):
    disk.fault = full
    why = troubles(again(disk).recovery)["journal"]
    assert "No space left on device" in why
    assert "alarms go out from memory" in why


def test_a_full_disk_does_not_touch_a_ring_that_is_there(disk):
    reports, epoch = seeded(disk)
    disk.fault = full
    bench = again(disk)
    assert bench.recovery.troubles == ()
    assert bench.recovery.epoch == epoch + 1
    press = bench.alarm()
    assert bench.facts == [Stored(press.id)]
    assert bench.recovery.reports == tuple(reports)


def test_a_read_only_disk_gives_what_it_holds_and_an_epoch_of_the_random_region(disk):
    reports, epoch = seeded(disk)
    before = {name: bytes(disk.content(name)) for name in disk.names}
    disk.fault = read_only
    numbers = iter((5, 6))
    first, second = (again(disk, random53=lambda: next(numbers)) for _ in range(2))
    assert first.recovery.reports == second.recovery.reports == tuple(reports)
    assert len(first.recovery.marks) == 1
    assert epoch < RANDOM_REGION < first.recovery.epoch < second.recovery.epoch
    assert "Read-only file system" in troubles(first.recovery)["journal"]
    assert len(first.journal.backlog.take(99)) == 4
    assert {name: bytes(disk.content(name)) for name in disk.names} == before


def test_a_disk_that_becomes_writable_takes_everything_and_counts_on(disk):
    reports, _ = seeded(disk)
    disk.fault = read_only
    bench = again(disk)
    press = bench.alarm()
    bench.finish(reports[0])
    taken = bench.journal.backlog.take(1)
    bench.journal.backlog.done(report.id for report in taken)
    status = bench.event()
    bench.wait(5)
    disk.fault = None
    bench.wait(30)
    assert TroubleOver("journal") in bench.facts
    later = again(disk)
    assert later.recovery.reports == (*reports[1:], press)
    assert later.recovery.epoch > bench.recovery.epoch
    waiting = later.journal.backlog.take(99)
    assert waiting[-1] == status
    assert taken[0] not in waiting
    assert len(waiting) == 4


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(disk):
    disk.fault = lambda call, path: errno.EACCES if call in ("make_folder", "open_write", "pwrite") else 0
    bench = again(disk)
    bench.alarm()
    assert "Permission denied" in troubles(bench.recovery)["journal"]


# ---- files that are damaged, cut or gone


def alarm_files(disk):
    return sorted(name for name in disk.names if "/alarms-" in name and name.endswith(".seg"))


def test_any_flipped_byte_anywhere_is_survived_and_costs_one_record_at_most(disk):
    reports, epoch = seeded(disk)
    events = {report.id for report in again(disk.cut(random.Random(1))).journal.backlog.take(99)}
    rng = random.Random(42)
    used = [
        (name, place)
        for name in sorted(disk.names)
        if not name.endswith("/lock")
        for place, byte in enumerate(bytes(disk.content(name)))
        if byte or place < 64
    ]
    for name, place in rng.sample(used, 300):
        hurt = disk.cut(rng)
        hurt.content(name)[place] ^= rng.randint(1, 255)
        bench = again(hurt)
        found = set(bench.recovery.reports)
        ended = {report for report in found if report not in reports}
        assert len(set(reports) - found) <= 1
        assert all(report.id.epoch == epoch and report.id.seq == len(reports) + 1 for report in ended)
        assert bench.recovery.epoch > epoch
        assert {report.id for report in bench.journal.backlog.take(99)} <= events
        press = bench.alarm()
        assert bench.of(Stored)[0].id == press.id


def test_damage_in_the_middle_is_counted_told_once_and_not_again_at_the_next_start(disk):
    reports, _ = seeded(disk)
    name = alarm_files(disk)[0]
    disk.content(name)[300] ^= 1
    bench = again(disk)
    why = troubles(bench.recovery)["journal damage"]
    assert "1 damaged records skipped in 1 places" in why
    assert "alarms-8x4096-0.seg at byte" in why
    assert len(bench.recovery.reports) == len(reports) - 1
    assert again(disk).recovery.troubles == ()


def test_the_trouble_of_damage_is_over_after_an_hour(disk):
    seeded(disk)
    disk.content(alarm_files(disk)[0])[300] ^= 1
    bench = again(disk)
    assert "journal damage" in troubles(bench.recovery)
    bench.wait(3590)
    assert not bench.of(TroubleOver)
    bench.wait(20)
    assert bench.of(TroubleOver) == [TroubleOver("journal damage")]


def test_damage_in_the_event_ring_is_told_once_too(disk):
    bench = again(disk)
    for _ in range(8):
        bench.event()
        bench.wait(1.1)
    name = next(name for name in sorted(disk.names) if "/events-" in name)
    disk.content(name)[300] ^= 1
    later = again(disk)
    (trouble,) = later.of(Trouble)
    assert trouble.source == "journal damage"
    assert "events ring: 1 damaged records" in trouble.why
    assert len(later.journal.backlog.take(99)) == 7
    later.wait(2)
    assert again(disk).of(Trouble) == []


@pytest.mark.parametrize("size", [0, 1, 47, 48, 500, 4095])
def test_a_file_that_was_cut_is_kept_aside_and_its_rest_is_used(disk, size):
    reports, epoch = seeded(disk)
    name = alarm_files(disk)[0]
    del disk.content(name)[size:]
    bench = again(disk)
    assert f"has {size} bytes instead of 4096; kept as" in troubles(bench.recovery)["journal damage"]
    assert bench.recovery.epoch > epoch
    assert bench.recovery.reports == tuple(reports[: len(bench.recovery.reports)])
    assert bench.alarm().id == bench.of(Stored)[0].id
    assert f"{name}.bad-1" in disk.names
    assert len(disk.content(name)) == 4096
    assert size < 4095 or bench.recovery.reports == tuple(reports)


def test_noise_in_place_of_a_file_is_kept_aside(disk):
    _, epoch = seeded(disk)
    name = alarm_files(disk)[0]
    disk.content(name)[:] = random.Random(1).randbytes(4096)
    bench = again(disk)
    assert "holds no record, and is not empty; kept as" in troubles(bench.recovery)["journal damage"]
    assert bench.recovery.epoch == epoch + 1
    assert bytes(disk.content(f"{name}.bad-1")) == random.Random(1).randbytes(4096)


def test_an_unreadable_file_stays_untouched_and_the_panel_starts(disk):
    _, epoch = seeded(disk)
    name = alarm_files(disk)[0]
    before = bytes(disk.content(name))
    disk.fault = lambda call, path: errno.EIO if call == "pread" and path == name else 0
    bench = again(disk)
    assert "7 of 8 segments can be written: alarms-8x4096-0.seg" in troubles(bench.recovery)["journal"]
    assert bench.recovery.epoch == epoch + 1
    press = bench.alarm()
    assert bench.of(Stored)[0].id == press.id
    assert bytes(disk.content(name)) == before


def test_unreadable_pages_cost_only_what_lies_in_them(disk):
    bench = again(disk, config=replace(SMALL, alarm_kib=128))
    reports = tuple(bench.alarm(text="x" * 200) for _ in range(30))
    name = next(name for name in disk.names if "alarms-8x16384-0" in name)
    bench.journal.close()
    calls = disk.calls()

    def pread(fd, size, offset):
        if offset < 8192 < offset + size + 1 and disk._open[fd][1] == name:
            raise OSError(errno.EIO, "Input/output error")
        return calls.pread(fd, size, offset)

    later = Bench(replace(calls, pread=pread), config=replace(SMALL, alarm_kib=128))
    found = later.recovery.reports
    assert 0 < len(found) < len(reports)
    assert set(found) <= set(reports)


def test_files_kept_aside_are_never_more_than_four(disk):
    seeded(disk)
    for number in range(12):
        del disk.content(alarm_files(disk)[number % 3])[100:]
        again(disk).journal.close()
    assert sum(".bad-" in name for name in disk.names) == 4
    assert not [name for name in disk.names if name.endswith(".new")]


def test_files_deleted_under_a_running_panel_are_noticed_and_made_again(disk):
    bench = again(disk)
    reports = [bench.alarm() for _ in range(3)]
    events = [bench.event() for _ in range(3)]
    bench.wait(2)
    names = {name for name in disk.names if not name.endswith("lock")}
    for name in names:
        del disk.names[name]
    bench.wait(11)
    assert names <= set(disk.names)
    assert "was gone or cut; made anew" in bench.of(Trouble)[0].why
    later = again(disk)
    assert later.recovery.reports == tuple(reports)
    assert later.journal.backlog.take(9) == events
    assert later.recovery.epoch == bench.recovery.epoch + 1


def test_a_file_cut_under_a_running_panel_gets_its_alarms_again_from_memory(disk):
    bench = again(disk)
    reports = [bench.alarm() for _ in range(3)]
    marks = tuple(bench.note(report) for report in reports)
    bench.wait(2)
    del disk.content(alarm_files(disk)[0])[100:]
    bench.wait(15)
    recovery = again(disk).recovery
    assert (recovery.reports, recovery.marks) == (tuple(reports), marks)


def test_files_deleted_while_no_new_ones_can_be_made_are_told_and_alarms_are_not_called_stored(disk):
    bench = again(disk)
    reports = [bench.alarm() for _ in range(3)]
    for name in alarm_files(disk):
        del disk.names[name]
    disk.fault = full
    bench.wait(11)
    press = bench.alarm()
    assert bench.of(NotStored)[-1].id == press.id
    assert "cannot be put right: No space left on device" in bench.of(Trouble)[0].why
    disk.fault = None
    bench.wait(30)
    assert Stored(press.id) in bench.facts
    assert set(again(disk).recovery.reports) == {*reports, press}


# ---- the epoch


def lose(disk, *parts):
    for name in list(disk.names):
        if any(part in name for part in parts):
            del disk.names[name]


@pytest.mark.parametrize("part", ["/alarms-", "/epoch.slots"])
def test_the_epoch_rises_through_the_loss_of_either_place(disk, part):
    epochs = []
    for number in range(20):
        bench = again(disk)
        epochs.append(bench.recovery.epoch)
        bench.journal.close()
        if number % 3 == 2:
            lose(disk, part)
    assert epochs == sorted(set(epochs))
    assert epochs[-1] < RANDOM_REGION


def test_the_loss_of_both_places_begins_again_with_the_wall_clock(disk):
    _, epoch = seeded(disk)
    lose(disk, "/alarms-", "/epoch.slots")
    later = again(disk, clock=HandClock(utc_s=epoch + 3600))
    assert later.recovery.epoch == epoch + 3600


def test_damage_in_both_places_never_lowers_the_epoch(disk):
    rng = random.Random(9)
    for _ in range(60):
        disk = MemoryDisk()
        clock = HandClock()
        top = 0
        for _ in range(rng.randint(1, 6)):
            bench = again(disk, clock=clock)
            top = bench.recovery.epoch
            clock.utc_s += 60
            bench.journal.close()
        for part in ("/alarms-8x4096-0", "/epoch.slots"):
            name = next(name for name in disk.names if part in name)
            image = disk.content(name)
            for _ in range(20):
                image[rng.randrange(400)] ^= rng.randint(1, 255)
        assert again(disk, clock=clock).recovery.epoch > top


@pytest.mark.parametrize("slot", [0, 4096])
def test_an_epoch_slot_torn_by_a_cut_of_the_power_leaves_the_other_and_is_no_damage(disk, slot):
    _, epoch = seeded(disk)
    again(disk).journal.close()
    name = next(name for name in disk.names if name.endswith("epoch.slots"))
    image = disk.content(name)
    image[slot : slot + 16] = bytes(8) + bytes(image[slot + 8 : slot + 16])
    bench = again(disk)
    assert bench.recovery.epoch > epoch + 1
    assert bench.recovery.troubles == ()
    assert again(disk).recovery.epoch > bench.recovery.epoch


def test_two_damaged_epoch_slots_are_damage(disk):
    _, epoch = seeded(disk)
    again(disk).journal.close()
    name = next(name for name in disk.names if name.endswith("epoch.slots"))
    disk.content(name)[0] ^= 1
    disk.content(name)[4096] ^= 1
    bench = again(disk)
    assert bench.recovery.epoch > epoch + 1
    assert "both slots are damaged" in troubles(bench.recovery)["journal damage"]
