"""H.264 by libx264, for sources that give something else."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
from av.video.frame import PictureType

KEYFRAME_S: Final = 2
"""Seconds from keyframe to keyframe, as network cameras are set by default."""


class H264Encoder:
    """One picture in, one packet out; each keyframe carries the parameter sets.

    Args:
        width: Pixels, even.
        height: Pixels, even.
        time_base: Seconds in one unit of the pictures' `pts`.
        rate_hz: Promised pictures a second.
        crf: x264's quality: lower is better and larger.

    Attributes:
        extradata: The parameter sets, Annex B.

    Synchronization: one thread.
    """

    def __init__(self, width: int, height: int, time_base: Fraction, rate_hz: float, crf: int = 28) -> None:
        self._rate_hz = rate_hz
        self._keyframe_pts: int | None = None
        self._context: Any = av.CodecContext.create("libx264", "w")
        self._context.width, self._context.height, self._context.pix_fmt = width, height, "yuv420p"
        self._context.time_base = time_base
        self._context.framerate = Fraction(rate_hz).limit_denominator(1001)
        self._context.gop_size = max(1, round(KEYFRAME_S * rate_hz))
        self._context.thread_count = 1
        self._context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(crf),
            # One quantizer for all. x264 would spend more bits on a keyframe after still pictures, by their number: the
            # same picture would not come out the same, and a camera that shows it for ever would look alive.
            "x264-params": "scenecut=0:qcomp=1",
        }
        # Without this flag the parameter sets would be known only after the first picture.
        self._context.flags |= av.codec.context.Flags.global_header
        self._context.open()
        self.extradata = bytes(self._context.extradata or b"")

    def encode(self, picture: Any) -> list[Any]:
        """PyAV packets of one picture, which is changed to the encoder's size and format where it has another."""
        frame = picture.reformat(self._context.width, self._context.height, "yuv420p")
        # By time and not by count: in the dark a webcam takes far fewer pictures than it promises.
        due = self._keyframe_pts is None or (
            (frame.pts - self._keyframe_pts) * self._context.time_base > KEYFRAME_S - 0.5 / self._rate_hz
        )
        # Said of every picture, because a decoded JPEG calls itself a keyframe and the encoder would obey.
        frame.pict_type = PictureType.I if due else PictureType.NONE
        if due:
            self._keyframe_pts = frame.pts
        return [self._with_sets(packet) for packet in self._context.encode(frame)]

    def _with_sets(self, packet: Any) -> Any:
        if not packet.is_keyframe:
            return packet
        whole = av.Packet(self.extradata + bytes(packet))
        whole.pts, whole.dts, whole.is_keyframe = packet.pts, packet.dts, True
        return whole
