import errno
import random
from pathlib import Path

import pytest

from firmware.adapters.ring import Layout, Ring
from firmware.adapters.ring_format import HEADER_SIZE, NO_KEY, Draft, Kind
from firmware.adapters.ring_reader import layouts, read_ring

FOLDER = Path("/state/ring")
LAYOUT = Layout("r", 4, 1024)


def opened(disk, layout=LAYOUT):
    ring = Ring(FOLDER, layout, disk.calls())
    scans = [ring.load(index) for index in range(layout.segments)]
    ring.start()
    ring.epoch = 7
    records = [record for found in scans for record in (*found.records, *found.stale) if record.kind != Kind.LAP]
    return ring, [record.payload for record in sorted(records, key=lambda record: record.serial)]


def draft(text, kind=Kind.REPORT):
    return Draft(kind, NO_KEY, text.encode())


def fill(ring, text="x" * 80):
    """Append until the head takes no more."""
    while ring.free >= draft(text).size:
        ring.append([draft(text)])


def test_records_come_back_in_the_order_of_writing(disk):
    ring, _ = opened(disk)
    ring.append([draft("one")])
    ring.append([draft("two"), draft("three")])
    assert opened(disk)[1] == [b"one", b"two", b"three"]


def test_one_append_is_one_flush_whatever_it_carries(disk):
    ring, _ = opened(disk)
    ring.append([draft("first of its segment")])
    before = disk.syncs
    ring.append([draft(str(number)) for number in range(10)])
    assert disk.syncs == before + 1


def test_files_have_their_whole_size_from_the_start_and_their_zeros_are_durable(disk):
    opened(disk)
    assert sorted(disk.names) == [f"/state/ring/r-4x1024-{index}.seg" for index in range(4)]
    assert all(len(disk.content(name)) == 1024 for name in disk.names)
    assert sorted(disk.cut(random.Random(1)).names) == sorted(disk.names)


def test_writing_goes_on_behind_the_last_record_after_a_start(disk):
    ring, _ = opened(disk)
    (first,) = ring.append([draft("one")])
    (second,) = opened(disk)[0].append([draft("two")])
    assert second == (first.ordinal, first.offset + first.size, first.size)


def test_a_lap_overwrites_and_what_it_left_behind_is_not_current(disk):
    ring, _ = opened(disk)
    for _ in range(5):
        fill(ring, "old" * 30)
        ring.roll()
    ring.append([draft("fresh")])
    later = Ring(FOLDER, LAYOUT, disk.calls())
    scans = [later.load(index) for index in range(4)]
    later.start()
    assert b"fresh" in [record.payload for found in scans for record in found.records]
    assert all(later.is_current(record.ordinal) for found in scans for record in found.records)
    assert {record.ordinal for found in scans for record in found.stale} == {5}


def test_what_is_held_where_the_next_roll_goes_is_the_reserve(disk):
    ring, _ = opened(disk)
    places = []
    for _ in range(4):
        places += ring.append([draft("keep")])
        ring.hold(places[-1])
        ring.roll()
    assert ring.reserve == places[0].size + places[1].size
    assert ring.held == sum(place.size for place in places)
    ring.release(places[0])
    ring.release(places[1])
    assert ring.reserve == 0


def test_there_is_room_only_if_what_must_be_copied_fits_too(disk):
    ring, _ = opened(disk)
    (place,) = ring.append([draft("x" * 120)])
    ring.hold(place)
    for _ in range(3):
        ring.roll()
    assert ring.reserve == place.size
    assert ring.has_room(1024 - HEADER_SIZE - place.size)
    assert not ring.has_room(1024 - HEADER_SIZE - place.size + 1)


def test_a_failed_append_leaves_the_ring_as_if_nothing_was_tried(disk):
    ring, _ = opened(disk)
    ring.append([draft("one")])
    disk.fault = lambda call, path: errno.EIO if call == "pwrite" else 0
    with pytest.raises(OSError, match="Input/output"):
        ring.append([draft("two")])
    disk.fault = None
    ring.append([draft("three")])
    assert opened(disk)[1] == [b"one", b"three"]


def test_an_append_elsewhere_goes_into_the_next_segment_and_back_if_that_fails_too(disk):
    ring, _ = opened(disk)
    (first,) = ring.append([draft("one")])
    assert ring.can_skip(100)
    (second,) = ring.append_elsewhere([draft("two")])
    assert second.ordinal == first.ordinal + 1
    disk.fault = lambda call, path: errno.EIO if call == "pwrite" else 0
    with pytest.raises(OSError, match="Input/output"):
        ring.append_elsewhere([draft("three")])
    disk.fault = None
    (last,) = ring.append([draft("four")])
    assert last.ordinal == second.ordinal


def test_an_append_elsewhere_is_not_tried_over_what_is_held(disk):
    ring, _ = opened(disk)
    (place,) = ring.append([draft("keep")])
    ring.hold(place)
    for _ in range(3):
        ring.roll()
    assert not ring.can_skip(10)


