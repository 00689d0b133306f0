"""The moving test picture: real H.264, encoded once, a few seconds long.

Colour bars, a rough block that wanders (so that the encoder has work), a clock of the loop's own time, and at the
bottom edge eight cells that show the picture's number in the loop as bits, the highest left: a decoded picture tells by
itself when it was taken.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

GOP_S: Final = 2
"""Seconds from keyframe to keyframe: the encoder's."""
GOPS: Final = 2
CELLS: Final = 8
"""Bits of a picture's number: enough for 4 s at 60 Hz."""
DARK: Final = 16
LIGHT: Final = 235
_BARS: Final = ((180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58), (84, 184, 198), (65, 100, 212))
"""Y, Cb, Cr of white, yellow, cyan, green, magenta and red at 75 %."""

#  aaa
# f   b   the strokes of one digit, as left, top, width, height in sixths of a digit 4 wide and 7 high
#  ggg
# e   c
#  ddd
_STROKES: Final = {
    "a": (0, 0, 4, 1),
    "b": (3, 0, 1, 4),
    "c": (3, 3, 1, 4),
    "d": (0, 6, 4, 1),
    "e": (0, 3, 1, 4),
    "f": (0, 0, 1, 4),
    "g": (0, 3, 4, 1),
}
_DIGITS: Final = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


@dataclass(frozen=True, slots=True)
class Loop:
    """Encoded pictures that begin with a keyframe and may be sent again and again.

    Attributes:
        pictures: (Annex B bytes, whether a keyframe), in the order of sending.
        extradata: The decoder's set-up, Annex B.
    """

    pictures: tuple[tuple[bytes, bool], ...]
    extradata: bytes


@functools.lru_cache(maxsize=4)
def encode(width: int, height: int, rate_hz: int) -> Loop:
    """Encode the loop; kept, because a panel with two test cameras needs it once.

    Args:
        width: Pixels, even.
        height: Pixels, even.
        rate_hz: Pictures a second, up to 60.

    Synchronization: any thread.
    """
    import av  # noqa: PLC0415 - loads FFmpeg, which a simulation without pictures does not need

    from hal.encoder import H264Encoder  # noqa: PLC0415 - the same

    encoder = H264Encoder(width, height, Fraction(1, rate_hz), rate_hz, crf=26)
    frames = _frames(av.VideoFrame(width, height, "yuv420p"), rate_hz)
    packets = [packet for frame in frames for packet in encoder.encode(frame)]
    return Loop(tuple((bytes(packet), packet.is_keyframe) for packet in packets), encoder.extradata)


def _frames(frame: Any, rate_hz: int) -> Iterator[Any]:
    canvas = _Canvas(frame.planes[0].line_size, frame.width, frame.height)
    for plane, part in zip(frame.planes[1:], (1, 2), strict=True):
        plane.update(_bars(plane.line_size, frame.width // 2, part) * plane.height)
    for number in range(GOPS * GOP_S * rate_hz):
        frame.planes[0].update(canvas.draw(number, rate_hz))
        frame.pts = number
        yield frame


def _bars(stride: int, width: int, part: int) -> bytes:
    row = bytes(_BARS[x * len(_BARS) // width][part] for x in range(width))
    return row.ljust(stride, b"\0")


class _Canvas:
    """The brightness of one picture after another."""

    def __init__(self, stride: int, width: int, height: int) -> None:
        self._stride, self._width, self._height = stride, width, height
        self._empty = _bars(stride, width, 0) * height
        self._unit = max(1, width // 80)
        side = height // 4
        self._rough = random.Random(1).randbytes(side * side)  # noqa: S311 - a texture
        self._side = side

    def draw(self, number: int, rate_hz: int) -> bytes:
        self._luma = bytearray(self._empty)
        self._wander(number, rate_hz)
        self._clock(number * 100 // rate_hz)
        self._cells(number)
        return bytes(self._luma)

    def _wander(self, number: int, rate_hz: int) -> None:
        # Through the picture once a GOP, so that it never jumps at the loop's seam.
        left = (self._width - self._side) * (number % (GOP_S * rate_hz)) // (GOP_S * rate_hz)
        for row in range(self._side):
            start = (self._height // 2 + row) * self._stride + left
            self._luma[start : start + self._side] = self._rough[row * self._side : (row + 1) * self._side]

    def _clock(self, hundredths: int) -> None:
        unit = self._unit
        self._box(unit, unit, 29 * unit, 11 * unit, DARK)
        for place, digit in enumerate((hundredths // 1000, hundredths // 100, hundredths // 10, hundredths)):
            left = (3 + 6 * place + (2 if place > 1 else 0)) * unit
            for stroke in _DIGITS[digit % 10]:
                x, y, width, height = _STROKES[stroke]
                self._box(left + x * unit, (3 + y) * unit, width * unit, height * unit, LIGHT)
        self._box(15 * unit, 9 * unit, unit, unit, LIGHT)

    def _cells(self, number: int) -> None:
        width, height = self._width // CELLS, max(self._height // 16, 4)
        for cell in range(CELLS):
            bit = number >> (CELLS - 1 - cell) & 1
            self._box(cell * width, self._height - height, width, height, LIGHT if bit else DARK)

    def _box(self, left: int, top: int, width: int, height: int, brightness: int) -> None:
        line = bytes([brightness]) * width
        for row in range(top, min(top + height, self._height)):
            start = row * self._stride + left
            self._luma[start : start + width] = line
