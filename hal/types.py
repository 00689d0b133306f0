"""Plain data that crosses a thread: frozen, typed, with monotonic time in seconds."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction


class LoopState(enum.Enum):
    """What a wire pair says. Two-state inputs know NORMAL and ALARM only; OPEN and SHORT are faults."""

    NORMAL = "normal"
    ALARM = "alarm"
    OPEN = "open"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    Attributes:
        mono_s: Monotonic seconds; the only clock that durations are taken from.
        utc_s: Wall clock, seconds since 1970; may be wrong by decades.
        synced: Whether the wall clock is known to be disciplined by a time source.
    """

    mono_s: float
    utc_s: float
    synced: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A loop's raw level, not debounced, with the monotonic time at which it was seen at the source."""

    loop: str
    state: LoopState
    mono_s: float


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Signed 16-bit little-endian mono samples.

    Attributes:
        pcm: 2 bytes a sample.
        rate_hz: Samples a second.
        mono_s: When the first sample was picked up.
    """

    pcm: bytes
    rate_hz: int
    mono_s: float

    @property
    def duration_s(self) -> float:
        """Length of the block in seconds."""
        return len(self.pcm) / 2 / self.rate_hz


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a camera sends.

    Attributes:
        codec: FFmpeg's name, "h264" or "hevc".
        width: Pixels.
        height: Pixels.
        time_base: Seconds in one unit of `Packet.pts`.
        extradata: The decoder's set-up (SPS/PPS), Annex B or AVCC as the source gave it; may be empty.
    """

    codec: str
    width: int
    height: int
    time_base: Fraction
    extradata: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture.

    Attributes:
        data: Encoded bytes.
        pts: Presentation time in units of `VideoFormat.time_base`.
        dts: Decoding time in the same units.
        keyframe: Whether decoding may start here.
        mono_s: When the packet reached this board.
    """

    data: bytes
    pts: int
    dts: int
    keyframe: bool
    mono_s: float
