"""What of H.264 and H.265 must be understood without a decoder: where the parameter sets are.

Annex B byte streams: each unit begins with 00 00 01; its first byte tells its type (H.264 7.3.1, H.265 7.3.1.2).
"""

from __future__ import annotations

from typing import Final

_START: Final = b"\0\0\1"
_SETS: Final = {"h264": (7, 8), "hevc": (32, 33, 34)}
"""SPS and PPS; VPS, SPS and PPS."""


def parameter_sets(data: bytes, codec: str) -> bytes:
    """The parameter sets inside a picture, as Annex B; empty where there are none.

    Args:
        data: An encoded picture in Annex B form.
        codec: "h264" or "hevc".
    """
    # The zeros before the next start code belong to that code, not to the unit before it.
    units = (unit.rstrip(b"\0") for unit in data.split(_START)[1:])
    return b"".join(b"\0" + _START + unit for unit in units if unit and _type(unit, codec) in _SETS[codec])


def _type(unit: bytes, codec: str) -> int:
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F
