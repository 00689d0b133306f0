"""MP4 in fragments: pictures copied, Opus beside them, playable up to the last whole fragment at any moment.

Written here and not by FFmpeg's muxer because evidence must survive a cut: each call gives the bytes of one whole
fragment, so what is on disk is a playable file plus at most one piece that `playable_length` cuts off.
Sources: ISO/IEC 14496-12 (boxes), 14496-15 (avc1, hvc1), "Encapsulation of Opus in ISO Base Media File Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.media.nal import Decoder

VIDEO_HZ = 90_000
"""Time units a second of the picture track."""
SOUND_HZ = 48_000
"""Time units a second of the sound track: Opus' own clock."""
PRE_SKIP = 312
"""Samples by which libopus delays its sound (RFC 7845, section 5.1 asks for the encoder's value)."""
_MOVIE_HZ = 1000
_EPOCH_1904_S = 2_082_844_800
_U32 = 2**32
_KEY, _DELTA = 0x02000000, 0x01010000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_FRAGMENT_HEAD = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture or one sound packet.

    Attributes:
        data: As it is written.
        time: Decoding time in units of its track, from the file's zero.
        duration: In the same units.
        shift: Presentation minus decoding time.
        key: Whether decoding may start here; every sound packet may.
    """

    data: bytes
    time: int
    duration: int
    shift: int = 0
    key: bool = True


@dataclass(frozen=True, slots=True)
class PictureTrack:
    """What the picture track shows."""

    decoder: Decoder
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to be put at an offset once a file is complete."""

    offset: int
    data: bytes


class FragmentedMp4:
    """Makes the bytes of one file.

    Args:
        pictures: The picture track, if there is one.
        sound_hz: Rate of the microphone, if there is one; the file always has Opus' 48 kHz clock.
        utc_s: Wall clock at the file's zero; written as the time of creation.

    Synchronization: one thread.
    """

    def __init__(self, pictures: PictureTrack | None, sound_hz: int | None, utc_s: float) -> None:
        self._pictures = pictures
        self._sound_hz = sound_hz
        self._created = int(utc_s) + _EPOCH_1904_S if 0 <= utc_s < _U32 - _EPOCH_1904_S else 0
        self._sequence = 0
        self._length = 0
        self._entry_points: list[tuple[int, int]] = []
        self._end_s = 0.0
        self._place_of_length = 0

    def header(self) -> bytes:
        """The file's beginning: what there is, but nothing of it."""
        kind = _box(b"ftyp", b"iso5", struct.pack(">I", 512), b"iso5iso6mp41")
        head = kind + _box(b"moov", self._movie(), *self._tracks(), self._extends())
        self._place_of_length = head.rindex(b"free")
        self._length = len(head)
        return head

    def fragment(self, pictures: Sequence[Sample], sound: Sequence[Sample]) -> bytes:
        """The bytes of the next fragment; at least one sample in all."""
        self._sequence += 1
        tracks = [(number, samples) for number, samples in ((1, pictures), (2, sound)) if samples]
        # The runs hold the offsets of their data, which depend on the length of the runs: measured with zeros first.
        skeleton = self._moof(tracks, 0)
        moof = self._moof(tracks, len(skeleton) + 8)
        fragment = moof + _box(b"mdat", *(sample.data for _, samples in tracks for sample in samples))
        if pictures and pictures[0].key:
            self._entry_points.append((pictures[0].time + pictures[0].shift, self._length))
        self._length += len(fragment)
        ends = [(pictures[-1].time + pictures[-1].duration) / VIDEO_HZ] if pictures else []
        ends += [(sound[-1].time + sound[-1].duration) / SOUND_HZ] if sound else []
        self._end_s = max(self._end_s, *ends)
        return fragment

    def end(self) -> tuple[bytes, Patch]:
        """The index at the file's end, and what makes its length known at its beginning."""
        points = [struct.pack(">QQBBB", time, offset, 1, 1, 1) for time, offset in self._entry_points]
        index = _full(b"tfra", 1, 0, struct.pack(">III", 1, 0, len(points)), *points)
        length = 8 + len(index) + 16
        tail = _box(b"mfra", index, _full(b"mfro", 0, 0, struct.pack(">I", length)))
        duration = struct.pack(">Q", int(self._end_s * _MOVIE_HZ))
        return tail, Patch(self._place_of_length, b"mehd" + struct.pack(">I", 1 << 24) + duration)

    def _movie(self) -> bytes:
        times = struct.pack(">IIII", self._created, self._created, _MOVIE_HZ, 0)
        settings = struct.pack(">IHHII", 0x10000, 0x0100, 0, 0, 0)
        return _full(b"mvhd", 0, 0, times, settings, _MATRIX, bytes(24), struct.pack(">I", 3))

    def _tracks(self) -> list[bytes]:
        tracks = []
        if self._pictures is not None:
            size = (self._pictures.width, self._pictures.height)
            header = _full(b"vmhd", 0, 1, bytes(8))
            tracks.append(self._track(VIDEO_HZ, b"vide", header, _picture_entry(self._pictures), size))
        if self._sound_hz is not None:
            entry = _sound_entry(self._sound_hz)
            tracks.append(self._track(SOUND_HZ, b"soun", _full(b"smhd", 0, 0, bytes(4)), entry, (0, 0)))
        return tracks

    def _track(self, hz: int, handler: bytes, media_header: bytes, entry: bytes, size: tuple[int, int]) -> bytes:
        number, volume = (2, 0x0100) if handler == b"soun" else (1, 0)
        times = struct.pack(">IIIII", self._created, self._created, number, 0, 0)
        place = struct.pack(">IIHHHH", 0, 0, 0, 0, volume, 0)
        shown = struct.pack(">II", size[0] << 16, size[1] << 16)
        head = _full(b"tkhd", 0, 3, times, place, _MATRIX, shown)
        clock = _full(b"mdhd", 0, 0, struct.pack(">IIIIHH", self._created, self._created, hz, 0, 0x55C4, 0))
        name = _full(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"gatebooth\0")
        return _box(b"trak", head, _box(b"mdia", clock, name, _box(b"minf", media_header, _HERE, _table(entry))))

    def _extends(self) -> bytes:
        # A place for `mehd`, which is true only of a complete file; until then these bytes are free.
        length = _box(b"free", bytes(12))
        tracks = []
        if self._pictures is not None:
            tracks.append(_full(b"trex", 0, 0, struct.pack(">IIIII", 1, 1, 0, 0, _DELTA)))
        if self._sound_hz is not None:
            tracks.append(_full(b"trex", 0, 0, struct.pack(">IIIII", 2, 1, 0, 0, _KEY)))
        return _box(b"mvex", length, *tracks)

    def _moof(self, tracks: Sequence[tuple[int, Sequence[Sample]]], offset: int) -> bytes:
        runs = []
        for number, samples in tracks:
            head = _full(b"tfhd", 0, 0x020000, struct.pack(">I", number))
            time = _full(b"tfdt", 1, 0, struct.pack(">Q", samples[0].time))
            runs.append(_box(b"traf", head, time, _run(samples, offset)))
            offset += sum(len(sample.data) for sample in samples)
        return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", self._sequence)), *runs)


