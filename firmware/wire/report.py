"""Reports on the wire: what a receiver is told of one alarm, fault or status."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from json.encoder import encode_basestring as _quote
from typing import TYPE_CHECKING, NamedTuple

from firmware.core.codes import CODES, ReportClass
from firmware.core.report import SEQ_MAX, ReportId
from firmware.wire.fields import NAME_PATTERN, PANEL_PATTERN, UNPRINTABLE, Fields, WireError, parse_object
from firmware.wire.sign import seal_text, verify, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.report import Report, Scalar
    from hal.types import Instant

REPORT_MAX = 256 * 1024
"""Bytes of the largest report that a receiver reads."""
LATE_MS = 60_000
"""A report older than this when it is sent is marked late."""
AGE_UNKNOWN = -1
TEXT_MAX = 200
"""Characters of a site's or an event's text."""
DETAIL_TEXT_MAX = 500
DETAIL_ITEMS_MAX = 64
DETAIL_NAME_MAX = 64
_NEW, _RESTORE = 1, 3
"""Contact ID qualifiers (SIA DC-05)."""
_BOOL = ("false", "true")
_CODE = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Site:
    """Where the panel stands, as the desk shows it; degrees of WGS 84 as text, "" when unknown."""

    name: str = ""
    address: str = ""
    latitude: str = ""
    longitude: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Both clocks of the panel in milliseconds.

    Attributes:
        mono_ms: Monotonic; comparable inside one epoch only.
        utc_ms: Since 1970; may be wrong by decades when not synced.
        synced: Whether the wall clock was disciplined.
    """

    mono_ms: int
    utc_ms: int
    synced: bool


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report as a receiver has read it.

    Attributes:
        id: Identity; a receiver removes duplicates by it.
        cls: Alarm, fault or status.
        code: SIA letters; may be one that this version's table does not have.
        cid: Contact ID event number.
        qualifier: 1 new event, 3 restore.
        event: English words.
        zone: Name of the zone, or "".
        incident: The first alarm of its incident, or None.
        covert: From a silent alarm: nothing at the booth shows it.
        drill: Part of a drill.
        raised: When it happened; in the epoch of `id`.
        sent: When it was sent.
        sent_epoch: The epoch in which it was sent: the panel's present one.
        age_ms: How old it was when sent; -1 when the panel cannot know.
        late: Older than a minute, or of unknown age.
        attempt: 1 for the first time on this path.
        site: Where the panel stands.
        detail: Further facts by name.
        signed: Whether its signature was checked.
    """

    id: ReportId
    cls: ReportClass
    code: str
    cid: int
    qualifier: int
    event: str
    zone: str
    incident: ReportId | None
    covert: bool
    drill: bool
    raised: Stamp
    sent: Stamp
    sent_epoch: int
    age_ms: int
    late: bool
    attempt: int
    site: Site
    detail: tuple[tuple[str, Scalar], ...]
    signed: bool

    @property
    def happened_utc_ms(self) -> int | None:
        """The best word on when it happened, or None: a clock that was set later still tells it through the age."""
        if self.raised.synced:
            return self.raised.utc_ms
        if self.sent.synced and self.age_ms != AGE_UNKNOWN:
            return self.sent.utc_ms - self.age_ms
        return None


class Fixed(NamedTuple):
    """What of a report's canonical text does not depend on when it is sent: the three runs of keys between the rest."""

    cid_to_incident: bytes
    panel_to_raised: bytes
    seq_to_zone: bytes


def fixed_text(report: Report, site: Site) -> Fixed:
    """The greater part of a report's text, for who has the time to write it before the report may go."""
    ident = report.id
    code, event, qualifier, rest = _constant_parts(report.code, site)
    incident = "null" if report.incident is None else _quote(str(report.incident))
    return Fixed(
        f'{code},"covert":{_BOOL[report.covert]},"detail":{_detail(report.detail)},"drill":{_BOOL[report.drill]},'
        f'"epoch":{ident.epoch},{event},"id":{_quote(str(ident))},"incident":{incident}'.encode(),
        f'"panel":{_quote(ident.panel)},{qualifier},"raised":{{{_stamp(report.raised)}}}'.encode(),
        b'"seq":%d,%b,"zone":%b' % (ident.seq, rest, _quote(report.zone).encode()),
    )


def encode_report(
    report: Report, *, site: Site, now: Instant, epoch: int, attempt: int, key: bytes | None, fixed: Fixed | None = None
) -> bytes:
    """The payload of a report sent now.

    The canonical text is written by hand, key by key in its order, in half of the time that a JSON writer takes: every
    alarm waits for it. A test holds it to `canonical`.

    Never refuses: text in `detail` that is too long or unprintable is cut or replaced, because the alarm matters more.

    Args:
        report: What happened.
        site: Where the panel stands.
        now: Both clocks at sending.
        epoch: The panel's present epoch; the age of an older epoch's report cannot come from the monotonic clock.
        attempt: 1 for the first time on this path.
        key: Signs the report, if the panel has one.
        fixed: Its `fixed_text`, if that is at hand.
    """
    first, second, third = fixed or fixed_text(report, site)
    age_ms = _age_ms(report, now, epoch)
    late = _BOOL[age_ms == AGE_UNKNOWN or age_ms > LATE_MS].encode()
    text = b'{"age_ms":%d,"attempt":%d,%b,"late":%b,%b,"sent":{"epoch":%d,%b},%b}' % (
        age_ms, attempt, first, late, second, epoch, _stamp(now).encode(), third
    )  # fmt: skip
    return seal_text(text, key)


