"""The events that wait in the journal, as the primary uplink sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.report import Report, ReportId


@dataclass(frozen=True, slots=True)
class Wake:
    """Order for an uplink: the backlog has something new."""


class Backlog(Protocol):
    """Faults and status reports on their way out; they leave it only when a broker has answered for them.

    Synchronization: any thread; the uplink calls from its own while the journal stores from another.
    """

    def take(self, limit: int) -> list[Report]:
        """At most `limit` reports, oldest first, that have not been taken since the last `give_back`."""
        ...

    def done(self, ids: Iterable[ReportId]) -> None:
        """A broker has these: they need not be kept."""
        ...

    def give_back(self) -> None:
        """The connection broke: everything taken and not done may be taken again."""
        ...
