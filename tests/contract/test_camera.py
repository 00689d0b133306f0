"""What every camera promises: the test picture, and PyAV against GStreamer's RTSP server and a kernel's V4L2 driver."""

import contextlib
import itertools
import logging
import socket
import threading

import av
import pytest
from rigs import board_outside, rtsp
from rigs.rtsp import RtspServer

from hal.board import CameraSpec, open_camera
from hal.clock import SystemClock
from hal.errors import DeviceLost, NotSupported

MISSING = rtsp.missing_package()
needs_board = pytest.mark.skipif(not board_outside.PORT.exists(), reason="runs inside the virtual board: make hil")
needs_server = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
STALL_S = 12.0
"""A server that hangs is killed after this long, so that a camera that never notices fails the test."""


class MockBench:
    jitter_s = 0.001

    def __init__(self, stack):
        self.camera = open_camera(CameraSpec("gate", "test:", width=320, height=240), SystemClock())
        stack.callback(self.camera.close)
        self.hang, self.wake = self.camera.freeze, self.camera.thaw
        self.lose, self.find = self.camera.lose, self.camera.find


class PiBench:
    jitter_s = 0.001

    def __init__(self, stack):
        self._server = stack.enter_context(RtspServer())
        self.camera = open_camera(CameraSpec("gate", self._server.url(), rate_hz=15), SystemClock())
        stack.callback(self.camera.close)
        self._stack = stack
        self.wake = self._server.wake
        self.lose = self._server.kill

    def hang(self):
        rescue = threading.Timer(STALL_S, self._server.kill)
        self._stack.callback(rescue.cancel)
        rescue.start()
        self._server.hang()

    def find(self):
        self._server = self._stack.enter_context(RtspServer(self._server.port))


class BoardBench:
    """Runs inside the virtual board: the kernel's test camera, whose faults are the outside's."""

    jitter_s = 0.2
    """The driver has 14.98 pictures a second and dates each when an emulated processor gets to it."""

    def __init__(self, stack):
        self.outside = stack.enter_context(contextlib.closing(board_outside.Outside()))
        spec = CameraSpec("gate", board_outside.CAMERA, width=320, height=240, rate_hz=15)
        self.camera = open_camera(spec, SystemClock())
        self._stack = stack
        stack.callback(self.camera.close)

    def hang(self):
        self._stack.callback(self.find)
        self.outside.camera("freeze")

    def lose(self):
        self._stack.callback(self.find)
        self.outside.camera("disconnect")

    def find(self):
        self.outside.camera("well")

    wake = find


BENCHES = {"mock": MockBench, "pi": PiBench, "board": BoardBench}


@pytest.fixture(params=board_outside.backends("mock", pytest.param("pi", marks=needs_server)))
def bench(request):
    with contextlib.ExitStack() as stack:
        yield BENCHES[request.param](stack)


def take(camera, count):
    return list(itertools.islice(camera.packets(), count))


def keep(arriving, left):
    for packet in arriving:
        left.append(packet)


def decode(video, packets):
    decoder = av.CodecContext.create(video.codec, "r")
    decoder.extradata = video.extradata
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet.data))]
    return frames + decoder.decode(None)


def test_the_format_is_told_and_the_packets_are_real_pictures_from_a_keyframe_on(bench):
    video = bench.camera.open()
    packets = take(bench.camera, 20)
    frames = decode(video, packets)
    assert (video.codec, video.width, video.height) == ("h264", 320, 240)
    assert packets[0].keyframe
    assert all(packet.data for packet in packets)
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
    assert len(frames) == len(packets)


def test_the_pictures_move(bench):
    video = bench.camera.open()
    first, *_, last = decode(video, take(bench.camera, 10))
    assert bytes(first.planes[0]) != bytes(last.planes[0])


def test_keyframes_come_at_least_every_two_seconds(bench):
    bench.camera.open()
    packets = take(bench.camera, 32)
    assert sum(packet.keyframe for packet in packets) >= 2


def test_times_rise_and_the_pictures_own_clock_runs_as_fast_as_ours(bench):
    video = bench.camera.open()
    packets = take(bench.camera, 20)
    stamps = [packet.pts * video.time_base for packet in packets]
    assert stamps == sorted(set(stamps))
    assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
    own_s = float(stamps[-1] - stamps[0])
    ours_s = packets[-1].mono_s - packets[0].mono_s
    assert own_s == pytest.approx(19 / 15, abs=bench.jitter_s)
    assert abs(own_s - ours_s) < 0.5


def test_a_camera_that_vanishes_is_lost_and_found_by_opening_it_again(bench):
    bench.camera.open()
    arriving = bench.camera.packets()
    next(arriving)
    bench.lose()
    left = []
    with pytest.raises(DeviceLost, match="camera gate"):
        keep(arriving, left)
    assert all(packet.data for packet in left)
    with pytest.raises(DeviceLost, match="camera gate"):
        bench.camera.open()
    bench.find()
    bench.camera.open()
    assert take(bench.camera, 1)[0].keyframe


