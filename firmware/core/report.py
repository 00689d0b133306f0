"""What is sent and what is kept: reports, their identity, and the marks of the chain of receipt."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.codes import CODES, Code, ReportClass

if TYPE_CHECKING:
    from hal.types import Instant

Scalar = str | int | bool
"""A value in a report's detail. No floats: a signature is taken over the text of the numbers."""

PANEL_ID_MAX = 64
SEQ_MAX = 2**53 - 1
"""Largest epoch or sequence number: what every JSON reader holds exactly (RFC 8259, section 6)."""


class Step(enum.StrEnum):
    """The chain of receipt, in order, and what else is kept of an alarm."""

    RAISED = "raised"
    STORED = "stored"
    BROKERED = "brokered"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    DISPATCHED = "dispatched"
    ARRIVED = "arrived"
    CLOSED = "closed"
    SILENCED = "silenced"
    """No part of the chain, but kept beside it: the incident's siren came to its end, or a person silenced it."""


CHAIN: tuple[Step, ...] = tuple(step for step in Step if step is not Step.SILENCED)
"""The chain itself."""

RECEIVER_STEPS = (Step.RECEIVED, Step.ACCEPTED, Step.DISPATCHED, Step.ARRIVED, Step.CLOSED)
"""The steps that only a receiver can tell."""


@dataclass(frozen=True, slots=True, order=True)
class ReportId:
    """Identity of a report: `panel/epoch/seq`, never used twice."""

    panel: str
    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.panel}/{self.epoch}/{self.seq}"

    @classmethod
    def parse(cls, text: str) -> ReportId:
        """Read `panel/epoch/seq`.

        Raises:
            ValueError: The text is no identity; the message holds its first 80 characters.
        """
        panel, slash, rest = text.partition("/")
        epoch, slash2, seq = rest.partition("/")
        plain = epoch.isascii() and seq.isascii() and epoch.isdigit() and seq.isdigit()
        if not (panel and slash and slash2 and plain and len(text) <= PANEL_ID_MAX + 40):
            raise ValueError(f"no report identity (panel/epoch/seq): {text[:80]!r}")
        return cls(panel, int(epoch), int(seq))


@dataclass(frozen=True, slots=True)
class Report:
    """One alarm, fault or status as it happened. It is never changed afterwards: its age is told when it is sent.

    Attributes:
        id: Identity; the sequence runs over all classes of one epoch.
        code: SIA letters, a key of `CODES`.
        raised: Both clocks at the source of the event.
        zone: Name of the zone, or "" for the panel itself.
        incident: Identity of the first alarm of its incident; None outside incidents.
        covert: From a silent or duress alarm: nothing at the booth may show it.
        drill: Part of a drill, marked from end to end.
        detail: Further facts by name, in order.
    """

    id: ReportId
    code: str
    raised: Instant
    zone: str = ""
    incident: ReportId | None = None
    covert: bool = False
    drill: bool = False
    detail: tuple[tuple[str, Scalar], ...] = ()

    @property
    def kind(self) -> Code:
        """The code's row in the table."""
        return CODES[self.code]

    @property
    def cls(self) -> ReportClass:
        """Alarm, fault or status."""
        return CODES[self.code].cls


@dataclass(frozen=True, slots=True)
class Mark:
    """One step of one report's chain of receipt, as the journal keeps it.

    Attributes:
        id: The report.
        step: BROKERED or later; a report's RAISED and STORED are its own record.
        by: Path name for BROKERED, receiver name afterwards; who silenced it, "panel" for the bell cut-off.
        person: Who accepted, as the receiver named them; may be empty.
        at: When this panel learned of it.
        path: The path that a receiver's word came over; empty where that is not known, as in what was kept by versions
            that did not ask. The first word of a receiver counts; one over another path is kept beside it.
    """

    id: ReportId
    step: Step
    by: str
    person: str
    at: Instant
    path: str = ""
