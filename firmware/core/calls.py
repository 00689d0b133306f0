"""What a DC-09 path and its receiver say to each other, and what it means."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.report import Report


class Word(enum.StrEnum):
    """What a receiver can say."""

    ACK = "ACK"
    NAK = "NAK"
    DUH = "DUH"
    RSP = "RSP"


class Seal(enum.Enum):
    """How far it is known who wrote an answer."""

    NONE = enum.auto()
    """The path has no key: it is believed."""
    WHOLE = enum.auto()
    """It was encrypted with the path's key."""
    MISSING = enum.auto()
    """It came in clear though the path has a key: anybody could have written it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said.

    Attributes:
        number: Of the frame that it answers; None when it names none.
        utc_s: The receiver's own time, when it told it.
        seal: Who may have written it.
    """

    word: Word
    number: int | None = None
    utc_s: float | None = None
    seal: Seal = Seal.NONE


@dataclass(frozen=True, slots=True)
class Call:
    """One frame.

    Attributes:
        number: 1 to 9999; 0 for a link test.
        report: What it carries; None for a link test (NULL).
        attempt: 1 to 3 under this number.
    """

    number: int
    report: Report | None
    attempt: int


class Verdict(enum.Enum):
    """What an answer means."""

    TAKEN = enum.auto()
    """The receiver has the report, or answered the link test."""
    UNKNOWN = enum.auto()
    """The receiver cannot use the report; it is not sent again on this path."""
    AGAIN = enum.auto()
    """The same frame goes out once more, or is given up: `due` tells."""
    STRAY = enum.auto()
    """It answers nothing that is open."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer means.

    Attributes:
        verdict: For the frame that it answers.
        report: Of that frame; None for a link test and for strays.
        off_s: By how much the answer's time is off, so that it may be a recording and ends the try; 0 when it is not.
        refused: A fault or status without a good answer in all its tries, though this one was given to something else.
    """

    verdict: Verdict
    report: Report | None = None
    refused: Report | None = None
    off_s: float = 0.0


STRAY = Outcome(Verdict.STRAY)
