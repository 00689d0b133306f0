"""The course of one incident: its files, from the pre-roll to the seal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.media.clip import Clip, FileId
from firmware.media.mp4 import PRE_SKIP, SOUND_HZ
from firmware.media.nal import PictureError
from firmware.media.orders import Live, Whole
from firmware.wire.media import LiveFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firmware.core.report import ReportId
    from firmware.media.orders import Sink
    from firmware.media.rings import Picture, PictureRing, SoundFrame
    from firmware.media.sound import SoundTrack
    from hal.ports import Clock

KEYFRAME_PATIENCE_S = 10.0
"""A clip that should end waits this long for the keyframe that begins the next one."""
CLOSING_S = 5.0
"""An ended course whose files do not close by themselves is closed by force after this long."""
SOUND_SOURCE = "microphone"
_UNSAFE = re.compile(r"[^a-z0-9_-]")
_EXTENSION = {"still": "jpg", "clip": "mp4", "sound": "m4a"}


@dataclass(slots=True)
class Lane:
    """One camera's part of a course.

    Attributes:
        ring: Its pictures.
        clip: The file that grows now, if any.
        boundary_s: From which time on a keyframe begins the next file.
        still_s: When the next still is due.
    """

    ring: PictureRing
    boundary_s: float
    still_s: float
    clip: Clip | None = None


@dataclass(slots=True)
class Plan:
    """How much belongs to a course; from `[media]`."""

    pre_roll_s: float
    stills_s: float
    clip_s: float


@dataclass(slots=True)
class _Names:
    """Names that sort by time, also when monotonic time began anew with the power: the epoch rises at every start."""

    epoch: int
    taken: set[str]

    def make(self, source: str, kind: str, time_s: float) -> str:
        end, ms = f"{_UNSAFE.sub('-', source.lower())}-{kind}.{_EXTENSION[kind]}", max(0, round(time_s * 1000))
        while (name := f"{self.epoch:016d}-{ms:012d}-{end}") in self.taken:
            ms += 1
        self.taken.add(name)
        return name


class Course:
    """Captures one incident.

    Args:
        incident: Which.
        until_s: Monotonic time at which it ends by itself.
        plan: How much.
        rings: The cameras' pictures by name.
        sound: The microphone's sound, if there is one.
        epoch: The panel's present one.
        sink: Takes files and live frames.
        clock: For dates.
        complain: Called with a camera's name and why its pictures cannot be kept.
        taken: File names that the incident already has.

    Synchronization: one thread.
    """

    def __init__(
        self,
        incident: ReportId,
        until_s: float,
        plan: Plan,
        rings: dict[str, PictureRing],
        sound: SoundTrack | None,
        *,
        epoch: int,
        sink: Sink,
        clock: Clock,
        complain: Callable[[str, str], None],
        taken: frozenset[str] = frozenset(),
    ) -> None:
        self.incident = incident
        self.until_s = until_s
        self.ended_s: float | None = None
        self._plan = plan
        self._sound = sound
        self._sink = sink
        self._clock = clock
        self._complain = complain
        self._names = _Names(epoch, set(taken))
        self._start_s = clock.now().mono_s
        self._lanes = {name: Lane(ring, self._start_s + plan.clip_s, self._start_s) for name, ring in rings.items()}
        self._sound_clip: Clip | None = None
        self._sound_boundary_s = self._start_s + plan.clip_s
        self._heard_until_s = self._start_s - plan.pre_roll_s
        self._closing: list[Clip] = []
        self._frames = 0

    def begin(self) -> None:
        """Open the files with what the rings hold."""
        for name, lane in self._lanes.items():
            pictures = lane.ring.since(self._start_s - self._plan.pre_roll_s)
            if pictures:
                self._open_clip(name, lane, pictures)
        self._mind_sound(self._start_s)

    @property
    def done(self) -> bool:
        """Whether it has ended and all its files are closed."""
        return self.ended_s is not None and not self._closing

    def show(self, camera: str, picture: Picture) -> None:
        """Take a picture of a camera."""
        lane = self._lanes[camera]
        if self.ended_s is not None:
            return
        if picture.keyframe and (lane.clip is None or picture.decode_s >= lane.boundary_s):
            self._end_clip(lane, picture.decode_s)
            self._open_clip(camera, lane, [picture])
        elif lane.clip is not None:
            lane.clip.show([picture])

    def break_off(self, camera: str) -> None:
        """The camera's pictures are of another kind from now on: they need another file."""
        self._end_clip(self._lanes[camera], self._clock.now().mono_s)

    def hear(self, frames: Sequence[SoundFrame]) -> None:
        """Take sound as it comes; it goes out live at once."""
        for clip in self._clips():
            clip.hear(frames)
        if self.ended_s is None:
            for frame in frames:
                self._send(frame)

    def wants_still(self, camera: str, now_s: float) -> bool:
        """Whether a still of the camera is due."""
        return self.ended_s is None and self._lanes[camera].still_s <= now_s

    def next_still_s(self, camera: str) -> float:
        """When the next still is due; infinite when none is."""
        return self._lanes[camera].still_s if self.ended_s is None else float("inf")

    def put_off_still(self, camera: str, now_s: float) -> None:
        """A second later, or never when enough were made; called when one is begun or none can be."""
        lane = self._lanes[camera]
        lane.still_s = max(lane.still_s + 1.0, now_s)
        if lane.still_s > self._start_s + self._plan.stills_s:
            lane.still_s = float("inf")

    def keep_still(self, camera: str, jpeg: bytes, time_s: float) -> None:
        """Hand over a still."""
        name = self._names.make(camera, "still", time_s)
        self._sink.keep(Whole(self.incident, name, "still", camera, time_s, jpeg))

    def end(self) -> None:
        """Nothing after this moment belongs to the incident; idempotent."""
        if self.ended_s is not None:
            return
        now_s = self._clock.now().mono_s
        for lane in self._lanes.values():
            self._end_clip(lane, now_s)
        self._end_sound(now_s)
        self.ended_s = now_s

    def step(self, now_s: float) -> None:
        """Write what is complete, and begin and end files in time."""
        if self.ended_s is None:
            for lane in self._lanes.values():
                if now_s > lane.boundary_s + KEYFRAME_PATIENCE_S:
                    self._end_clip(lane, now_s)
            self._mind_sound(now_s)
        for clip in self._clips():
            clip.step(now_s)
            if self.ended_s is not None and now_s > self.ended_s + CLOSING_S:
                clip.close()
        self._closing = [clip for clip in self._closing if not clip.closed]

    def _mind_sound(self, now_s: float) -> None:
        """Have the sound in a file of its own while no clip holds it."""
        if self._sound is None:
            return
        if self._sound_clip is not None and now_s >= self._sound_boundary_s:
            self._end_sound(self._sound_boundary_s)
        if self._sound_clip is None and all(lane.clip is None for lane in self._lanes.values()):
            self._open_sound(self._sound)

    def _open_clip(self, camera: str, lane: Lane, pictures: list[Picture]) -> None:
        first = pictures[0]
        while lane.boundary_s <= pictures[-1].decode_s:
            lane.boundary_s += self._plan.clip_s
        file = FileId(self.incident, self._names.make(camera, "clip", first.time_s), "clip", camera)
        sound_hz = None if self._sound is None else self._sound.rate_hz
        try:
            lane.clip = Clip(
                file, self._sink, lane.ring.format, sound_hz, first.decode_s, first=first.data, now=self._clock.now()
            )
        except PictureError as error:
            self._complain(camera, str(error))
            return
        lane.clip.show(pictures)
        if self._sound is not None:
            lane.clip.hear(self._sound.since(first.decode_s))

    def _end_clip(self, lane: Lane, end_s: float) -> None:
        if lane.clip is not None:
            lane.clip.finish_at(end_s)
            self._closing.append(lane.clip)
            lane.clip = None
            self._heard_until_s = max(self._heard_until_s, end_s)

    def _open_sound(self, sound: SoundTrack) -> None:
        frames = sound.since(self._heard_until_s)
        if not frames:
            return
        # The first packet holds no sound of its own yet, only the encoder's delay.
        zero_s = frames[0].time_s - PRE_SKIP / SOUND_HZ
        while self._sound_boundary_s <= frames[-1].time_s:
            self._sound_boundary_s += self._plan.clip_s
        file = FileId(self.incident, self._names.make(SOUND_SOURCE, "sound", frames[0].time_s), "sound", SOUND_SOURCE)
        self._sound_clip = Clip(file, self._sink, None, sound.rate_hz, zero_s, first=b"", now=self._clock.now())
        self._sound_clip.hear(frames)

    def _end_sound(self, end_s: float) -> None:
        if self._sound_clip is not None:
            self._sound_clip.finish_at(end_s)
            self._closing.append(self._sound_clip)
            self._sound_clip = None
            self._heard_until_s = max(self._heard_until_s, end_s)

    def _clips(self) -> list[Clip]:
        clips = [lane.clip for lane in self._lanes.values() if lane.clip is not None]
        return clips + self._closing + ([] if self._sound_clip is None else [self._sound_clip])

    def _send(self, frame: SoundFrame) -> None:
        if frame.opus:
            live = LiveFrame(self._frames, round(frame.time_s * 1000), 960, frame.opus)
            self._sink.send(Live(self.incident, live))
        self._frames += 1
