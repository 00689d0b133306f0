"""A microphone that hears the synthesised voice, and a loudspeaker that keeps what it is given."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from hal.errors import DeviceLost
from hal.mock.voice import speak
from hal.types import AudioBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock

log = logging.getLogger(__name__)

BLOCK_S: Final = 0.02
_BLOCKS_A_SECOND: Final = 50
_ALIVE_S: Final = 0.5
_KEPT_BLOCKS: Final = 60 * _BLOCKS_A_SECOND
_PLAY_AHEAD_S: Final = 0.1
"""Sound that a loudspeaker takes before it makes the writer wait."""


class MockMicrophone:
    """A microphone in front of somebody who calls for help, with pauses, for ever.

    In real time a thread of its own paces the blocks. In virtual time `produce` returns what is due; call it after
    `start` and hand the blocks on yourself.

    Args:
        rate_hz: Samples a second.
        clock: Dates the blocks and, in real time, paces them.
        real_time: Whether `start` starts the pacing thread.

    Synchronization: `start`, `produce` and `close` from one thread; the sink is called on the pacing thread; faults and
        `alive` from any.
    """

    def __init__(self, rate_hz: int, clock: Clock, *, real_time: bool = True) -> None:
        self._rate_hz = rate_hz
        self._clock = clock
        self._real_time = real_time
        self._sink: Callable[[AudioBlock], None] | None = None
        self._count = 0
        self._next_s: float | None = None
        self._last_s = -math.inf
        self._frozen = False
        self._lost = False
        self._broken = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = False

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self._rate_hz

    def start(self, sink: Callable[[AudioBlock], None]) -> None:
        """Have `sink` called with every block; the voice begins anew."""
        self.close()
        if self._lost:
            raise DeviceLost("the simulated microphone is not there; it was taken away")
        self._broken = False
        self._sink = sink
        self._count = 0
        self._next_s = self._clock.now().mono_s
        if self._real_time:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._pace, args=(self._stop,), name="microphone", daemon=True)
            self._thread.start()

    def alive(self) -> bool:
        """Whether a block came within the last 500 ms."""
        return self._next_s is not None and self._clock.now().mono_s - self._last_s <= _ALIVE_S

    def close(self) -> None:
        """Stop the blocks."""
        self._sink = None
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._next_s = None

    def freeze(self) -> None:
        """Hang: blocks stop without an error."""
        self._frozen = True

    def thaw(self) -> None:
        """Go on after a hang; the sound of meanwhile is lost."""
        self._frozen = False

    def lose(self) -> None:
        """Vanish from the bus: blocks stop without an error, and `start` fails."""
        self._lost = self._broken = True

    def find(self) -> None:
        """Be plugged in again; a stream that was lost stays dead until `start`."""
        self._lost = False

    def produce(self, until_s: float) -> list[AudioBlock]:
        """The blocks whose last sample was picked up by a moment (monotonic seconds), oldest first."""
        blocks: list[AudioBlock] = []
        while self._next_s is not None and self._next_s + BLOCK_S <= until_s:
            start_s = self._next_s
            self._next_s = start_s + BLOCK_S
            if not (self._frozen or self._broken):
                blocks.append(AudioBlock(self._cut(), self._rate_hz, start_s))
                self._last_s = self._next_s
        return blocks

    def _cut(self) -> bytes:
        voice = speak(self._rate_hz)
        size = 2 * self._rate_hz // _BLOCKS_A_SECOND
        start = self._count * size % len(voice)
        self._count += 1
        return voice[start : start + size]

    def _pace(self, stop: threading.Event) -> None:
        while (next_s := self._next_s) is not None:
            if stop.wait(max(0.0, next_s + BLOCK_S - self._clock.now().mono_s)):
                return
            for block in self.produce(self._clock.now().mono_s):
                self._hand_over(block)

    def _hand_over(self, block: AudioBlock) -> None:
        try:
            if self._sink is not None:
                self._sink(block)
        except Exception:  # the outermost frame of the pacing thread, as in the real microphone's callback
            if not self._complained:
                log.exception("a block of sound was lost; further losses are not logged")
            self._complained = True


class MockLoudspeaker:
    """A loudspeaker whose sound can be looked at.

    Args:
        rate_hz: Samples a second.
        real_time: Whether `write` waits as a device does that has 100 ms of sound in hand.

    Attributes:
        played: The blocks of the last minute, oldest first.

    Synchronization: one thread; `played` may be read from any.
    """

    def __init__(self, rate_hz: int, *, real_time: bool = True) -> None:
        self.played: deque[AudioBlock] = deque(maxlen=_KEPT_BLOCKS)
        self._rate_hz = rate_hz
        self._real_time = real_time
        self._done_s = 0.0
        self._lost = False
        self._closed = False

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self._rate_hz

    def write(self, block: AudioBlock) -> None:
        """Play a block."""
        if self._closed:
            raise DeviceLost("the simulated loudspeaker is closed")
        if block.rate_hz != self._rate_hz:
            raise ValueError(f"a block of {block.rate_hz} Hz for a loudspeaker of {self._rate_hz} Hz")
        if self._lost:
            raise DeviceLost("the simulated loudspeaker is not there; it was taken away")
        self.played.append(block)
        if self._real_time:
            now_s = time.monotonic()
            self._done_s = max(self._done_s, now_s) + block.duration_s
            time.sleep(max(0.0, self._done_s - now_s - _PLAY_AHEAD_S))

    def close(self) -> None:
        """Give the device back."""
        self._closed = True

    def lose(self) -> None:
        """Vanish from the bus."""
        self._lost = True

    def find(self) -> None:
        """Be plugged in again."""
        self._lost = False
