"""The microphone's sound: its ring, and every frame encoded at most once for all files and listeners."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from firmware.media.codecs import FRAME_S, CodecError
from firmware.media.rings import SoundRing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.media.codecs import Codecs, SoundEncoder
    from firmware.media.rings import SoundFrame
    from hal.types import AudioBlock

SLICE = 10
"""Frames of the pre-roll encoded at a time: some 3 ms of work, 20 ms on a slow board, between two live frames."""
PRIMING = 3
"""Frames that an encoder hears before the first that counts, so that it does not begin with a click."""


class SoundTrack:
    """Keeps the last seconds raw, and encodes only while somebody needs it.

    Live sound is encoded as it comes, so that it is never late; the pre-roll by a second encoder, in slices.

    Args:
        rate_hz: The microphone's.
        horizon_s: How far back the ring reaches.
        codecs: Makes the encoders.

    Synchronization: one thread.
    """

    def __init__(self, rate_hz: int, horizon_s: float, codecs: Codecs) -> None:
        self.rate_hz = rate_hz
        self._codecs = codecs
        self._ring = SoundRing(rate_hz, horizon_s)
        self._live: SoundEncoder | None = None
        self._late: SoundEncoder | None = None
        self._late_end_s = 0.0
        self._backlog: collections.deque[SoundFrame] = collections.deque()

    @property
    def backlog(self) -> bool:
        """Whether frames wait to be encoded."""
        return bool(self._backlog)

    def add(self, block: AudioBlock) -> list[SoundFrame]:
        """Keep a block; frames come back encoded while live sound runs.

        Raises:
            CodecError: The encoder failed; the frames are kept all the same, as silence in the files.
        """
        frames = self._ring.add(block)
        for frame in frames if self._live is not None else ():
            frame.opus = b""
            frame.opus = self._live.encode(frame.pcm) if self._live is not None else b""
        return frames

    def start(self) -> None:
        """Encode from now on; idempotent.

        Raises:
            CodecError: There is no encoder.
        """
        if self._live is None:
            self._live = self._primed(float("inf"))

    def stop(self) -> None:
        """Encode no more than what is asked for by `since`."""
        self._live = None

    def since(self, start_s: float) -> list[SoundFrame]:
        """Frames from `start_s` to now; those not encoded yet will be, by `step`."""
        frames = self._ring.since(start_s)
        self._encode_later(frame for frame in frames if frame.opus is None)
        return frames

    def step(self) -> None:
        """Encode a slice of the backlog.

        Raises:
            CodecError: The encoder failed; the frame is left out.
        """
        for _ in range(min(SLICE, len(self._backlog))):
            frame = self._backlog.popleft()
            if frame.opus is None:
                frame.opus = b""
                frame.opus = self._encoder_at(frame.time_s).encode(frame.pcm)
                self._late_end_s = frame.time_s + FRAME_S
        if not self._backlog:
            self._late = None

    def _encode_later(self, frames: Iterable[SoundFrame]) -> None:
        waiting = {id(frame) for frame in self._backlog}
        fresh = [frame for frame in frames if id(frame) not in waiting]
        self._backlog = collections.deque(sorted([*self._backlog, *fresh], key=lambda frame: frame.time_s))

    def _encoder_at(self, time_s: float) -> SoundEncoder:
        if self._late is None or abs(time_s - self._late_end_s) > FRAME_S / 2:
            self._late = self._primed(time_s)
        return self._late

    def _primed(self, time_s: float) -> SoundEncoder:
        try:
            encoder = self._codecs.sound(self.rate_hz)
            for frame in self._ring.before(time_s, PRIMING):
                encoder.encode(frame.pcm)
        except CodecError:
            for frame in self._backlog:
                frame.opus = b""
            self._backlog.clear()
            raise
        return encoder