def playable_length(file: BinaryIO, size: int) -> int:
    """How many bytes of a cut file are whole: up to its last complete fragment; 0 when not even one is.

    Args:
        file: Open for reading and seekable.
        size: Its length.

    Raises:
        OSError: It cannot be read.
    """
    place, whole, open_fragment, seen = 0, 0, False, set()
    while place + 8 <= size:
        file.seek(place)
        head = file.read(_FRAGMENT_HEAD)
        length, kind = struct.unpack(">I4s", head[:8])
        if length < 8 or place + length > size:  # noqa: PLR2004 - a box is never shorter than its head
            break
        place += length
        seen.add(kind)
        if kind == b"mdat" and open_fragment:
            whole = place
        open_fragment = kind == b"moof"
    return whole if {b"ftyp", b"moov"} <= seen else 0


def _run(samples: Sequence[Sample], offset: int) -> bytes:
    rows = [
        struct.pack(">IIIi", sample.duration, len(sample.data), _KEY if sample.key else _DELTA, sample.shift)
        for sample in samples
    ]
    return _full(b"trun", 1, 0xF01, struct.pack(">Ii", len(samples), offset), *rows)


def _picture_entry(track: PictureTrack) -> bytes:
    size = struct.pack(">HH", track.width, track.height)
    look = struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    decoder = track.decoder
    return _box(decoder.entry, bytes(6), struct.pack(">H", 1), bytes(16), size, look, _box(decoder.box, decoder.record))


def _sound_entry(rate_hz: int) -> bytes:
    shape = struct.pack(">HHHHI", 1, 16, 0, 0, SOUND_HZ << 16)
    opus = _box(b"dOps", struct.pack(">BBHIhB", 0, 1, PRE_SKIP, rate_hz, 0, 0))
    return _box(b"Opus", bytes(6), struct.pack(">H", 1), bytes(8), shape, opus)


def _table(entry: bytes) -> bytes:
    none = struct.pack(">I", 0)
    return _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        _full(b"stts", 0, 0, none),
        _full(b"stsc", 0, 0, none),
        _full(b"stsz", 0, 0, none, none),
        _full(b"stco", 0, 0, none),
    )


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


_HERE = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
