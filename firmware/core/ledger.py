"""The ledger: open incidents, their alarm reports, and how far each has come to whom.

It decides what is sent again and when, and when the journal may forget. Which loops raise alarms is the panel's matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.effects import Effect, Finish, Note, Progress, Store, Transmit
from firmware.core.incident import Delivery, Incident
from firmware.core.report import Mark, ReportId, Step
from firmware.core.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.facts import Receipt
    from firmware.core.report import Report
    from hal.types import Instant


HASTY_REPEATS = 12
"""About a minute of repetitions."""
PATIENT_S = 30.0
"""After that minute, the pause before the next one when some receiver has the alarm and another is away: help is told,
and an hour of absence is not seven hundred repetitions for everybody."""
OVER_MAX = 64
"""Reports that nothing is expected for any more, and whose receivers may still be heard over a slower path."""


class Ledger:
    """All alarms that are not over.

    Args:
        paths: Names of all ways to the receivers, primary first.
        receivers: Names of all that must acknowledge for themselves.
        resend_s: Pauses before each repetition; the last one goes on.

    Attributes:
        paths_up: Paths whose connection carries reports away and answers back.
        paths_deaf: Paths whose connection carries reports away and brings nothing back.

    Synchronization: one thread.
    """

    def __init__(self, paths: tuple[str, ...], receivers: tuple[str, ...], resend_s: tuple[float, ...]) -> None:
        self.incidents: dict[ReportId, Incident] = {}
        self.timers: Timers[ReportId] = Timers()
        self.paths_up: set[str] = set()
        self.paths_deaf: set[str] = set()
        self._paths = paths
        self._receivers = receivers
        self._resend_s = resend_s
        self._deliveries: dict[ReportId, Delivery] = {}
        self._over: dict[ReportId, Delivery] = {}

    def pending(self, *, covert: bool = True) -> int:
        """Alarm reports that some receiver has not acknowledged; covert ones only for the desk."""
        return sum(bool(d.missing) and (covert or not d.report.covert) for d in self._deliveries.values())

    def code(self, report: ReportId) -> str:
        """SIA code of an alarm report that is not over."""
        return self._deliveries[report].report.code

    def covert(self, report: ReportId) -> bool:
        """Whether an alarm report is one that the booth must not show."""
        delivery = self._deliveries.get(report)
        return delivery is not None and delivery.report.covert

    def open(self) -> list[Incident]:
        """Incidents that nobody has reset, oldest first."""
        return [incident for incident in self.incidents.values() if not incident.closed]

    def enter(self, report: Report, incident: Incident, now: Instant) -> list[Effect]:
        """Take a new alarm report of an incident: send it over every path and keep it, side by side.

        The sending is ordered first: its thread then wakes first, and the disk's thread loses nothing by it.
        """
        self.incidents.setdefault(incident.id, incident)
        incident.reports.append(report.id)
        delivery = Delivery(report, report.raised.mono_s, set(self._receivers))
        self._deliveries[report.id] = delivery
        self.timers.set(report.id, now.mono_s + self._resend_s[0])
        sent = [self._transmit(path, delivery) for path in self._paths]
        return [*sent, *self._progress(delivery, Step.RAISED, "panel", now), Store(report)]

    def restore(
        self, reports: Iterable[Report], marks: Iterable[Mark], resets: frozenset[str], now: Instant
    ) -> list[Incident]:
        """Rebuild from the journal what was not over when the panel stopped; `resets` are the codes that close.

        Returns:
            The incidents that the reports belong to, oldest first.
        """
        restored: dict[ReportId, Incident] = {}
        for report in sorted(reports, key=lambda report: report.id):
            root = report.incident or report.id
            incident = self.incidents.setdefault(root, Incident(root, report.zone, report.covert, 0.0))
            restored[root] = incident
            incident.reports.append(report.id)
            incident.closed = incident.closed or report.code in resets
            incident.reach(Step.STORED)
            delivery = Delivery(report, now.mono_s, set(self._receivers), steps={(Step.STORED, "journal")})
            self._deliveries[report.id] = delivery
        for mark in marks:
            marked = self._deliveries.get(mark.id)
            if marked is None:
                continue
            incident = self.incidents[marked.report.incident or mark.id]
            marked.hear(mark.step, mark.by, mark.path)
            if mark.step is Step.SILENCED:  # a later press sounded again
                incident.silenced = incident.silenced or mark.id == max(incident.reports)
            elif marked.reach(mark.step, mark.by):
                incident.reach(mark.step)
        return list(restored.values())

    def resume(self, incidents: list[Incident], now: Instant) -> list[Effect]:
        """After `restore`: send what is unacknowledged, let go of what is over."""
        missing = [
            delivery
            for incident in incidents
            for delivery in map(self._deliveries.__getitem__, incident.reports)
            if delivery.missing
        ]
        for delivery in missing:
            self.timers.set(delivery.report.id, now.mono_s + self._resend_s[0])
        sent: list[Effect] = [self._transmit(path, delivery) for path in self._paths for delivery in missing]
        return sent + [effect for incident in incidents for effect in self._finish(incident.id)]

    def reach(
        self, report: ReportId, step: Step, by: str, person: str, now: Instant, *, path: str = ""
    ) -> list[Effect]:
        """Record a step; unknown and repeated ones change nothing. `path`: over which a receiver told it."""
        delivery = self._deliveries.get(report)
        if delivery is None or not delivery.reach(step, by):
            return []
        delivery.hear(step, by, path)
        effects: list[Effect] = [] if step is Step.STORED else [Note(Mark(report, step, by, person, now, path))]
        root = delivery.report.incident or report
        self.incidents[root].reach(step)
        if not delivery.missing:
            self.timers.clear(report)
        return effects + self._progress(delivery, step, by, now) + self._finish(root)

    def again(self, word: Receipt, now: Instant) -> list[Effect]:
        """Keep that a receiver told a step once more over another path; it changes nothing else.

        What it repeats over one path is kept once: no receiver can fill the journal.
        """
        delivery = self._deliveries.get(word.id) or self._over.get(word.id)
        if delivery is None or not delivery.hear(word.step, word.receiver, word.path):
            return []
        return [Note(Mark(word.id, word.step, word.receiver, word.person, now, word.path))]

    def silence(self, incident: Incident, by: str, person: str, now: Instant) -> list[Effect]:
        """End an incident's siren and keep that with its newest alarm: it stays silent after a restart."""
        if incident.silenced or incident.covert:
            return []
        incident.silenced, incident.siren_until_s = True, 0.0
        return [Note(Mark(max(incident.reports), Step.SILENCED, by, person, now))]

    def due_silence(self, now: Instant) -> list[Effect]:
        """The bell cut-off of every incident that has come to it."""
        ended = [incident for incident in self.open() if incident.siren_until_s <= now.mono_s]
        return [effect for incident in ended for effect in self.silence(incident, "panel", "", now)]

    def resend(self, path: str, receiver: str = "") -> list[Effect]:
        """Everything unacknowledged, by anybody or by one receiver, oldest first, over one path."""
        return [
            self._transmit(path, delivery)
            for delivery in self._deliveries.values()
            if (receiver in delivery.missing if receiver else delivery.missing)
        ]

    def due(self, now: Instant) -> list[Effect]:
        """Repeat what no receiver answered in time, over every path whose connection stands.

        A receiver may well hear what comes over one that brings no answer back.
        """
        effects: list[Effect] = []
        while (report := self.timers.pop(now.mono_s)) is not None:
            delivery = self._deliveries[report]
            delivery.repeats += 1
            pause = self._resend_s[min(delivery.repeats, len(self._resend_s) - 1)]
            if delivery.repeats > HASTY_REPEATS and len(delivery.missing) < len(self._receivers):
                pause = max(pause, PATIENT_S)
            self.timers.set(report, now.mono_s + pause)
            standing = self.paths_up | self.paths_deaf
            effects += [self._transmit(path, delivery) for path in self._paths if path in standing]
        return effects

    def close(self, incident: Incident) -> list[Effect]:
        """A person reset the incident; it is over once every receiver has everything of it."""
        incident.closed = True
        return self._finish(incident.id)

    def _transmit(self, path: str, delivery: Delivery) -> Transmit:
        attempt = delivery.attempts[path] = delivery.attempts.get(path, 0) + 1
        return Transmit(path, delivery.report, attempt)

    def _progress(self, delivery: Delivery, step: Step, by: str, now: Instant) -> list[Effect]:
        report = delivery.report
        if report.covert:
            return []
        return [Progress(report.id, report.code, report.zone, step, by, now.mono_s - delivery.born_s)]

    def _finish(self, root: ReportId) -> list[Effect]:
        incident = self.incidents[root]
        if not incident.closed or any(self._deliveries[report].missing for report in incident.reports):
            return []
        for report in incident.reports:
            self._over[report] = self._deliveries.pop(report)
            self.timers.clear(report)
        for report in list(self._over)[:-OVER_MAX]:
            del self._over[report]
        del self.incidents[root]
        return [Finish(tuple(incident.reports))]
