"""Alarms that are not finished: their records in memory, and where each lies on disk.

What lies on disk is held there (`Ring.hold`) until the end of its report is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.adapters.ring_format import Draft, Key, Kind, Place, Record, unpack_pairs
from firmware.core.report import Mark, Report, ReportId, Step
from firmware.wire.stored import StoredError, unpack_mark, unpack_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from firmware.adapters.ring import Ring

_STEPS = tuple(Step)


class Entry:
    """A record that must last, and where it lies; no place means that it is not on disk."""

    __slots__ = ("draft", "place")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.place: Place | None = None


class Group:
    """A report with its marks, by payload."""

    __slots__ = ("marks", "report")

    def __init__(self, report: Entry) -> None:
        self.report = report
        self.marks: dict[bytes, Entry] = {}

    def entries(self) -> Iterator[Entry]:
        """The report, then its marks."""
        yield self.report
        yield from self.marks.values()


def key_of(identity: ReportId) -> Key:
    """The part of an identity that records carry in their header."""
    return identity.epoch, identity.seq


def finished_keys(records: Iterable[Record]) -> set[Key]:
    """Keys of all reports that are finished by one of these records."""
    return {key for record in records if record.kind == Kind.FINISH for key in unpack_pairs(record.payload)}


class Unfinished:
    """The reports that must not be overwritten.

    Attributes:
        groups: Reports that more is expected for.
        ended: Reports whose end is not durable yet: after a cut of the power they would be unfinished again.

    Synchronization: the journal's thread.
    """

    def __init__(self, ring: Ring) -> None:
        self.groups: dict[Key, Group] = {}
        self.ended: dict[Key, Group] = {}
        self._ring = ring

    def attach(self, ring: Ring) -> None:
        """Go over to a ring that was just opened; nothing is known to lie in it."""
        self._ring = ring
        for entry in self.entries():
            entry.place = None

    def find(self, key: Key) -> Group | None:
        """A report, ended or not."""
        return self.groups.get(key) or self.ended.get(key)

    def entries(self) -> Iterator[Entry]:
        """Every record that must last."""
        for groups in (self.groups, self.ended):
            for group in groups.values():
                yield from group.entries()

    def move(self, entry: Entry, place: Place | None) -> None:
        """Tell where a record lies from now on."""
        if entry.place is not None:
            self._ring.release(entry.place)
        entry.place = place
        if place is not None:
            self._ring.hold(place)

    def settle_mark(self, entry: Entry, place: Place) -> None:
        """Hold a mark that was written, if it belongs to a report here and there is room to hold it."""
        group = self.find(entry.draft.key)
        if group is None or group.marks.get(entry.draft.payload) is not entry:
            return
        if self._fits(place):
            self.move(entry, place)
        else:
            # It may be overwritten: losing a mark costs a duplicate, holding it could cost an alarm its place.
            del group.marks[entry.draft.payload]

    def _fits(self, place: Place) -> bool:
        return self._ring.usable <= 1 or self._ring.held + place.size <= self._ring.hard_capacity

    def end(self, key: Key) -> bool:
        """Nothing more is expected for a report.

        Returns:
            Whether it was here and not ended.
        """
        group = self.groups.pop(key, None)
        if group is not None:
            self.ended[key] = group
        return group is not None

    def forget(self, group: Group) -> None:
        """Let a report be overwritten that is in none of the tables any more."""
        for entry in group.entries():
            self.move(entry, None)

    # ---- start

    def recover(self, records: list[Record], finished: set[Key], *, on_disk: bool) -> None:
        """Take in records, in the order of writing; `on_disk` says whether they lie in the present ring."""
        for record in records:
            if record.kind == Kind.REPORT and record.key not in finished:
                group = self.find(record.key) or Group(Entry(Draft(Kind.REPORT, record.key, record.payload)))
                if record.key not in self.ended:
                    self.groups[record.key] = group
                if on_disk:
                    self.move(group.report, record.place)
        for record in records:
            if record.kind == Kind.MARK:
                self._recover_mark(record, on_disk=on_disk)

    def _recover_mark(self, record: Record, *, on_disk: bool) -> None:
        group = self.find(record.key)
        if group is None or not (record.payload in group.marks or self._fits(record.place)):
            return
        entry = group.marks.setdefault(record.payload, Entry(Draft(Kind.MARK, record.key, record.payload)))
        if on_disk:
            self.move(entry, record.place)

    def let_marks_go(self) -> None:
        """Drop marks that cannot be copied any more: an earlier start had not held them."""
        for group in self.groups.values():
            for payload, entry in list(group.marks.items()):
                if self._ring.usable <= 1 or self._ring.reserve <= self._ring.free:
                    return
                if entry.place is not None and entry.place.ordinal <= self._ring.oldest:
                    self.move(entry, None)
                    del group.marks[payload]

    def decode(self, keys: Iterable[Key]) -> tuple[tuple[Report, ...], tuple[Mark, ...], list[str]]:
        """Reports and their marks, along the chain of receipt, and what is wrong with those that cannot be read.

        A report that cannot be read is forgotten: the core could never finish it.
        """
        reports, marks, wrong = [], [], []
        for key in sorted(keys):
            group = self.groups[key]
            try:
                reports.append(unpack_report(group.report.draft.payload))
                marks += [unpack_mark(payload) for payload in group.marks]
            except StoredError as error:
                wrong.append(str(error))
                self.forget(self.groups.pop(key))
        marks.sort(key=lambda mark: (key_of(mark.id), _STEPS.index(mark.step)))
        return tuple(reports), tuple(marks), wrong
