"""Sound and pictures in one file, found again by decoding it: a flash and a beep of the same moment."""

from __future__ import annotations

import array
import dataclasses
import random

import av
import pytest
from rigs import pictures
from rigs.media import INCIDENT, RATE_HZ, Bench

SKEW_S = 0.08


def moments(clip):
    """When, in the file's own time, a flash or a beep begins."""
    flashes, beeps = [], []
    with clip.container() as container:
        for frame in container.decode(*container.streams):
            if isinstance(frame, av.VideoFrame):
                flashes += [float(frame.time)] if bytes(frame.planes[0])[0] > 200 else []
            else:
                beeps += loud(frame)
    return onsets(flashes), onsets(beeps)


def loud(frame):
    planar = array.array("f")
    planar.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
    at = next((number for number, sample in enumerate(planar) if abs(sample) > 0.1), None)
    return [] if at is None else [float(frame.time) + at / frame.sample_rate]


def onsets(times):
    return [time for time, before in zip(times, [-9.0, *times], strict=False) if time - before > 1.0]


def skews(clip):
    flashes, beeps = moments(clip)
    pairs = [(flash, beep) for flash in flashes for beep in beeps if abs(flash - beep) < 0.5]
    assert len(pairs) >= min(len(flashes), len(beeps)) - 1
    return [flash - beep for flash, beep in pairs]


def later(word, by_s):
    return dataclasses.replace(word, mono_s=word.mono_s + by_s)


def recorded(bench):
    bench.run(15)
    bench.capture()
    bench.run(15)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    return bench.sink.named("clip")


def test_flash_and_beep_of_one_moment_are_together_in_every_clip():
    clips = recorded(Bench(real=True, picture_late_s=0.0, sound_late_s=0.0))
    found = [skew for clip in clips for skew in skews(clip)]
    assert len(found) >= 6
    assert max(map(abs, found)) < 0.01


def with_jitter(bench, most_s):
    chance = random.Random(3)
    on_packet, on_audio = bench.engine.on_packet, bench.engine.on_audio
    bench.engine.on_packet = lambda camera, packet: on_packet(camera, later(packet, chance.uniform(0.0, most_s)))
    bench.engine.on_audio = lambda block: on_audio(later(block, chance.uniform(0.0, most_s)))
    return bench


def test_delays_and_jitter_of_network_and_processor_stay_within_the_limit():
    bench = with_jitter(Bench(real=True, picture_late_s=0.05, sound_late_s=0.05), 0.15)
    found = [skew for clip in recorded(bench) for skew in skews(clip)]
    assert len(found) >= 6
    assert max(map(abs, found)) < SKEW_S


def test_a_microphone_with_a_wrong_crystal_does_not_drift_away():
    bench = Bench(real=True, picture_late_s=0.0, sound_late_s=0.0, pre_roll_s=10.0, clip_s=20.0)
    on_audio = bench.engine.on_audio
    slow = 0.003  # thirty times worse than a bad one: 0.1 s at the end of this test

    def drifting(_block):
        number = bench.next_block
        heard = pictures.beep(number, RATE_HZ, 1000.0, every_s=3.0 / (1 + slow))
        on_audio(dataclasses.replace(heard, mono_s=1000.0 + number * 0.02 * (1 + slow)))

    bench.engine.on_audio = drifting
    bench.run(15)
    bench.capture()
    bench.run(22)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    found = [skew for clip in bench.sink.named("clip") for skew in skews(clip)]
    assert len(found) >= 8
    assert max(map(abs, found)) < SKEW_S


def test_sound_lost_on_the_way_does_not_move_what_follows():
    bench = Bench(real=True, picture_late_s=0.0, sound_late_s=0.0, clip_s=30.0)
    bench.run(15)
    bench.capture()
    bench.run(1)
    bench.next_block += 100
    bench.run(13)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    (clip,) = bench.sink.named("clip")
    assert max(map(abs, skews(clip))) < SKEW_S


@pytest.mark.parametrize("source_b_frames", [0, 2])
def test_the_pictures_are_copied_bit_for_bit(source_b_frames):
    bench = Bench(real=True)
    bench.extradata, bench.rows = pictures.encoded(40, b_frames=source_b_frames)
    bench.engine.on_format("gate", pictures.video_format(bench.extradata))
    clips = recorded(bench)
    source = [row[0] for row in bench.rows]
    with clips[0].container() as container:
        copied = [annex_b(bytes(packet)) for packet in container.demux(container.streams.video[0]) if packet.size]
    plain = [annex_b_units(data) for data in source]
    assert plain.index(copied[0]) % 30 == 0
    at = plain.index(copied[0])
    assert copied == plain[at : at + len(copied)]


def annex_b(data):
    units, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        units.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return units


def annex_b_units(data):
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]


def test_a_still_is_a_jpeg_of_the_cameras_size():
    bench = Bench(real=True)
    bench.run(15)
    bench.capture()
    bench.run(1.5)
    for still in bench.sink.named("still"):
        with still.container() as container:
            (frame,) = container.decode(video=0)
        assert (frame.width, frame.height) == (pictures.WIDTH, pictures.HEIGHT)
