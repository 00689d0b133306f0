"""What every microphone and loudspeaker promises: bodies that run here (mock) or in a process of their own (real)."""

import array
import itertools
import math
import statistics
import threading
import time

import pytest

from hal.clock import SystemClock
from hal.errors import DeviceLost
from hal.types import AudioBlock

SOON_S = 5.0
RATE_HZ = 16000
SILENCE = b"\0"


class Ear:
    """A sink that lets a test wait for blocks."""

    def __init__(self):
        self.blocks = []
        self._came = threading.Condition()

    def __call__(self, block):
        with self._came:
            self.blocks.append(block)
            self._came.notify_all()

    def wait_for(self, count):
        with self._came:
            assert self._came.wait_for(lambda: len(self.blocks) >= count, SOON_S), f"{len(self.blocks)} of {count}"
        return self.blocks[:count]


def until(holds, timeout_s=SOON_S):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)


# Each body takes a bench: microphone(device, rate_hz), hang(), wake(), clock.


def blocks_are_20_ms_at_the_asked_rate(bench):
    microphone, ear = bench.microphone(), Ear()
    assert microphone.rate_hz == RATE_HZ
    microphone.start(ear)
    blocks = ear.wait_for(10)
    microphone.close()
    assert {(len(block.pcm), block.rate_hz) for block in blocks} == {(640, RATE_HZ)}


def blocks_carry_the_time_of_their_first_sample(bench):
    microphone, ear = bench.microphone(), Ear()
    start_s = bench.clock.now().mono_s
    microphone.start(ear)
    times = [block.mono_s for block in ear.wait_for(10)]
    end_s = bench.clock.now().mono_s
    microphone.close()
    assert times == sorted(times)
    assert start_s - 0.02 <= times[0]
    assert times[-1] <= end_s - 0.02


def a_microphone_is_alive_while_blocks_come_and_not_half_a_second_later(bench):
    microphone, ear = bench.microphone(), Ear()
    assert not microphone.alive()
    microphone.start(ear)
    ear.wait_for(5)
    assert microphone.alive()
    bench.hang()
    until(lambda: not microphone.alive())
    assert bench.clock.now().mono_s - ear.blocks[-1].mono_s >= 0.5
    bench.wake()
    until(microphone.alive)
    microphone.close()
    assert not microphone.alive()


def no_block_comes_after_close_and_close_may_be_called_twice(bench):
    microphone, ear = bench.microphone(), Ear()
    microphone.start(ear)
    ear.wait_for(3)
    microphone.close()
    count = len(ear.blocks)
    microphone.close()
    time.sleep(0.1)  # five blocks' time in which none may come
    assert len(ear.blocks) == count


def a_sink_that_raises_ends_nothing(bench):
    microphone, ear = bench.microphone(), Ear()

    def sink(block):
        ear(block)
        raise ZeroDivisionError

    microphone.start(sink)
    ear.wait_for(5)
    assert microphone.alive()
    microphone.close()


def a_microphone_may_be_started_again(bench):
    microphone, first, second = bench.microphone(), Ear(), Ear()
    microphone.start(first)
    first.wait_for(2)
    microphone.start(second)
    second.wait_for(2)
    microphone.close()


def a_microphone_that_is_not_there_is_lost_at_start(bench):
    microphone = bench.no_microphone()
    with pytest.raises(DeviceLost, match="microphone"):
        microphone.start(Ear())
    assert not microphone.alive()
    microphone.close()


MICROPHONE = (
    blocks_are_20_ms_at_the_asked_rate,
    blocks_carry_the_time_of_their_first_sample,
    a_microphone_is_alive_while_blocks_come_and_not_half_a_second_later,
    no_block_comes_after_close_and_close_may_be_called_twice,
    a_sink_that_raises_ends_nothing,
    a_microphone_may_be_started_again,
    a_microphone_that_is_not_there_is_lost_at_start,
)

# Each body takes a bench: loudspeaker(), listen(), played(), unchanged(), hear(seconds), unplug_speaker()


def voice(blocks):
    return [AudioBlock(bytes([1 + i % 250]) * 640, RATE_HZ, i * 0.02) for i in range(blocks)]


def what_is_written_is_played_unchanged(bench):
    plays_in_pieces(bench, 640)


def blocks_of_any_length_are_played_as_one_sound(bench):
    plays_in_pieces(bench, 1000)


