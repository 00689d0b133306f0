"""A camera by PyAV: RTSP over the network, V4L2 on the board. H.264 and H.265 pass as they are."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import av.error
from av.video.frame import PictureType

from hal.errors import DeviceLost, NotSupported
from hal.pi import camera_source
from hal.types import Packet, VideoFormat
from hal.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hal.ports import Clock

KEYFRAME_S: Final = 2
"""Seconds from keyframe to keyframe where this board encodes."""


class PiCamera:
    """A camera at a URL.

    A hung network camera is noticed after about 3 s. A hung V4L2 driver blocks its thread for ever: whoever waits for
    packets must be in a process that can be killed.

    Args:
        name: The camera's name.
        url: rtsp://…, rtsps://… or /dev/video0.
        clock: Dates the packets.
        transport: "tcp" or "udp", for RTSP.
        width: Wanted pixels, for V4L2.
        height: Wanted pixels, for V4L2.
        rate_hz: Wanted pictures a second, for V4L2; assumed where a network camera does not tell its own.

    Raises:
        NotSupported: The URL is none of these.

    Synchronization: one thread.
    """

    def __init__(
        self, name: str, url: str, clock: Clock, *, transport: str, width: int, height: int, rate_hz: int
    ) -> None:
        if not url.startswith(("rtsp://", "rtsps://", "/dev/video")):
            raise NotSupported(
                f"camera {name}: {masked(url)!r} is no camera; use rtsp://…, rtsps://…, /dev/video0 or test:"
            )
        self._name = name
        self._url = url
        self._transport = transport
        self._wanted = (width, height, rate_hz)
        self._clock = clock
        self._container: Any = None
        self._encoder: _Encoder | None = None
        self._stamps = _Stamps(0)

    @property
    def name(self) -> str:
        """The camera's name."""
        return self._name

    def open(self) -> VideoFormat:
        """Connect to the source."""
        self.close()
        try:
            if self._url.startswith("/"):
                self._container = camera_source.open_v4l2(self._url, *self._wanted)
            else:
                self._container = camera_source.open_rtsp(self._url, self._transport)
        except DeviceLost as error:
            raise DeviceLost(f"camera {self._name} at {error}") from error
        stream = self._container.streams.video[0]
        rate_hz = float(stream.average_rate or self._wanted[2])
        self._stamps = _Stamps(max(1, round(1 / rate_hz / stream.time_base)))
        context = stream.codec_context
        if context.name in camera_source.PASSED:
            return VideoFormat(
                context.name, context.width, context.height, stream.time_base, bytes(context.extradata or b"")
            )
        self._encoder = _Encoder(context.width, context.height, stream.time_base, rate_hz)
        return VideoFormat("h264", context.width, context.height, stream.time_base, self._encoder.extradata)

    def packets(self) -> Iterator[Packet]:
        """Packets as they come."""
        started = False
        for packet in self._encoded():
            started = started or packet.is_keyframe
            if started:
                yield from self._stamps.stamp(packet, self._clock.now().mono_s)
        if self._container is not None:
            raise DeviceLost(f"camera {self._name}: the stream ended; the camera closed it or restarts")

    def close(self) -> None:
        """Disconnect."""
        container, self._container = self._container, None
        self._encoder = None
        if container is not None:
            container.close()

    def _encoded(self) -> Iterator[Any]:
        arriving = self._container.demux(self._container.streams.video[0]) if self._container else iter(())
        while self._container is not None:
            try:
                packet = next(arriving, None)
                if packet is None or packet.size == 0:  # FFmpeg's way to say that the other side hung up
                    return
                ready = [packet] if self._encoder is None else self._encoder.encode(packet)
            except (av.error.FFmpegError, OSError) as error:
                raise DeviceLost(f"camera {self._name}: {camera_source.explain_end(error)}") from error
            yield from ready


class _Stamps:
    """Gives every packet a presentation time: FFmpeg often has none for the first.

    Args:
        step: One picture's length in units of the time base.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._last: int | None = None
        self._waiting: list[tuple[Any, float]] = []

    def stamp(self, packet: Any, now_s: float) -> Iterator[Packet]:
        """The packet with its time, and before it those that had to wait for a neighbour with one."""
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None and self._last is None:
            self._waiting.append((packet, now_s))
            return
        if pts is None:
            pts = (self._last or 0) + self._step
        for back, (early, early_s) in zip(range(len(self._waiting), 0, -1), self._waiting, strict=True):
            yield _packet(early, pts - back * self._step, early_s)
        self._waiting.clear()
        self._last = pts
        yield _packet(packet, pts, now_s)


def _packet(packet: Any, pts: int, now_s: float) -> Packet:
    dts = packet.dts if packet.dts is not None else pts
    return Packet(bytes(packet), pts, dts, packet.is_keyframe, now_s)


class _Encoder:
    """Pictures of any kind into H.264, one in, one out; each keyframe carries the parameter sets.

    Attributes:
        extradata: The parameter sets.
    """

    def __init__(self, width: int, height: int, time_base: Fraction, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._context: Any = av.CodecContext.create("libx264", "w")
        self._context.width, self._context.height = width & ~1, height & ~1
        self._context.pix_fmt = "yuv420p"
        self._context.time_base = time_base
        self._context.framerate = Fraction(rate_hz).limit_denominator(1001)
        self._context.gop_size = max(1, round(KEYFRAME_S * rate_hz))
        self._context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
        # Without this flag the parameter sets would be known only after the first picture.
        self._context.flags |= av.codec.context.Flags.global_header
        self._context.open()
        self.extradata = bytes(self._context.extradata or b"")
        self._keyframe_pts: int | None = None

    def encode(self, packet: Any) -> list[Any]:
        try:
            pictures = [picture for picture in packet.decode() if picture.pts is not None]
        except av.error.InvalidDataError:  # one damaged picture is no reason to leave the camera
            return []
        return [coded for picture in pictures for coded in self._encode(picture)]

    def _encode(self, picture: Any) -> list[Any]:
        frame = picture.reformat(self._context.width, self._context.height, "yuv420p")
        # By time and not by count: in the dark a webcam takes far fewer pictures than it promises.
        due = self._keyframe_pts is None or (
            (frame.pts - self._keyframe_pts) * self._context.time_base > KEYFRAME_S - 1.5 / self._rate_hz
        )
        # Said of every picture, because a decoded JPEG calls itself a keyframe and the encoder would obey.
        frame.pict_type = PictureType.I if due else PictureType.NONE
        if due:
            self._keyframe_pts = frame.pts
        return [self._with_sets(coded) for coded in self._context.encode(frame)]

    def _with_sets(self, coded: Any) -> Any:
        if not coded.is_keyframe:
            return coded
        whole = av.Packet(self.extradata + bytes(coded))
        whole.pts, whole.dts, whole.is_keyframe = coded.pts, coded.dts, True
        return whole
