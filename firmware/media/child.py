"""The media child's main thread: sources to the engine, the engine's work to disk and wire, a beat to the panel."""

from __future__ import annotations

import logging
import random
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.effects import Capture, Seal
from firmware.core.facts import Trouble, TroubleOver
from firmware.media import control
from firmware.media.codecs import FfmpegCodecs
from firmware.media.control import Beat, CaptureAgain, ControlError, Lines
from firmware.media.engine import MediaEngine
from firmware.media.inbox import Inbox
from firmware.media.items import Found
from firmware.media.ledger import Ledger
from firmware.media.orders import Scan
from firmware.media.outlet import CountingSpool, Outlet
from firmware.media.sources import (
    READERS_MAX,
    CameraLost,
    CameraOpened,
    CameraPacket,
    CameraReader,
    MicrophoneKeeper,
    MicrophoneLost,
    MicrophoneOpened,
)
from firmware.media.spec import MediaSpec
from firmware.media.uploader import MediaPipe, Uploader
from firmware.wire.sign import KeyFileError, load_key
from firmware.worker import Worker
from hal.board import CameraSpec, MicrophoneSpec, open_camera, open_microphone
from hal.clock import SystemClock
from hal.types import AudioBlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.core.facts import Fact
    from firmware.media.control import Order, Word
    from firmware.media.spec import NamedCamera
    from hal.ports import AudioIn, Camera, Clock

log = logging.getLogger(__name__)

BEAT_S = 0.2
IDLE_S = 0.1
"""How often the sources' words are fetched while no incident runs."""
WORK_S = 0.02
"""The engine works at most this long before sources and panel are looked at again."""
WATCH_S = 1.0
OUT_MAX = 4 * 2**20
"""Bytes that the panel has not read; more means that it is gone."""
STOP_S = 2.0
MICROPHONE_RETRY_S = 300.0
"""A microphone that was never heard in this process is worth another process this often."""


REPLACE = 75
"""Exit status of a child that asks for another: EX_TEMPFAIL (sysexits.h)."""


class PanelGone(Exception):  # noqa: N818 - a state, and the reason to end
    """The panel closed its end, or does not read."""


class Replace(Exception):  # noqa: N818 - what the panel is to do
    """A library hangs in a thread of this process: only another process helps."""


@dataclass(frozen=True, slots=True)
class Devices:
    """How the child comes by its camera and microphone: from the board, or from a bench that plays them."""

    camera: Callable[[CameraSpec, Clock], Camera] = open_camera
    microphone: Callable[[MicrophoneSpec, Clock], AudioIn] = open_microphone


