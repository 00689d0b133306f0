"""The engine of the media child: sources in, files and live sound out. No thread, no disk, no network, no waiting.

On a board `firmware.media.child` feeds it from the device threads; in the simulator `firmware.sim.media` does so in
virtual time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver
from firmware.media.codecs import CodecError
from firmware.media.course import Course, Plan
from firmware.media.glance import Glance
from firmware.media.orders import Begin, End, LiveRuns
from firmware.media.rings import PictureRing
from firmware.media.sound import SoundTrack
from firmware.media.stills import StillMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.config import MediaConfig
    from firmware.core.effects import Capture
    from firmware.core.facts import Fact
    from firmware.core.report import ReportId
    from firmware.media.codecs import Codecs
    from firmware.media.orders import Sink
    from firmware.media.rings import SoundFrame
    from hal.ports import Clock
    from hal.types import AudioBlock, Packet, VideoFormat

INCIDENTS_MAX = 16
"""Captured at once; more would not fit memory and disk of a small board."""
STEP_S = 0.1
"""How often files are looked after while an incident runs."""
NEVER = float("inf")


class MediaEngine:
    """Keeps the pre-roll, and captures incidents when told to.

    Args:
        cameras: Names.
        sound_hz: The microphone's rate, or None without one.
        media: How much belongs to an incident.
        epoch: The panel's present one.
        clock: Both clocks.
        codecs: Makes encoders and decoders.
        sink: Takes files and live sound.
        post: Takes troubles.

    Synchronization: one thread.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        sound_hz: int | None,
        media: MediaConfig,
        *,
        epoch: int,
        clock: Clock,
        codecs: Codecs,
        sink: Sink,
        post: Callable[[Fact], None],
    ) -> None:
        self._plan = Plan(media.pre_roll_s, media.stills_s, media.clip_s)
        self._epoch = epoch
        self._capture_s = media.capture_s
        self._clock = clock
        self._sink = sink
        self._post = post
        self._rings = {name: PictureRing(media.pre_roll_s) for name in cameras}
        self._stills = {name: StillMaker(codecs, ring) for name, ring in self._rings.items()}
        self._glances = {name: Glance(name, codecs, self._complain, self._relent) for name in cameras}
        self._asked: dict[str, list[Course]] = {}
        self._sound = None if sound_hz is None else SoundTrack(sound_hz, media.pre_roll_s, codecs)
        self._courses: dict[ReportId, Course] = {}
        self._sealed: set[ReportId] = set()
        self._taken: dict[ReportId, frozenset[str]] = {}
        self._next_s = NEVER
        self._standing: set[str] = set()
        self._live = False

    @property
    def capturing(self) -> bool:
        """Whether any incident runs."""
        return bool(self._courses)

    def know(self, taken: Mapping[ReportId, frozenset[str]], sealed: frozenset[ReportId]) -> None:
        """What earlier children did; before the first `capture`.

        Args:
            taken: File names that unfinished incidents already have.
            sealed: Incidents that nothing may be added to.
        """
        self._taken.update(taken)
        self._sealed |= sealed

    def on_format(self, camera: str, video: VideoFormat) -> None:
        """A camera connected."""
        if self._rings[camera].restart(video):
            self._stills[camera].reset()
            for course in self._courses.values():
                course.break_off(camera)

    def on_packet(self, camera: str, packet: Packet) -> None:
        """A camera's picture arrived."""
        ring = self._rings[camera]
        picture = ring.add(packet)
        if picture is None:
            return
        for course in self._courses.values():
            course.show(camera, picture)
        # Not beside an incident: what it needs comes first, and its stills show what the camera sees.
        if picture.keyframe and ring.format is not None and not self._courses:
            self._glances[camera].see(ring.format, picture.data, packet.mono_s)

    def on_audio(self, block: AudioBlock) -> None:
        """The microphone's sound arrived."""
        if self._sound is None:
            return
        frames: list[SoundFrame] = []
        with self._reporting("microphone"):
            frames = self._sound.add(block)
        for course in self._courses.values() if frames else ():
            course.hear(frames)

    def capture(self, order: Capture, *, again: bool = False) -> None:
        """Begin an incident, or move the end of one that runs."""
        now_s = self._clock.now().mono_s
        until_s = min(order.until_s, now_s + self._capture_s)
        running = self._courses.get(order.incident)
        if running is not None:
            running.until_s = max(running.until_s, until_s)
            return
        if order.incident in self._sealed:
            self._sink.keep(End(order.incident))
            return
        if len(self._courses) >= INCIDENTS_MAX:
            self._complain("media", f"{INCIDENTS_MAX} incidents are captured already, and no more at once; reset some")
            return
        self._begin(order.incident, until_s, again=again)

    def seal(self, incident: ReportId) -> None:
        """End an incident."""
        course = self._courses.get(incident)
        if course is None:
            self._sealed.add(incident)
            self._sink.keep(End(incident))
            return
        course.end()
        self._next_s = self._clock.now().mono_s
        self._mind_live()

    def tick(self) -> None:
        """Do what is due; each call works for some milliseconds only."""
        now_s = self._clock.now().mono_s
        for course in [course for course in self._courses.values() if course.until_s <= now_s]:
            course.end()
        if self._sound is not None and self._sound.backlog:
            with self._reporting("microphone"):
                self._sound.step()
        for camera in self._rings:
            self._make_stills(camera, now_s)
        if self._courses and now_s >= self._next_s:
            self._next_s = now_s + STEP_S
            for course in list(self._courses.values()):
                course.step(now_s)
                if course.done:
                    self._remove(course)
        self._mind_live()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted; infinite when idle."""
        if not self._courses:
            return NEVER
        if (self._sound is not None and self._sound.backlog) or any(still.busy for still in self._stills.values()):
            return self._clock.now().mono_s
        stills = [course.next_still_s(camera) for course in self._courses.values() for camera in self._rings]
        ends = [course.until_s for course in self._courses.values() if course.ended_s is None]
        return min([self._next_s, *stills, *ends])

    def close(self) -> None:
        """End every file now, so that nothing needs to be recovered; the incidents stay open."""
        for course in self._courses.values():
            course.end()
            course.step(NEVER)

    def _begin(self, incident: ReportId, until_s: float, *, again: bool) -> None:
        if self._sound is not None:
            with self._reporting("microphone"):
                self._sound.start()
        self._sink.keep(Begin(incident, again))
        course = Course(
            incident,
            until_s,
            self._plan,
            self._rings,
            self._sound,
            epoch=self._epoch,
            sink=self._sink,
            clock=self._clock,
            complain=lambda camera, why: self._complain(f"camera {camera}", why),
            taken=self._taken.pop(incident, frozenset()),
        )
        self._courses[incident] = course
        course.begin()
        self._next_s = self._clock.now().mono_s
        self._mind_live()

    def _remove(self, course: Course) -> None:
        del self._courses[course.incident]
        self._sealed.add(course.incident)
        self._sink.keep(End(course.incident))
        self._relent("media")
        if not self._courses:
            for still in self._stills.values():
                still.reset()
            if self._sound is not None:
                self._sound.stop()

    def _make_stills(self, camera: str, now_s: float) -> None:
        maker = self._stills[camera]
        due = [course for course in self._courses.values() if course.wants_still(camera, now_s)]
        if due and not maker.busy:
            for course in due:
                course.put_off_still(camera, now_s)
            if maker.begin():
                self._asked[camera] = due
        if maker.busy:
            with self._reporting(f"camera {camera}"):
                self._deliver(camera, maker.step())

    def _deliver(self, camera: str, still: tuple[bytes, float] | None) -> None:
        if still is not None:
            for course in self._asked.pop(camera, []):
                course.keep_still(camera, *still)

    def _mind_live(self) -> None:
        on = self._sound is not None and any(course.ended_s is None for course in self._courses.values())
        if on != self._live:
            self._live = on
            self._sink.send(LiveRuns(on))

    def _reporting(self, source: str) -> _Reporting:
        return _Reporting(self._complain, self._relent, source)

    def _complain(self, source: str, why: str) -> None:
        if source not in self._standing:
            self._standing.add(source)
            self._post(Trouble(source, why))

    def _relent(self, source: str) -> None:
        if source in self._standing:
            self._standing.discard(source)
            self._post(TroubleOver(source))


class _Reporting:
    """Turns a codec's error into a trouble, and its next success into the end of it."""

    def __init__(self, complain: Callable[[str, str], None], relent: Callable[[str], None], source: str) -> None:
        self._complain, self._relent, self._source = complain, relent, source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, CodecError):
            self._complain(self._source, str(error))
            return True
        if kind is None:
            self._relent(self._source)
        return False
