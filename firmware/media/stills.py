"""A still: the newest picture of a camera, decoded only when one is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.media.codecs import CodecError

if TYPE_CHECKING:
    from firmware.media.codecs import Codecs, StillDecoder
    from firmware.media.rings import Picture, PictureRing

SLICE = 8
"""Packets decoded at a time: some 4 ms of work at 720p, 30 ms on a slow board, between two frames of live sound."""


class StillMaker:
    """Makes one still at a time, in slices; each packet is decoded at most once.

    Args:
        codecs: Makes the decoder.
        ring: The camera's pictures.

    Synchronization: one thread.
    """

    def __init__(self, codecs: Codecs, ring: PictureRing) -> None:
        self._codecs = codecs
        self._ring = ring
        self._decoder: StillDecoder | None = None
        self._fed = -1
        self._target = -1
        self._shown = -1

    @property
    def busy(self) -> bool:
        """Whether a still is in the making."""
        return self._target >= 0

    def begin(self) -> bool:
        """Start on the newest picture; False when there is none newer than the last still."""
        group = self._ring.last_group()
        if self.busy or not group or group[-1].number <= self._shown:
            return False
        self._target = group[-1].number
        return True

    def step(self) -> tuple[bytes, float] | None:
        """Decode a slice; the JPEG and its picture's monotonic time once it is made.

        Raises:
            CodecError: This still cannot be made.
        """
        try:
            return self._step()
        except CodecError:
            self.reset()
            raise

    def reset(self) -> None:
        """Give the decoder back; what was begun is dropped."""
        self._decoder = None
        self._fed = self._target = -1

    def _step(self) -> tuple[bytes, float] | None:
        group = self._ring.last_group()
        if not group or self._ring.format is None:
            self._target = -1
            return None
        if self._decoder is None:
            self._decoder, self._fed = self._codecs.still(self._ring.format), -1
        todo = [picture for picture in group if picture.number > self._fed][:SLICE]
        for picture in todo:
            self._decoder.feed(picture.data)
            self._fed = picture.number
        return self._take(self._decoder, group) if self._fed >= self._target else None

    def _take(self, decoder: StillDecoder, group: list[Picture]) -> tuple[bytes, float] | None:
        self._target, self._shown = -1, self._fed
        jpeg = decoder.jpeg()
        time_s = next(picture.time_s for picture in group if picture.number >= self._fed)
        return None if jpeg is None else (jpeg, time_s)
