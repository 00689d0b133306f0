"""The alarms' own ring: reports of class alarm, their marks, their ends, and the epochs.

Nothing unfinished is ever overwritten. What is not finished is also held in memory, so that it can be copied forward,
written again into a file made anew, and stored late when the disk comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware.adapters.ring import Layout, Ring
from firmware.adapters.ring_format import HEADER_SIZE, NO_KEY, Draft, Key, Kind, Place, Record, pack_pairs, payload_max
from firmware.adapters.ring_reader import layouts, read_ring
from firmware.adapters.unfinished import Entry, Group, Unfinished, finished_keys, key_of
from firmware.wire.stored import pack_mark, pack_report, unpack_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from firmware.adapters.ring_files import Disk
    from firmware.core.report import Mark, Report, ReportId

ALARM_RING = "alarms"
ALARM_SEGMENTS = 8
_LOOSE_MARKS_MAX = 4096
_UNSAVED_MAX = 256
"""Alarms that wait in memory for a disk that cannot take them; the core holds all of them anyway."""
PATIENT_MOUNTS = 6
"""Tries to open a ring that leaves nothing to write to, ere what cannot be read of it is kept aside: about a minute."""


class RingFull(Exception):  # noqa: N818 - a state, and no defect
    """Everything in the ring is unfinished, or a report is too long for it."""


class Mounted(NamedTuple):
    """What a ring held when it was opened: the highest epoch (0: none), unfinished reports and their marks."""

    epoch: int
    reports: tuple[Report, ...]
    marks: tuple[Mark, ...]


class AlarmStore:
    """Unfinished alarms on disk and in memory.

    Attributes:
        ring: The ring beneath, for its findings and damage.
        fault: Why the last write failed; None when it did not.
        full: Why the last report found no room; None when it did.

    Synchronization: the journal's thread.
    """

    def __init__(self, folder: Path, kib: int, disk: Disk) -> None:
        self.fault: str | None = None
        self.full: str | None = None
        self._folder = folder
        self._disk = disk
        self._layout = Layout.of(ALARM_RING, kib, ALARM_SEGMENTS)
        self.ring = Ring(folder, self._layout, disk)
        self._book = Unfinished(self.ring)
        self._epoch = Entry(Draft(Kind.EPOCH, NO_KEY, b""))
        self._unsaved: dict[Key, Entry] = {}
        self._marks: list[Entry] = []
        self._old_files: list[Path] = []
        self._finished: set[Key] = set()
        self._unread: Entry | None = None
        self._late: dict[int, set[Key]] = {}
        self._mounts = 0

    @property
    def mounted(self) -> bool:
        """Whether there is a ring on disk to write to."""
        return self.ring.usable > 1

    # ---- start

    def mount(self) -> Mounted:
        """Open the ring and take in what it holds; may be called again while it is not `mounted`."""
        self.ring.close()
        self.ring = Ring(self._folder, self._layout, self._disk)
        self.ring.epoch = self._epoch.draft.key[0]
        known = set(self._book.groups)
        self._book.attach(self.ring)
        self._epoch.place = self._unread = None
        scans = [self.ring.load(index) for index in range(self._layout.segments)]
        records = [record for found in scans for record in found.records]
        stale = [record for found in scans for record in found.stale]
        self._mounts += 1
        if self._mounts > PATIENT_MOUNTS:
            self.ring.set_aside_unread()
        self.ring.start()
        current = [record for record in records if self.ring.is_current(record.ordinal)]
        current.sort(key=lambda record: record.serial)
        self._finished |= finished_keys([*records, *stale])
        self._book.recover(current, self._finished, on_disk=True)
        self._late = {}
        self._recover_late(self.ring.late_of(records))
        others = self._other_layouts()
        self._book.recover(others, self._finished | finished_keys(others), on_disk=False)
        self._book.let_marks_go()
        reports, marks, wrong = self._book.decode(set(self._book.groups) - known)
        self.ring.findings += wrong
        self._unsaved = {}
        self._queue([entry for entry in self._book.entries() if entry.place is None])
        self._forget_finished()
        return Mounted(max((record.epoch for record in (*records, *stale, *others)), default=0), reports, marks)

    def _forget_finished(self) -> None:
        if not self.ring.unread:
            self._finished.clear()

    def _other_layouts(self) -> list[Record]:
        """What rings of another size hold; their files go once it is all in this one."""
        try:
            others = [layout for layout in layouts(self._folder, ALARM_RING, self._disk) if layout != self._layout]
        except OSError:
            return []
        self._old_files = [self._folder / layout.file(index) for layout in others for index in range(layout.segments)]
        return [record for layout in others for record in read_ring(self._folder, layout, self._disk)]

    def announce(self, epoch: int) -> None:
        """Set the epoch of this start; `save_epoch` writes it."""
        self.ring.epoch = epoch
        self._book.move(self._epoch, None)
        self._epoch = Entry(Draft(Kind.EPOCH, (epoch, 0), b""))

    def save_epoch(self) -> None:
        """Write down that this epoch began, and what damage was found.

        Raises:
            OSError, RingFull: It is not on disk.
        """
        unread = self.ring.unread_draft()
        drafts = [draft for draft in (self._epoch.draft, unread, self.ring.holes_draft()) if draft is not None]
        places = self._append(drafts)
        self._book.move(self._epoch, places[0])
        if unread is not None:
            self._unread = Entry(unread)
            self._book.move(self._unread, places[1])

    # ---- work

    def put(self, report: Report) -> None:
        """Write a report down, at once.

        Raises:
            OSError, RingFull: It is not on disk; `retry` will try again if there is memory for it.
        """
        entry = Entry(Draft(Kind.REPORT, key_of(report.id), pack_report(report)))
        key, size, limit = entry.draft.key, len(entry.draft.payload), payload_max(self._layout.size)
        if size > limit:
            self.full = f"an alarm report takes {size} bytes, {limit} is the limit; enlarge journal.alarm_kib"
            raise RingFull(self.full)
        known = self._book.find(key)
        if known is not None and known.report.place is not None:
            return
        self._book.groups[key] = Group(entry)
        self._unsaved[key] = entry
        try:
            self._store(entry)
        finally:
            if len(self._unsaved) > _UNSAVED_MAX and key in self._unsaved:
                del self._book.groups[key], self._unsaved[key]

    def _store(self, entry: Entry) -> None:
        if self.mounted and self._over_limit(entry):
            self.flush()
        if self.mounted and self._over_limit(entry):
            self.full = (
                f"alarm ring in {self._folder} is full: {self.ring.held} bytes are unfinished, {self.ring.capacity} is"
                " the limit; acknowledge alarms at the receivers, or enlarge journal.alarm_kib"
            )
            raise RingFull(self.full)
        self._book.move(entry, self._append([entry.draft])[0])
        self._unsaved.pop(entry.draft.key, None)
        self.full = None

    def _over_limit(self, entry: Entry) -> bool:
        return self.ring.held + entry.draft.size > self.ring.capacity

    def note(self, mark: Mark) -> None:
        """Keep a mark; `flush` writes it. One without an unfinished report is written for the ledger only."""
        entry = Entry(Draft(Kind.MARK, key_of(mark.id), pack_mark(mark)))
        if len(entry.draft.payload) > payload_max(self._layout.size):
            return
        group = self._book.find(entry.draft.key)
        if group is not None:
            if entry.draft.payload in group.marks:
                return
            group.marks[entry.draft.payload] = entry
        self._marks.append(entry)
        del self._marks[:-_LOOSE_MARKS_MAX]

    def finish(self, identity: ReportId) -> bool:
        """Nothing more is expected for a report; `flush` writes that down.

        Returns:
            Whether the report was an unfinished one of this ring.
        """
        self._unsaved.pop(key_of(identity), None)
        return self._book.end(key_of(identity))

    @property
    def waiting(self) -> bool:
        """Whether `flush` has something to write."""
        return bool(self._marks or self._book.ended)

    def flush(self) -> None:
        """Write marks and ends.

        Raises:
            OSError, RingFull: What is left waits on.
        """
        while self._marks:
            batch = self._fitting(self._marks)
            for entry, place in zip(batch, self._append([entry.draft for entry in batch]), strict=True):
                self._book.settle_mark(entry, place)
            del self._marks[: len(batch)]
        while self._book.ended:
            keys = list(self._book.ended)[: self.ring.pairs_max]
            self._append([Draft(Kind.FINISH, NO_KEY, pack_pairs(keys))])
            self._finished.update(keys if self.ring.unread else ())
            for key in keys:
                self._book.forget(self._book.ended.pop(key))
        if not self._unsaved and self.ring.held < self.ring.capacity * 15 // 16:
            self.full = None

    def _fitting(self, entries: list[Entry]) -> list[Entry]:
        size = 0
        for number, entry in enumerate(entries):
            size += entry.draft.size
            if size > self.ring.write_max:
                return entries[:number]
        return entries[:]

    # ---- room

    def _append(self, drafts: Sequence[Draft]) -> list[Place]:
        self._make_room(sum(draft.size for draft in drafts))
        return self._write(drafts)

    def _make_room(self, need: int) -> None:
        if not self.mounted:
            return
        for _ in range(2 * self._layout.segments):
            while self.ring.reserve and not self.ring.has_room(need):
                self._copy_forward()
            if self.ring.has_room(need):
                return
            self.ring.roll()
        raise RingFull(f"alarm ring in {self._folder}: no segment can be emptied; acknowledge alarms at the receivers")

    def _write(self, drafts: Sequence[Draft]) -> list[Place]:
        try:
            places = self._write_somewhere(drafts)
        except OSError as error:
            self.fault = (
                f"alarm ring in {self._folder} cannot be written: {error.strerror or error}; alarms go out from memory"
                " meanwhile; look at the disk"
            )
            raise
        self.fault = None
        return places

    def _write_somewhere(self, drafts: Sequence[Draft]) -> list[Place]:
        if not self.mounted:
            raise OSError(self.ring.fault or "it is not there")
        try:
            return self.ring.append(drafts)
        except OSError:
            if not self.ring.can_skip(sum(draft.size for draft in drafts)):
                raise
        return self.ring.append_elsewhere(drafts)

    @property
    def untidy(self) -> bool:
        """Whether the next alarm, or the one after, might have to wait for records to be copied."""
        if not self.mounted or self.ring.held > self.ring.hard_capacity:
            return False
        longest = payload_max(self._layout.size) + HEADER_SIZE
        return self.ring.reserve > 0 or not (self.ring.has_room(longest) or self.ring.can_skip(longest))

    def tidy(self) -> None:
        """Copy a part of what the next roll would overwrite: done early, no alarm has to wait for it.

        Raises:
            OSError, RingFull: It could not be copied.
        """
        if self.ring.reserve:
            self._copy_forward()
        else:
            self.ring.roll()

    def _copy_forward(self) -> None:
        oldest = self.ring.oldest
        old = [entry for entry in self._entries() if entry.place is not None and entry.place.ordinal <= oldest]
        batch = self._fitting(sorted(old, key=lambda entry: entry.place or NO_KEY))
        if not batch or sum(entry.draft.size for entry in batch) > self.ring.free:
            raise RingFull(f"alarm ring in {self._folder}: no room to copy what is unfinished")
        for entry, place in zip(batch, self._write([entry.draft for entry in batch]), strict=True):
            self._book.move(entry, place)

    def _entries(self) -> Iterator[Entry]:
        yield self._epoch
        if self._unread is not None:
            yield self._unread
        yield from self._book.entries()

    # ---- repair

    def _queue(self, lost: list[Entry]) -> None:
        """Let records be written that are not on disk, or perhaps not; the place of one that perhaps is stays held."""
        waiting = {id(entry) for entry in self._marks}
        for entry in lost:
            if entry in (self._epoch, self._unread):
                self._book.move(self._epoch, None)
            elif entry.draft.key in self._book.ended:
                continue
            elif entry.draft.kind == Kind.REPORT:
                self._unsaved[entry.draft.key] = entry
            elif id(entry) not in waiting:
                self._marks.append(entry)

    @property
    def owing(self) -> bool:
        """Whether `retry` has something to write."""
        return self._epoch.place is None or bool(self._unsaved or self._old_files or self._late)

    def retry(self, stored: Callable[[ReportId], None]) -> None:
        """Write what should be on disk and is not; then remove the files of a ring of another size.

        Args:
            stored: Called for every report that is on disk now.

        Raises:
            OSError, RingFull: Not everything could be written.
        """
        if self._epoch.place is None:
            self.save_epoch()
        self._reuse()
        for entry in list(self._unsaved.values()):
            self._store(entry)
            self._reuse()
            stored(unpack_report(entry.draft.payload).id)
        if self._old_files:
            self.flush()
            self._remove_old_files()

    def _remove_old_files(self) -> None:
        present = set(self._disk.listdir(str(self._folder)))
        for path in self._old_files:
            if path.name in present:
                self._disk.unlink(str(path))
        self._old_files = []

    def check(self) -> Mounted:
        """Look after the files; what cannot be read from one that was put right is written once more.

        Returns:
            What could not be read when the ring was opened, and can be now.
        """
        if self.ring.check():
            places = [(entry, entry.place) for entry in self._entries()]
            self._queue([entry for entry, place in places if place is not None and self.ring.read(place) is None])
        late = self.ring.take_late()
        known = set(self._book.groups)
        self._recover_late(late)
        reports, marks, wrong = self._book.decode(set(self._book.groups) - known)
        self.ring.findings += wrong
        self._queue([entry for entry in self._book.entries() if entry.place is None])
        self._forget_finished()
        return Mounted(
            max((record.epoch for records in late.values() for record in records), default=0), reports, marks
        )

    def _recover_late(self, late: dict[int, list[Record]]) -> None:
        """Take in what lies where it cannot stay: each segment is free again when all of it is written elsewhere."""
        for records in late.values():
            self._finished |= finished_keys(records)
        for index, records in late.items():
            self._book.recover(records, self._finished, on_disk=False)
            reports = [record for record in records if record.kind == Kind.REPORT]
            self._late[index] = {record.key for record in reports}
            for record in reports:
                if record.key in self._finished and not self._book.find(record.key):
                    # Its end may be overwritten before it is: that is written once more.
                    self._book.ended[record.key] = Group(Entry(Draft(Kind.REPORT, record.key, record.payload)))

    def _reuse(self) -> None:
        for index in [index for index, keys in self._late.items() if keys.isdisjoint(self._unsaved)]:
            self.ring.reuse(index)
            del self._late[index]

    def close(self) -> None:
        """Give all descriptors back; idempotent."""
        self.ring.close()