def test_a_camera_that_hangs_is_lost(bench):
    bench.camera.open()
    arriving = bench.camera.packets()
    next(arriving)
    bench.hang()
    begin_s = SystemClock().now().mono_s
    with pytest.raises(DeviceLost, match=r"camera gate.*for 3 s.*hangs"):
        list(arriving)
    assert SystemClock().now().mono_s - begin_s < STALL_S - 2


def test_a_short_silence_is_no_loss(bench):
    bench.camera.open()
    arriving = bench.camera.packets()
    next(arriving)
    timer = threading.Timer(0.5, bench.wake)
    bench.hang()
    timer.start()
    assert len(list(itertools.islice(arriving, 5))) == 5
    timer.join()


def test_packets_end_when_the_camera_is_closed_between_them(bench):
    bench.camera.open()
    arriving = bench.camera.packets()
    next(arriving)
    bench.camera.close()
    bench.camera.close()
    assert list(arriving) == []


def test_a_camera_may_be_opened_twice(bench):
    bench.camera.open()
    bench.camera.open()
    assert take(bench.camera, 1)[0].keyframe


# What only the real one has to withstand.


@needs_board
def test_a_stream_of_the_board_that_fails_is_lost_and_opens_again():
    with contextlib.ExitStack() as stack:
        bench = BoardBench(stack)
        bench.camera.open()
        arriving = bench.camera.packets()
        next(arriving)
        bench.outside.camera("stream_error")
        with pytest.raises(DeviceLost, match="camera gate"):
            list(arriving)
        bench.camera.open()
        assert take(bench.camera, 1)[0].keyframe


@pytest.fixture(scope="module")
def server():
    with RtspServer() as running:
        yield running


def opened(url, **more):
    camera = open_camera(CameraSpec("gate", url, **more), SystemClock())
    return camera, camera.open()


def reason(url, **more):
    with pytest.raises(DeviceLost) as info:
        opened(url, **more)
    return str(info.value)


@needs_server
def test_pictures_come_over_udp_too(server):
    camera, video = opened(server.url(), transport="udp")
    assert len(decode(video, take(camera, 5))) == 5
    camera.close()


@needs_server
def test_a_stream_that_is_described_poorly_is_understood_from_its_pictures(server):
    camera, video = opened(server.url("/bare"))
    assert (video.width, video.height) == (320, 240)
    assert len(decode(video, take(camera, 5))) == 5
    camera.close()


@needs_server
def test_a_stream_that_a_quick_look_does_not_understand_is_looked_at_longer(server, mocker):
    mocker.patch("hal.pi.camera_source._known", return_value=False)
    camera, video = opened(server.url("/bare"))
    assert len(decode(video, take(camera, 5))) == 5
    camera.close()


@needs_server
def test_h264_is_never_encoded_again(server, mocker):
    encoder = mocker.patch("hal.pi.camera.H264Encoder")
    camera, _ = opened(server.url())
    take(camera, 5)
    camera.close()
    encoder.assert_not_called()


@needs_server
def test_a_jpeg_camera_is_encoded_with_keyframes_two_seconds_apart(server):
    camera, video = opened(server.url("/jpeg"))
    packets = take(camera, 35)
    camera.close()
    assert video.codec == "h264"
    assert [number for number, packet in enumerate(packets) if packet.keyframe] == [0, 30]
    assert packets[0].data.startswith(video.extradata)
    assert len(decode(video, packets)) == 35
    assert len(decode(video, packets[30:])) == 5


@needs_server
def test_a_right_password_opens(server):
    camera, _ = opened(server.url("/locked", "gate:s3cret"))
    camera.close()


@needs_server
@pytest.mark.parametrize(
    ("stream", "meaning"),
    [
        (("/nothere", ""), "it answers, but has no such stream (404); check the path in its URL"),
        (("/locked", ""), "it refuses user or password (401)"),
        (("/locked", "gate:wr0ng"), "it refuses user or password (401)"),
        (("/sound", ""), "it answers, but sends no pictures there (4xx); check the path in its URL"),
    ],
)
def test_a_technician_reads_what_is_wrong(server, stream, meaning, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    url = server.url(*stream)
    assert reason(url) == f"camera gate at {url.replace('wr0ng', '****')}: {meaning}"
    assert "wr0ng" not in caplog.text
    assert capfd.readouterr().err == ""


def test_a_refused_connection_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "no camera listens there (connection refused); check the port" in reason(f"rtsp://127.0.0.1:{port}/gate")


def test_something_that_is_no_camera_is_told():
    def answer():
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"rtsp://admin:s3cret@127.0.0.1:{listener.getsockname()[1]}/gate"
        message = reason(url)
        thread.join(5)
    assert "no camera that speaks RTSP; check the port in its URL" in message
    assert "s3cret" not in message


def test_an_address_that_never_answers_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        message = reason(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/gate")
    assert "nothing answers; is it powered, and is its address right?" in message


def test_a_device_that_is_not_there_is_told():
    assert reason("/dev/video97") == ("camera gate at /dev/video97: there is no such device; is it plugged in?")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "http://10.0.0.1/", "test:pattern", ""])
def test_other_addresses_are_refused_before_anything_is_opened(url):
    with pytest.raises(NotSupported, match=r"camera gate: .*is no camera; use rtsp://"):
        open_camera(CameraSpec("gate", url), SystemClock())
