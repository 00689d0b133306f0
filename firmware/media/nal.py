"""What must be known of H.264 and H.265 to put their packets into MP4 without decoding anything.

Sources: ITU-T H.264 and H.265, Annex B (byte stream) and clause 7.3 (parameter sets); ISO/IEC 14496-15 (avcC, hvcC).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hal.types import VideoFormat

_START = b"\0\0\1"
_H264_SPS, _H264_PPS = 7, 8
_H265_SETS = (32, 33, 34)
_SPS_MIN = 4
_PTL = slice(3, 15)
"""Where the twelve bytes of profile, tier and level stand in an H.265 SPS, after its header and one byte."""


class PictureError(ValueError):
    """A stream that cannot go into a file; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """The set-up of a decoder as MP4 holds it.

    Attributes:
        entry: Four letters of the sample entry.
        box: Four letters of the configuration box.
        record: Content of that box.
        annex_b: Whether packets are byte streams, to be rewritten with length prefixes.
    """

    entry: bytes
    box: bytes
    record: bytes
    annex_b: bool


def decoder_of(video: VideoFormat, keyframe: bytes) -> Decoder:
    """The decoder's set-up, out of the format's own extradata or else out of a keyframe.

    Raises:
        PictureError: Neither holds the parameter sets, or the codec is another than h264 and hevc.
    """
    if video.codec not in ("h264", "hevc"):
        raise PictureError(
            f"the camera sends {video.codec!r}; only h264 and hevc are kept: set the camera to one of them"
        )
    entry, box = (b"avc1", b"avcC") if video.codec == "h264" else (b"hvc1", b"hvcC")
    extradata = video.extradata
    if extradata[:1] == b"\1":
        return Decoder(entry, box, extradata, annex_b=False)
    units = units_of(extradata) or units_of(keyframe)
    if not _record(video.codec, units):
        units = units_of(keyframe)
    record = _record(video.codec, units)
    if not record:
        raise PictureError(f"{video.codec} without parameter sets: neither its set-up nor its keyframe holds them")
    return Decoder(entry, box, record, annex_b=True)


def units_of(stream: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream, without start codes and the zeros before them."""
    begin = stream.find(_START)
    units = []
    while begin >= 0:
        following = stream.find(_START, begin + 3)
        unit = stream[begin + 3 : following] if following >= 0 else stream[begin + 3 :]
        unit = unit.rstrip(b"\0")
        if unit:
            units.append(unit)
        begin = following
    return units


def prefixed(units: Iterable[bytes]) -> bytes:
    """The same units, each after its length in four bytes."""
    return b"".join(piece for unit in units for piece in (struct.pack(">I", len(unit)), unit))


def _record(codec: str, units: list[bytes]) -> bytes:
    return _avc_record(units) if codec == "h264" else _hevc_record(units)


def _avc_record(units: list[bytes]) -> bytes:
    sps = [unit for unit in units if unit[0] & 0x1F == _H264_SPS and len(unit) >= _SPS_MIN]
    pps = [unit for unit in units if unit[0] & 0x1F == _H264_PPS]
    if not sps or not pps:
        return b""
    sps, pps = _unlike(sps)[:31], _unlike(pps)[:255]
    return b"".join(
        (b"\1", sps[0][1:4], b"\xff", bytes((0xE0 | len(sps),)), _sets(sps), bytes((len(pps),)), _sets(pps))
    )


def _hevc_record(units: list[bytes]) -> bytes:
    arrays = [(kind, _unlike(unit for unit in units if unit[0] >> 1 & 0x3F == kind)) for kind in _H265_SETS]
    if not all(found for _, found in arrays):
        return b""
    sps = arrays[1][1][0].replace(b"\0\0\3", b"\0\0")
    if len(sps) < _PTL.stop:
        return b""
    # The eight-bit 4:2:0 that network cameras send; a decoder believes the SPS, not this summary of it.
    summary = b"\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f"
    head = b"\1" + sps[_PTL] + summary + bytes((len(arrays),))
    body = [struct.pack(">BH", 0x80 | kind, len(found)) + _sets(found) for kind, found in arrays]
    return head + b"".join(body)


def _unlike(units: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(units))


def _sets(units: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
