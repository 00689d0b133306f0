"""Reports and marks as the journal keeps them: one compact JSON array each, its first element the version of its form.

The text is ASCII: a lone surrogate out of somebody's JSON must not stop an alarm from being stored, and no byte of it
can look like the beginning of a record.
"""

from __future__ import annotations

import json
import math
from typing import Any

from firmware.core.codes import CODES
from firmware.core.report import SEQ_MAX, Mark, Report, ReportId, Step
from hal.types import Instant

VERSION = 1

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class StoredError(ValueError):
    """Bytes that are no report, mark or gap of a version that this firmware reads."""


def pack_report(report: Report) -> bytes:
    """A report as bytes; `unpack_report` gives back an equal one, times to the last bit."""
    raised, incident = report.raised, report.incident
    row = (
        VERSION,
        *_id_cells(report.id),
        report.code,
        raised.mono_s,
        raised.utc_s,
        raised.synced,
        report.zone,
        None if incident is None else _id_cells(incident),
        report.covert,
        report.drill,
        report.detail,
    )
    return _encode(row).encode("ascii")


def unpack_report(data: bytes) -> Report:
    """Read what `pack_report` wrote.

    Raises:
        StoredError: The bytes are something else; the message says in which way.
    """
    row = _row(data, (13,), "report")
    _, panel, epoch, seq, code, mono_s, utc_s, synced, zone, incident, covert, drill, detail = row
    if not (isinstance(code, str) and code in CODES):
        raise StoredError(f"stored report: code {str(code)[:20]!r} is not in this firmware's table")
    _check(str, "zone", zone)
    _check(bool, "covert", covert)
    _check(bool, "drill", drill)
    _check(list, "detail", detail)
    return Report(
        _id(panel, epoch, seq),
        code,
        _instant(mono_s, utc_s, synced),
        zone,
        None if incident is None else _id(*_cells(incident, 3)),
        covert,
        drill,
        tuple([_detail(pair) for pair in detail]),
    )


def pack_mark(mark: Mark) -> bytes:
    """A mark as bytes; `unpack_mark` gives back an equal one."""
    at = mark.at
    row = [VERSION, *_id_cells(mark.id), mark.step.value, mark.by, mark.person, at.mono_s, at.utc_s, at.synced]
    if mark.path:  # earlier versions knew none, and read what has none
        row.append(mark.path)
    return _encode(row).encode("ascii")


def unpack_mark(data: bytes) -> Mark:
    """Read what `pack_mark` wrote.

    Raises:
        StoredError: The bytes are something else; the message says in which way.
    """
    _, panel, epoch, seq, step, by, person, mono_s, utc_s, synced, *more = _row(data, (10, 11), "mark")
    path = more[0] if more else ""
    _check(str, "by", by)
    _check(str, "person", person)
    _check(str, "path", path)
    try:
        known = Step(step)
    except ValueError:
        raise StoredError(f"stored mark: step {str(step)[:20]!r} is unknown to this firmware") from None
    return Mark(_id(panel, epoch, seq), known, by, person, _instant(mono_s, utc_s, synced), path)


def pack_gap(first: ReportId, last: ReportId, count: int) -> bytes:
    """A run of dropped reports as bytes."""
    return _encode((VERSION, *_id_cells(first), *_id_cells(last), count)).encode("ascii")


def unpack_gap(data: bytes) -> tuple[ReportId, ReportId, int]:
    """Read what `pack_gap` wrote: first and last identity, count.

    Raises:
        StoredError: The bytes are something else; the message says in which way.
    """
    _, panel, epoch, seq, panel2, epoch2, seq2, count = _row(data, (8,), "gap")
    return _id(panel, epoch, seq), _id(panel2, epoch2, seq2), _number(count)


def _row(data: bytes, lengths: tuple[int, ...], what: str) -> list[Any]:
    try:
        row = _decode(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise StoredError(f"stored {what}: no JSON ({error})") from None
    if not (isinstance(row, list) and row):
        raise StoredError(f"stored {what}: no JSON array")
    if row[0] != VERSION:
        raise StoredError(f"stored {what}: version {str(row[0])[:20]}, this firmware reads version {VERSION}")
    if len(row) not in lengths:
        raise StoredError(f"stored {what}: {len(row)} elements instead of {' or '.join(map(str, lengths))}")
    return row


def _cells(value: Any, length: int) -> list[Any]:
    if not (isinstance(value, list) and len(value) == length):
        raise StoredError(f"stored record: no array of {length}: {str(value)[:40]!r}")
    return value


def _id_cells(identity: ReportId) -> tuple[str, int, int]:
    return identity.panel, identity.epoch, identity.seq


def _id(panel: Any, epoch: Any, seq: Any) -> ReportId:
    if not isinstance(panel, str):
        raise StoredError(f"stored record: panel is no text: {str(panel)[:40]!r}")
    return ReportId(panel, _number(epoch), _number(seq))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= SEQ_MAX:
        raise StoredError(f"stored record: no whole number from 0 to 2**53-1: {str(value)[:40]!r}")
    return value


def _instant(mono_s: Any, utc_s: Any, synced: Any) -> Instant:
    numbers = type(mono_s) in (float, int) and type(utc_s) in (float, int)
    if not numbers or not (math.isfinite(mono_s) and math.isfinite(utc_s)):
        raise StoredError(f"stored record: no time: {str(mono_s)[:20]!r}, {str(utc_s)[:20]!r}")
    _check(bool, "synced", synced)
    return Instant(mono_s, utc_s, synced)


def _detail(pair: Any) -> tuple[str, str | int | bool]:
    name, value = _cells(pair, 2)
    if not (isinstance(name, str) and isinstance(value, str | int)):
        raise StoredError(f"stored report: no detail: {str(pair)[:40]!r}")
    return name, value


def _check(kind: type, name: str, value: Any) -> None:
    if type(value) is not kind:
        raise StoredError(f"stored record: {name} is no {kind.__name__}: {str(value)[:40]!r}")
