"""A journal as somebody sees it who may only look: the panel may be writing into it meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from firmware.adapters.journal_alarms import ALARM_RING
from firmware.adapters.journal_events import EVENT_RING
from firmware.adapters.ring_files import REAL
from firmware.adapters.ring_format import Key, Kind, Record
from firmware.adapters.ring_reader import layouts, read_ring, read_segment
from firmware.adapters.unfinished import finished_keys
from firmware.core.report import Mark, Report, ReportId, Step
from firmware.wire.stored import StoredError, unpack_gap, unpack_mark, unpack_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from firmware.adapters.ring import Layout

_T = TypeVar("_T")
_YOUNG_NS = 2_000_000_000
"""A file changed so lately may change again without its time showing it."""
_ORDER = {step: place for place, step in enumerate(Step)}


@dataclass(frozen=True, slots=True)
class Kept:
    """A report with what is known of its chain of receipt; `finished` when nothing more is expected."""

    report: Report
    marks: tuple[Mark, ...]
    finished: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Reports that were dropped for want of room."""

    first: ReportId
    last: ReportId
    count: int


@dataclass(frozen=True, slots=True)
class Start:
    """The panel started."""

    epoch: int


Row = Kept | Gap | Start


class JournalReader:
    """Reads a journal's folder, again and again if wanted; writes nothing and takes no epoch.

    Args:
        folder: The journal's own folder.

    Synchronization: one thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segments: dict[Path, tuple[tuple[int, int, int], list[Record]]] = {}

    def rows(self, *, covert: bool) -> list[Row]:
        """Everything that can be read, in the order of identities; silent alarms and all that is theirs if `covert`.

        Raises:
            OSError: The folder cannot be read.
        """
        records = [
            record
            for name in (ALARM_RING, EVENT_RING)
            for layout in layouts(self._folder, name, REAL)
            for record in read_ring(self._folder, layout, REAL, self._read)
        ]
        rows: list[tuple[Key, Row]] = [((kept.report.id.epoch, kept.report.id.seq), kept) for kept in _kept(records)]
        if not covert:
            rows = _without_covert(rows)
        rows += [((start.epoch, 0), start) for start in _starts(records)]
        rows += [((gap.last.epoch, gap.last.seq), gap) for gap in _gaps(records)]
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def _read(self, path: Path, layout: Layout, index: int) -> list[Record]:
        try:
            stat = path.stat()
        except OSError:
            return []
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        known = self._segments.get(path)
        if known is not None and known[0] == stamp and time.time_ns() - stat.st_mtime_ns > _YOUNG_NS:
            return known[1]
        records = read_segment(path, layout, index, REAL)
        self._segments[path] = (stamp, records)
        return records


def _kept(records: list[Record]) -> list[Kept]:
    finished = finished_keys(records)
    reports = {record.key: record.payload for record in records if record.kind == Kind.REPORT}
    marks: dict[Key, set[Mark]] = {}
    for mark in _decoded((record.payload for record in records if record.kind == Kind.MARK), unpack_mark):
        marks.setdefault((mark.id.epoch, mark.id.seq), set()).add(mark)
    kept = []
    for report in _decoded(reports.values(), unpack_report):
        key = (report.id.epoch, report.id.seq)
        chain = sorted(marks.get(key, ()), key=lambda mark: (_ORDER[mark.step], mark.at.mono_s, mark.by))
        kept.append(Kept(report, tuple(chain), key in finished))
    return kept


def _decoded(payloads: Iterable[bytes], unpack: Callable[[bytes], _T]) -> list[_T]:
    values = []
    for payload in payloads:
        try:
            values.append(unpack(payload))
        except StoredError:
            continue
    return values


def _without_covert(rows: list[tuple[Key, Row]]) -> list[tuple[Key, Row]]:
    """Without silent reports, and without those of an incident that is silent or not known to be loud any more."""
    loud = {row.report.id for _, row in rows if isinstance(row, Kept) and not row.report.covert}
    known = {None, *loud}
    return [
        (key, row)
        for key, row in rows
        if isinstance(row, Kept) and row.report.id in loud and row.report.incident in known
    ]


def _starts(records: list[Record]) -> list[Start]:
    return [Start(epoch) for epoch in {record.key[0] for record in records if record.kind == Kind.EPOCH}]


def _gaps(records: list[Record]) -> list[Gap]:
    found = _decoded((record.payload for record in records if record.kind == Kind.GAP), unpack_gap)
    widest: dict[ReportId, Gap] = {}
    for first, last, count in found:
        # A gap that grew is written again from its first report on.
        widest[first] = Gap(first, last, count)
    return list(widest.values())
