"""What a desk does and shows: frozen facts that its logic returns, each sent or printed by somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.facts import Command, Receipt
    from firmware.core.report import ReportId, Step
    from firmware.receiver.evidence import Saved
    from firmware.wire.beat import Pulse
    from firmware.wire.command import Result
    from firmware.wire.health import ReceivedHealth
    from firmware.wire.report import ReceivedReport


@dataclass(frozen=True, slots=True)
class Moment:
    """The desk's own clocks.

    Attributes:
        mono_s: Monotonic seconds; everything is measured with it.
        utc_ms: Wall clock; for people to read.
    """

    mono_s: float
    utc_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Send a receipt."""

    receipt: Receipt
    utc_ms: int


@dataclass(frozen=True, slots=True)
class Pulsed:
    """Send the echo of a heartbeat."""

    pulse: Pulse


@dataclass(frozen=True, slots=True)
class Order:
    """Send a command, valid up to a moment on the panel's own monotonic clock."""

    panel: str
    epoch: int
    not_after_mono_ms: int
    command: Command


@dataclass(frozen=True, slots=True)
class ReportCame:
    """A report came that this desk had not seen, or an alarm once more.

    Attributes:
        delayed_ms: How long it lay on the way after it was sent, as far as both wall clocks tell; else None.
    """

    report: ReceivedReport
    duplicate: bool
    delayed_ms: int | None


@dataclass(frozen=True, slots=True)
class StepTaken:
    """This desk took a step of the chain of receipt.

    Attributes:
        ms: Since the press, by the panel's word on the report's age and this desk's clock from then on; None when the
            panel did not know the age.
    """

    incident: ReportId
    step: Step
    person: str
    ms: int | None


@dataclass(frozen=True, slots=True)
class FileSaved:
    """A file of evidence is on disk, its hash right."""

    saved: Saved
    signed: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """An incident's manifest came.

    Attributes:
        missing: Listed files that are not here, or not as listed.
        complete: Whether the panel itself says that nothing is missing.
    """

    incident: ReportId
    files: int
    missing: tuple[str, ...]
    complete: bool
    signed: bool


@dataclass(frozen=True, slots=True)
class HealthCame:
    """A panel's health."""

    health: ReceivedHealth
    retained: bool


@dataclass(frozen=True, slots=True)
class ResultCame:
    """A panel answered a command of this desk."""

    result: Result


@dataclass(frozen=True, slots=True)
class Lost:
    """Reports with these numbers have not come, and their panel has not said that it dropped them."""

    panel: str
    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is not as it should be; nothing is withheld because of it.

    Attributes:
        panel: Which panel, or "" for this desk itself.
    """

    panel: str
    text: str


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Somebody speaks under a panel's name without its valid signature; nothing of that is believed.

    Attributes:
        since_utc_ms: When that began, on this desk's clock.
        proved_utc_ms: When the panel itself proved last that it lives; None: never since this desk began.
        alive: Whether that is recent: then somebody else uses its name.
        alarm: Whether an alarm is among the words.
    """

    panel: str
    since_utc_ms: int
    proved_utc_ms: int | None
    alive: bool
    alarm: bool


@dataclass(frozen=True, slots=True)
class SignedAgain:
    """A panel proves itself again, and nothing unsigned has come under its name for a while."""

    panel: str
    since_utc_ms: int


@dataclass(frozen=True, slots=True)
class Restored:
    """This desk was started again and still knows these incidents.

    Attributes:
        incidents: How many are open.
    """

    incidents: int


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A connection to the broker came or went.

    Attributes:
        link: "reports" or "media".
    """

    link: str
    up: bool
    why: str


Shown = (
    ReportCame
    | StepTaken
    | FileSaved
    | Sealed
    | HealthCame
    | ResultCame
    | Lost
    | Warned
    | Unsigned
    | SignedAgain
    | Restored
    | LinkChanged
)
"""Everything that a screen or a JSON line can show."""

Act = Answer | Pulsed | Order | Shown
"""Everything that the desk's logic returns."""
