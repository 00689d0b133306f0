"""A ring of preallocated segment files: the one storage primitive for everything that must survive.

The ring knows bytes, not alarms: it appends records, says how much room there is, and keeps account of what must not
be overwritten. Its owner decides what is copied forward (`journal_alarms`) and what is dropped (`journal_events`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from firmware.adapters.ring_files import Disk, Segment
from firmware.adapters.ring_format import (
    HEADER_SIZE,
    NO_KEY,
    PAIRS_MAX,
    Draft,
    Kind,
    Place,
    Record,
    Scan,
    encode,
    pack_pairs,
    payload_max,
    record_at,
    scan,
    unpack_pairs,
    write_max,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_SECTOR = 512


class Layout(NamedTuple):
    """Geometry of a ring.

    Attributes:
        name: Of its files: `NAME-COUNTxSIZE-INDEX.seg`.
        segments: How many files.
        size: Bytes of each.
    """

    name: str
    segments: int
    size: int

    @classmethod
    def of(cls, name: str, kib: int, segments: int) -> Layout:
        """Segments of whole sectors that take `kib` KiB together, at most."""
        return cls(name, segments, kib * 1024 // segments // _SECTOR * _SECTOR)

    def file(self, index: int) -> str:
        """Name of one segment file."""
        return f"{self.name}-{self.segments}x{self.size}-{index}.seg"


class Ring:
    """Segments in a circle.

    Attributes:
        layout: Geometry.
        epoch: Written into every record.
        findings: What was wrong with files, for a technician; whoever reports it clears the list.
        started: Whether there was enough to write to when it was opened. Only a ring that was not may be opened anew:
            what a started one cannot write or read at present is put right by `check`.

    Synchronization: `read` from any thread; the rest from the journal's.
    """

    def __init__(self, folder: Path, layout: Layout, disk: Disk) -> None:
        self.layout = layout
        self.epoch = 0
        self.findings: list[str] = []
        self.started = False
        self._holes: dict[tuple[int, int], int] = {}
        self._known_holes: set[tuple[int, int]] = set()
        self._segments = [Segment(disk, folder / layout.file(index), layout.size) for index in range(layout.segments)]
        self._scans: dict[int, Scan] = {}
        self._late: set[int] = set()
        self._used: dict[int, int] = {}
        self._owed: set[int] = set()
        self._held: dict[int, int] = {}
        self._head = 0
        self._position = 0
        self._serial = 1

    # ---- start

    def load(self, index: int) -> Scan:
        """Open and read one segment file, making it if need be; then `start` once all are loaded."""
        image, why = self._segments[index].load()
        found = self._enter(index, image, why)
        # Only its extent is kept: the records go to their owner.
        self._scans[index] = found._replace(records=found.records[:1] + found.records[-1:], stale=[])
        return found

    def _enter(self, index: int, image: bytes, why: str | None) -> Scan:
        """Take account of what a segment file holds."""
        segment = self._segments[index]
        found = scan(image, index, self.layout.segments)
        if found.garbage and segment.fault is None:
            why = segment.discard(f"{segment.path.name} holds no record, and is not empty")
        if why:
            self.findings.append(why)
        if not segment.unread:  # else they may be whole
            self._holes |= {(found.ordinal, hole): lost for hole, lost in found.holes.items()}
        for record in found.records:
            if record.kind == Kind.HOLES:
                self._known_holes |= set(unpack_pairs(record.payload))
            if record.kind == Kind.UNREAD:
                self._owed.update(index for index, _ in unpack_pairs(record.payload))
        self._used[index] = found.ordinal
        self._serial = max([self._serial, *(record.serial + 1 for record in (*found.records, *found.stale))])
        return found

    def set_aside_unread(self) -> None:
        """Keep files aside that could not be read, so that there are two to write to; call it before `start`."""
        for segment in self._segments:
            if segment.unread and self.usable < 2:  # noqa: PLR2004 - a head and a spare one
                why = segment.discard(segment.fault or "")
                self.findings += [why] if why else []

    def start(self) -> None:
        """Find where writing goes on."""
        self._head = max(found.ordinal for found in self._scans.values())
        if self._head:
            self._position = self._scans[self._head % self.layout.segments].end
            self._check_seams()
        else:
            self._head = self.layout.segments
            self._position = 0
        if any(found.ordinal for found in self._scans.values()):
            missing = [segment.path.name for segment in self._segments if not segment.found]
            self.findings += [f"{name} was missing" for name in missing]
        self._scans.clear()
        over = {index for index, ordinal in self._used.items() if ordinal and not self.is_current(ordinal)}
        self._late = self._owed & over
        self.started = self.usable > 1

    def _check_seams(self) -> None:
        """A last record of a segment that cannot be read shows as a gap before the next segment's first."""
        by_ordinal = {found.ordinal: found for found in self._scans.values() if found.records}
        for ordinal, found in by_ordinal.items():
            after = by_ordinal.get(ordinal + 1)
            if after is None or not found.records:
                continue
            if self._segments[ordinal % self.layout.segments].unread:
                continue
            last, first = found.records[-1], after.records[0]
            missing = first.serial - last.serial - 1
            if missing > 0 and first.offset == 0 and first.epoch == last.epoch:
                self._holes[ordinal, found.end] = missing

    def is_current(self, ordinal: int) -> bool:
        """Whether a segment belongs to the present lap; what lies elsewhere was copied or dropped long ago."""
        return ordinal > self._head - self.layout.segments

    def late_of(self, records: Iterable[Record]) -> dict[int, list[Record]]:
        """Those that an earlier start could not read before their lap was over, by segment; see `take_late`."""
        found: dict[int, list[Record]] = {index: [] for index in self._late}
        for record in records:
            index = record.ordinal % self.layout.segments
            if index in found and record.ordinal == self._used[index]:
                found[index].append(record)
        return found

    @property
    def is_sound(self) -> bool:
        """Whether all that was ever promised can be read, as far as the ring itself can tell.

        A last write that was damaged looks like one that was torn.
        """
        return self._serial > 1 and not (self.unread or self.findings or set(self._holes) - self._known_holes)

    @property
    def unread(self) -> bool:
        """Whether something may lie in a segment that could not be read."""
        return any(segment.unread for segment in self._segments)

    def take_damage(self) -> str | None:
        """What had been synced and is no longer whole, each place told once; None when there is nothing to tell."""
        fresh = sorted(set(self._holes) - self._known_holes)
        if not fresh:
            return None
        self._known_holes.update(fresh)
        ordinal, offset = fresh[0]
        count = sum(self._holes[hole] for hole in fresh)
        name = self._segments[ordinal % self.layout.segments].path.name
        return f"{count} damaged records skipped in {len(fresh)} places, the first in {name} at byte {offset}"

    def holes_draft(self) -> Draft | None:
        """The record that keeps the next start from telling the same damage again; None when there is none."""
        if not set(self._holes) - self._known_holes:
            return None
        return Draft(Kind.HOLES, NO_KEY, pack_pairs(sorted(self._holes)[-self.pairs_max :]))

    @property
    def usable(self) -> int:
        """Segments that can be written."""
        return sum(map(self._is_writable, range(self.layout.segments)))

    def _is_writable(self, index: int) -> bool:
        return self._segments[index].fault is None and index not in self._late

    @property
    def fault(self) -> str | None:
        """Why not every segment can be written; None when all can."""
        faults = [segment.fault for segment in self._segments if segment.fault]
        if not faults:
            return None
        return f"{self.usable} of {self.layout.segments} segments can be written: {faults[0]}"

    # ---- account

    def hold(self, place: Place) -> None:
        """Count a record as not to be overwritten."""
        self._held[place.ordinal] = self._held.get(place.ordinal, 0) + place.size

    def release(self, place: Place) -> None:
        """Take a record off the account."""
        left = self._held[place.ordinal] - place.size
        if left:
            self._held[place.ordinal] = left
        else:
            del self._held[place.ordinal]

    @property
    def held(self) -> int:
        """Bytes that must not be overwritten."""
        return sum(self._held.values())

    @property
    def capacity(self) -> int:
        """Bytes that may be held: one segment is spare, and a free quarter of the rest keeps copying cheap."""
        return (self.usable - 1) * self.layout.size * 12 // 16

    @property
    def hard_capacity(self) -> int:
        """Bytes that may be held at all: with the ends of segments that stay unused, the next lap still goes round."""
        return (self.usable - 1) * self.layout.size * 13 // 16

    @property
    def oldest(self) -> int:
        """The newest ordinal that the next roll would overwrite."""
        return self._next() - self.layout.segments

    @property
    def reserve(self) -> int:
        """Bytes held where the next roll would overwrite them: they must be copied into the head before."""
        oldest = self.oldest
        return sum(size for ordinal, size in self._held.items() if ordinal <= oldest)

    @property
    def free(self) -> int:
        """Bytes left in the head segment."""
        if not self._is_writable(self._head % self.layout.segments):
            return 0
        return self.layout.size - max(self._position, HEADER_SIZE)

    def has_room(self, need: int) -> bool:
        """Whether the head takes `need` bytes and still all that must be copied before the next roll."""
        return self.free >= need + self.reserve

    @property
    def write_max(self) -> int:
        """Most bytes of one append."""
        return write_max(self.layout.size)

    @property
    def pairs_max(self) -> int:
        """Most pairs of numbers in one record."""
        return min(PAIRS_MAX, payload_max(self.layout.size) // 16)

    # ---- work

    def append(self, drafts: Sequence[Draft]) -> list[Place]:
        """Write records behind the last one, with one synchronous write; `free` must hold them.

        The first of a segment may take two: a lap record goes before. What fails is tried once more through a new
        descriptor.

        Returns:
            Where they lie.

        Raises:
            OSError: They are not known to be on disk, and the ring is as if nothing had been tried.
        """
        if self._position:
            return self._write(drafts)
        # First and alone: torn later, nothing of the lap before can be taken for damaged records of this one. Only what
        # tells of the reports that end with that lap goes with it.
        lap = Draft(Kind.LAP, NO_KEY, b"")
        opening = [lap, *itertools.takewhile(lambda draft: draft.kind == Kind.GAP, drafts)]
        if lap.size + sum(draft.size for draft in drafts) <= _SECTOR:
            opening = [lap, *drafts]
        places = self._write(opening)
        if rest := drafts[len(opening) - 1 :]:
            places += self._write(rest)
        return places[1:]

    def _write(self, drafts: Sequence[Draft]) -> list[Place]:
        parts = [
            encode(draft, self._head, self._serial + number, self.epoch, first=number == 0)
            for number, draft in enumerate(drafts)
        ]
        self._segments[self._head % self.layout.segments].write(b"".join(parts), self._position)
        self._serial += len(drafts)
        places = []
        for draft in drafts:
            places.append(Place(self._head, self._position, draft.size))
            self._position += draft.size
        return places

    def can_skip(self, need: int) -> bool:
        """Whether `append_elsewhere` may be tried: the next segment holds nothing, and leaves room for what follows."""
        if self.usable < 2 or self.reserve:  # noqa: PLR2004 - another one than the head
            return False
        after = Place(self._head, self._position, 0)
        self.roll()
        fits = self.has_room(need)
        self._head, self._position = after.ordinal, after.offset
        return fits

    def append_elsewhere(self, drafts: Sequence[Draft]) -> list[Place]:
        """Write records into the next segment, for a disk that has gone bad in the present one.

        Raises:
            OSError: That failed too; the ring is as before.
        """
        before = self._head, self._position
        self.roll()
        try:
            return self.append(drafts)
        except OSError:
            self._head, self._position = before
            raise

    def roll(self) -> None:
        """Go on in the next segment that can be written, whatever it held."""
        self._head, self._position = self._next(), 0

    def _next(self) -> int:
        for ordinal in range(self._head + 1, self._head + self.layout.segments):
            index = ordinal % self.layout.segments
            if self._is_writable(index) and ordinal > self._used.get(index, 0):
                return ordinal
        return self._head + self.layout.segments

    def read(self, place: Place) -> Record | None:
        """The record at a place, read from disk; None when it is no longer whole or no longer there."""
        data = self._segments[place.ordinal % self.layout.segments].read(place.size, place.offset)
        record = record_at(data, 0)
        return record if record is not None and record.ordinal == place.ordinal else None

    def check(self) -> bool:
        """Look whether every file is still there and can be written; make those anew that are not.

        Returns:
            Whether a file was made anew or opened again: what it should hold must be looked at.
        """
        mended = False
        for segment in self._segments:
            was_sound = segment.fault is None
            if segment.mend():
                mended = True
                if was_sound:
                    self.findings.append(f"{segment.path.name} was gone or cut; made anew")
        return mended

    def take_late(self) -> dict[int, list[Record]]:
        """Records of segments that could not be read by `load` and were read by `check`, those of one lap each.

        Nothing is written there before `reuse`: what is unfinished among them is on disk nowhere else.
        """
        late = {}
        for index, segment in enumerate(self._segments):
            image = segment.take_late()
            if image is not None:
                self._late.add(index)
                late[index] = self._enter(index, image, None).records
        return late

    def reuse(self, index: int) -> None:
        """All that was late in a segment is on disk elsewhere, or finished."""
        self._late.discard(index)

    def unread_draft(self) -> Draft | None:
        """The record that lets a later start count what lies in segments that are unread or late; None without such."""
        pairs = [(index, 0) for index, one in enumerate(self._segments) if one.unread or index in self._late]
        return Draft(Kind.UNREAD, NO_KEY, pack_pairs(pairs)) if pairs else None

    def close(self) -> None:
        """Give all descriptors back; idempotent."""
        for segment in self._segments:
            segment.close()