def plays_in_pieces(bench, size):
    loudspeaker, wanted = bench.loudspeaker(), b"".join(block.pcm for block in voice(25))
    bench.listen()
    assert loudspeaker.rate_hz == RATE_HZ
    for start in range(0, len(wanted), size):
        loudspeaker.write(AudioBlock(wanted[start : start + size], RATE_HZ, 0.0))
    # The device holds back what does not fill its buffer.
    until(lambda: len(bench.played().strip(SILENCE)) >= len(wanted) // 2)
    assert bench.unchanged(bench.played(), wanted)
    loudspeaker.close()


def writing_keeps_pace_with_the_sound(bench):
    loudspeaker = bench.loudspeaker()
    begin_s = time.monotonic()
    for block in voice(50):
        loudspeaker.write(block)
    assert time.monotonic() - begin_s > 0.5
    loudspeaker.close()


def a_block_of_another_rate_is_refused(bench):
    loudspeaker = bench.loudspeaker()
    with pytest.raises(ValueError, match="8000 Hz"):
        loudspeaker.write(AudioBlock(bytes(320), 8000, 0.0))
    loudspeaker.close()


def a_loudspeaker_that_vanishes_is_lost_and_found_again(bench):
    loudspeaker = bench.loudspeaker()
    loudspeaker.write(voice(1)[0])
    bench.unplug_speaker()
    with pytest.raises(DeviceLost, match="loudspeaker"):  # noqa: PT012 - its buffer takes some blocks first
        for block in voice(200):
            loudspeaker.write(block)
    bench.plug_speaker()
    loudspeaker.write(voice(1)[0])
    loudspeaker.close()


def a_closed_loudspeaker_says_so(bench):
    loudspeaker = bench.loudspeaker()
    loudspeaker.write(voice(1)[0])
    loudspeaker.close()
    loudspeaker.close()
    with pytest.raises(DeviceLost, match="closed"):
        loudspeaker.write(voice(1)[0])


TONE_HZ, TONE_PEAK = 800, 12_000
HELD_BLOCKS = 10
"""More than a device holds back before it begins to play."""


def a_tone_is_heard_with_its_pitch_and_its_level(bench):
    loudspeaker, sounds, over = bench.loudspeaker(), threading.Event(), threading.Event()
    speaking = threading.Thread(target=hum, args=(loudspeaker, sounds, over))
    speaking.start()
    try:
        assert sounds.wait(SOON_S)
        heard = array.array("h", bench.hear(1.0))
    finally:
        over.set()
        speaking.join()
        loudspeaker.close()
    assert len(heard) == RATE_HZ
    # By pieces: a device that ran dry for a moment has a gap, and is no other tone.
    pieces = [heard[start : start + RATE_HZ // 50] for start in range(0, RATE_HZ, RATE_HZ // 50)]
    assert statistics.median(map(pitch_hz, pieces)) == pytest.approx(TONE_HZ, rel=0.07)
    assert statistics.median(map(level, pieces)) == pytest.approx(TONE_PEAK / math.sqrt(2), rel=0.02)


def hum(loudspeaker, sounds, over):
    size, turn = RATE_HZ // 50, 2 * math.pi * TONE_HZ / RATE_HZ
    # A block holds sixteen whole waves: each continues the last.
    pcm = array.array("h", [round(TONE_PEAK * math.sin(turn * at)) for at in range(size)]).tobytes()
    for number in itertools.count():
        if over.is_set():
            return
        loudspeaker.write(AudioBlock(pcm, RATE_HZ, 0.0))
        if number == HELD_BLOCKS:
            sounds.set()


def pitch_hz(samples):
    rising = sum(before < 0 <= after for before, after in itertools.pairwise(samples))
    return rising * RATE_HZ / len(samples)


def level(samples):
    return math.sqrt(statistics.fmean(sample * sample for sample in samples))


LOUDSPEAKER = (
    what_is_written_is_played_unchanged,
    blocks_of_any_length_are_played_as_one_sound,
    a_tone_is_heard_with_its_pitch_and_its_level,
    writing_keeps_pace_with_the_sound,
    a_block_of_another_rate_is_refused,
    a_loudspeaker_that_vanishes_is_lost_and_found_again,
    a_closed_loudspeaker_says_so,
)


class Bench:
    """What the bodies share."""

    def __init__(self):
        self.clock = SystemClock()

    def listen(self):
        """Keep what is played from now on, for `played`."""

    def unchanged(self, played, wanted):
        """Whether it is what was written, and silence before and after."""
        played = played.strip(SILENCE)
        return played == wanted[: len(played)]

    def hear(self, seconds):
        """What the loudspeaker plays from now on, for so long."""
        start, size = len(self.played()) // 2 * 2, round(seconds * RATE_HZ) * 2
        until(lambda: len(self.played()) >= start + size)
        return self.played()[start:][:size]
