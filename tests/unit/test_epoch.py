import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.disk import MemoryDisk, read_only

from firmware.adapters.epoch import (
    PLAUSIBLE_FROM_S,
    PLAUSIBLE_TO_S,
    RANDOM_FROM,
    EpochFile,
    Slots,
    next_epoch,
    random_epoch,
)
from firmware.core.report import SEQ_MAX

FOLDER = Path("/state")
PATH = "/state/epoch.slots"
NOW_S = 1_790_000_000.0


def opened(disk):
    file = EpochFile(FOLDER, disk.calls())
    return file, file.load()


def after(last, utc_s=NOW_S, *, slots=True, ring=True):
    return next_epoch(last, utc_s, lambda: 5, slots_sound=slots, ring_sound=ring)


def test_the_file_remembers_the_last_epoch_over_any_number_of_starts():
    disk = MemoryDisk()
    for epoch in range(100, 120):
        file, slots = opened(disk)
        assert slots.epoch == (epoch - 1 if epoch > 100 else 0)
        file.write(epoch)


def test_two_epochs_one_after_another_lie_in_two_slots():
    disk = MemoryDisk()
    file, _ = opened(disk)
    file.write(10)
    file.write(12)
    image = disk.content(PATH)
    image[4096:4112] = b"\xff" * 16
    assert opened(disk)[1] == Slots(10, sound=False)


def test_a_file_of_noise_says_nothing():
    disk = MemoryDisk()
    opened(disk)
    disk.content(PATH)[:] = bytes(range(256)) * 32
    file, slots = opened(disk)
    assert slots == Slots(0, sound=False)
    assert file.findings


def test_an_epoch_that_cannot_be_written_is_an_error():
    disk = MemoryDisk()
    file, _ = opened(disk)
    disk.fault = read_only
    with pytest.raises(OSError, match="Read-only"):
        file.write(5)


def test_a_file_that_was_deleted_is_made_again_with_the_epoch():
    disk = MemoryDisk()
    file, _ = opened(disk)
    file.write(33)
    del disk.names[PATH]
    file.check()
    assert opened(disk)[1].epoch == 33


@pytest.mark.parametrize("utc_s", [0.0, PLAUSIBLE_FROM_S - 1, PLAUSIBLE_TO_S, -1e12])
def test_under_no_clock_a_start_takes_a_step_at_random(utc_s):
    assert after(41, utc_s=utc_s) == 42 + 5


@pytest.mark.parametrize("last", [int(NOW_S), int(NOW_S) + 50])
def test_counting_goes_on_by_one_when_starts_are_quicker_than_the_clock(last):
    assert after(last) == last + 1


def test_far_before_a_clock_that_is_right_the_steps_are_random():
    assert after(RANDOM_FROM + 7) == RANDOM_FROM + 8 + 5


def test_a_step_is_bounded_so_that_millions_fit():
    step = next_epoch(41, 0.0, lambda: SEQ_MAX, slots_sound=True, ring_sound=True) - 41
    assert step <= 2**32
    assert SEQ_MAX // step > 1_000_000


@pytest.mark.parametrize("seed", range(20))
def test_a_backup_without_any_clock_uses_none_of_the_epochs_again_that_it_forgot(seed):
    rng = random.Random(seed)

    def start(last):
        return next_epoch(last, 0.0, lambda: rng.getrandbits(53), slots_sound=True, ring_sound=True)

    backup = epoch = start(start(0))
    forgotten = [epoch := start(epoch) for _ in range(200)]
    later = [backup := start(backup) for _ in range(200)]
    assert not set(forgotten) & set(later)
    assert later == sorted(later)


def test_a_backup_that_forgot_the_starts_after_it_uses_none_of_their_epochs_again():
    backup = after(0, utc_s=NOW_S)
    forgotten = [epoch := after(backup, utc_s=NOW_S + 3600)]
    forgotten += [epoch := after(epoch, utc_s=NOW_S + 3600) for _ in range(20)]
    assert after(backup, utc_s=NOW_S + 7200) > max(forgotten)


def test_without_the_slots_a_margin_covers_what_a_damaged_end_may_hide():
    assert after(41, utc_s=0.0, slots=False) == 41 + 1 + 1000 + 5
    assert after(int(NOW_S), slots=False) == int(NOW_S) + 1 + 1000


def test_without_certainty_the_clock_decides_but_never_downwards():
    assert after(41, slots=False, ring=False) == int(NOW_S)
    assert after(int(NOW_S) + 50, slots=False, ring=False) == int(NOW_S) + 51


@pytest.mark.parametrize("utc_s", [0.0, PLAUSIBLE_FROM_S - 1, PLAUSIBLE_TO_S, -1e12, 1e18])
def test_a_clock_that_cannot_be_right_is_not_asked(utc_s):
    assert after(0, utc_s=utc_s) == RANDOM_FROM + 6


def test_the_bounds_of_the_clock_are_whole_years():
    assert after(0, utc_s=PLAUSIBLE_FROM_S) == PLAUSIBLE_FROM_S
    assert after(0, utc_s=PLAUSIBLE_TO_S - 1) == PLAUSIBLE_TO_S - 1


@given(st.integers(0, SEQ_MAX - 2), st.integers(0, SEQ_MAX))
def test_a_random_epoch_is_above_the_last_and_above_every_clock(last, number):
    epoch = random_epoch(last, lambda: number)
    assert max(last, RANDOM_FROM - 1) < epoch <= SEQ_MAX


def test_the_region_of_random_epochs_is_not_used_up_by_a_thousand_dead_disks():
    epoch = 0
    for _ in range(1000):
        before, epoch = epoch, random_epoch(epoch, lambda: SEQ_MAX)
        assert before < epoch
    assert epoch <= SEQ_MAX
