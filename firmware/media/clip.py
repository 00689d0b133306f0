"""One file while it grows: pictures of one camera with the sound, or the sound alone."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.media.codecs import FRAME_S
from firmware.media.mp4 import PRE_SKIP, SOUND_HZ, VIDEO_HZ, FragmentedMp4, PictureTrack, Sample
from firmware.media.nal import decoder_of, prefixed, units_of
from firmware.media.orders import Append, Finish, Open

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.report import ReportId
    from firmware.media.orders import Sink
    from firmware.media.rings import Picture, SoundFrame
    from hal.types import Instant, VideoFormat

FRAGMENT_S = 0.5
"""What a cut costs at most, beside what the disk had not synced."""
SOUND_PATIENCE_S = 2.0
"""How long a picture waits for the sound of its moment before it is written without."""
SLIP_S = 0.04
"""Sound packets follow each other without a seam until the clock says that they are off by this much."""
PACKET_UNITS = round(FRAME_S * SOUND_HZ)
_LAST_PICTURE_S = 1 / 15


@dataclass(frozen=True, slots=True)
class FileId:
    """Which file of which incident."""

    incident: ReportId
    name: str
    kind: str
    source: str


class Clip:
    """Turns pictures and frames of sound into fragments of one MP4 file.

    Args:
        file: Where it goes.
        sink: Takes the pieces.
        video: The pictures' format, or None for sound alone.
        sound_hz: The microphone's rate, or None without one.
        zero_s: Monotonic time of the file's beginning: a keyframe's decoding time, or the sound's.
        first: The keyframe's data, which may hold the decoder's set-up.
        now: For the file's date.

    Raises:
        PictureError: The pictures cannot go into a file.

    Synchronization: one thread.
    """

    def __init__(
        self,
        file: FileId,
        sink: Sink,
        video: VideoFormat | None,
        sound_hz: int | None,
        zero_s: float,
        *,
        first: bytes,
        now: Instant,
    ) -> None:
        self.file = file
        self.closed = False
        self.end_s: float | None = None
        """No picture and no sound from this monotonic time on belongs to the file; None while it is open."""
        self._sink = sink
        self._zero_s = zero_s
        self._sounding = sound_hz is not None
        self._picturing = video is not None
        self._pictures: collections.deque[Picture] = collections.deque()
        self._sound: collections.deque[SoundFrame] = collections.deque()
        self._heard_s = zero_s
        self._heard_all = not self._sounding
        self._ready_pictures: list[Picture] = []
        self._ready_sound: list[Sample] = []
        self._next_unit = 0
        self._next_decode = 0
        self._last_s = zero_s
        track = None
        self._annex_b = False
        if video is not None:
            decoder = decoder_of(video, first)
            self._annex_b = decoder.annex_b
            track = PictureTrack(decoder, video.width, video.height)
        self._mp4 = FragmentedMp4(track, sound_hz, now.utc_s - now.mono_s + zero_s)
        sink.keep(Open(file.incident, file.name, file.kind, file.source, zero_s))
        self._append(self._mp4.header())

    def show(self, pictures: Iterable[Picture]) -> None:
        """Take pictures, in decoding order, the first a keyframe."""
        if self.end_s is None:
            self._pictures.extend(pictures)

    def hear(self, frames: Iterable[SoundFrame]) -> None:
        """Take sound, in order; frames before the beginning or past the end are left out."""
        for frame in frames:
            if self.end_s is not None and frame.time_s >= self.end_s:
                self._heard_all = True
            elif not self._heard_all:
                self._sound.append(frame)

    def finish_at(self, end_s: float) -> None:
        """Nothing from `end_s` on belongs to this file; it closes once the sound up to there has come."""
        self.end_s = end_s
        while self._sound and self._sound[-1].time_s >= end_s:
            self._sound.pop()
            self._heard_all = True

    def step(self, now_s: float) -> None:
        """Write what is complete; close the file when it has ended and all is in."""
        if self.closed:
            return
        self._take_sound()
        self._take_pictures(now_s)
        if self.end_s is not None and self._is_all_in(now_s):
            self.close()

    def close(self) -> None:
        """Write all that is there and end the file now; idempotent."""
        if self.closed:
            return
        self.closed = True
        self._take_sound()
        self._ready_pictures.extend(self._pictures)
        self._pictures.clear()
        self._flush(self.end_s)
        tail, patch = self._mp4.end()
        self._append(tail)
        self._sink.keep(Finish(self.file.incident, self.file.name, self._last_s, patch))

    def _is_all_in(self, now_s: float) -> bool:
        assert self.end_s is not None  # noqa: S101 - asked for an ended file only
        waiting = any(frame.opus is None for frame in self._sound)
        return not waiting and (self._heard_all or now_s - self.end_s > SOUND_PATIENCE_S)

    def _take_sound(self) -> None:
        while self._sound and self._sound[0].opus is not None:
            frame = self._sound.popleft()
            self._heard_s = frame.time_s + FRAME_S
            unit = round((frame.time_s - self._zero_s) * SOUND_HZ) - PRE_SKIP
            if self._next_unit and abs(unit - self._next_unit) <= SLIP_S * SOUND_HZ:
                unit = self._next_unit
            if unit < self._next_unit or not frame.opus:
                continue
            self._lengthen(unit)
            self._ready_sound.append(Sample(frame.opus, unit, PACKET_UNITS))
            self._next_unit = unit + PACKET_UNITS
            if not self._picturing and len(self._ready_sound) * FRAME_S >= FRAGMENT_S:
                self._flush(None)

    def _lengthen(self, unit: int) -> None:
        # A gap in the sound is told by the packet before it lasting until the next one.
        if self._ready_sound and unit > self._next_unit:
            last = self._ready_sound[-1]
            self._ready_sound[-1] = Sample(last.data, last.time, unit - last.time)

    def _take_pictures(self, now_s: float) -> None:
        while self._pictures and self._sound_is_in(self._pictures[0].decode_s, now_s):
            picture = self._pictures.popleft()
            if self._ready_pictures and picture.decode_s - self._ready_pictures[0].decode_s >= FRAGMENT_S:
                self._flush(picture.decode_s)
            self._ready_pictures.append(picture)

    def _sound_is_in(self, time_s: float, now_s: float) -> bool:
        if self._heard_s >= time_s or self._heard_all:
            return True
        return not self._sound and now_s - time_s > SOUND_PATIENCE_S

    def _flush(self, next_s: float | None) -> None:
        """Write a fragment; `next_s` is when the picture after it will be decoded, if that is known."""
        if not self._ready_pictures and not self._ready_sound:
            return
        pictures = self._picture_samples(next_s)
        ends = [self._zero_s + (sample.time + sample.duration) / VIDEO_HZ for sample in pictures[-1:]]
        ends += [self._zero_s + (sample.time + sample.duration) / SOUND_HZ for sample in self._ready_sound[-1:]]
        self._last_s = max(self._last_s, *ends)
        self._append(self._mp4.fragment(pictures, self._ready_sound))
        self._ready_pictures, self._ready_sound = [], []

    def _picture_samples(self, next_s: float | None) -> list[Sample]:
        pictures = self._ready_pictures
        times = []
        for picture in pictures:
            # Two pictures of one moment, or a source's clock set back: decoding time must still rise.
            self._next_decode = max(self._units(picture.decode_s), self._next_decode)
            times.append(self._next_decode)
            self._next_decode += 1
        if not times:
            return []
        last = _LAST_PICTURE_S * VIDEO_HZ if len(times) == 1 else times[-1] - times[-2]
        end = times[-1] + max(1, round(last)) if next_s is None else max(self._units(next_s), times[-1] + 1)
        return [
            Sample(
                self._data(picture.data),
                time,
                after - time,
                max(0, self._units(picture.time_s) - time),
                picture.keyframe,
            )
            for picture, time, after in zip(pictures, times, [*times[1:], end], strict=True)
        ]

    def _units(self, time_s: float) -> int:
        return round((time_s - self._zero_s) * VIDEO_HZ)

    def _data(self, data: bytes) -> bytes:
        return prefixed(units_of(data)) if self._annex_b else data

    def _append(self, data: bytes) -> None:
        self._sink.keep(Append(self.file.incident, self.file.name, data))
