"""The pre-roll: how far back it reaches, and where it stands on the clock."""

from __future__ import annotations

import random

import pytest
from rigs import pictures

from firmware.media import rings
from firmware.media.rings import PictureRing, SoundRing, SourceClock
from hal.types import AudioBlock, Packet


def filled(seconds, horizon_s):
    extra, rows = pictures.encoded(40)
    ring = PictureRing(horizon_s)
    ring.restart(pictures.video_format(extra))
    for row in rows[: seconds * pictures.RATE_HZ]:
        ring.add(pictures.packet(row, 100.0))
    return ring


@pytest.mark.parametrize("seconds", range(12, 18))
def test_the_pre_roll_is_as_long_as_asked_and_at_most_one_group_longer(seconds):
    ring = filled(seconds, 10.0)
    held = ring.since(0.0)
    now_s = 100.0 + seconds - 1 / pictures.RATE_HZ
    assert held[0].keyframe
    assert 10.0 <= now_s - held[0].time_s <= 12.1


def test_the_pictures_since_a_moment_begin_with_the_keyframe_before_it():
    held = filled(20, 15.0).since(109.0)
    assert held[0].keyframe
    assert 107.0 <= held[0].time_s <= 109.0


def test_without_a_pre_roll_only_the_last_group_is_held():
    ring = filled(13, 0.0)
    assert ring.since(0.0) == ring.last_group()


def test_pictures_before_the_first_keyframe_are_not_kept():
    extra, rows = pictures.encoded(40)
    ring = PictureRing(10.0)
    assert ring.add(pictures.packet(rows[0], 0.0)) is None
    ring.restart(pictures.video_format(extra))
    assert [ring.add(pictures.packet(row, 0.0)) for row in rows[1:30]] == [None] * 29
    assert ring.add(pictures.packet(rows[30], 0.0)) is not None


def test_a_camera_that_sends_too_much_keeps_less(monkeypatch):
    monkeypatch.setattr(rings, "RING_BYTES_MAX", 100_000)
    ring = PictureRing(60.0)
    ring.restart(pictures.video_format())
    for number in range(100):
        ring.add(Packet(bytes(10_000), number * 6000, number * 6000, number % 5 == 0, number / 15))
        assert sum(len(picture.data) for picture in ring.since(0.0)) <= 100_000
    assert ring.since(0.0)


def test_pictures_of_another_format_do_not_mix():
    ring = filled(5, 10.0)
    assert not ring.restart(ring.format)
    assert ring.since(0.0)
    assert ring.restart(pictures.video_format(b"other"))
    assert ring.since(0.0) == []


def test_jitter_of_arrival_falls_away():
    clock, chance = SourceClock(), random.Random(7)
    placed = [clock.place(number / 15, 50.0 + number / 15 + chance.uniform(0.0, 0.2)) for number in range(300)]
    late = [place - 50.0 - number / 15 for number, place in enumerate(placed)][15:]
    assert max(late) < 0.08
    assert min(late) >= 0


def test_a_source_that_lost_time_is_found_again():
    clock = SourceClock()
    for number in range(100):
        clock.place(number / 15, 50.0 + number / 15)
    late = [clock.place(number / 15, 51.0 + number / 15) - 51.0 - number / 15 for number in range(100, 200)]
    assert late[0] == pytest.approx(-1.0)
    assert late[-1] == pytest.approx(0.0)


def test_a_source_whose_clock_starts_anew_is_found_at_once():
    clock = SourceClock()
    clock.place(1000.0, 50.0)
    assert clock.place(0.0, 51.0) == pytest.approx(51.0)


def block(number, start_s=10.0, length=320):
    return AudioBlock(bytes([number % 256]) * 2 * length, 16_000, start_s + number * length / 16_000)


def test_sound_is_cut_into_frames_of_20_ms_whatever_the_blocks_are():
    ring = SoundRing(16_000, 5.0)
    frames = [frame for number in range(100) for frame in ring.add(block(number, length=500))]
    assert {len(frame.pcm) for frame in frames} == {640}
    assert len(frames) == 100 * 500 // 320
    assert [frame.time_s for frame in frames] == pytest.approx([10.0 + number * 0.02 for number in range(len(frames))])


def test_sound_is_held_as_long_as_asked_and_three_seconds_more():
    ring = SoundRing(16_000, 5.0)
    for number in range(1000):
        ring.add(block(number))
    assert len(ring.since(0.0)) == pytest.approx(8 * 50, abs=2)


def test_sound_that_stopped_for_long_goes_on_at_its_real_time():
    ring = SoundRing(16_000, 5.0)
    ring.add(block(0))
    (frame,) = ring.add(block(0, start_s=14.0))
    assert frame.time_s == pytest.approx(14.0)


def test_sound_that_comes_in_a_burst_after_a_stall_keeps_its_time():
    ring = SoundRing(16_000, 5.0)
    for number in range(50):
        ring.add(block(number))
    stalled = [AudioBlock(bytes(640), 16_000, 11.6 + number * 0.001) for number in range(30)]
    frames = [frame for late in stalled for frame in ring.add(late)]
    assert [frame.time_s for frame in frames] == pytest.approx([11.0 + number * 0.02 for number in range(30)], abs=0.03)


def test_a_block_of_another_rate_is_refused():
    with pytest.raises(ValueError, match="48000"):
        SoundRing(16_000, 5.0).add(AudioBlock(b"", 48_000, 0.0))
