"""The alarms' own ring: reports of class alarm, their marks, their ends, and the epochs.

Nothing unfinished is ever overwritten. What is not finished is also held in memory, so that it can be copied forward,
written again into a file made anew, and stored late when the disk comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware.adapters.ring import Layout, Ring, layouts, read_rings
from firmware.adapters.ring_format import (
    NO_KEY,
    Draft,
    Key,
    Kind,
    Place,
    Record,
    pack_pairs,
    payload_max,
    unpack_pairs,
)
from firmware.core.report import Mark, Report, ReportId, Step
from firmware.wire.stored import StoredError, pack_mark, pack_report, unpack_mark, unpack_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from firmware.adapters.ring_files import Disk

ALARM_RING = "alarms"
ALARM_SEGMENTS = 8
_LOOSE_MARKS_MAX = 4096
_UNSAVED_MAX = 256
"""Alarms that wait in memory for a disk that cannot take them; the core holds all of them anyway."""
_STEPS = tuple(Step)


class RingFull(Exception):  # noqa: N818 - a state, and no defect
    """Everything in the ring is unfinished, or a report is too long for it."""


class Mounted(NamedTuple):
    """What a ring held when it was opened: the highest epoch (0: none), unfinished reports and their marks."""

    epoch: int
    reports: tuple[Report, ...]
    marks: tuple[Mark, ...]


class _Entry:
    """A record that must last, and where it lies; no place means that it is not on disk."""

    __slots__ = ("draft", "place")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.place: Place | None = None


class _Group:
    """An unfinished report with its marks, by payload."""

    __slots__ = ("marks", "report")

    def __init__(self, report: _Entry) -> None:
        self.report = report
        self.marks: dict[bytes, _Entry] = {}

    def entries(self) -> Iterator[_Entry]:
        yield self.report
        yield from self.marks.values()


def key_of(identity: ReportId) -> Key:
    """The part of an identity that records carry in their header."""
    return identity.epoch, identity.seq


def finished_keys(records: Iterable[Record]) -> set[Key]:
    """Keys of all reports that are finished by one of these records."""
    return {key for record in records if record.kind == Kind.FINISH for key in unpack_pairs(record.payload)}


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
        self._old_files: list[Path] = []
        self._epoch = _Entry(Draft(Kind.EPOCH, NO_KEY, b""))
        self._groups: dict[Key, _Group] = {}
        self._ended: dict[Key, _Group] = {}
        self._unsaved: dict[Key, _Entry] = {}
        self._marks: list[_Entry] = []

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
        known = set(self._groups)
        for entry in self._entries():
            entry.place = None
        records = [record for index in range(self._layout.segments) for record in self.ring.load(index)]
        self.ring.start()
        current = [record for record in records if self.ring.is_current(record.ordinal)]
        current.sort(key=lambda record: record.serial)
        self._recover(current, finished_keys(records), on_disk=True)
        others = self._other_layouts()
        self._recover(others, finished_keys([*others, *records]), on_disk=False)
        fresh = self._decode([key for key in sorted(self._groups) if key not in known])
        self._let_marks_go()
        self._requeue()
        return Mounted(max((record.epoch for record in (*records, *others)), default=0), *fresh)

    def _recover(self, records: list[Record], finished: set[Key], *, on_disk: bool) -> None:
        for record in records:
            if record.kind == Kind.REPORT and record.key not in finished:
                group = self._group(record.key) or _Group(_Entry(Draft(Kind.REPORT, record.key, record.payload)))
                self._groups.setdefault(record.key, group)
                self._place(group.report, record, on_disk=on_disk)
        for record in records:
            owner = self._group(record.key)
            fits = self.ring.held + record.place.size <= self.ring.hard_capacity
            if record.kind == Kind.MARK and owner is not None and (fits or record.payload in owner.marks):
                entry = _Entry(Draft(Kind.MARK, record.key, record.payload))
                self._place(owner.marks.setdefault(record.payload, entry), record, on_disk=on_disk)

    def _let_marks_go(self) -> None:
        """Marks that an earlier start did not hold may be too many to copy; without them a duplicate is sent."""
        for group in self._groups.values():
            for payload, entry in list(group.marks.items()):
                if self.ring.reserve <= self.ring.free:
                    return
                if entry.place is not None and entry.place.ordinal <= self.ring.oldest:
                    self._move(entry, None)
                    del group.marks[payload]

    def _group(self, key: Key) -> _Group | None:
        return self._groups.get(key) or self._ended.get(key)

    def _place(self, entry: _Entry, record: Record, *, on_disk: bool) -> None:
        if on_disk:
            self._move(entry, record.place)

    def _move(self, entry: _Entry, place: Place | None) -> None:
        if entry.place is not None:
            self.ring.release(entry.place)
        entry.place = place
        if place is not None:
            self.ring.hold(place)

    def _other_layouts(self) -> list[Record]:
        """What rings of another size hold; their files go once it is all in this one."""
        try:
            others = [layout for layout in layouts(self._folder, ALARM_RING, self._disk) if layout != self._layout]
            found = [ring for ring in read_rings(self._folder, ALARM_RING, self._disk) if ring.layout in others]
        except OSError:
            return []
        self._old_files = [self._folder / layout.file(index) for layout in others for index in range(layout.segments)]
        return [record for ring in found for record in ring.records]

    def _decode(self, keys: list[Key]) -> tuple[tuple[Report, ...], tuple[Mark, ...]]:
        reports, marks = [], []
        for key in keys:
            group = self._groups[key]
            try:
                reports.append(unpack_report(group.report.draft.payload))
                marks += [unpack_mark(payload) for payload in group.marks]
            except StoredError as error:
                self.ring.findings.append(str(error))
                self._forget(self._groups.pop(key))
        marks.sort(key=lambda mark: (key_of(mark.id), _STEPS.index(mark.step)))
        return tuple(reports), tuple(marks)

    # ---- work

    def announce(self, epoch: int) -> None:
        """Set the epoch of this start; `save_epoch` writes it."""
        self.ring.epoch = epoch
        self._move(self._epoch, None)
        self._epoch = _Entry(Draft(Kind.EPOCH, (epoch, 0), b""))

    def save_epoch(self) -> None:
        """Write down that this epoch began, and what damage was found.

        Raises:
            OSError, RingFull: It is not on disk.
        """
        holes = self.ring.holes_draft()
        self._move(self._epoch, self._append([self._epoch.draft, *([holes] if holes else [])])[0])

    def put(self, report: Report) -> None:
        """Write a report down, at once.

        Raises:
            OSError, RingFull: It is not on disk; `retry` will try again if there is memory for it.
        """
        entry = _Entry(Draft(Kind.REPORT, key_of(report.id), pack_report(report)))
        size, limit = len(entry.draft.payload), payload_max(self._layout.size)
        if size > limit:
            raise RingFull(f"the report takes {size} bytes, {limit} is the limit; enlarge journal.alarm_kib")
        known = self._group(entry.draft.key)
        if known is not None and known.report.place is not None:
            return
        self._groups[entry.draft.key] = _Group(entry)
        self._unsaved[entry.draft.key] = entry
        try:
            self._store(entry)
        finally:
            if len(self._unsaved) > _UNSAVED_MAX:
                del self._groups[entry.draft.key], self._unsaved[entry.draft.key]

    def _store(self, entry: _Entry) -> None:
        if self.mounted and self._over_limit(entry):
            self.flush()
        if self.mounted and self._over_limit(entry):
            self.full = (
                f"alarm ring in {self._folder} is full: {self.ring.held} bytes are unfinished, {self.ring.capacity} is"
                " the limit; acknowledge alarms at the receivers, or enlarge journal.alarm_kib"
            )
            raise RingFull(self.full)
        self._move(entry, self._append([entry.draft])[0])
        self._unsaved.pop(entry.draft.key, None)
        self.full = None

    def _over_limit(self, entry: _Entry) -> bool:
        return self.ring.held + entry.draft.size > self.ring.capacity

    def note(self, mark: Mark) -> None:
        """Keep a mark; `flush` writes it. One without an unfinished report is written for the ledger only."""
        entry = _Entry(Draft(Kind.MARK, key_of(mark.id), pack_mark(mark)))
        if len(entry.draft.payload) > payload_max(self._layout.size):
            return
        group = self._group(entry.draft.key)
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
        key = key_of(identity)
        group = self._groups.pop(key, None)
        self._unsaved.pop(key, None)
        if group is not None:
            self._ended[key] = group
        return group is not None

    @property
    def waiting(self) -> bool:
        """Whether `flush` has something to write."""
        return bool(self._marks or self._ended)

    def flush(self) -> None:
        """Write marks and ends.

        Raises:
            OSError, RingFull: What is left waits on.
        """
        while self._marks:
            batch = self._fitting(self._marks)
            for entry, place in zip(batch, self._append([entry.draft for entry in batch]), strict=True):
                self._settle(entry, place)
            del self._marks[: len(batch)]
        while self._ended:
            keys = list(self._ended)[: self.ring.pairs_max]
            self._append([Draft(Kind.FINISH, NO_KEY, pack_pairs(keys))])
            # Only now: until its end is durable, a report would be unfinished again after a cut of the power.
            for key in keys:
                self._forget(self._ended.pop(key))

    def _forget(self, group: _Group) -> None:
        for entry in group.entries():
            self._move(entry, None)

    def _fitting(self, entries: list[_Entry]) -> list[_Entry]:
        size = 0
        for number, entry in enumerate(entries):
            size += entry.draft.size
            if size > self.ring.write_max:
                return entries[:number]
        return entries[:]

    def _settle(self, entry: _Entry, place: Place) -> None:
        group = self._group(entry.draft.key)
        if group is None or group.marks.get(entry.draft.payload) is not entry:
            return
        if self.ring.held + place.size <= self.ring.hard_capacity:
            self._move(entry, place)
        else:
            # It may be overwritten: losing a mark costs a duplicate, holding it could cost an alarm its place.
            del group.marks[entry.draft.payload]

    # ---- room

    def _append(self, drafts: Sequence[Draft]) -> list[Place]:
        self._make_room(sum(draft.size for draft in drafts))
        return self._write(drafts)

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

    def _make_room(self, need: int) -> None:
        for _ in range(2 * self._layout.segments if self.mounted else 0):
            while self.ring.reserve and not self.ring.has_room(need):
                self.tidy()
            if self.ring.has_room(need):
                return
            self.ring.roll()
        if not self.mounted:
            return
        raise RingFull(f"alarm ring in {self._folder}: no segment can be emptied; acknowledge alarms at the receivers")

    @property
    def untidy(self) -> bool:
        """Whether something lies where the next roll would overwrite it."""
        return self.mounted and self.ring.reserve > 0

    def tidy(self) -> None:
        """Copy a part of what the next roll would overwrite: done early, no alarm has to wait for it.

        Raises:
            OSError, RingFull: It could not be copied.
        """
        oldest = self.ring.oldest
        old = [entry for entry in self._entries() if entry.place is not None and entry.place.ordinal <= oldest]
        batch = self._fitting(sorted(old, key=lambda entry: entry.place or NO_KEY))
        if not batch or sum(entry.draft.size for entry in batch) > self.ring.free:
            raise RingFull(f"alarm ring in {self._folder}: no room to copy what is unfinished")
        for entry, place in zip(batch, self._write([entry.draft for entry in batch]), strict=True):
            self._move(entry, place)

    def _entries(self) -> Iterator[_Entry]:
        yield self._epoch
        for groups in (self._groups, self._ended):
            for group in groups.values():
                yield from group.entries()

    # ---- repair

    def _requeue(self) -> None:
        """Whatever has no place on disk is to be written."""
        self._unsaved = {key: group.report for key, group in self._groups.items() if group.report.place is None}
        waiting = {id(entry) for entry in self._marks}
        self._marks += [
            entry
            for group in self._groups.values()
            for entry in group.marks.values()
            if entry.place is None and id(entry) not in waiting
        ]

    @property
    def owing(self) -> bool:
        """Whether `retry` has something to write."""
        return self._epoch.place is None or bool(self._unsaved) or bool(self._old_files)

    def retry(self) -> list[ReportId]:
        """Write what should be on disk and is not; then remove the files of a ring of another size.

        Returns:
            Reports that are on disk now.

        Raises:
            OSError, RingFull: Not everything could be written.
        """
        if self._epoch.place is None:
            self.save_epoch()
        stored = []
        for entry in list(self._unsaved.values()):
            self._store(entry)
            stored.append(unpack_report(entry.draft.payload).id)
        if self._old_files:
            self.flush()
            self._remove_old_files()
        return stored

    def _remove_old_files(self) -> None:
        present = set(self._disk.listdir(str(self._folder)))
        for path in self._old_files:
            if path.name in present:
                self._disk.unlink(str(path))
        self._old_files = []

    def check(self) -> None:
        """Look after the files; what a file made anew does not hold counts as not on disk."""
        if not self.ring.check():
            return
        for entry in self._entries():
            if entry.place is not None and self.ring.read(entry.place) is None:
                self._move(entry, None)
        self._requeue()

    def close(self) -> None:
        """Give all descriptors back; idempotent."""
        self.ring.close()
