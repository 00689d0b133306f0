"""Effects: all that the core ever asks for. Frozen; made by the core alone, obeyed by adapters."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.report import Mark, Report, ReportId, Step


class Pattern(enum.StrEnum):
    """What an output does until its order ends. The numbers are (on, off, …) seconds, repeated."""

    OFF = "off"
    STEADY = "steady"
    SLOW = "slow"
    FAST = "fast"
    DOUBLE = "double"


PATTERNS: dict[Pattern, tuple[float, ...]] = {
    Pattern.OFF: (),
    Pattern.STEADY: (),
    Pattern.SLOW: (0.5, 0.5),
    Pattern.FAST: (0.125, 0.125),
    Pattern.DOUBLE: (0.125, 0.125, 0.125, 0.625),
}


class Role(enum.StrEnum):
    """What an output is for."""

    SIREN = "siren"
    STROBE = "strobe"
    LAMP = "lamp"
    """The chain of receipt of the newest open alarm."""
    PATH_LAMP = "path-lamp"
    TROUBLE_LAMP = "trouble-lamp"


@dataclass(frozen=True, slots=True)
class Drive:
    """Order for all outputs of a role.

    Attributes:
        until_s: Monotonic time at which the output goes off by itself; the core renews what should last.
    """

    role: Role
    pattern: Pattern
    until_s: float


@dataclass(frozen=True, slots=True)
class Store:
    """Keep a report; an alarm is synced at once, answered by `Stored` or `NotStored`."""

    report: Report


@dataclass(frozen=True, slots=True)
class Note:
    """Keep a mark of the chain of receipt; synced with others within a second, never answered."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more is expected for these reports: their records may be reused when room is needed."""

    ids: tuple[ReportId, ...]


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send an alarm over a path now, not behind anything that waits.

    Attributes:
        attempt: 1 for the first time on this path since it was raised or restored.
    """

    path: str
    report: Report
    attempt: int


@dataclass(frozen=True, slots=True)
class Lead:
    """Whether a path carries faults and status reports and beats every 10 s, or rests and beats every 15 min."""

    path: str
    leading: bool


@dataclass(frozen=True, slots=True)
class Capture:
    """Open pickup and cameras for an incident; `until_s` is the monotonic end if nobody seals it before."""

    incident: ReportId
    covert: bool
    until_s: float


@dataclass(frozen=True, slots=True)
class Seal:
    """End the capture of an incident and hand in its manifest."""

    incident: ReportId


@dataclass(frozen=True, slots=True)
class Health:
    """The panel's state for the retained health topic.

    Attributes:
        open_incidents: How many incidents are latched.
        pending_alarms: Alarm reports that some receiver has not acknowledged.
        troubles: What is out of order, by source.
        glitches: Zones whose loop left its level without holding another, and how often since the start: interference
            and tired contacts show here before they show as anything else.
    """

    open_incidents: int
    pending_alarms: int
    troubles: tuple[str, ...]
    glitches: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Result of a command, to where it came from."""

    command: str
    origin: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of the chain of receipt was reached, for screens; never made for a covert alarm.

    Attributes:
        after_s: Seconds since the event's edge; for an alarm of an earlier epoch since the panel started.
    """

    id: ReportId
    code: str
    zone: str
    step: Step
    by: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Say:
    """One line for the console and the local log, in the panel's language; never about a covert alarm."""

    text: str


Effect = Drive | Store | Note | Finish | Transmit | Lead | Capture | Seal | Health | Reply | Progress | Say
"""Everything that `Panel.handle` returns."""
