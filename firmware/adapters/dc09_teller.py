"""Puts reports into SIA DC-09's words: event, time, position, name and link."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.wire import dc09 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.config_dc09 import Dc09Config
    from firmware.core.calls import Call
    from firmware.core.report import Report
    from firmware.wire.report import Site

LATE_S = 5.0
"""A report older than this carries the time at which it happened."""
DRILL = "DRILL "
BARE_AFTER = 3
"""So many reports in a row must have been taken without extended data and not with it before it is left out unasked."""
BARE_S = 86_400.0
"""After so long a whole frame is tried again."""


class Bareness:
    """Whether a receiver takes position, name and link: learned from what it does, and asked anew.

    A single NAK can have any cause; the centre's table may be mended, and another machine may answer after a loss.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._count = 0
        self._until_s = math.inf

    def wanted(self, now_s: float) -> bool:
        """Whether frames are to go without extended data."""
        if now_s >= self._until_s:
            self.forget()
        return self._count >= BARE_AFTER

    def forget(self) -> None:
        """Whole frames again."""
        self._count, self._until_s = 0, math.inf

    def taken_bare(self, now_s: float) -> bool:
        """A report was refused with extended data and taken without it; whether that is how it is from now on."""
        self._count += 1
        if self._count == BARE_AFTER:
            self._until_s = now_s + BARE_S
        return self._count == BARE_AFTER

    def taken_whole(self, now_s: float) -> None:
        """A report was taken as it was sent."""
        if not self.wanted(now_s):
            self.forget()


class Teller:
    """Puts reports into DC-09's words.

    Args:
        settings: The path's `dc09` part.
        account: In capitals.
        epoch: The panel's present epoch.
        site: Where it stands.
        zones: The number of every zone.

    Synchronization: any thread.
    """

    def __init__(self, settings: Dc09Config, account: str, epoch: int, site: Site, zones: Mapping[str, int]) -> None:
        self._settings = settings
        self._account = account
        self._epoch = epoch
        self._position = wire.position(site.latitude, site.longitude)
        self._zones = zones

    def tell(self, call: Call, mono_s: float, stamp_s: float, *, bare: bool = False) -> wire.Message:
        """The message of a call that goes out now, stamped with the receiver's own time if that is known.

        A `bare` one has no position, name and link: there are receivers that refuse a frame for them, and the alarm
        matters more. It keeps the time at which it happened.
        """
        report = call.report
        if report is None:
            return wire.Message(wire.NULL, 0, "", (), stamp_s)
        token = self._settings.protocol
        data = wire.event_data(token, report, self._account, self._zones.get(report.zone, 0))
        parts = self._when(report, mono_s, stamp_s)
        if not bare:
            parts += [*self._position, *self._words(report)]
        return wire.Message(token, call.number, data, wire.extras(parts), stamp_s)

    def _when(self, report: Report, mono_s: float, stamp_s: float) -> list[str]:
        if report.id.epoch != self._epoch:  # monotonic time began anew; what the wall clock said then is all there is
            return [wire.occurrence(report.raised.utc_s)]
        age_s = mono_s - report.raised.mono_s
        return [wire.occurrence(stamp_s - age_s)] if age_s > LATE_S else []

    def _words(self, report: Report) -> list[str]:
        incident = report.incident or report.id
        url = self._settings.evidence_url
        for name, value in (("panel", incident.panel), ("epoch", incident.epoch), ("seq", incident.seq)):
            url = url.replace(f"{{{name}}}", str(value))
        return [f"I{DRILL if report.drill else ''}{self._settings.text}", f"V{url}"]
