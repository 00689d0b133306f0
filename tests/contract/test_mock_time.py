"""The simulated devices in virtual time, and the faults that a script can put into them."""

import itertools

import av
import pytest

from hal.clock import SystemClock
from hal.errors import DeviceLost
from hal.mock.audio import MockLoudspeaker, MockMicrophone
from hal.mock.camera import TestPictureCamera
from hal.mock.clock import VirtualClock
from hal.mock.gpio_loop import MockLoop, bounce
from hal.mock.picture import CELLS
from hal.mock.voice import speak
from hal.types import AudioBlock, LoopState

NORMAL, ALARM, OPEN, SHORT = LoopState


@pytest.fixture
def clock():
    return VirtualClock(mono_s=100.0)


def watched(clock):
    loop, edges = MockLoop("booth-button", clock), []
    loop.watch(lambda level: edges.append((round(level.mono_s - 100, 6), level.state)))
    return loop, edges


def test_a_script_happens_at_its_own_times_however_coarsely_time_passes(clock):
    loop, edges = watched(clock)
    loop.script([(1.0, ALARM), (0.5, NORMAL)])
    loop.script([(2.0, OPEN)])
    loop.produce(100.9)
    assert (edges, loop.read(), loop.next_due_s()) == ([], NORMAL, 101.0)
    clock.advance(60)
    loop.produce(160.0)
    assert edges == [(1.0, ALARM), (1.5, NORMAL), (3.5, OPEN)]
    assert loop.next_due_s() is None


@pytest.mark.parametrize(("last", "first"), [(ALARM, ALARM), (NORMAL, NORMAL)])
def test_a_bounce_ends_where_it_should(clock, last, first):
    loop, edges = watched(clock)
    loop.set(ALARM if last is NORMAL else NORMAL)
    edges.clear()
    loop.script(bounce(3, 0.001, last))
    loop.produce(200.0)
    assert len(edges) == 7
    assert (edges[0], edges[-1]) == ((0.001, first), (0.007, last))


def test_a_script_may_be_played_in_real_time():
    loop = MockLoop("booth-button", SystemClock())
    edges = []
    loop.watch(edges.append)
    loop.play(bounce(2, 0.002))
    assert [edge.state for edge in edges] == [ALARM, NORMAL, ALARM, NORMAL, ALARM]
    assert edges[-1].mono_s - edges[0].mono_s >= 0.008


def test_all_four_states_of_a_wire_pair_can_be_made(clock):
    loop, edges = watched(clock)
    for work in (loop.press, loop.cut, loop.short, loop.release):
        work()
    assert [state for _, state in edges] == [ALARM, OPEN, SHORT, NORMAL]


def test_a_deaf_loop_is_still_read(clock):
    loop, edges = watched(clock)
    loop.deaf = True
    loop.press()
    assert (edges, loop.read()) == ([], ALARM)


def test_a_lost_loop_keeps_its_button_and_is_read_when_found_and_opened(clock):
    loop, edges = watched(clock)
    loop.lose()
    loop.press()
    with pytest.raises(DeviceLost, match="booth-button cannot be read"):
        loop.read()
    loop.find()
    loop.watch(edges.append)
    assert (edges, loop.read()) == ([], ALARM)


def listening(clock):
    microphone = MockMicrophone(16000, clock, real_time=False)
    microphone.start(lambda _block: None)
    return microphone


def test_the_microphone_gives_each_block_when_its_last_sample_is_heard(clock):
    microphone = listening(clock)
    assert microphone.produce(100.019) == []
    assert [block.mono_s for block in microphone.produce(100.06)] == pytest.approx([100.0, 100.02, 100.04])
    assert microphone.produce(100.06) == []


def test_the_voice_comes_whole_and_over_and_over(clock):
    microphone = listening(clock)
    voice = speak(16000)
    heard = b"".join(block.pcm for block in microphone.produce(100.0 + 2 * len(voice) / 32000 + 0.001))
    assert heard == voice * 2


