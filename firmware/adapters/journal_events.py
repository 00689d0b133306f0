"""The ring of faults and status reports: written in groups, read back when a path has room, dropped oldest first."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from firmware.adapters.backlog import EventIndex, Slot
from firmware.adapters.ring import Layout, Ring
from firmware.adapters.ring_format import (
    NO_KEY,
    Draft,
    Flag,
    Key,
    Kind,
    Place,
    Record,
    pack_pairs,
    payload_max,
    unpack_pairs,
)
from firmware.adapters.ring_reader import layouts, read_ring
from firmware.adapters.unfinished import finished_keys, key_of
from firmware.core.facts import ReportsDropped
from firmware.core.report import Report, ReportId
from firmware.wire.stored import StoredError, pack_gap, pack_report, unpack_gap, unpack_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.adapters.ring_files import Disk
    from firmware.adapters.ring_format import Scan

EVENT_RING = "events"
EVENT_SEGMENTS = 16
GAP_CODE = "JO"
"""The report that tells of dropped ones."""
_QUEUE_MAX = 4096
"""Reports that wait in memory for a disk that cannot take them."""
_QUEUE_DROP = 512
"""Dropped at once, so that the report about it does not cause the next drop."""


class _Found(NamedTuple):
    """A report or gap on disk."""

    serial: int
    key: Key
    place: Place
    flags: int
    payload: bytes


class EventStore:
    """Faults and status reports on disk, and the index of those that have not arrived.

    Attributes:
        index: The `Backlog`.
        ring: The ring beneath, for its findings and damage.
        loaded: Whether every segment was looked at.
        fault: Why the last write failed; None when it did not.
        dropped: What was dropped, for the owner; whoever posts it clears the list.

    Synchronization: the journal's thread.
    """

    def __init__(self, folder: Path, kib: int, disk: Disk, now: Callable[[], float]) -> None:
        self.index = EventIndex(self._load, now)
        self.fault: str | None = None
        self.loaded = False
        self.dropped: list[ReportsDropped] = []
        self.ring = Ring(folder, Layout.of(EVENT_RING, kib, EVENT_SEGMENTS), disk)
        self._fresh = self.ring
        self._folder = folder
        self._disk = disk
        self._next_segment = 0
        self._reports: list[_Found] = []
        self._gaps: list[_Found] = []
        self._finished: set[Key] = set()
        self._old_files: list[Path] = []
        self._queue: deque[tuple[Draft, Slot | None]] = deque()
        self._gap: ReportsDropped | None = None
        self._gap_ordinal = 0
        self._panel = ""

    @property
    def mounted(self) -> bool:
        """Whether there is a ring on disk to write to."""
        return self.loaded and self.ring.usable > 1

    # ---- start

    def restart(self, epoch: int) -> None:
        """Begin to open the ring, or begin anew; then call `step` until it is `loaded`."""
        if self._fresh is not self.ring:
            self._fresh.close()
        self._fresh = Ring(self._folder, self.ring.layout, self._disk)
        self._fresh.epoch = epoch
        self.loaded = False
        self._next_segment = 0
        self._reports, self._gaps, self._finished = [], [], set()

    def step(self) -> None:
        """Open and read one segment: no alarm waits longer than for that."""
        self._collect(self._fresh.load(self._next_segment))
        self._next_segment += 1
        if self._next_segment == self.ring.layout.segments:
            self._fresh.start()
            old, self.ring = self.ring, self._fresh
            old.close()
            self._take_in()
            self.loaded = True

    def _collect(self, scan: Scan) -> None:
        self._finished |= finished_keys([*scan.records, *scan.stale])
        for record in scan.records:
            found = _Found(record.serial, record.key, record.place, record.flags, b"")
            if record.kind == Kind.REPORT:
                self._reports.append(found)
            elif record.kind == Kind.GAP:
                self._gaps.append(found._replace(payload=record.payload))

    def _take_in(self) -> None:
        self._queue_finished()
        ended = {key for draft, _ in self._queue if draft.kind == Kind.FINISH for key in unpack_pairs(draft.payload)}
        skip = self._finished | self.index.keys() | ended
        reports = sorted(found for found in self._reports if self.ring.is_current(found.place.ordinal))
        self.index.add_older([Slot(found.key, found.place, None) for found in reports if found.key not in skip])
        told = max((found.serial for found in reports if found.flags & Flag.TELLS_GAP), default=0)
        gaps = [found for found in self._gaps if found.serial > told and self.ring.is_current(found.place.ordinal)]
        if gaps and self._gap is None:
            self._recover_gap(max(gaps))
        self._reports, self._gaps, self._finished = [], [], set()
        self._take_over(skip)
        holes = self.ring.holes_draft()
        if holes is not None:
            self._queue.append((holes, None))

    def _recover_gap(self, found: _Found) -> None:
        try:
            self._gap = ReportsDropped(*unpack_gap(found.payload))
        except StoredError as error:
            self.ring.findings.append(str(error))
            return
        self._gap_ordinal = found.place.ordinal
        self.dropped.append(self._gap)

    def _take_over(self, skip: set[Key]) -> None:
        """Queue what rings of another size hold; their files go once it is all in this one."""
        try:
            others = [one for one in layouts(self._folder, EVENT_RING, self._disk) if one != self.ring.layout]
        except OSError:
            return
        records = [record for layout in others for record in read_ring(self._folder, layout, self._disk)]
        skip = skip | finished_keys(records) | self.index.keys()
        fresh = [record for record in records if record.kind == Kind.REPORT and record.key not in skip]
        self.index.add_older([slot for slot in map(self._take_over_one, fresh) if slot is not None])
        self._old_files = [self._folder / layout.file(index) for layout in others for index in range(layout.segments)]

    def _take_over_one(self, record: Record) -> Slot | None:
        try:
            slot = Slot(record.key, None, unpack_report(record.payload))
        except StoredError as error:
            self.ring.findings.append(str(error))
            return None
        self._queue.append((Draft(Kind.REPORT, record.key, record.payload), slot))
        return slot

    def _load(self, place: Place) -> Report | None:
        ring = self.ring
        record = ring.read(place)
        if record is None and ring is not self.ring:  # opened anew meanwhile
            record = self.ring.read(place)
        if record is None:
            return None
        try:
            return unpack_report(record.payload)
        except StoredError:
            return None

    # ---- work

    def add(self, report: Report) -> None:
        """Let a report wait for a path, and for `flush`."""
        slot = Slot(key_of(report.id), None, report)
        self._panel = report.id.panel
        self.index.add([slot])
        flags = Flag.TELLS_GAP if report.code == GAP_CODE else Flag.NONE
        draft = Draft(Kind.REPORT, slot.key, pack_report(report), flags)
        if len(draft.payload) <= payload_max(self.ring.layout.size):
            self._queue.append((draft, slot))
        if len(self._queue) > _QUEUE_MAX and (self.fault or (self.loaded and not self.mounted)):
            self._trim()

    def _trim(self) -> None:
        """The disk does not take them, and memory is not for ever."""
        oldest = [self._queue.popleft()[1] for _ in range(_QUEUE_DROP)]
        self._tell(self.index.drop(slot for slot in oldest if slot is not None))

    def finish(self, identity: ReportId) -> bool:
        """Nothing more is expected for a report.

        Returns:
            Whether it waited here.
        """
        return self.index.finish(identity)

    @property
    def waiting(self) -> bool:
        """Whether `flush` has something to write."""
        return bool(self._queue or self._old_files)

    def flush(self) -> None:
        """Write what waits, as much as one write takes.

        Raises:
            OSError: It waits on.
        """
        self._queue_finished()
        if not self._queue:
            self._remove_old_files()
            return
        count = self._fitting()
        if not count:
            self._roll()
            count = self._fitting()
        items = [self._queue[number] for number in range(count)]
        try:
            places = self._write([draft for draft, _ in items])
        except OSError as error:
            self.fault = (
                f"event ring in {self._folder} cannot be written: {error.strerror or error}; reports go out from memory"
                " meanwhile; look at the disk"
            )
            raise
        self.fault = None
        for (draft, slot), place in zip(items, places, strict=True):
            self._queue.popleft()
            self._settle(draft, slot, place)

    def _write(self, drafts: list[Draft]) -> list[Place]:
        if not self.mounted:
            raise OSError(self.ring.fault or "it is not there")
        return self.ring.append(drafts)

    def _settle(self, draft: Draft, slot: Slot | None, place: Place) -> None:
        if slot is not None:
            self.index.written(slot, place)
        if draft.kind == Kind.GAP:
            self._gap_ordinal = place.ordinal
        elif draft.flags & Flag.TELLS_GAP:
            self._gap = None

    def _queue_finished(self) -> None:
        keys = self.index.take_done()
        limit = self.ring.pairs_max
        for start in range(0, len(keys), limit):
            self._queue.append((Draft(Kind.FINISH, NO_KEY, pack_pairs(keys[start : start + limit])), None))

    def _fitting(self) -> int:
        """How many of the queue the head segment takes in one write."""
        room = min(self.ring.free, self.ring.write_max)
        count = 0
        for draft, _ in self._queue:
            room -= draft.size
            if room < 0:
                break
            count += 1
        return count

    def _roll(self) -> None:
        """Go on in the next segment; what waits there is dropped, and that is written down first."""
        oldest = self.ring.oldest
        self._tell(self.index.drop_up_to(oldest))
        if self._gap is not None and self._gap_ordinal <= oldest:
            self._queue_gap()
        self.ring.roll()

    def _tell(self, slots: list[Slot]) -> None:
        if not slots:
            return
        first, last = self._identity(slots[0]), self._identity(slots[-1])
        self.dropped.append(ReportsDropped(first, last, len(slots)))
        before = self._gap
        self._gap = ReportsDropped(
            before.first if before else first, last, len(slots) + (before.count if before else 0)
        )
        self._queue_gap()

    def _queue_gap(self) -> None:
        if self._gap is None:
            return
        draft = Draft(Kind.GAP, NO_KEY, pack_gap(self._gap.first, self._gap.last, self._gap.count))
        if self._queue and self._queue[0][0].kind == Kind.GAP:
            self._queue.popleft()
        self._queue.appendleft((draft, None))

    def _identity(self, slot: Slot) -> ReportId:
        """A record's header has no panel's name; the report itself has."""
        report = slot.report or (slot.place and self._load(slot.place))
        return report.id if report else ReportId(self._panel, slot.epoch, slot.seq)

    def tell_unreadable(self) -> None:
        """Count reports as dropped that could not be read back."""
        keys = self.index.take_unreadable()
        self._tell([Slot(key, None, None) for key in keys])

    def _remove_old_files(self) -> None:
        present = set(self._disk.listdir(str(self._folder))) if self._old_files else set()
        for path in self._old_files:
            if path.name in present:
                self._disk.unlink(str(path))
        self._old_files = []

    def check(self, epoch: int) -> None:
        """Look after the files; begin anew when more can be read, or written, than at the start."""
        if not self.loaded:
            return
        if self.ring.started:
            self.ring.check()
            if not self.ring.take_late():
                return
        self.restart(epoch)

    def close(self) -> None:
        """Give all descriptors back; idempotent."""
        self._fresh.close()
        self.ring.close()
