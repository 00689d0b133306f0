"""Bytes of a ring: records in segments. `docs/journal.md` has the table of offsets.

A segment is a run of records from its first byte on. Its *ordinal* counts segments since the ring was made; segment
file `i` of `n` holds, one after another, the ordinals that leave the remainder `i`. So a record says by itself in which
lap it was written, and what an earlier lap left behind never reads as fresh.
"""

from __future__ import annotations

import enum
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = struct.Struct("<I2sBBIIQQQQ")
HEADER_SIZE = _HEADER.size
_MAGIC = b"\xfe\xc1"
"""Two bytes that no UTF-8 text contains: a payload cannot look like a record."""
_MAGIC_AT = 4
_CRC_FROM = 4

PAYLOAD_MAX = 16384
WRITE_MAX = 65536

Key = tuple[int, int]
"""Epoch and sequence number of the report that a record is about."""
NO_KEY: Key = (0, 0)


def write_max(segment_size: int) -> int:
    """Most bytes that one write carries, and so what may be torn at a power cut."""
    return min(WRITE_MAX, segment_size // 2)


def payload_max(segment_size: int) -> int:
    """Longest payload of one record; also the most that is wasted at the end of a segment."""
    return min(PAYLOAD_MAX, segment_size // 8)


class Kind(enum.IntEnum):
    """What a record holds."""

    EPOCH = 1
    """The panel started; the key's first number is the epoch."""
    REPORT = 2
    MARK = 3
    FINISH = 4
    """Reports that nothing more is expected for; the payload is their keys."""
    GAP = 5
    """Reports that were dropped for want of room."""
    HOLES = 6
    """Damaged places that were reported already; the payload is their ordinals and offsets."""
    UNREAD = 7
    """Segment files that could not be read: what lies in them counts though its lap is over; the payload is pairs of
    index and 0."""
    LAP = 8
    """A segment begins: what it held before is over, whatever of it is still to be seen."""


class Flag(enum.IntFlag):
    """Properties of a record."""

    NONE = 0
    FIRST = 1
    """The first record of its write: whatever lies before it in the segment had been synced."""
    TELLS_GAP = 2
    """A report that tells of every gap before it."""


class Draft(NamedTuple):
    """A record that is to be written."""

    kind: Kind
    key: Key
    payload: bytes
    flags: Flag = Flag.NONE

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return HEADER_SIZE + len(self.payload)


class Place(NamedTuple):
    """Where a record lies."""

    ordinal: int
    offset: int
    size: int


class Record(NamedTuple):
    """A record that was read and is whole."""

    kind: int
    flags: int
    ordinal: int
    serial: int
    epoch: int
    key: Key
    offset: int
    payload: bytes

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.ordinal, self.offset, HEADER_SIZE + len(self.payload))


def encode(draft: Draft, ordinal: int, serial: int, epoch: int, *, first: bool) -> bytes:
    """One record as it lies on disk."""
    flags = draft.flags | Flag.FIRST if first else draft.flags
    head = _HEADER.pack(
        0, _MAGIC, draft.kind, flags, len(draft.payload), ordinal, serial, epoch, draft.key[0], draft.key[1]
    )
    body = head[_CRC_FROM:] + draft.payload
    return zlib.crc32(body).to_bytes(4, "little") + body


def record_at(image: bytes | memoryview, offset: int) -> Record | None:
    """The record that begins at an offset; None when no whole one does."""
    if offset < 0 or offset + HEADER_SIZE > len(image):
        return None
    crc, magic, kind, flags, length, ordinal, serial, epoch, key_epoch, key_seq = _HEADER.unpack_from(image, offset)
    end = offset + HEADER_SIZE + length
    if magic != _MAGIC or length > PAYLOAD_MAX or end > len(image):
        return None
    if zlib.crc32(image[offset + _CRC_FROM : end]) != crc:
        return None
    payload = bytes(image[offset + HEADER_SIZE : end])
    return Record(kind, flags, ordinal, serial, epoch, (key_epoch, key_seq), offset, payload)


PAIRS_MAX = 256
"""Pairs of numbers that one payload carries."""


def pack_pairs(pairs: Iterable[tuple[int, int]]) -> bytes:
    """Payload of a finish or holes record."""
    flat = [number for pair in pairs for number in pair]
    return struct.pack(f"<{len(flat)}Q", *flat)


def unpack_pairs(payload: bytes) -> list[tuple[int, int]]:
    """Read what `pack_pairs` wrote; what is left over at the end is passed over."""
    flat = struct.unpack_from(f"<{len(payload) // 16 * 2}Q", payload)
    return list(zip(flat[::2], flat[1::2], strict=True))


class Scan(NamedTuple):
    """What one segment's bytes hold.

    Attributes:
        ordinal: Of its newest records; 0 when there is none.
        records: Those of this ordinal, in the order of writing.
        stale: Whole records that an earlier lap or a torn write left behind: they may be overwritten at any time.
        end: Where the next record goes.
        holes: Where something that had been synced is no longer whole: offset → how many records, at least.
        garbage: Whether it holds bytes that no cut of the power explains, and not one record.
    """

    ordinal: int
    records: list[Record]
    stale: list[Record]
    end: int
    holes: dict[int, int]
    garbage: bool


def scan(image: bytes, index: int, count: int) -> Scan:
    """Read every whole record of segment file `index` of `count`."""
    found = [record for record in _whole_records(image) if record.ordinal % count == index]
    if not found:
        return Scan(0, [], [], 0, {}, garbage=bool(image[write_max(len(image)) :].lstrip(b"\0")))
    ordinal = max(record.ordinal for record in found)
    records: list[Record] = []
    stale: list[Record] = []
    serial = 0
    for record in found:
        if record.ordinal == ordinal and record.serial > serial:
            records.append(record)
            serial = record.serial
        else:
            stale.append(record)
    holes, torn = _holes(records)
    if torn is not None:
        # The tail is cut here: what is whole behind it belongs to the same write, which was promised to nobody.
        stale += records[torn:]
        del records[torn:]
    end = records[-1].offset + HEADER_SIZE + len(records[-1].payload) if records else 0
    return Scan(ordinal, records, stale, end, holes, garbage=False)


def _whole_records(image: bytes) -> list[Record]:
    found: list[Record] = []
    offset = 0
    while True:
        record = record_at(image, offset)
        if record is None:
            # The search goes on behind this place's own magic, so that a damaged length cannot hide what follows it.
            magic = image.find(_MAGIC, offset + _MAGIC_AT + 1)
            if magic < 0:
                return found
            offset = magic - _MAGIC_AT
        else:
            found.append(record)
            offset += HEADER_SIZE + len(record.payload)


def _holes(records: list[Record]) -> tuple[dict[int, int], int | None]:
    """Where records are missing that had been synced, and the index of the first one behind a torn tail.

    Something was synced when a later write follows it; what only the rest of its own write follows was torn.
    """
    holes = {}
    expected, serial = 0, records[0].serial - 1
    hole: tuple[int, int, int] | None = None
    for index, record in enumerate(records):
        if record.offset != expected and hole is None:
            hole = (expected, max(1, record.serial - serial - 1), index)
        if hole is not None and record.flags & Flag.FIRST:
            holes[hole[0]] = hole[1]
            hole = None
        expected, serial = record.offset + HEADER_SIZE + len(record.payload), record.serial
    return holes, None if hole is None else hole[2]
