"""What the engine asks of the disk and of the wire: frozen orders, so that it waits for neither.

On a board the orders go to the threads of `Spool` and `Uploader`; in the simulator both are stepped in virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from firmware.core.report import ReportId
    from firmware.media.mp4 import Patch
    from firmware.wire.media import LiveFrame


@dataclass(frozen=True, slots=True)
class Scan:
    """Look at what an earlier child left; the first order of all."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A capture began.

    Attributes:
        again: A child before this one had begun it and died.
    """

    incident: ReportId
    again: bool


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a file; `first_s` is the monotonic time of its first picture or sample."""

    incident: ReportId
    name: str
    kind: str
    source: str
    first_s: float


@dataclass(frozen=True, slots=True)
class Append:
    """Whole pieces for the end of an open file: it is playable up to each of them."""

    incident: ReportId
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """A file is complete; `last_s` is the monotonic time of its end."""

    incident: ReportId
    name: str
    last_s: float
    patch: Patch | None


@dataclass(frozen=True, slots=True)
class Whole:
    """A small file in one piece; it lives in memory if the disk does not take it."""

    incident: ReportId
    name: str
    kind: str
    source: str
    time_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """No more files of an incident follow: list them in its manifest."""

    incident: ReportId


@dataclass(frozen=True, slots=True)
class Live:
    """A frame of live sound, to be sent at once or never."""

    incident: ReportId
    frame: LiveFrame


@dataclass(frozen=True, slots=True)
class LiveRuns:
    """Whether any live sound runs: evidence then leaves the link room."""

    on: bool


SpoolOrder = Scan | Begin | Open | Append | Finish | Whole | End


class Sink(Protocol):
    """Where the engine's work goes.

    Synchronization: called on the engine's thread; never blocks.
    """

    def keep(self, order: SpoolOrder) -> None:
        """Something for the disk."""
        ...

    def send(self, order: Live | LiveRuns) -> None:
        """Something for the wire."""
        ...
