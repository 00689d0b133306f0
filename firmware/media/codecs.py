"""The codecs behind two small ports; `FfmpegCodecs` is the only place of the engine's side that knows PyAV.

PyAV is imported when the first codec is made: it costs 17 MB and 100 ms.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.codeccontext import AudioCodecContext
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from hal.types import VideoFormat

SIGHT = (32, 18)
"""Parts of a picture whose mean brightness is looked at, across and down."""
FRAME_S = 0.02
"""Sound in one Opus frame."""
OPUS_BIT_RATE = 24_000
OPUS_COMPLEXITY = "5"
"""Half the processor time of 10; on speech at 24 kbit/s the difference is not heard."""
JPEG_QUALITY = 4
"""FFmpeg's scale of 2 (best) to 31; about 60 kB at 720p."""


class CodecError(Exception):
    """A codec cannot be set up, or cannot take what it was given; what is wrong is in the message."""


class SoundEncoder(Protocol):
    """Encodes sound, frame by frame.

    Synchronization: one thread.
    """

    def encode(self, pcm: bytes) -> bytes:
        """One Opus packet for the next `FRAME_S` of 16-bit mono samples.

        Raises:
            CodecError: The encoder refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """What a glance keeps of a picture.

    Attributes:
        digest: Of every pixel's brightness; equal for equal pictures.
        darkest: Mean brightness of its darkest part, 0 to 255.
        brightest: Of its brightest part.
    """

    digest: int
    darkest: int
    brightest: int


class StillDecoder(Protocol):
    """Decodes pictures to take one out now and then.

    Synchronization: one thread.
    """

    def feed(self, data: bytes) -> None:
        """Take the next packet; the first must be a keyframe. A damaged packet is left out."""
        ...

    def jpeg(self) -> bytes | None:
        """The newest picture as JPEG; None when nothing could be decoded yet.

        Raises:
            CodecError: The picture cannot be encoded.
        """
        ...

    def sight(self) -> Sight | None:
        """What the newest picture shows; None when nothing could be decoded yet."""
        ...


class Codecs(Protocol):
    """Makes codecs.

    Synchronization: one thread.
    """

    def sound(self, rate_hz: int) -> SoundEncoder:
        """An encoder that has heard nothing yet.

        Raises:
            CodecError: There is none for this rate.
        """
        ...

    def still(self, video: VideoFormat) -> StillDecoder:
        """A decoder that has seen nothing yet.

        Raises:
            CodecError: There is none for this format.
        """
        ...


class FfmpegCodecs:
    """The real ones, out of PyAV's wheel.

    Synchronization: one thread.
    """

    def sound(self, rate_hz: int) -> SoundEncoder:
        """A libopus encoder for speech."""
        return _Opus(rate_hz)

    def still(self, video: VideoFormat) -> StillDecoder:
        """A decoder and an MJPEG encoder."""
        return _Still(video)


class _Opus:
    def __init__(self, rate_hz: int) -> None:
        import av  # noqa: PLC0415 - see the module

        self._frame_of = av.AudioFrame
        self._errors = (ValueError, OSError, av.FFmpegError)
        self._rate_hz = rate_hz
        self._samples = round(rate_hz * FRAME_S)
        self._time = 0
        try:
            self._codec: AudioCodecContext = av.CodecContext.create("libopus", "w")
            self._codec.sample_rate, self._codec.format, self._codec.layout = rate_hz, "s16", "mono"
            self._codec.bit_rate, self._codec.time_base = OPUS_BIT_RATE, Fraction(1, rate_hz)
            self._codec.options = {
                "application": "voip",
                "frame_duration": "20",
                "compression_level": OPUS_COMPLEXITY,
            }
            self._codec.open()
        except self._errors as error:
            raise CodecError(f"no Opus encoder for {rate_hz} Hz: {error}") from error

    def encode(self, pcm: bytes) -> bytes:
        frame = self._frame_of(format="s16", layout="mono", samples=self._samples)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, self._time, Fraction(1, self._rate_hz)
        self._time += self._samples
        try:
            (packet,) = self._codec.encode(frame)
        except self._errors as error:
            raise CodecError(f"Opus encoder at {self._rate_hz} Hz: {error}") from error
        return bytes(packet)


class _Still:
    def __init__(self, video: VideoFormat) -> None:
        import av  # noqa: PLC0415 - see the module

        self._av = av
        self._errors = (ValueError, OSError, av.FFmpegError)
        self._picture: VideoFrame | None = None
        try:
            self._decoder: VideoCodecContext = av.CodecContext.create(video.codec, "r")  # type: ignore[assignment]
            if video.extradata:
                self._decoder.extradata = video.extradata
            # Threads each hold a picture back; one that belongs to a still must come out at once.
            self._decoder.thread_count = 1
            self._decoder.open()
        except self._errors as error:
            raise CodecError(f"no decoder for {video.codec}: {error}") from error

    def feed(self, data: bytes) -> None:
        try:
            frames = self._decoder.decode(self._av.Packet(data))
        except self._errors:
            return
        if frames:
            self._picture = frames[-1]

    def jpeg(self) -> bytes | None:
        picture = self._newest()
        if picture is None:
            return None
        try:
            return self._encode(picture)
        except self._errors as error:
            raise CodecError(f"JPEG of {picture.width}x{picture.height}: {error}") from error

    def sight(self) -> Sight | None:
        picture = self._newest()
        if picture is None:
            return None
        try:
            parts = picture.reformat(*SIGHT, "gray", interpolation="AREA")
        except self._errors:
            return None
        digest = 0
        for row in _rows(picture):
            digest = zlib.crc32(row, digest)
        rows = list(_rows(parts))
        return Sight(digest, min(map(min, rows)), max(map(max, rows)))

    def _newest(self) -> VideoFrame | None:
        if self._picture is None:
            self._drain()
        return self._picture

    def _drain(self) -> None:
        try:
            frames = self._decoder.decode(None)
        except self._errors:
            return
        self._decoder.flush_buffers()
        self._picture = frames[-1] if frames else None

    def _encode(self, picture: VideoFrame) -> bytes:
        encoder: VideoCodecContext = self._av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuvj420p"
        encoder.time_base, encoder.thread_count = Fraction(1, 1), 1
        encoder.qmin = encoder.qmax = JPEG_QUALITY
        frame = picture.reformat(format="yuvj420p")
        frame.pts = 0
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        return bytes(packets[0])


def _rows(picture: VideoFrame) -> Iterator[bytes]:
    """A picture's brightness by rows, without what pads them."""
    plane = picture.planes[0]
    data, stride = bytes(plane), plane.line_size
    return (data[row * stride : row * stride + plane.width] for row in range(plane.height))
