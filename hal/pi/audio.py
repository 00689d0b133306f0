"""Microphone and loudspeaker by PyAudio.

A sound device may hang inside the library for as long as it likes, and no call of the library gets it back. These
classes therefore live in a process of their own; the one that watches it looks at `alive` and kills it.
"""

from __future__ import annotations

import logging
import math
import queue
from typing import TYPE_CHECKING, Any, Final

import pyaudio

from hal.errors import DeviceLost
from hal.pi import sound_library
from hal.types import AudioBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock

log = logging.getLogger(__name__)

ALIVE_S: Final = 0.5
"""Oldest block that still counts as sound: 25 blocks of 20 ms; PortAudio itself goes on believing in a hung device."""

AHEAD_BLOCKS: Final = 3
"""Blocks that wait to be played, besides those that the device itself has in hand."""
HUNG_S: Final = 2.0
"""A device that plays takes a block every 20 ms; it may begin late, by 1.5 s on some sound servers."""


class PiMicrophone:
    """A microphone through PortAudio, in callback mode.

    Args:
        device: The device's name or a part of it.
        rate_hz: Samples a second.
        clock: Dates the blocks.

    Synchronization: `start` and `close` from one thread; the sink is called on PortAudio's thread; `alive` from any.
    """

    def __init__(self, device: str, rate_hz: int, clock: Clock) -> None:
        self._device = device
        self._rate_hz = rate_hz
        self._clock = clock
        self._sink: Callable[[AudioBlock], None] | None = None
        self._handles: tuple[Any, Any] | None = None
        self._last_s = -math.inf
        self._complained = False

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self._rate_hz

    def start(self, sink: Callable[[AudioBlock], None]) -> None:
        """Open the device and have `sink` called with every block."""
        self.close()
        self._sink = sink
        self._handles = sound_library.open_stream("microphone", self._device, self._rate_hz, self._on_block)

    def alive(self) -> bool:
        """Whether a block came within the last 500 ms."""
        return self._handles is not None and self._clock.now().mono_s - self._last_s <= ALIVE_S

    def close(self) -> None:
        """Stop the blocks."""
        self._sink = None
        handles, self._handles = self._handles, None
        if handles is not None:
            sound_library.release(*handles)

    def _on_block(self, pcm: bytes, _frames: int, _times: object, _status: int) -> tuple[None, int]:
        try:
            self._hand_over(pcm)
        except Exception:  # the outermost frame of PortAudio's thread: PyAudio would raise it in the main thread
            if not self._complained:
                log.exception("a block of sound was lost; further losses are not logged")
            self._complained = True
        return None, pyaudio.paContinue

    def _hand_over(self, pcm: bytes) -> None:
        now_s = self._clock.now().mono_s
        self._last_s = now_s
        sink = self._sink
        if sink is not None:
            sink(AudioBlock(pcm, self._rate_hz, now_s - len(pcm) / 2 / self._rate_hz))


class PiLoudspeaker:
    """A loudspeaker through PortAudio, in callback mode; the device is opened by the first block.

    PortAudio's blocking mode waits for ever for a device that was pulled out (seen with ALSA's loopback card). Here the
    library fetches the blocks; a device for which it fetches none for HUNG_S is lost. After `DeviceLost` the next block
    looks for the device anew.

    Args:
        device: The device's name or a part of it.
        rate_hz: Samples a second.

    Synchronization: one thread.
    """

    def __init__(self, device: str, rate_hz: int) -> None:
        self._device = device
        self._rate_hz = rate_hz
        self._handles: tuple[Any, Any] | None = None
        self._rest = bytearray()
        self._waiting: queue.Queue[bytes] = queue.Queue(AHEAD_BLOCKS)
        self._closed = False

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self._rate_hz

    def write(self, block: AudioBlock) -> None:
        """Play a block; returns when it is among the next to be played. The device itself takes 20 ms at a time."""
        if self._closed:
            raise DeviceLost(f"loudspeaker {self._device!r} is closed")
        if block.rate_hz != self._rate_hz:
            raise ValueError(f"a block of {block.rate_hz} Hz for loudspeaker {self._device!r} of {self._rate_hz} Hz")
        self._rest += block.pcm
        size = 2 * (self._rate_hz // sound_library.BLOCKS_A_SECOND)
        try:
            while len(self._rest) >= size:
                self._put(bytes(self._rest[:size]))
                del self._rest[:size]
        except DeviceLost:
            self._release()
            raise

    def close(self) -> None:
        """Give the device back; what was not played is not heard."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        handles, self._handles = self._handles, None
        if handles is not None:
            sound_library.release(*handles)
        self._waiting = queue.Queue(AHEAD_BLOCKS)
        self._rest.clear()

    def _put(self, pcm: bytes) -> None:
        try:
            self._waiting.put(pcm, timeout=HUNG_S)
        except queue.Full:
            raise DeviceLost(
                f"loudspeaker {self._device!r} takes no sound for {HUNG_S} s; is it unplugged, or does it hang?"
            ) from None
        if self._handles is None:
            self._handles = sound_library.open_stream("loudspeaker", self._device, self._rate_hz, self._fetch)

    def _fetch(self, _pcm: None, frames: int, _times: object, _status: int) -> tuple[bytes, int]:
        try:
            # The writer is often just about to bring the next.
            return self._waiting.get(timeout=frames / self._rate_hz), pyaudio.paContinue
        except queue.Empty:
            return bytes(2 * frames), pyaudio.paContinue
