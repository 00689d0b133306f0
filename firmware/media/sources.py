"""Cameras and microphone on threads of their own: they enqueue what comes and do nothing else.

Nothing can stop a thread that hangs inside FFmpeg or PortAudio. It is given up, and when that does not help, the whole
process is: the panel starts another within a second.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.errors import HalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import AudioIn, Camera, Clock
    from hal.types import AudioBlock, Packet, VideoFormat

REOPEN_S = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses before a source is opened again."""
CAMERA_HUNG_S = 30.0
"""A camera's thread that neither delivered nor gave up for so long hangs: its own limits are under 10 s."""
READERS_MAX = 3
"""Hung readers of one camera before the process is replaced instead."""
MICROPHONE_HUNG_S = 3.0
"""Opening and closing a microphone takes milliseconds; after this long the sound library hangs."""
FIRST_SOUND_S = 2.0
"""A device may begin late, by 1.5 s on some sound servers."""
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class CameraOpened:
    """A camera delivers (again)."""

    camera: str
    video: VideoFormat


@dataclass(frozen=True, slots=True)
class CameraPacket:
    """A camera's picture."""

    camera: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class CameraLost:
    """A camera delivers nothing."""

    camera: str
    why: str


@dataclass(frozen=True, slots=True)
class MicrophoneLost:
    """The microphone delivers nothing."""

    why: str


@dataclass(frozen=True, slots=True)
class MicrophoneOpened:
    """The microphone delivers (again)."""


SourceWord = CameraOpened | CameraPacket | CameraLost | MicrophoneLost | MicrophoneOpened


class CameraReader:
    """Reads one camera for ever, opening it again when it is lost.

    Args:
        name: The camera's.
        make: Makes the camera, not connected.
        clock: For the age of progress.
        feed: Takes what comes; must not block.

    Synchronization: `start` and `hung` from one thread; `feed` is called on the reader's own.
    """

    def __init__(self, name: str, make: Callable[[], Camera], clock: Clock, feed: Callable[[SourceWord], None]) -> None:
        self.name = name
        self._make = make
        self._clock = clock
        self._feed = feed
        self._failures = 0
        self._given_up = False
        self._progress_s: float | None = None

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True).start()

    def hung(self) -> bool:
        """Whether it neither delivers nor waits for its next try."""
        progress_s = self._progress_s
        return progress_s is not None and self._clock.now().mono_s - progress_s > CAMERA_HUNG_S

    def another(self) -> CameraReader:
        """A reader of the same camera, not started."""
        return CameraReader(self.name, self._make, self._clock, self._feed)

    def give_up(self) -> None:
        """Whatever its thread still delivers is thrown away."""
        self._given_up = True

    def _run(self) -> None:
        pause = threading.Event()
        while not self._given_up:
            try:
                self._progress_s = self._clock.now().mono_s
                self._read(self._make())
            except HalError as error:
                self._lost(str(error))
            except Exception as error:  # noqa: BLE001 - the outermost frame of the reader's thread
                self._lost(f"camera {self.name}: {type(error).__name__}: {error}")
            self._progress_s = None
            pause.wait(REOPEN_S[min(self._failures, len(REOPEN_S) - 1)])
            self._failures += 1

    def _read(self, camera: Camera) -> None:
        try:
            video = camera.open()
            fresh = True
            for packet in camera.packets():
                self._progress_s = self._clock.now().mono_s
                if self._given_up:
                    return
                if fresh:
                    self._feed(CameraOpened(self.name, video))
                    self._failures, fresh = 0, False
                self._feed(CameraPacket(self.name, packet))
        finally:
            camera.close()
        self._lost(f"camera {self.name}: the stream ended")

    def _lost(self, why: str) -> None:
        if not self._given_up:
            self._feed(CameraLost(self.name, why))


class MicrophoneKeeper:
    """Keeps one microphone open.

    Args:
        make: Makes the microphone, not started.
        clock: For ages.
        hear: Takes blocks, on the library's thread; must not block.
        feed: Takes words; must not block.

    Synchronization: `start` and `hung` from one thread.
    """

    def __init__(
        self,
        make: Callable[[], AudioIn],
        clock: Clock,
        hear: Callable[[AudioBlock], None],
        feed: Callable[[SourceWord], None],
    ) -> None:
        self._make = make
        self._clock = clock
        self._hear = hear
        self._feed = feed
        self._failures = 0
        self._busy_s: float | None = None
        self.heard_s: float | None = None
        """When it was last found alive."""

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._run, name="microphone keeper", daemon=True).start()

    def hung(self) -> bool:
        """Whether the sound library does not come back."""
        busy_s = self._busy_s
        return busy_s is not None and self._clock.now().mono_s - busy_s > MICROPHONE_HUNG_S

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._busy_s = self._clock.now().mono_s
                microphone = self._make()
                try:
                    microphone.start(self._hear)
                    self._listen(microphone, pause)
                finally:
                    self._busy_s = self._clock.now().mono_s
                    microphone.close()
            except HalError as error:
                self._feed(MicrophoneLost(str(error)))
            except Exception as error:  # noqa: BLE001 - the outermost frame of the keeper's thread
                self._feed(MicrophoneLost(f"microphone: {type(error).__name__}: {error}"))
            self._busy_s = None
            pause.wait(REOPEN_S[min(self._failures, len(REOPEN_S) - 1)])
            self._failures += 1

    def _listen(self, microphone: AudioIn, pause: threading.Event) -> None:
        self._busy_s = None
        opened_s = self._clock.now().mono_s
        alive = False
        while True:
            pause.wait(_LOOK_S)
            now_s = self._clock.now().mono_s
            if microphone.alive():
                if not alive:
                    self._feed(MicrophoneOpened())
                self._failures, self.heard_s, alive = 0, now_s, True
            elif alive or now_s - opened_s > FIRST_SOUND_S:
                break
        self._feed(MicrophoneLost("microphone: no sound for half a second: is it unplugged? It is opened again"))