def test_a_frozen_microphone_loses_what_was_said_meanwhile(clock):
    microphone = listening(clock)
    clock.advance(1)
    microphone.produce(101.0)
    assert microphone.alive()
    microphone.freeze()
    clock.advance(1)
    assert (microphone.produce(102.0), microphone.alive()) == ([], False)
    microphone.thaw()
    clock.advance(1)
    assert microphone.produce(103.0)[0].mono_s == pytest.approx(102.0)
    assert microphone.alive()


def test_a_lost_microphone_stays_dead_until_it_is_started_again(clock):
    microphone = listening(clock)
    microphone.lose()
    clock.advance(10)
    assert microphone.produce(110.0) == []
    with pytest.raises(DeviceLost, match="microphone is not there"):
        microphone.start(lambda _block: None)
    microphone.find()
    assert microphone.produce(120.0) == []
    microphone.start(lambda _block: None)
    assert microphone.produce(110.1)[0].mono_s == 110.0


def test_in_virtual_time_a_loudspeaker_takes_everything_at_once():
    loudspeaker = MockLoudspeaker(16000, real_time=False)
    for number in range(5000):
        loudspeaker.write(AudioBlock(bytes([number % 256]) * 640, 16000, 0.0))
    assert len(loudspeaker.played) == 3000
    assert loudspeaker.played[-1].pcm[0] == 4999 % 256


def showing(clock, width=320, height=240, rate_hz=15):
    camera = TestPictureCamera("gate", width, height, rate_hz, clock)
    return camera, camera.open()


def number_of(frame):
    """Reads the cells at the bottom edge: which picture of the loop this is."""
    luma, stride = bytes(frame.planes[0]), frame.planes[0].line_size
    row = (frame.height - 3) * stride
    cell = frame.width // CELLS
    return sum((luma[row + i * cell + cell // 2] > 128) << (CELLS - 1 - i) for i in range(CELLS))


@pytest.mark.parametrize(("size", "rate_hz"), [((320, 240), 15), ((1280, 720), 15), ((64, 64), 60), ((641, 361), 1)])
def test_every_picture_tells_its_number_and_the_loop_has_no_seam(clock, size, rate_hz):
    camera, video = showing(clock, *size, rate_hz)
    packets = camera.produce(100.0 + 9)
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = video.extradata
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet.data))] + decoder.decode(None)
    assert [number_of(frame) for frame in frames] == [n % (4 * rate_hz) for n in range(len(packets))]
    assert len(packets) == 9 * rate_hz + 1


def test_pictures_come_at_their_rate_with_fresh_times(clock):
    camera, video = showing(clock)
    packets = camera.produce(160.0)
    assert len(packets) == 901
    assert packets[900].mono_s == pytest.approx(160.0)
    assert packets[900].pts == 60 / video.time_base
    assert [n for n, packet in enumerate(packets[:91]) if packet.keyframe] == [0, 30, 60, 90]


def test_a_frozen_camera_is_silent_and_after_three_seconds_lost(clock):
    camera, _ = showing(clock)
    camera.produce(101.0)
    camera.freeze()
    assert camera.produce(103.5) == []
    with pytest.raises(DeviceLost, match="no picture for 3 s"):
        camera.produce(104.01)


def test_a_camera_that_thaws_in_time_goes_on_with_the_present(clock):
    camera, _ = showing(clock)
    camera.produce(101.0)
    camera.freeze()
    camera.produce(102.5)
    camera.thaw()
    assert camera.produce(103.0)[0].mono_s == pytest.approx(102.5 + 1 / 15)


def test_a_lost_camera_stays_lost_until_it_is_opened_again(clock):
    camera, _ = showing(clock)
    camera.lose("the cable was cut")
    camera.find()
    with pytest.raises(DeviceLost, match="camera gate: the cable was cut"):
        next(itertools.islice(camera.packets(), 1))
    camera.open()
    assert camera.produce(100.0)[0].keyframe
