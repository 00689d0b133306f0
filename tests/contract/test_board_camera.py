"""A camera on the board itself. The kernel's V4L2 is the edge that is patched: FFmpeg's own test source stands in."""

import errno
import itertools
import random
from fractions import Fraction

import av
import pytest

from firmware.media.codecs import FfmpegCodecs
from hal.board import CameraSpec, open_camera
from hal.clock import SystemClock
from hal.encoder import H264Encoder
from hal.errors import DeviceLost
from hal.pi.camera import _Stamps
from hal.types import VideoFormat

REAL_OPEN = av.open


class Driver:
    """Says no to the formats that it does not know, and gives raw pictures."""

    def __init__(self, mocker, refusal=errno.EINVAL):
        self.asked = []
        self._refusal = refusal
        mocker.patch("hal.pi.camera_source.av.open", self.open)

    def open(self, path, *, format, options, timeout):  # noqa: A002 - PyAV's name
        self.asked.append((path, format, options.get("input_format")))
        if "input_format" in options:
            raise av.error.FFmpegError(self._refusal, "Invalid argument", path)
        return REAL_OPEN(f"testsrc2=size={options['video_size']}:rate={options['framerate']}", format="lavfi")


def camera(**more):
    return open_camera(CameraSpec("door", "/dev/video0", **more), SystemClock())


def test_h264_is_asked_for_first_then_jpeg_then_anything(mocker):
    driver = Driver(mocker)
    camera(width=160, height=120).open()
    assert driver.asked == [
        ("/dev/video0", "v4l2", "h264"),
        ("/dev/video0", "v4l2", "mjpeg"),
        ("/dev/video0", "v4l2", None),
    ]


def test_a_camera_may_be_named_by_its_lasting_name(mocker):
    driver = Driver(mocker)
    open_camera(CameraSpec("door", "/dev/v4l/by-id/usb-x-index0", width=160, height=120), SystemClock()).open()
    assert driver.asked[0] == ("/dev/v4l/by-id/usb-x-index0", "v4l2", "h264")


def test_raw_pictures_are_encoded_in_the_wanted_size_and_rate(mocker):
    Driver(mocker)
    door = camera(width=160, height=120, rate_hz=5)
    video = door.open()
    packets = list(itertools.islice(door.packets(), 21))
    door.close()
    assert (video.codec, video.width, video.height) == ("h264", 160, 120)
    assert [number for number, packet in enumerate(packets) if packet.keyframe] == [0, 10, 20]
    assert [packet.pts * video.time_base for packet in packets[:3]] == [0, Fraction(1, 5), Fraction(2, 5)]


def test_an_odd_size_loses_a_pixel_because_h264_has_none_to_spare(mocker):
    Driver(mocker)
    door = camera(width=161, height=121)
    video = door.open()
    assert (video.width, video.height) == (160, 120)
    assert next(door.packets()).keyframe


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (errno.EBUSY, "another program holds it"),
        (errno.EACCES, "is the user in the group video?"),
        (errno.ENODEV, "there is no such device; is it plugged in?"),
    ],
)
def test_other_refusals_are_not_asked_again_and_are_told(mocker, number, meaning):
    driver = Driver(mocker, number)
    with pytest.raises(DeviceLost, match=f"camera door at /dev/video0: .*{meaning}".replace("?", r"\?")):
        camera().open()
    assert len(driver.asked) == 1


def film(path, encoder):
    with REAL_OPEN(path, "w", format="mpegts") as container:
        stream = container.add_stream(encoder, rate=15)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.options = {"x265-params": "log-level=none"} if encoder == "libx265" else {}
        for number in range(15):
            frame = av.VideoFrame(160, 120, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([16 * number]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with REAL_OPEN(path) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "hevc")])
def test_h264_and_h265_pass_bit_by_bit_and_their_end_is_a_loss(mocker, tmp_path, encoder, codec):
    filmed = film(tmp_path / "film.ts", encoder)
    mocker.patch("hal.pi.camera_source.av.open", return_value=REAL_OPEN(tmp_path / "film.ts"))
    door, got = camera(), []
    assert door.open().codec == codec
    with pytest.raises(DeviceLost, match="camera door: the stream ended"):
        keep(door, got)
    assert got == filmed


def keep(door, got):
    for packet in door.packets():
        got.append(packet.data)


class Coded:
    is_keyframe = False

    def __init__(self, pts, dts=None):
        self.pts, self.dts = pts, dts

    def __bytes__(self):
        return b"x"


@pytest.mark.parametrize(
    ("given", "stamped"),
    [
        ([0, 10, 20], [0, 10, 20]),
        ([None, 500, 510], [490, 500, 510]),
        ([None, None, 500], [480, 490, 500]),
        ([0, None, None, 30], [0, 10, 20, 30]),
    ],
)
def test_packets_without_a_time_get_one_from_their_neighbours(given, stamped):
    stamps = _Stamps(10)
    packets = [packet for number, pts in enumerate(given) for packet in stamps.stamp(Coded(pts), number)]
    assert [packet.pts for packet in packets] == stamped
    assert [packet.mono_s for packet in packets] == list(range(len(given)))


def test_a_picture_that_stands_gives_equal_keyframes_however_many_pictures_are_lost_between_them():
    chance = random.Random(1)
    encoder = H264Encoder(320, 180, Fraction(1, 15), 15)
    frame = av.VideoFrame(320, 180, "yuv420p")
    for plane in frame.planes:
        wide = plane.line_size
        plane.update(bytes(16 + 200 * ((at % wide // 16 + at // wide // 16) % 2) for at in range(plane.buffer_size)))
    keyframes = []
    for number in (number for number in range(300) if chance.random() > 0.3):
        frame.pts, frame.time_base = number, Fraction(1, 15)
        keyframes += [bytes(packet) for packet in encoder.encode(frame) if packet.is_keyframe]
    assert len(keyframes) >= 6
    # The first of all has nothing before it that says how much it may cost.
    assert len({look(keyframe, encoder.extradata) for keyframe in keyframes[1:]}) == 1


def look(keyframe, extradata):
    decoder = FfmpegCodecs().still(VideoFormat("h264", 320, 180, Fraction(1, 15), extradata))
    decoder.feed(keyframe)
    return decoder.sight().digest
