"""Real H.264 and real PCM for tests: a grey picture that flashes white in the same moment as a beep."""

from __future__ import annotations

import functools
import math
import struct
from fractions import Fraction

import av

from hal.types import AudioBlock, Packet, VideoFormat

WIDTH, HEIGHT = 160, 96
RATE_HZ = 15
CLOCK_HZ = 90_000
GREY, WHITE = 60, 235


@functools.cache
def encoded(seconds: int, gop: int = 30, flash_every: int = 45, codec: str = "libx264", b_frames: int = 0):
    """Packets of `seconds` of pictures; the first three of each `flash_every` are white.

    Returns:
        The decoder's set-up, and (data, pts, dts, keyframe) in units of 1/90000 s.
    """
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, CLOCK_HZ)
    encoder.framerate = Fraction(RATE_HZ)
    encoder.gop_size = gop
    encoder.max_b_frames = b_frames
    encoder.options = {"preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames)}
    packets = []
    for number in range(seconds * RATE_HZ):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma = WHITE if number % flash_every < 3 else GREY + number % 20
        for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = number * CLOCK_HZ // RATE_HZ, Fraction(1, CLOCK_HZ)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    rows = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
    return bytes(encoder.extradata or b""), rows


def video_format(extradata: bytes = b"", codec: str = "h264") -> VideoFormat:
    return VideoFormat(codec, WIDTH, HEIGHT, Fraction(1, CLOCK_HZ), extradata)


def packet(row, start_s: float) -> Packet:
    """A row of `encoded` as a camera delivers it whose first picture was taken at `start_s`."""
    data, pts, dts, keyframe = row
    return Packet(data, pts, dts, keyframe, start_s + max(pts, dts) / CLOCK_HZ)


def beep(number: int, rate_hz: int, start_s: float, every_s: float = 3.0, length_s: float = 0.2) -> AudioBlock:
    """Block `number` of 20 ms of a sound that beeps for `length_s` at the beginning of each `every_s`."""
    count = rate_hz // 50
    samples = [
        int(12_000 * math.sin(2 * math.pi * 800 * at / rate_hz)) if at / rate_hz % every_s < length_s else 0
        for at in range(number * count, (number + 1) * count)
    ]
    return AudioBlock(struct.pack(f"<{count}h", *samples), rate_hz, start_s + number * 0.02)