class Child:
    """All of the child, from its socket on.

    Args:
        channel: To the panel; its first line is the `MediaSpec`.
        clock: Both clocks.
        devices: Where camera and microphone come from.

    Synchronization: `run` on the main thread.
    """

    def __init__(self, channel: socket.socket, clock: Clock, devices: Devices) -> None:
        self._channel = channel
        self._clock = clock
        self._devices = devices
        self._inbox = Inbox()
        self._lines = Lines()
        self._out = bytearray()
        self._ledger = Ledger(self._post, knows_all=False)
        self._outlet = Outlet(self._ledger.of("outlet"))
        self._engine: MediaEngine | None = None
        self._readers: dict[str, list[CameraReader]] = {}
        self._microphone: MicrophoneKeeper | None = None
        self._known = False
        self._waiting: list[Order] = []
        self._started_s = clock.now().mono_s
        self._beat_s = self._watch_s = self._started_s
        self._sources = self._ledger.of("sources")

    def run(self) -> int:
        """Work until the panel goes; the process's exit status."""
        self._channel.setblocking(False)  # noqa: FBT003 - the socket's own word
        try:
            while True:
                self._step()
        except PanelGone:
            return self._stop()
        except Replace:
            return self._stop(REPLACE)
        except ControlError as error:
            log.error("the panel sent what a media process does not know: %s", error)  # noqa: TRY400 - said in full
            return self._stop(2)

    # ── the loop ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self) -> None:
        if self._inbox.wait(self._channel.fileno(), self._pause_s(), writable=bool(self._out)):
            self._read()
        self._fetch()
        now_s = self._clock.now().mono_s
        if self._engine is not None:
            self._drive(self._engine, now_s + WORK_S)
        if now_s >= self._watch_s:
            self._watch_s = now_s + WATCH_S
            self._watch()
        if now_s >= self._beat_s:
            self._beat_s = now_s + BEAT_S
            if not self._out:
                self._out += control.encode_word(Beat())
        self._flush()

    def _fetch(self) -> None:
        for item in self._inbox.take():
            match item:
                case bytes():
                    self._out += item
                case Found():
                    self._begin(item)
                case AudioBlock():
                    if self._engine is not None:
                        self._engine.on_audio(item)
                case _:
                    self._hear_of(item)

    def _pause_s(self) -> float:
        now_s = self._clock.now().mono_s
        due_s = self._beat_s
        if self._engine is not None:
            due_s = min(due_s, self._engine.next_deadline())
        return min(due_s - now_s, BEAT_S if self._inbox.eager else IDLE_S)

    def _drive(self, engine: MediaEngine, until_s: float) -> None:
        while engine.next_deadline() <= self._clock.now().mono_s < until_s:
            engine.tick()
        self._inbox.eager = engine.capturing

    def _hear_of(self, word: CameraOpened | CameraPacket | CameraLost | MicrophoneLost | MicrophoneOpened) -> None:
        assert self._engine is not None  # noqa: S101 - sources start after the engine
        match word:
            case CameraPacket(camera, packet):
                self._engine.on_packet(camera, packet)
            case CameraOpened(camera, video):
                self._engine.on_format(camera, video)
                self._sources(TroubleOver(f"camera {camera}"))
            case CameraLost(camera, why):
                self._sources(Trouble(f"camera {camera}", why))
            case MicrophoneOpened():
                self._sources(TroubleOver("microphone"))
            case MicrophoneLost(why):
                self._sources(Trouble("microphone", why))

    # ── the panel ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        try:
            data = self._channel.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            raise PanelGone from None
        if not data:
            raise PanelGone
        for line in self._lines.feed(data):
            self._obey(control.decode_order(line))

    def _obey(self, order: Order) -> None:
        if isinstance(order, MediaSpec):
            if self._engine is None:
                self._set_up(order)
        elif not self._known or self._engine is None:
            self._waiting.append(order)
        else:
            match order:
                case Capture():
                    self._engine.capture(order)
                case CaptureAgain(capture):
                    self._engine.capture(capture, again=True)
                case Seal(incident):
                    self._engine.seal(incident)
        if self._engine is not None:
            self._inbox.eager = self._engine.capturing

    def _begin(self, found: Found) -> None:
        if self._engine is not None:
            self._engine.know(found.taken, found.sealed)
        self._known = True
        for order in self._waiting:
            self._obey(order)
        self._waiting.clear()

    def _post(self, fact: Fact) -> None:
        word: Word = fact  # type: ignore[assignment]  # what our parts post is what a child may say
        self._inbox.put(control.encode_word(word), urgent=True)

    def _flush(self) -> None:
        if len(self._out) > OUT_MAX:
            raise PanelGone
        while self._out:
            try:
                sent = self._channel.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                raise PanelGone from None
            del self._out[:sent]

    def _flush_last(self) -> None:
        try:
            self._flush()
        except PanelGone:
            return

    # ── setting up, watching, ending ───────────────────────────────────────────────────────────────────────────────

    def _set_up(self, spec: MediaSpec) -> None:
        key = self._key("panel", spec.key_file)
        keys = {one.name: (self._key(one.name, one.key_file), one.key_file) for one in spec.receivers}
        trusted = {name: key for name, (key, file) in keys.items() if key is not None or file is None}
        uploader = Uploader(
            spec.panel,
            MediaPipe(spec.path, spec.panel, self._clock),
            trusted,
            key=key,
            clock=self._clock,
            post=self._ledger.of("uploader"),
            confirm=self._outlet.confirm,
            random=random.SystemRandom().random,
            scatter_s=spec.path.scatter_s,
        )
        uploader_worker = Worker(uploader, self._clock, self._ledger.of("uploader"), uploader.wait)
        spool = CountingSpool(
            spec.spool,
            spec.panel,
            frozenset(keys),
            spec.media.quota_mib * 2**20,
            key=key,
            clock=self._clock,
            post=self._ledger.of("spool"),
            offer=uploader_worker.put,
            found=lambda found: self._inbox.put(found, urgent=True),
        )
        spool.outlet = self._outlet
        spool_worker = Worker(spool, self._clock, self._ledger.of("spool"))
        self._outlet.spool, self._outlet.uploader = spool_worker, uploader_worker
        self._engine = MediaEngine(
            tuple(camera.name for camera in spec.cameras),
            None if spec.microphone is None else spec.microphone.rate_hz,
            spec.media,
            epoch=spec.epoch,
            clock=self._clock,
            codecs=FfmpegCodecs(),
            sink=self._outlet,
            post=self._ledger.of("engine"),
        )
        self._outlet.keep(Scan())
        spool_worker.start()
        uploader_worker.start()
        self._open_sources(spec)

    def _key(self, whose: str, file: Path | None) -> bytes | None:
        if file is None:
            return None
        try:
            return load_key(file)
        except KeyFileError as error:
            self._ledger.of(f"key of {whose}")(Trouble("media", str(error)))
            return None

    def _open_sources(self, spec: MediaSpec) -> None:
        for camera in spec.cameras:
            reader = CameraReader(camera.name, self._camera_maker(camera), self._clock, self._inbox.put)
            self._readers[camera.name] = [reader]
            reader.start()
        if spec.microphone is not None:
            sound = MicrophoneSpec(spec.microphone.device, spec.microphone.rate_hz)

            def make() -> AudioIn:
                return self._devices.microphone(sound, self._clock)

            self._microphone = MicrophoneKeeper(make, self._clock, self._inbox.put, self._inbox.put)
            self._microphone.start()

    def _camera_maker(self, camera: NamedCamera) -> Callable[[], Camera]:
        config = camera.config
        spec = CameraSpec(camera.name, config.url, config.transport, config.width, config.height, config.rate_hz)
        return lambda: self._devices.camera(spec, self._clock)

    def _watch(self) -> None:
        for name, readers in self._readers.items():
            if readers[-1].hung():
                readers[-1].give_up()
                self._sources(Trouble(f"camera {name}", f"camera {name}: its stream hangs; it is opened anew"))
                if len(readers) >= READERS_MAX and self._engine is not None and not self._engine.capturing:
                    raise Replace
                fresh = readers[-1].another()
                readers.append(fresh)
                fresh.start()
        if self._microphone is not None and self._microphone.hung():
            self._watch_microphone(self._microphone)

    def _watch_microphone(self, microphone: MicrophoneKeeper) -> None:
        self._sources(Trouble("microphone", "microphone: the sound library hangs; is the device unplugged?"))
        age_s = self._clock.now().mono_s - self._started_s
        # One that never worked in this process would hang in the next as well, and the cameras would suffer for it.
        if microphone.heard_s is not None or age_s > MICROPHONE_RETRY_S:
            raise Replace

    def _stop(self, status: int = 0) -> int:
        if self._engine is not None:
            self._engine.close()
        for worker in (self._outlet.spool, self._outlet.uploader):
            if worker is not None:
                worker.stop(STOP_S)
        self._fetch()
        self._flush_last()
        return status


def main(fd: int, devices: Devices = Devices()) -> int:
    """Run a child on an inherited socket; the process's exit status."""
    # A terminal's Ctrl-C and a supervisor's SIGTERM reach the whole group; the panel decides when its child ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return Child(socket.socket(fileno=fd), SystemClock(), devices).run()
