"""A camera by PyAV: RTSP over the network, V4L2 on the board. H.264 and H.265 pass as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av  # never a part of it alone: two threads that import it from both ends would each find a half

from hal.encoder import H264Encoder
from hal.errors import DeviceLost, NotSupported
from hal.pi import camera_source
from hal.types import Packet, VideoFormat
from hal.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hal.ports import Clock


class PiCamera:
    """A camera at a URL.

    A camera that sends nothing more is noticed after about 3 s, on the network and on the board. A driver that hangs in
    the kernel itself blocks its thread for ever: whoever waits for packets must be in a process that can be killed.

    Args:
        name: The camera's name.
        url: rtsp://…, rtsps://…, /dev/video0 or /dev/v4l/by-id/…, which keeps its name when devices are renumbered.
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
        if not url.startswith(("rtsp://", "rtsps://", "/dev/video", "/dev/v4l/")):
            raise NotSupported(
                f"camera {name}: {masked(url)!r} is no camera; use rtsp://…, rtsps://…, /dev/video0 or test:"
            )
        self._name = name
        self._url = url
        self._transport = transport
        self._wanted = (width, height, rate_hz)
        self._clock = clock
        self._container: Any = None
        self._encoder: H264Encoder | None = None
        self._rate_hz = float(rate_hz)
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
        rate_hz = self._rate_hz = float(stream.average_rate or self._wanted[2])
        self._stamps = _Stamps(max(1, round(1 / rate_hz / stream.time_base)))
        context = stream.codec_context
        if context.name in camera_source.PASSED:
            return VideoFormat(
                context.name, context.width, context.height, stream.time_base, bytes(context.extradata or b"")
            )
        width, height = context.width & ~1, context.height & ~1  # H.264 with 4:2:0 knows even sizes only
        self._encoder = H264Encoder(width, height, stream.time_base, rate_hz)
        return VideoFormat("h264", width, height, stream.time_base, self._encoder.extradata)

    def packets(self) -> Iterator[Packet]:
        """Packets as they come."""
        started = False
        for packet in self._encoded():
            started = started or packet.is_keyframe
            for stamped in self._stamps.stamp(packet, self._clock.now().mono_s) if started else ():
                if self._container is None:
                    return
                yield stamped
        if self._container is not None:
            raise DeviceLost(f"camera {self._name}: the stream ended; the camera closed it or restarts")

    def close(self) -> None:
        """Disconnect."""
        container, self._container = self._container, None
        self._encoder = None
        if container is not None:
            container.close()

    def _encoded(self) -> Iterator[Any]:
        arriving = camera_source.arriving(self._container, self._rate_hz) if self._container else iter(())
        while self._container is not None:
            try:
                packet = next(arriving, None)
                if packet is None or packet.size == 0:  # FFmpeg's way to say that the other side hung up
                    return
                ready = [packet] if self._encoder is None else _encode(self._encoder, packet)
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


def _encode(encoder: H264Encoder, packet: Any) -> list[Any]:
    try:
        pictures = packet.decode()
    except av.error.InvalidDataError:  # one damaged picture is no reason to leave the camera
        return []
    return [coded for picture in pictures if picture.pts is not None for coded in encoder.encode(picture)]
