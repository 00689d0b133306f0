"""A media child whose camera and microphone are what the bench's world file says.

`python -m hil.mock_bench.media --fd N --parent PID --world FILE`: the real child, with devices of its own making.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import threading
import time
import wave
from fractions import Fraction
from typing import TYPE_CHECKING

from hil.mock_bench.world import World, load

from firmware.media.__main__ import _die_with
from firmware.media.child import Devices, main
from hal.errors import DeviceLost
from hal.mock.audio import MockMicrophone
from hal.mock.camera import TestPictureCamera
from hal.mock.picture import Loop, encode

if TYPE_CHECKING:
    from hal.board import CameraSpec, MicrophoneSpec
    from hal.ports import Clock
    from hal.types import Packet

LOOK_S = 0.05
GREY = 128


class BenchCamera(TestPictureCamera):
    """The test picture, until the world says something else."""

    def __init__(self, spec: CameraSpec, clock: Clock, watcher: Watcher) -> None:
        super().__init__(spec.name, spec.width, spec.height, spec.rate_hz, clock)
        self._rate_hz = spec.rate_hz
        self._watcher = watcher
        self._shown = "well"
        self._dropped = 0

    def open(self):
        self._obey(self._watcher.world)
        return super().open()

    def produce(self, until_s: float) -> list[Packet]:
        world = self._watcher.world
        self._obey(world)
        if world.camera_errors != self._watcher.errors_played:
            self._watcher.errors_played = world.camera_errors
            raise DeviceLost(f"camera {self.name}: Input/output error")
        return [packet for packet in super().produce(until_s) if not self._drops(packet, world.camera_drop)]

    def _obey(self, world: World) -> None:
        self.find()
        self.thaw()
        if world.camera == "lost":
            self.lose()
        elif world.camera == "frozen":
            self.freeze()
        elif world.camera != self._shown and self._loop is not None:
            self._shown = world.camera
            self._loop = self._pictures(world.camera)
            self._count = 0

    def _pictures(self, what: str) -> Loop:
        if what == "well":
            return encode(*self._size, self._rate_hz)
        if what == "still":
            whole = encode(*self._size, self._rate_hz)
            first = next(picture for picture, keyframe in whole.pictures if keyframe)
            return Loop(((first, True),), whole.extradata)
        path, width, height = what.rsplit(" ", 2)
        return encode_grey(pathlib.Path(path).read_bytes(), int(width), int(height), self._rate_hz)

    def _drops(self, packet: Packet, percent: int) -> bool:
        self._dropped = self._dropped + percent if not packet.keyframe else 0
        if self._dropped < 100:
            return False
        self._dropped -= 100
        return True


class BenchMicrophone(MockMicrophone):
    """The synthesised voice, or a WAV file, until it is unplugged."""

    def __init__(self, spec: MicrophoneSpec, clock: Clock, watcher: Watcher) -> None:
        super().__init__(spec.rate_hz, clock)
        self._watcher = watcher
        self._obey()

    def start(self, sink) -> None:
        self._obey()
        super().start(sink)

    def produce(self, until_s: float):
        self._obey()
        return super().produce(until_s)

    def _obey(self) -> None:
        if self._watcher.world.microphone_lost:
            self.lose()
        else:
            self.find()

    def _cut(self) -> bytes:
        sound = self._watcher.sound
        if not sound:
            return super()._cut()
        size = self.rate_hz // 50 * 2
        start = self._count * size % len(sound)
        self._count += 1
        return (sound[start : start + size] + sound)[:size]


class Watcher:
    """Reads the world file whenever it changes; an error of the stream that nobody has met yet waits for the next."""

    def __init__(self, path: pathlib.Path) -> None:
        self.errors_played = 0
        self.sound = b""
        self._path = path
        self._stamp = 0
        self._look()
        threading.Thread(target=self._watch, name="world", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_S)
            self._look()

    def _look(self) -> None:
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            self.world = load(self._path)
            self.sound = _samples(self.world.microphone_wav) if self.world.microphone_wav else b""
            self._stamp = stamp


def encode_grey(luma: bytes, width: int, height: int, rate_hz: int) -> Loop:
    """One grey picture as a loop of a single keyframe."""
    import av  # noqa: PLC0415 - loads FFmpeg

    from hal.encoder import H264Encoder  # noqa: PLC0415 - the same

    frame = av.VideoFrame(width, height, "yuv420p")
    rows = [luma[row * width : (row + 1) * width].ljust(frame.planes[0].line_size, b"\0") for row in range(height)]
    frame.planes[0].update(b"".join(rows))
    for plane in frame.planes[1:]:
        plane.update(bytes([GREY]) * (plane.line_size * plane.height))
    frame.pts = 0
    encoder = H264Encoder(width, height, Fraction(1, rate_hz), rate_hz, crf=26)
    packet = encoder.encode(frame)[0]
    return Loop(((bytes(packet), True),), encoder.extradata)


def _samples(path: str) -> bytes:
    with wave.open(path, "rb") as file:
        return file.readframes(file.getnframes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--world", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    _die_with(arguments.parent)
    watcher = Watcher(arguments.world)
    devices = Devices(
        lambda spec, clock: BenchCamera(spec, clock, watcher), lambda spec, clock: BenchMicrophone(spec, clock, watcher)
    )
    status = main(arguments.fd, devices)
    sys.stderr.flush()
    os._exit(status)
