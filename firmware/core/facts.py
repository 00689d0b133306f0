"""Facts: all that the owner thread is ever told. Frozen; made by adapters, read by the core alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.types import Level

if TYPE_CHECKING:
    from firmware.core.report import Mark, Report, ReportId, Scalar, Step


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline that the core asked for has come."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The journal has synced a report."""

    id: ReportId


@dataclass(frozen=True, slots=True)
class NotStored:
    """The journal could not sync a report; it lives in memory and on the link only."""

    id: ReportId
    why: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The journal can read at last what it could not read when the panel started: alarms that are not finished.

    Attributes:
        reports: By identity; of earlier starts all of them.
        marks: Theirs.
    """

    reports: tuple[Report, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Brokered:
    """The broker of a path took a report and somebody is subscribed."""

    path: str
    id: ReportId


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker answered, and the report is not on its way.

    Attributes:
        reason: MQTT 5 reason code; 0x10 means that nobody is subscribed.
    """

    path: str
    id: ReportId
    reason: int
    why: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receiver's own word on a report, its signature already checked.

    Attributes:
        step: RECEIVED, ACCEPTED, DISPATCHED, ARRIVED or CLOSED.
        person: Who accepted; may be empty.
        path: The path that it came over; empty where nobody knows.
    """

    receiver: str
    id: ReportId
    step: Step
    person: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class PathUp:
    """A path's connection carries reports; whether a receiver is at its other end is told by `Echo`."""

    path: str


@dataclass(frozen=True, slots=True)
class PathDown:
    """A path's connection is gone, or stands and brings nothing back.

    Attributes:
        closed: Whether the far end itself ended it, and so was alive until now.
        stands: Whether it stands and carries reports away: only what should come back was refused.
    """

    path: str
    why: str
    closed: bool = False
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat went out over a path; an echo is awaited."""

    path: str


@dataclass(frozen=True, slots=True)
class Echo:
    """A receiver was heard over a path: it echoed a beat or answered a report, its signature already checked."""

    path: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Command:
    """An order by a person, from a receiver or from the console, verified already.

    Attributes:
        id: Unique; the result names it.
        origin: Receiver name, or "console".
        verb: "reset" | "bell-off" | "status".
        target: A zone's name, or "" for all.
        actor: Who orders it.
        reason: Why, in the actor's words.
    """

    id: str
    origin: str
    verb: str
    target: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """The media child finished one file of an incident and wrote it to disk.

    Attributes:
        kind: "still" | "clip" | "sound".
        source: Camera or microphone name.
        name: File name below the incident's folder.
        sha256: Hexadecimal.
        size: Bytes.
    """

    incident: ReportId
    kind: str
    source: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class EvidenceSealed:
    """No more files come for an incident; `manifest_sha256` covers the list of all of them.

    Attributes:
        complete: False when the child died in between and files are missing or cut.
    """

    incident: ReportId
    files: int
    size: int
    manifest_sha256: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something is out of order. Repeating a trouble that stands changes nothing.

    Attributes:
        source: What: "journal", "camera gate", "microphone", "adapter outputs", "configuration" …
        why: What, where, which value, which limit, what to do.
    """

    source: str
    why: str
    detail: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True)
class TroubleOver:
    """A trouble is over."""

    source: str


@dataclass(frozen=True, slots=True)
class ReportsDropped:
    """The journal dropped the oldest status reports for want of room.

    Attributes:
        first: First identity of the run that was dropped.
        last: Last identity of it.
        count: How many reports.
    """

    first: ReportId
    last: ReportId
    count: int


Fact = (
    Level
    | Tick
    | Stored
    | NotStored
    | Recovered
    | Brokered
    | Refused
    | Receipt
    | PathUp
    | PathDown
    | Beat
    | Echo
    | Command
    | EvidenceFile
    | EvidenceSealed
    | Trouble
    | TroubleOver
    | ReportsDropped
)
"""Everything that `Panel.handle` takes."""
