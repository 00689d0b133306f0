"""Cameras and microphone in virtual time, opened again as `firmware.media.sources` does on threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver
from firmware.media.sources import FIRST_SOUND_S, REOPEN_S
from hal.errors import DeviceLost
from hal.mock.audio import MockMicrophone
from hal.mock.camera import TestPictureCamera

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from firmware.media.engine import MediaEngine
    from firmware.media.spec import NamedCamera
    from firmware.sim.clock import BoardClock


class _Retry:
    """When a source is opened (again)."""

    def __init__(self, clock: BoardClock) -> None:
        self._clock = clock
        self._failures = 0
        self._next_s = clock.now().mono_s

    @property
    def due(self) -> bool:
        return self._clock.now().mono_s >= self._next_s

    def failed(self) -> None:
        self._next_s = self._clock.now().mono_s + REOPEN_S[min(self._failures, len(REOPEN_S) - 1)]
        self._failures += 1

    def worked(self) -> None:
        self._failures = 0


class SimCamera:
    """A camera and its reader.

    Args:
        spec: Which.
        clock: The panel's.

    Synchronization: one thread.
    """

    def __init__(self, spec: NamedCamera, clock: BoardClock) -> None:
        config = spec.config
        self.name = spec.name
        self._device = TestPictureCamera(spec.name, config.width, config.height, config.rate_hz, clock)
        self._clock = clock
        self._retry = _Retry(clock)
        self._open = False
        self._fresh = False

    def set(self, state: str) -> None:
        """Be lost, frozen or back."""
        (self._device.lose if state == "lost" else self._device.find)()
        (self._device.freeze if state == "frozen" else self._device.thaw)()

    def step(self, engine: MediaEngine, post: Callable[[Fact], None]) -> None:
        """Hand on the pictures that came."""
        try:
            if not self._open and self._retry.due:
                self._video = self._device.open()
                self._open = self._fresh = True
            if self._open:
                self._read(engine, post)
        except DeviceLost as error:
            self._device.close()
            self._open = False
            self._retry.failed()
            post(Trouble(f"camera {self.name}", str(error)))

    def _read(self, engine: MediaEngine, post: Callable[[Fact], None]) -> None:
        for packet in self._device.produce(self._clock.now().mono_s):
            if self._fresh:
                self._fresh = False
                self._retry.worked()
                engine.on_format(self.name, self._video)
                post(TroubleOver(f"camera {self.name}"))
            engine.on_packet(self.name, packet)


class SimMicrophone:
    """A microphone and its keeper.

    Args:
        rate_hz: Samples a second.
        clock: The panel's.

    Synchronization: one thread.
    """

    def __init__(self, rate_hz: int, clock: BoardClock) -> None:
        self._device = MockMicrophone(rate_hz, clock, real_time=False)
        self._clock = clock
        self._retry = _Retry(clock)
        self._opened_s: float | None = None
        self._alive = False

    def set(self, state: str) -> None:
        """Be lost, frozen or back."""
        (self._device.lose if state == "lost" else self._device.find)()
        (self._device.freeze if state == "frozen" else self._device.thaw)()

    def step(self, engine: MediaEngine, post: Callable[[Fact], None]) -> None:
        """Hand on the sound that came."""
        now_s = self._clock.now().mono_s
        if self._opened_s is None:
            self._try(engine, post, now_s)
            return
        for block in self._device.produce(now_s):
            engine.on_audio(block)
        if self._device.alive():
            if not self._alive:
                post(TroubleOver("microphone"))
            self._retry.worked()
            self._alive = True
        elif self._alive or now_s - self._opened_s > FIRST_SOUND_S:
            self._lose(post, "microphone: no sound for half a second: is it unplugged? It is opened again")

    def _try(self, engine: MediaEngine, post: Callable[[Fact], None], now_s: float) -> None:
        if not self._retry.due:
            return
        try:
            self._device.start(engine.on_audio)
        except DeviceLost as error:
            self._lose(post, str(error))
        else:
            self._opened_s, self._alive = now_s, False

    def _lose(self, post: Callable[[Fact], None], why: str) -> None:
        self._device.close()
        self._opened_s = None
        self._retry.failed()
        post(Trouble("microphone", why))
