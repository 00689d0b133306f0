"""Makes reports with their identities, and the lines that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.chinese import chinese
from firmware.core.codes import CODES
from firmware.core.effects import Effect, Say
from firmware.core.report import Report, ReportId, Scalar
from firmware.core.words import pick, say
from hal.types import Instant

if TYPE_CHECKING:
    from firmware.core.zone import Zone


class Maker:
    """Numbers every report of one run, in the order in which they are decided.

    Args:
        panel: The panel's identity.
        epoch: This run's epoch.
        language: "zh" or "en".

    Synchronization: one thread.
    """

    def __init__(self, panel: str, epoch: int, language: str) -> None:
        self._panel = panel
        self._epoch = epoch
        self._language = language
        self._seq = 0

    @property
    def run(self) -> str:
        """This run's identity: panel and epoch."""
        return f"{self._panel}/{self._epoch}"

    def report(
        self,
        code: str,
        now: Instant,
        since_s: float | None = None,
        *,
        zone: str = "",
        incident: ReportId | None = None,
        covert: bool = False,
        detail: tuple[tuple[str, Scalar], ...] = (),
    ) -> Report:
        """A report of something that began at monotonic `since_s` (default: now)."""
        age_s = 0.0 if since_s is None else now.mono_s - since_s
        at = Instant(now.mono_s - age_s, now.utc_s - age_s, now.synced) if age_s else now
        return Report(self._next(), code, at, zone, incident, covert, detail=detail)

    def alarm(self, zone: Zone, now: Instant, since_s: float) -> Report:
        """An alarm of a zone: of its open incident, or the first of a new one."""
        own = self._next()
        age_s = now.mono_s - since_s
        at = Instant(since_s, now.utc_s - age_s, now.synced)
        detail = (("presses", zone.presses),)
        kind = zone.kind
        return Report(own, kind.alarm, at, zone.spec.name, zone.incident or own, kind.covert, detail=detail)

    def words(self, key: str, **values: object) -> str:
        """A sentence in the panel's language; what its parts told of a trouble is put into that language too."""
        if self._language == "zh":
            values |= {name: chinese(str(values[name])) for name in ("source", "why") if name in values}
        return say(self._language, key, **values)

    def say(self, key: str, **values: object) -> Say:
        """A line for the console and the log."""
        return Say(self.words(key, **values))

    def say_event(self, report: Report) -> list[Effect]:
        """The line of a report, if it may be shown."""
        if report.covert:
            return []
        code = CODES[report.code]
        return [self.say("event", zone=report.zone, event=pick(self._language, (code.zh, code.en)))]

    def _next(self) -> ReportId:
        self._seq += 1
        return ReportId(self._panel, self._epoch, self._seq)
