"""What happened just before: sound and pictures of the last seconds, in memory alone.

Both rings put what they hold on the board's monotonic clock, which is what keeps sound and pictures together.
"""

from __future__ import annotations

import collections
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.media.codecs import FRAME_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hal.types import AudioBlock, Packet, VideoFormat

WINDOW_S = 2.0
"""How long a late delivery is taken for late; after that the source's own clock must have slipped."""
JUMP_S = 5.0
"""A source's clock that is off by more was set anew; no stream is late by this without being reported as lost."""
LOST_SOUND_S = 1.0
"""A pause in the blocks by this much means that sound is missing, not that it comes later."""
RING_BYTES_MAX = 48 * 2**20
"""Pictures held of one camera: 30 s at 12 Mbit/s. A camera that sends more keeps less."""
MARGIN_S = 3.0
"""Sound kept beyond the pre-roll: a clip begins at the keyframe before it, and pictures come later than sound."""


class SourceClock:
    """Puts times of a source's own clock onto the monotonic clock.

    What arrives was made before, never after: so the least difference of arrival and source time within the last
    `WINDOW_S` to twice that is nearest the truth, and jitter of a network or a busy processor falls away.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget: the source's clock starts anew."""
        self._least: float | None = None
        self._before: float | None = None
        self._since_s = 0.0

    def place(self, source_s: float, arrived_s: float) -> float:
        """Monotonic time of `source_s`, which arrived at `arrived_s`."""
        offset = arrived_s - source_s
        if self._least is None or abs(offset - self._offset()) > JUMP_S:
            self._least, self._before, self._since_s = offset, None, arrived_s
        elif arrived_s - self._since_s > WINDOW_S:
            self._before, self._least, self._since_s = self._least, offset, arrived_s
        self._least = min(self._least, offset)
        return source_s + self._offset()

    def of(self, source_s: float) -> float:
        """Monotonic time of another moment of the source; `place` was called before."""
        return source_s + self._offset()

    def _offset(self) -> float:
        known = [value for value in (self._least, self._before) if value is not None]
        return min(known, default=0.0)


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture on the monotonic clock.

    Attributes:
        number: Counts up in one ring.
        time_s: Presentation time.
        decode_s: Decoding time.
    """

    number: int
    data: bytes
    time_s: float
    decode_s: float
    keyframe: bool


class PictureRing:
    """The last pictures of one camera, by whole groups of pictures.

    Args:
        horizon_s: How far back it must reach; it holds up to one group more.

    Synchronization: one thread.
    """

    def __init__(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._clock = SourceClock()
        self._groups: collections.deque[list[Picture]] = collections.deque()
        self._bytes = 0
        self._format: VideoFormat | None = None
        self._numbers = itertools.count()

    @property
    def format(self) -> VideoFormat | None:
        """What the pictures are; None before the camera's first word."""
        return self._format

    def restart(self, video: VideoFormat) -> bool:
        """The camera connected (again).

        Returns:
            Whether the pictures are of another kind than before, so that no file can hold both.
        """
        self._clock.reset()
        other = self._format != video
        if other:
            self._groups.clear()
            self._bytes = 0
        self._format = video
        return other

    def add(self, packet: Packet) -> Picture | None:
        """Keep a packet; None when it cannot be decoded for want of a keyframe."""
        if self._format is None or not (self._groups or packet.keyframe):
            return None
        unit_s = float(self._format.time_base)
        time_s = self._clock.place(packet.pts * unit_s, packet.mono_s)
        decode_s = min(self._clock.of(packet.dts * unit_s), time_s)
        picture = Picture(next(self._numbers), packet.data, time_s, decode_s, packet.keyframe)
        if packet.keyframe:
            self._groups.append([])
        self._groups[-1].append(picture)
        self._bytes += len(packet.data)
        self._trim(packet.mono_s)
        return picture

    def since(self, start_s: float) -> list[Picture]:
        """Pictures from the last keyframe not after `start_s` (or the oldest one) to now."""
        groups = list(self._groups)
        while len(groups) > 1 and groups[1][0].time_s <= start_s:
            groups.pop(0)
        return [picture for group in groups for picture in group]

    def last_group(self) -> list[Picture]:
        """From the last keyframe to now."""
        return self._groups[-1] if self._groups else []

    def _trim(self, now_s: float) -> None:
        while len(self._groups) > 1 and self._groups[1][0].time_s <= now_s - self._horizon_s:
            self._drop()
        while self._bytes > RING_BYTES_MAX and self._groups:
            self._drop()

    def _drop(self) -> None:
        self._bytes -= sum(len(picture.data) for picture in self._groups.popleft())


@dataclass(slots=True)
class SoundFrame:
    """20 ms of sound on the monotonic clock.

    Attributes:
        time_s: When its first sample was picked up.
        pcm: 16-bit mono samples.
        opus: The same encoded, once somebody needed it: every file shares it.
    """

    time_s: float
    pcm: bytes
    opus: bytes | None = None


class SoundRing:
    """The last sound of the microphone, cut into frames of exactly 20 ms.

    Args:
        rate_hz: The microphone's rate; a block of another rate is refused with `ValueError`.
        horizon_s: How far back it reaches.

    Synchronization: one thread.
    """

    def __init__(self, rate_hz: int, horizon_s: float) -> None:
        self.rate_hz = rate_hz
        self._frame_bytes = 2 * round(rate_hz * FRAME_S)
        self._clock = SourceClock()
        self._frames: collections.deque[SoundFrame] = collections.deque(
            maxlen=round((horizon_s + MARGIN_S) / FRAME_S) + 1
        )
        self._rest = b""
        self._samples = 0
        self._end_s: float | None = None

    def add(self, block: AudioBlock) -> list[SoundFrame]:
        """Keep a block; returns the frames that it completed."""
        if block.rate_hz != self.rate_hz:
            raise ValueError(f"microphone block at {block.rate_hz} Hz, agreed were {self.rate_hz}")
        if self._end_s is not None and block.mono_s - self._end_s > LOST_SOUND_S:
            self._clock.reset()
            self._rest = b""
        start_s = self._clock.place(self._samples / self.rate_hz, block.mono_s) - len(self._rest) / 2 / self.rate_hz
        self._samples += len(block.pcm) // 2
        pcm = self._rest + block.pcm
        whole = len(pcm) // self._frame_bytes * self._frame_bytes
        self._rest = pcm[whole:]
        frames = list(self._cut(pcm[:whole], start_s))
        self._frames.extend(frames)
        return frames

    def since(self, start_s: float) -> list[SoundFrame]:
        """Frames that begin not before `start_s`."""
        return [frame for frame in self._frames if frame.time_s >= start_s]

    def before(self, time_s: float, count: int) -> list[SoundFrame]:
        """The last `count` frames that begin before `time_s`."""
        return [frame for frame in self._frames if frame.time_s < time_s][-count:]

    def _cut(self, pcm: bytes, start_s: float) -> Iterator[SoundFrame]:
        for number, at in enumerate(range(0, len(pcm), self._frame_bytes)):
            time_s = start_s + number * FRAME_S
            # Sound that was taken for missing and came late after all would be heard twice.
            if self._end_s is None or time_s > self._end_s - 2 * FRAME_S:
                self._end_s = time_s + FRAME_S
                yield SoundFrame(time_s, pcm[at : at + self._frame_bytes])
