"""Microphones and loudspeakers: the mock, PyAudio over ALSA devices made of FIFOs, and over a kernel's driver."""

import array
import contextlib
import functools
import itertools
import random
import sys
from pathlib import Path

import pytest
import sound_cases
from rigs import alsa, board_outside
from rigs.child import run_in_child
from sound_cases import Bench, Ear, until

from hal.board import LoudspeakerSpec, MicrophoneSpec, open_loudspeaker, open_microphone
from hal.clock import SystemClock
from hal.errors import DeviceLost
from hal.mock.audio import MockLoudspeaker, MockMicrophone
from hal.mock.voice import speak

BODIES = (*sound_cases.MICROPHONE, *sound_cases.LOUDSPEAKER)
NAMES = [body.__name__ for body in BODIES]
NOT_ON_THE_BOARD = {
    # snd-aloop goes on by a timer of its own: without a player its microphone hears silence, but never stops.
    "a_microphone_is_alive_while_blocks_come_and_not_half_a_second_later"
}
needs_pyaudio = pytest.mark.skipif(bool(alsa.missing_package()), reason=alsa.missing_package() or "-")
needs_board = pytest.mark.skipif(not board_outside.PORT.exists(), reason="runs inside the virtual board: make hil")


class MockBench(Bench):
    def __init__(self):
        super().__init__()
        self._microphone = MockMicrophone(16000, self.clock)
        self._loudspeaker = MockLoudspeaker(16000)
        self.hang, self.wake = self._microphone.freeze, self._microphone.thaw
        self.unplug_speaker, self.plug_speaker = self._loudspeaker.lose, self._loudspeaker.find

    def microphone(self):
        return self._microphone

    def no_microphone(self):
        self._microphone.lose()
        return self._microphone

    def loudspeaker(self):
        return self._loudspeaker

    def played(self):
        return b"".join(block.pcm for block in self._loudspeaker.played)


class PiBench(Bench):
    """Runs in the process that `run_in_child` starts."""

    def __init__(self, folder):
        super().__init__()
        self._folder = Path(folder)
        self.card = alsa.SoundCard(self._folder)
        self.hang, self.wake = self.card.hang, self.card.begin
        self.unplug_speaker = self.card.unplug_speaker

    def microphone(self, device="vmic", rate_hz=16000):
        self.card.begin()
        return open_microphone(MicrophoneSpec(device, rate_hz), self.clock)

    def no_microphone(self):
        return self.microphone("Yeti")

    def loudspeaker(self):
        return open_loudspeaker(LoudspeakerSpec("vspk", 16000))

    def played(self):
        return bytes(self.card.played)

    def plug_speaker(self):
        self.card.plug_speaker()


class BoardBench(Bench):
    """Runs inside the virtual board: one side of a kernel's loopback card, whose other side is the outside's."""

    def __init__(self):
        super().__init__()
        self.outside = board_outside.Outside()
        self._opened = contextlib.ExitStack()
        self.hear = self.outside.hear
        self.unplug_speaker, self.plug_speaker = self.outside.unplug_sound, self.outside.replug_sound

    def microphone(self, device=board_outside.SOUND, rate_hz=16000):
        return self._kept(open_microphone(MicrophoneSpec(device, rate_hz), self.clock))

    def no_microphone(self):
        return self.microphone("Yeti")

    def loudspeaker(self):
        return self._kept(open_loudspeaker(LoudspeakerSpec(board_outside.SOUND, 16000)))

    def listen(self):
        self.outside.listen()

    @functools.cache  # noqa: B019 - one bench a test
    def played(self):
        return self.outside.heard(2.0)

    def unchanged(self, played, wanted):
        """Where an emulated processor came late the device ran dry, and a piece is silent; the rest is as it was."""
        order = [value for value, _ in itertools.groupby(played.replace(b"\0", b""))]
        return order == sorted(order) and set(order) <= set(wanted) and len(set(order)) >= 0.8 * len(set(wanted))

    def close(self):
        self._opened.close()
        self.outside.close()

    def _kept(self, device):
        self._opened.callback(device.close)
        return device


@pytest.fixture
def board():
    made = BoardBench()
    with contextlib.closing(made):
        yield made


@pytest.fixture
def sound_card(tmp_path):
    return str(tmp_path), alsa.write_config(tmp_path)


@pytest.mark.parametrize("body", BODIES, ids=NAMES)
def test_the_mock(body):
    body(MockBench())


def on_the_real_one(name, folder):
    bench = PiBench(folder)
    with bench.card:
        getattr(sound_cases, name)(bench)


@needs_pyaudio
@pytest.mark.parametrize("name", NAMES)
def test_the_real_one(name, sound_card):
    folder, env = sound_card
    expect_quiet(run_in_child(on_the_real_one, name, folder, env=env), name)


@needs_board
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_ON_THE_BOARD])
def test_the_board(name, board, capfd, caplog):
    board.outside.play(speak(16000))
    getattr(sound_cases, name)(board)
    expect_quiet(capfd.readouterr().err + caplog.text, name)


