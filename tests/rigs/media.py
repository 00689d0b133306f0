"""A media engine on a bench: virtual time, sources played into it, and a sink that keeps everything."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, field

import av
from rigs import pictures

from firmware.config import MediaConfig
from firmware.core.effects import Capture
from firmware.core.report import ReportId
from firmware.media.codecs import FfmpegCodecs, Sight
from firmware.media.engine import MediaEngine
from firmware.media.orders import Append, Begin, End, Finish, Live, LiveRuns, Open, Whole
from hal.mock.clock import VirtualClock

INCIDENT = ReportId("booth-1", 3, 17)
RATE_HZ = 16_000


class FakeEncoder:
    def __init__(self):
        self.heard = 0

    def encode(self, pcm):
        self.heard += 1
        return bytes([0x08]) + pcm[:2] + bytes([self.heard % 251])


class FakeDecoder:
    def __init__(self):
        self.fed = []

    def feed(self, data):
        self.fed.append(data)

    def jpeg(self):
        return b"\xff\xd8" + self.fed[-1][:8] + b"\xff\xd9"

    def sight(self):
        return Sight(zlib.crc32(self.fed[-1]), 16, 235)


class FakeCodecs:
    def sound(self, rate_hz):
        return FakeEncoder()

    def still(self, video):
        return FakeDecoder()


@dataclass
class KeptFile:
    kind: str
    source: str
    first_s: float
    data: bytearray = field(default_factory=bytearray)
    last_s: float | None = None

    def container(self):
        return av.open(io.BytesIO(bytes(self.data)))


@dataclass
class MemorySink:
    clock: VirtualClock
    files: dict = field(default_factory=dict)
    live: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    begun: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    kept_s: dict = field(default_factory=dict)

    def keep(self, order):
        match order:
            case Begin():
                self.begun.append(order)
            case Open(incident, name, kind, source, first_s):
                assert (incident, name) not in self.files
                self.files[incident, name] = KeptFile(kind, source, first_s)
            case Append(incident, name, data):
                assert self.files[incident, name].last_s is None
                self.files[incident, name].data += data
            case Finish(incident, name, last_s, patch):
                kept = self.files[incident, name]
                kept.last_s = last_s
                kept.data[patch.offset : patch.offset + len(patch.data)] = patch.data
                self.kept_s[incident, name] = self.clock.now().mono_s
            case Whole(incident, name, kind, source, time_s, data):
                self.files[incident, name] = KeptFile(kind, source, time_s, bytearray(data), time_s)
                self.kept_s[incident, name] = self.clock.now().mono_s
            case End(incident):
                self.ended.append(incident)

    def send(self, order):
        match order:
            case Live():
                self.live.append(order)
            case LiveRuns(on):
                self.runs.append(on)

    def named(self, kind, incident=INCIDENT):
        return [kept for (owner, _), kept in self.files.items() if owner == incident and kept.kind == kind]


class Bench:
    """Plays a flashing picture and a beep into an engine, both from the same zero."""

    def __init__(
        self,
        *,
        cameras=("gate",),
        sound=True,
        real=False,
        sound_late_s=0.03,
        picture_late_s=0.06,
        epoch=3,
        start_s=1000.0,
        **media,
    ):
        self.clock = VirtualClock(start_s)
        self.sink = MemorySink(self.clock)
        self.facts = []
        settings = {"pre_roll_s": 10.0, "stills_s": 5.0, "clip_s": 6.0, "capture_s": 600.0} | media
        self.engine = MediaEngine(
            cameras,
            RATE_HZ if sound else None,
            MediaConfig(**settings),
            epoch=epoch,
            clock=self.clock,
            codecs=FfmpegCodecs() if real else FakeCodecs(),
            sink=self.sink,
            post=self.facts.append,
        )
        self.cameras = list(cameras)
        self.sound = sound
        self.zero_s = start_s
        self.sound_late_s, self.picture_late_s = sound_late_s, picture_late_s
        self.extradata, self.rows = pictures.encoded(40)
        self.next_row = dict.fromkeys(cameras, 0)
        self.next_block = 0
        for camera in cameras:
            self.engine.on_format(camera, pictures.video_format(self.extradata))

    def run(self, seconds):
        end_s = self.clock.now().mono_s + seconds
        while self.clock.now().mono_s < end_s - 1e-9:
            self.clock.advance(0.01)
            self._play(self.clock.now().mono_s)
            if self.engine.next_deadline() <= self.clock.now().mono_s:
                self.engine.tick()

    def capture(self, incident=INCIDENT, until_s=99_999.0, *, again=False):
        self.engine.capture(Capture(incident, covert=False, until_s=until_s), again=again)

    def _play(self, now_s):
        for camera in self.cameras:
            while self.next_row[camera] < len(self.rows):
                packet = pictures.packet(self.rows[self.next_row[camera]], self.zero_s + self.picture_late_s)
                if packet.mono_s > now_s:
                    break
                self.engine.on_packet(camera, packet)
                self.next_row[camera] += 1
        while self.sound and self.zero_s + self.next_block * 0.02 + 0.02 + self.sound_late_s <= now_s:
            self.engine.on_audio(pictures.beep(self.next_block, RATE_HZ, self.zero_s))
            self.next_block += 1
