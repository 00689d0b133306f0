import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.adapters.ring_format import (
    HEADER_SIZE,
    Draft,
    Flag,
    Kind,
    encode,
    pack_pairs,
    payload_max,
    record_at,
    scan,
    unpack_pairs,
    write_max,
)

SIZE = 4096
ORDINAL = 13
INDEX, COUNT = 5, 8


def record(serial, payload=b"x" * 100, ordinal=ORDINAL, epoch=7, *, first=True):
    return encode(Draft(Kind.REPORT, (epoch, serial), payload), ordinal, serial, epoch, first=first)


def segment(*records):
    return b"".join(records).ljust(SIZE, b"\0")


def serials(image, index=INDEX, count=COUNT):
    return [one.serial for one in scan(image, index, count).records]


def test_a_record_is_read_as_it_was_written():
    data = encode(Draft(Kind.MARK, (3, 4), b"hello", Flag.TELLS_GAP), 9, 77, 5, first=True)
    found = record_at(data, 0)
    assert found is not None
    assert (found.kind, found.flags, found.ordinal, found.serial, found.epoch) == (3, 3, 9, 77, 5)
    assert (found.key, found.payload, found.place) == ((3, 4), b"hello", (9, 0, HEADER_SIZE + 5))


def test_the_header_is_48_bytes_so_that_a_1_kib_alarm_stays_under_5200_device_bytes():
    assert HEADER_SIZE == 48
    page = 4096
    crossings = (1024 + HEADER_SIZE - 1) / page
    assert page * (1 + crossings) < 5200


def test_a_segment_ends_behind_its_last_record():
    image = segment(record(1), record(2))
    found = scan(image, INDEX, COUNT)
    assert [one.serial for one in found.records] == [1, 2]
    assert found.end == 2 * (HEADER_SIZE + 100)
    assert found.ordinal == ORDINAL
    assert not found.holes


def test_a_torn_tail_is_cut_at_the_first_bad_crc():
    torn = record(3)[:-7]
    found = scan(segment(record(1), record(2), torn), INDEX, COUNT)
    assert [one.serial for one in found.records] == [1, 2]
    assert found.end == 2 * (HEADER_SIZE + 100)
    assert not found.holes


def test_a_bad_record_in_the_middle_is_skipped_and_counted():
    image = bytearray(segment(record(1), record(2), record(3), record(4)))
    image[200] ^= 0x10
    found = scan(bytes(image), INDEX, COUNT)
    assert [one.serial for one in found.records] == [1, 3, 4]
    assert found.holes == {HEADER_SIZE + 100: 1}


def test_two_bad_records_together_are_one_hole_of_two():
    image = bytearray(segment(record(1), record(2), record(3), record(4)))
    image[200] ^= 0x10
    image[400] ^= 0x10
    assert scan(bytes(image), INDEX, COUNT).holes == {HEADER_SIZE + 100: 2}


def test_a_damaged_length_hides_nothing_behind_it():
    image = bytearray(segment(record(1), record(2), record(3)))
    image[148 + 8] ^= 0xFF
    image[148 + 9] ^= 0x0F
    assert serials(bytes(image)) == [1, 3]


def test_a_group_torn_in_its_middle_is_no_damage_because_it_was_promised_to_nobody():
    group = [record(2), record(3, first=False), record(4, first=False)]
    image = bytearray(segment(record(1), *group))
    image[160] ^= 1
    found = scan(bytes(image), INDEX, COUNT)
    assert [one.serial for one in found.records] == [1]
    assert found.end == 148
    assert not found.holes


def test_what_is_left_of_a_torn_group_does_not_follow_what_the_next_start_writes_over_it():
    rest = [record(3, first=False), record(4, first=False)]
    image = segment(record(1), record(5, epoch=8), *rest)
    found = scan(image, INDEX, COUNT)
    assert [one.serial for one in found.records] == [1, 5]
    assert found.end == 2 * 148
    assert not found.holes


def test_a_group_damaged_before_a_later_write_of_the_same_start_is_damage():
    group = [record(2), record(3, first=False)]
    image = bytearray(segment(record(1), *group, record(4)))
    image[160] ^= 1
    assert scan(bytes(image), INDEX, COUNT).holes == {148: 1}


def test_what_an_earlier_lap_left_behind_does_not_read_as_fresh():
    old = segment(*(record(serial, ordinal=ORDINAL - COUNT) for serial in range(1, 20)))
    fresh = record(100) + record(101)
    found = scan(fresh + old[len(fresh) :], INDEX, COUNT)
    assert [one.serial for one in found.records] == [100, 101]
    assert {one.ordinal for one in found.stale} == {ORDINAL - COUNT}
    assert found.end == len(fresh)


def test_the_lap_decides_even_against_the_serial_numbers():
    found = scan(segment(record(5), record(6), record(100, ordinal=ORDINAL - COUNT)), INDEX, COUNT)
    assert [one.serial for one in found.records] == [5, 6]


def test_what_a_torn_write_left_behind_does_not_follow_a_newer_record():
    found = scan(segment(record(9), record(4), record(5)), INDEX, COUNT)
    assert [one.serial for one in found.records] == [9]
    assert [one.serial for one in found.stale] == [4, 5]
    assert found.end == HEADER_SIZE + 100


def test_a_record_of_another_file_of_the_ring_is_not_taken():
    assert serials(segment(record(1)), index=4) == []


def test_an_empty_segment_is_no_garbage_and_noise_is():
    assert not scan(bytes(SIZE), INDEX, COUNT).garbage
    assert scan(random.Random(1).randbytes(SIZE), INDEX, COUNT).garbage


def test_a_torn_first_write_of_all_is_no_garbage():
    torn = bytes(512) + record(1, b"y" * 1000)[512:]
    assert not scan(segment(torn), INDEX, COUNT).garbage


@given(st.binary(min_size=1, max_size=900))
def test_noise_never_reads_as_a_record(noise):
    assert scan(noise, 0, 1).records == []


@given(st.integers(0, 3 * 148 - 1), st.integers(1, 255))
def test_any_flipped_byte_costs_at_most_its_own_record(place, mask):
    image = bytearray(segment(record(1), record(2), record(3)))
    image[place] ^= mask
    hit = place // 148 + 1
    assert serials(bytes(image)) == [serial for serial in (1, 2, 3) if serial != hit]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=20))
def test_pairs_come_back_as_they_were(pairs):
    assert unpack_pairs(pack_pairs(pairs)) == pairs


def test_pairs_cut_in_the_middle_give_the_whole_ones():
    assert unpack_pairs(pack_pairs([(1, 2), (3, 4)])[:-3]) == [(1, 2)]


@pytest.mark.parametrize("size", [1024, 4096, 32768, 262144, 16 * 2**20])
def test_any_record_fits_into_a_write_and_any_write_into_a_segment(size):
    assert payload_max(size) + HEADER_SIZE <= write_max(size) <= size