def expect_quiet(stderr, name):
    if name == "a_sink_that_raises_ends_nothing":
        assert stderr.count("a block of sound was lost") == 1
    elif name == "a_loudspeaker_that_vanishes_is_lost_and_found_again":
        # PortAudio comments the one write that fails, and nothing can stop it while the stream runs.
        assert all(line.startswith("Expression ") for line in stderr.splitlines())
        assert stderr.count("\n") <= 5
    else:
        assert stderr == ""


# What only the real one has to withstand.


def capture(folder):
    heard = random.Random(5).randbytes(50 * 640)
    bench, ear = PiBench(folder), Ear()
    bench.card = alsa.SoundCard(Path(folder), heard)
    with bench.card:
        microphone = bench.microphone("VMI")
        microphone.start(ear)
        blocks = ear.wait_for(60)
        microphone.close()
    got = b"".join(block.pcm for block in blocks)
    # What was heard before the device was open is lost; from then on every bit is there.
    start = heard.find(got[:640])
    assert 0 <= start < 20 * 640
    assert got[: len(heard) - start] == heard[start:]


@needs_pyaudio
def test_what_the_microphone_hears_comes_bit_by_bit(sound_card):
    folder, env = sound_card
    run_in_child(capture, folder, env=env)


@needs_board
def test_what_the_boards_microphone_hears_comes_bit_by_bit(board):
    sound = random.Random(5).randbytes(3 * 32000)
    board.outside.play(sound)
    microphone, ear = board.microphone(), Ear()
    microphone.start(ear)
    got = [block.pcm for block in ear.wait_for(100)]
    microphone.close()
    # Where an emulated processor came late, the sound has a gap; every other bit is there.
    assert sum(pcm in sound * 2 for pcm in got) >= 90


@needs_board
def test_a_microphone_of_the_board_that_is_unplugged_lives_no_more_and_is_found_under_another_number(board):
    board.outside.play(speak(16000))
    microphone, ear = board.microphone(), Ear()
    microphone.start(ear)
    ear.wait_for(5)
    board.outside.unplug_sound()
    until(lambda: not microphone.alive())
    microphone.close()
    board.outside.replug_sound()
    fresh = Ear()
    microphone.start(fresh)
    fresh.wait_for(5)
    assert microphone.alive()
    microphone.close()


def find_nothing(folder):
    bench = PiBench(folder)
    with bench.card:
        with pytest.raises(DeviceLost) as info:
            bench.microphone("Yeti").start(Ear())
        assert str(info.value).startswith("microphone 'Yeti' is not there; this machine has 'vmic', ")
        assert str(info.value).endswith("; is it plugged in?")


@needs_pyaudio
def test_a_missing_microphone_is_told_with_what_there_is_instead(sound_card):
    folder, env = sound_card
    run_in_child(find_nothing, folder, env=env)


def refuse(folder):
    bench = PiBench(folder)
    with bench.card:
        with pytest.raises(DeviceLost) as info:
            bench.microphone("vmic", 900_000_000).start(Ear())
        assert "microphone 'vmic' refuses 900000000 Hz, mono, 16 bit: Invalid sample rate" in str(info.value)
        assert "its own rate is 44100 Hz" in str(info.value)


@needs_pyaudio
def test_a_rate_that_the_device_refuses_is_told_with_its_own(sound_card):
    folder, env = sound_card
    assert run_in_child(refuse, folder, env=env) == ""


def fail_on_a_bare_machine():
    with pytest.raises(DeviceLost, match="microphone 'USB' is not there"):
        open_microphone(MicrophoneSpec("USB"), SystemClock()).start(Ear())


@needs_pyaudio
def test_the_sound_libraries_keep_their_chatter_off_the_screen():
    # With the system's own configuration, for which ALSA and JACK have pages to say on a machine without a card.
    assert run_in_child(fail_on_a_bare_machine, env={"ALSA_CONFIG_PATH": ""}) == ""


def hang_at_the_first_look(folder):
    open_microphone(MicrophoneSpec("vmic"), SystemClock()).start(Ear())


@needs_pyaudio
def test_a_library_that_hangs_is_killed_with_its_process(sound_card):
    # A FIFO that nobody feeds hangs PortAudio for ever: the reason why sound lives in a process of its own.
    folder, env = sound_card
    with pytest.raises(pytest.fail.Exception, match="hung: killed"):
        run_in_child(hang_at_the_first_look, folder, env=env, timeout_s=2.0)


def test_the_voice_is_speech_like_and_pauses():
    samples = array.array("h", speak(16000))
    loudness = [max(map(abs, samples[i : i + 320])) for i in range(0, len(samples), 320)]
    silent = sum(level < 50 for level in loudness)
    assert 2.5 < len(samples) / 16000 < 3.5
    assert max(loudness) == 16000
    assert 0.2 < silent / len(loudness) < 0.6


def test_the_mock_needs_neither_portaudio_nor_numpy():
    assert run_in_child(only_the_mock, env={}) == ""


def only_the_mock():
    assert "hal.mock.audio" in sys.modules
    assert not {"pyaudio", "numpy", "av"} & set(sys.modules)
