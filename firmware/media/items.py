"""Files of evidence on their way: what the spool tells the engine, the uploader and itself about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.wire.media import ManifestEntry

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.core.report import ReportId
    from firmware.media.dossier import Begun


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A receiver has a file."""

    incident: ReportId
    name: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Item:
    """One complete file for the receivers.

    Attributes:
        path: Where it lies, or None while it lives in `data`.
        missing: Receivers that have not confirmed it.
    """

    incident: ReportId
    name: str
    kind: str
    source: str
    size: int
    sha256: str
    path: Path | None
    data: bytes
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What an earlier child left.

    Attributes:
        taken: File names of the unfinished incidents.
        sealed: Finished incidents.
    """

    taken: dict[ReportId, frozenset[str]] = field(default_factory=dict)
    sealed: frozenset[ReportId] = frozenset()


def entry_of(begun: Begun, size: int, sha256: str, last_mono_ms: int, *, recovered: bool = False) -> ManifestEntry:
    """A file's line in the manifest."""
    length_ms = max(0, last_mono_ms - begun.mono_ms)
    return ManifestEntry(
        name=begun.name,
        kind=begun.kind,
        source=begun.source,
        size=size,
        sha256=sha256,
        first_mono_ms=begun.mono_ms,
        last_mono_ms=begun.mono_ms + length_ms,
        first_utc_ms=begun.utc_ms,
        last_utc_ms=begun.utc_ms + length_ms,
        recovered=recovered,
    )


def milliseconds(mono_s: float) -> int:
    """Seconds as the wire counts them."""
    return max(0, round(mono_s * 1000))