def decode_report(payload: bytes, key: bytes | None) -> ReceivedReport:
    """Read a report; keys that this version does not know are ignored.

    Args:
        payload: What came.
        key: The panel's key; None to believe without a signature.

    Raises:
        WireError: The payload is no report, or its signature is missing or wrong.
    """
    found = parse_object(payload, "report", REPORT_MAX)
    if key is not None:
        verify(found, key, "report")
    fields = Fields(found, "report")
    fields.version()
    sent = fields.nested("sent")
    ident = _identity(fields)
    return ReceivedReport(
        id=ident,
        cls=ReportClass(fields.choice("class", ReportClass)),
        code=fields.text("code", 2, _CODE),
        cid=fields.integer("cid", 0, 999),
        qualifier=fields.integer("qualifier", _NEW, _RESTORE),
        event=fields.text("event", TEXT_MAX),
        zone=fields.text("zone", 32, NAME_PATTERN) if found.get("zone") != "" else "",
        incident=_incident(fields, ident.panel) if fields.has("incident") else None,
        covert=fields.flag("covert"),
        drill=fields.flag("drill"),
        raised=read_stamp(fields.nested("raised")),
        sent=read_stamp(sent),
        sent_epoch=sent.integer("epoch", 0, SEQ_MAX),
        age_ms=fields.integer("age_ms", AGE_UNKNOWN, SEQ_MAX),
        late=fields.flag("late"),
        attempt=fields.integer("attempt", 1, SEQ_MAX),
        site=_read_site(fields.nested("site")),
        detail=_read_detail(fields.nested("detail")),
        signed=key is not None,
    )


def read_stamp(fields: Fields) -> Stamp:
    """The three keys of a moment."""
    return Stamp(
        mono_ms=fields.integer("mono_ms", 0, SEQ_MAX),
        utc_ms=fields.integer("utc_ms", -SEQ_MAX, SEQ_MAX),
        synced=fields.flag("synced"),
    )


def clean(text: str, high: int) -> str:
    """Text made fit for the wire: cut to `high` characters, unprintable ones replaced by U+FFFD."""
    if len(text) > high:
        text = text[: high - 1] + "…"
    return text if text.isprintable() else UNPRINTABLE.sub("\ufffd", text)


def _age_ms(report: Report, now: Instant, epoch: int) -> int:
    raised = report.raised
    if report.id.epoch == epoch:
        return max(0, round((now.mono_s - raised.mono_s) * 1000))
    if raised.synced and now.synced and now.utc_s >= raised.utc_s:
        return round((now.utc_s - raised.utc_s) * 1000)
    return AGE_UNKNOWN


def _stamp(moment: Instant) -> str:
    return (
        f'"mono_ms":{round(moment.mono_s * 1000)},"synced":{_BOOL[moment.synced]},"utc_ms":{round(moment.utc_s * 1000)}'
    )


@functools.lru_cache(maxsize=128)
def _constant_parts(code: str, site: Site) -> tuple[str, str, str, bytes]:
    kind = CODES[code]
    words = {
        "name": clean(site.name, TEXT_MAX),
        "address": clean(site.address, TEXT_MAX),
        "latitude": clean(site.latitude, 20),
        "longitude": clean(site.longitude, 20),
    }
    return (
        f'"cid":{kind.cid},"class":{_quote(kind.cls.value)},"code":{_quote(kind.sia)}',
        f'"event":{_quote(kind.en)}',
        f'"qualifier":{_RESTORE if kind.restore else _NEW}',
        f'"site":{write(words)},"v":1'.encode(),
    )


def _detail(detail: tuple[tuple[str, Scalar], ...]) -> str:
    if not detail:
        return "{}"
    found = {clean(name, DETAIL_NAME_MAX): _scalar(value) for name, value in detail[:DETAIL_ITEMS_MAX]}
    return "{" + ",".join([f"{_quote(name)}:{found[name]}" for name in sorted(found)]) + "}"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return _BOOL[value]
    if isinstance(value, int) and abs(value) <= SEQ_MAX:
        return f"{value:d}"
    return _quote(clean(str(value), DETAIL_TEXT_MAX))


def _identity(fields: Fields) -> ReportId:
    panel = fields.text("panel", 64, PANEL_PATTERN)
    ident = ReportId(panel, fields.integer("epoch", 0, SEQ_MAX), fields.integer("seq", 0, SEQ_MAX))
    fields.same("id", str(ident), "as panel, epoch and seq say")
    return ident


def _incident(fields: Fields, panel: str) -> ReportId:
    incident = fields.identity("incident")
    if incident.panel != panel:
        raise WireError("report", "incident", str(incident), f"one of its own panel, {panel!r}")
    return incident


def _read_site(fields: Fields) -> Site:
    return Site(
        name=fields.text("name", TEXT_MAX),
        address=fields.text("address", TEXT_MAX),
        latitude=fields.text("latitude", 20),
        longitude=fields.text("longitude", 20),
    )


def _read_detail(fields: Fields) -> tuple[tuple[str, Scalar], ...]:
    return tuple(_read_items(fields))


def _read_items(fields: Fields) -> Iterable[tuple[str, Scalar]]:
    for count, (name, value) in enumerate(fields.items(), start=1):
        if count > DETAIL_ITEMS_MAX:
            raise WireError("report", "detail", f"over {DETAIL_ITEMS_MAX} keys", f"at most {DETAIL_ITEMS_MAX} keys")
        if len(name) > DETAIL_NAME_MAX or UNPRINTABLE.search(name):
            raise WireError("report", "detail", name, f"named in at most {DETAIL_NAME_MAX} printable characters")
        if isinstance(value, bool):
            yield name, fields.flag(name)
        elif isinstance(value, int):
            yield name, fields.integer(name, -SEQ_MAX, SEQ_MAX)
        else:
            yield name, fields.text(name, DETAIL_TEXT_MAX)