def test_a_segment_that_cannot_be_made_is_passed_over(disk):
    disk.fault = lambda call, path: errno.ENOSPC if call == "pwrite" and "-1.seg" in path else 0
    ring, _ = opened(disk)
    disk.fault = None
    assert ring.usable == 3
    assert ring.fault == "3 of 4 segments can be written: r-4x1024-1.seg: No space left on device"
    ring.append([draft("one")])
    ring.roll()
    (place,) = ring.append([draft("two")])
    assert place.ordinal % 4 == 2
    assert ring.check()
    assert ring.fault is None


def test_a_record_is_read_back_only_while_it_is_there(disk):
    ring, _ = opened(disk)
    (place,) = ring.append([draft("one")])
    record = ring.read(place)
    assert record is not None
    assert record.payload == b"one"
    for _ in range(4):
        ring.roll()
    ring.append([draft("two" * 20)])
    assert ring.read(place) is None


def test_damage_is_told_once_and_its_note_keeps_the_next_start_silent(disk):
    ring, _ = opened(disk)
    for text in ("one", "two", "three"):
        ring.append([draft(text)])
    disk.content("/state/ring/r-4x1024-0.seg")[108] ^= 1
    ring, found = opened(disk)
    assert found == [b"one", b"three"]
    assert not ring.is_sound
    assert ring.take_damage() == "1 damaged records skipped in 1 places, the first in r-4x1024-0.seg at byte 99"
    assert ring.take_damage() is None
    note = Ring(FOLDER, LAYOUT, disk.calls())
    for index in range(4):
        note.load(index)
    note.start()
    holes = note.holes_draft()
    assert holes is not None
    note.append([holes])
    assert opened(disk)[0].take_damage() is None


def test_a_damaged_last_record_of_a_full_segment_shows_at_its_seam(disk):
    ring, _ = opened(disk)
    fill(ring)
    ring.roll()
    ring.append([draft("next")])
    image = disk.content("/state/ring/r-4x1024-0.seg")
    image[len(bytes(image).rstrip(b"\0")) - 5] ^= 1
    assert "1 damaged records" in (opened(disk)[0].take_damage() or "")


def tear(disk, ring, texts):
    """A group whose first record did not reach the disk."""
    (place, *_) = ring.append([draft(text) for text in texts])
    image = disk.content(f"/state/ring/r-4x1024-{place.ordinal % 4}.seg")
    image[place.offset : place.offset + 48] = bytes(48)


def test_the_rest_of_a_torn_group_never_comes_back(disk):
    ring, _ = opened(disk)
    ring.append([draft("one")])
    tear(disk, ring, ["torn", "ghost", "ghost"])
    later, _ = opened(disk)
    later.epoch = 8
    later.append([draft("two")])
    last = Ring(FOLDER, LAYOUT, disk.calls())
    images = [last.load(index) for index in range(4)]
    last.start()
    assert [place.offset for place in last.append([draft("three")])] == [HEADER_SIZE + 2 * 51]
    found = read_ring(FOLDER, LAYOUT, disk.calls())
    assert [record.payload for record in found if record.kind != Kind.LAP] == [b"one", b"two", b"three"]
    assert any(record.payload == b"ghost" for record in images[0].stale)
    assert not any(record.payload == b"ghost" for record in images[0].records)


def test_a_group_torn_at_the_end_of_a_segment_is_no_damage_when_the_next_start_goes_on_behind(disk):
    ring, _ = opened(disk)
    while ring.free > 200:
        ring.append([draft("x" * 20)])
    tear(disk, ring, ["torn", "ghost"])
    later, _ = opened(disk)
    later.epoch = 8
    later.roll()
    later.append([draft("two")])
    assert opened(disk)[0].take_damage() is None


@pytest.mark.parametrize("seed", range(30))
def test_a_write_torn_over_the_lap_before_is_no_damage(disk, seed):
    ring, _ = opened(disk)
    for _ in range(4):
        for text in ("a" * 150, "b" * 300, "c" * 100, "d" * 50):
            ring.append([draft(text)])
        ring.roll()
    before = len(disk.trace)
    ring.append([draft("x" * 700), draft("y" * 100)])
    for step in range(before, len(disk.trace) + 1):
        assert opened(disk.cut(random.Random(seed), step))[0].take_damage() is None


def test_what_a_lap_drops_is_told_in_the_write_that_begins_it(disk):
    ring, _ = opened(disk)
    before = len(disk.trace)
    ring.append([draft("dropped", Kind.GAP), draft("x" * 600)])
    writes = [bytes(op[3]) for op in disk.trace[before:] if op[0] == "write"]
    assert ["dropped" in write.decode("latin-1") for write in writes] == [True, False]
    assert len(writes[0]) <= 512


def test_a_reader_sees_the_present_lap_in_order_and_no_other_ring(disk):
    ring, _ = opened(disk)
    other, _ = opened(disk, Layout("other", 2, 1024))
    other.append([draft("not mine")])
    for number in range(60):
        if not ring.has_room(150):
            ring.roll()
        ring.append([draft(f"{number:03}" + "x" * 80)])
    assert layouts(FOLDER, "r", disk.calls()) == [LAYOUT]
    found = read_ring(FOLDER, LAYOUT, disk.calls())
    numbers = [int(record.payload[:3]) for record in found if record.kind != Kind.LAP]
    assert numbers == list(range(numbers[0], 60))
    assert len(numbers) >= 3 * 7
