"""The desk: what a receiver knows of its panels, and what it answers. Pure; time comes in with every call.

Reports that reach it are checked already. It removes duplicates by identity, sees losses by number, keeps incidents
with their chain of receipt, and answers every alarm at once, every time: the first answer may have been lost.
"""

from __future__ import annotations

import collections
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.core.codes import ReportClass
from firmware.core.facts import Command, Receipt
from firmware.core.report import RECEIVER_STEPS, SEQ_MAX, ReportId, Step
from firmware.core.zone import ZONE_KINDS
from firmware.receiver import events as e
from firmware.receiver.numbers import Numbers
from firmware.wire.report import AGE_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.wire.beat import Pulse
    from firmware.wire.command import Result
    from firmware.wire.health import ReceivedHealth
    from firmware.wire.report import ReceivedReport, Site

PANELS_MAX = 4096
EPOCHS_MAX = 8
"""Epochs of one panel whose numbers are told apart."""
INCIDENTS_MAX = 2000
REPORTS_MAX = 256
"""Alarm reports kept of one incident; the panel reports a chattering button together."""
REMEMBERED_MAX = 8192
"""Reports whose content is remembered, to see two panels under one identity."""
ORDER_VALID_MS = 90_000
"""A command's life on the panel's clock. The panel allows 120 s ahead; its retained health may be 30 s old."""
CLOCK_FRESH_S = 120.0
"""The best word on a panel's clock gives way to a worse one only after this long: clocks drift, recordings lie."""
EPOCH_QUIET_S = 90.0
"""A lower epoch is believed when the higher one has said nothing for this long: three times a panel's health."""
RESETS = frozenset(kind.reset for kind in ZONE_KINDS.values())
ALARMS = frozenset(kind.alarm for kind in ZONE_KINDS.values())


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that this desk took."""

    step: Step
    person: str
    mono_s: float
    ms: int | None


@dataclass(slots=True)
class Incident:
    """One incident as the desk has it.

    Attributes:
        id: Its first alarm.
        reports: Alarm reports, by identity.
        steps: What this desk did, in order.
        reset: A person has reset it at the panel.
        came_s: Monotonic time of its first report here.
        files: Files of evidence so far.
    """

    id: ReportId
    site: Site
    zone: str
    code: str
    covert: bool
    drill: bool
    came_s: float
    reports: dict[ReportId, ReceivedReport] = field(default_factory=dict)
    steps: dict[Step, Taken] = field(default_factory=dict)
    reset: bool = False
    files: int = 0
    sealed: bool = False

    @property
    def open(self) -> bool:
        """Whether somebody has still to do something."""
        return not self.reset and Step.CLOSED not in self.steps


PATHS_MAX = 16
"""Paths of one panel whose heartbeats are told apart."""


@dataclass(slots=True)
class PanelView:
    """One panel as the desk knows it."""

    epochs: collections.OrderedDict[int, Numbers] = field(default_factory=collections.OrderedDict)
    health: ReceivedHealth | None = None
    site: Site | None = None
    epoch: int = -1
    beats: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Epoch and count of the last heartbeat by path."""
    heard_s: float = 0.0
    """When the present epoch was heard of last."""
    ahead_s: float | None = None
    """How far the panel's monotonic clock is ahead of the desk's, by its best word of late; delays and recordings only
    make it smaller."""
    ahead_since_s: float = 0.0


class Desk:
    """A receiver's whole logic.

    Args:
        name: Its name, as the panels' `[[receiver]]` has it.
        person: Who sits there.
        new_id: Gives identities for commands; never the same twice.
        auto_accept_s: Accept by itself after this long; None: a person accepts.

    Synchronization: one thread.
    """

    def __init__(self, name: str, person: str, new_id: Callable[[], str], auto_accept_s: float | None = None) -> None:
        self.incidents: collections.OrderedDict[ReportId, Incident] = collections.OrderedDict()
        self.panels: collections.OrderedDict[str, PanelView] = collections.OrderedDict()
        self._name = name
        self._person = person
        self._new_id = new_id
        self._auto_accept_s = auto_accept_s
        self._known: collections.OrderedDict[ReportId, tuple[object, ...]] = collections.OrderedDict()

    def report(self, report: ReceivedReport, now: e.Moment) -> list[e.Act]:
        """Take a report; an alarm is answered whether it is new or not."""
        view = self._view(report.id.panel)
        view.site = report.site
        acts = self._compare(report)
        fresh = self._count(view, report, now) and not self._has(report)
        self._learn(view, report.sent_epoch, report.sent.mono_ms, now)
        if report.code == "JO":
            self._announced(view, report)
        if report.cls is ReportClass.ALARM:
            return [*acts, *self._alarm(report, now, fresh=fresh)]
        if fresh:
            acts.append(e.ReportCame(report, duplicate=False, delayed_ms=_delay_ms(report, now)))
            self._follow(report)
        return acts

    def health(self, health: ReceivedHealth, now: e.Moment, *, retained: bool) -> list[e.Act]:
        """Take a panel's health."""
        view = self._view(health.panel)
        if health.epoch < view.epoch and (retained or not health.online):
            return []  # left over from a run that has been followed by another
        acts: list[e.Act] = []
        if health.epoch < view.epoch:
            fell = f"epoch fell back from {view.epoch} to {health.epoch}: "
            if now.mono_s - view.heard_s < EPOCH_QUIET_S:
                why = "the higher one still speaks, so this is a recording, or two panels have this identity"
                return [e.Warned(health.panel, fell + why)]
            acts.append(e.Warned(health.panel, f"{fell}its journal was replaced, or two panels have this identity"))
            view.epoch = -1
            view.beats.clear()
        view.health = health
        if health.at is not None:
            self._learn(view, health.epoch, health.at.mono_ms, now)
        return [*acts, e.HealthCame(health, retained)]

    def beat(self, pulse: Pulse, now: e.Moment) -> list[e.Act]:
        """Take a heartbeat: echo it, unless it is a recording or from a panel in this one's place."""
        view = self._view(pulse.panel)
        last_epoch, last_count = view.beats.get(pulse.path, (-1, 0))
        if (pulse.epoch, pulse.count) <= (last_epoch, last_count):
            if (pulse.epoch, pulse.count) == (last_epoch, last_count):
                return []  # QoS 1 delivers twice
            why = (
                f"heartbeat {pulse.epoch}/{pulse.count} of path {pulse.path} is older than "
                f"{last_epoch}/{last_count}: a recording, or another panel in its place"
            )
            return [e.Warned(pulse.panel, why)]
        view.beats[pulse.path] = (pulse.epoch, pulse.count)
        if len(view.beats) > PATHS_MAX:
            del view.beats[next(iter(view.beats))]
        self._learn(view, pulse.epoch, pulse.mono_ms, now)
        return [e.Pulsed(pulse)]

    def result(self, result: Result) -> list[e.Act]:
        """Take a panel's answer to a command."""
        return [e.ResultCame(result)]

    def evidence(self, incident: ReportId) -> None:
        """Count a file of evidence that was saved."""
        if incident in self.incidents:
            self.incidents[incident].files += 1

    def seal(self, incident: ReportId) -> None:
        """Note that an incident's manifest came."""
        if incident in self.incidents:
            self.incidents[incident].sealed = True

    def newest(self, step: Step) -> Incident | None:
        """The newest open incident that this step has not been taken for."""
        waiting = (known for known in reversed(self.incidents.values()) if known.open and step not in known.steps)
        return next(waiting, None)

    def answer(self, incident: ReportId, step: Step, now: e.Moment, person: str = "") -> list[e.Act]:
        """A person takes a step: ACCEPTED, DISPATCHED, ARRIVED or CLOSED. Taking it twice tells the panel twice.

        Raises:
            ValueError: No such incident, or a step that is no receiver's.
        """
        known = self.incidents.get(incident)
        if known is None or step not in RECEIVER_STEPS:
            raise ValueError(f"no incident {incident} to mark as {step.value}")
        return self._take(known, step, person or self._person, now)

    def order(self, verb: str, panel: str, *, target: str, reason: str, now: e.Moment, actor: str = "") -> list[e.Act]:
        """A person orders something of a panel, in a zone or (target "") in all."""
        view = self.panels.get(panel)
        if view is None or view.ahead_s is None:
            return [
                e.Warned(panel, "its clock is not known yet, so no order can be sent: wait for its next sign of life")
            ]
        command = Command(self._new_id(), self._name, verb, target, actor or self._person, reason)
        not_after_ms = round((now.mono_s + view.ahead_s) * 1000) + ORDER_VALID_MS
        return [e.Order(panel, view.epoch, not_after_ms, command)]

    def due(self, now: e.Moment) -> list[e.Act]:
        """What time alone brings: accepting by itself, numbers that never came."""
        acts: list[e.Act] = []
        for incident in self._unanswered():
            if self._auto_accept_s is not None and now.mono_s >= incident.came_s + self._auto_accept_s:
                acts += self._take(incident, Step.ACCEPTED, self._person, now)
        for panel, epoch, numbers in self._numbers():
            acts += [e.Lost(panel, epoch, first, last) for first, last in numbers.overdue(now.mono_s)]
        return acts

    def next_deadline(self) -> float:
        """Monotonic time at which `due` is wanted; infinite when it is not."""
        lost = (numbers.next_deadline() for _, _, numbers in self._numbers())
        accept = (
            incident.came_s + self._auto_accept_s for incident in self._unanswered() if self._auto_accept_s is not None
        )
        return min(itertools.chain(lost, accept), default=float("inf"))

    # ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _alarm(self, report: ReceivedReport, now: e.Moment, *, fresh: bool) -> list[e.Act]:
        incident = self._incident(report, now)
        acts: list[e.Act] = [self._receipt(report.id, Step.RECEIVED, "", now)]
        acts.append(e.ReportCame(report, duplicate=not fresh, delayed_ms=_delay_ms(report, now)))
        if fresh and report.code in RESETS:
            incident.reset = True
        if Step.RECEIVED not in incident.steps and report.code not in RESETS:
            acts.append(self._step(incident, Step.RECEIVED, "", now, report))
        if not fresh and report.id == incident.id:
            later = (taken for step, taken in incident.steps.items() if step is not Step.RECEIVED)
            acts += [self._receipt(incident.id, taken.step, taken.person, now) for taken in later]
        return acts

    def _incident(self, report: ReceivedReport, now: e.Moment) -> Incident:
        root = report.incident or report.id
        incident = self.incidents.get(root)
        if incident is None:
            incident = self.incidents[root] = Incident(
                root, report.site, report.zone, report.code, report.covert, report.drill, now.mono_s
            )
            self._bound_incidents()
        if report.code in ALARMS:
            incident.code, incident.covert = report.code, report.covert
        if len(incident.reports) < REPORTS_MAX:
            incident.reports.setdefault(report.id, report)
        return incident

    def _take(self, incident: Incident, step: Step, person: str, now: e.Moment) -> list[e.Act]:
        acts: list[e.Act] = [self._receipt(incident.id, step, person, now)]
        if step not in incident.steps:
            first = incident.reports.get(incident.id) or next(iter(incident.reports.values()))
            acts.append(self._step(incident, step, person, now, first))
        return acts

    def _step(self, incident: Incident, step: Step, person: str, now: e.Moment, report: ReceivedReport) -> e.StepTaken:
        age_ms = None if report.age_ms == AGE_UNKNOWN else report.age_ms + round((now.mono_s - incident.came_s) * 1000)
        incident.steps[step] = Taken(step, person, now.mono_s, age_ms)
        return e.StepTaken(incident.id, step, person, age_ms)

    def _receipt(self, report: ReportId, step: Step, person: str, now: e.Moment) -> e.Answer:
        return e.Answer(Receipt(self._name, report, step, person), now.utc_ms)

    def _unanswered(self) -> list[Incident]:
        return [
            incident for incident in self.incidents.values() if incident.open and Step.ACCEPTED not in incident.steps
        ]

    def _bound_incidents(self) -> None:
        while len(self.incidents) > INCIDENTS_MAX:
            over = next((known for known in self.incidents.values() if not known.open), None)
            self.incidents.pop(over.id if over else next(iter(self.incidents)))

    # ── panels, numbers, clocks ────────────────────────────────────────────────────────────────────────────────────

    def _view(self, panel: str) -> PanelView:
        view = self.panels.get(panel)
        if view is None:
            view = self.panels[panel] = PanelView()
        self.panels.move_to_end(panel)
        if len(self.panels) > PANELS_MAX:
            self.panels.popitem(last=False)
        return view

    def _count(self, view: PanelView, report: ReceivedReport, now: e.Moment) -> bool:
        numbers = view.epochs.get(report.id.epoch)
        if numbers is None:
            complete = any(epoch < report.id.epoch for epoch in view.epochs)
            numbers = view.epochs[report.id.epoch] = Numbers(complete=complete)
        view.epochs.move_to_end(report.id.epoch)
        if len(view.epochs) > EPOCHS_MAX:
            view.epochs.popitem(last=False)
        return numbers.see(report.id.seq, now.mono_s)

    def _numbers(self) -> list[tuple[str, int, Numbers]]:
        return [(panel, epoch, item) for panel, view in self.panels.items() for epoch, item in view.epochs.items()]

    def _announced(self, view: PanelView, report: ReceivedReport) -> None:
        detail = dict(report.detail)
        try:
            first, last = ReportId.parse(str(detail.get("first"))), ReportId.parse(str(detail.get("last")))
        except ValueError:
            return
        for epoch, numbers in view.epochs.items():
            if first.epoch <= epoch <= last.epoch:
                low, high = first.seq if epoch == first.epoch else 0, last.seq if epoch == last.epoch else SEQ_MAX
                numbers.announce(low, high)

    def _learn(self, view: PanelView, epoch: int, mono_ms: int, now: e.Moment) -> None:
        if epoch < view.epoch:
            return
        if epoch > view.epoch:
            view.epoch, view.ahead_s = epoch, None
        view.heard_s = now.mono_s
        ahead_s = mono_ms / 1000 - now.mono_s
        if view.ahead_s is None or ahead_s >= view.ahead_s or now.mono_s - view.ahead_since_s > CLOCK_FRESH_S:
            view.ahead_s, view.ahead_since_s = ahead_s, now.mono_s

    def _has(self, report: ReceivedReport) -> bool:
        incident = self.incidents.get(report.incident or report.id)
        return incident is not None and report.id in incident.reports

    def _compare(self, report: ReceivedReport) -> list[e.Act]:
        content = (report.code, report.zone, report.incident, report.raised, report.detail)
        known = self._known.setdefault(report.id, content)
        self._known.move_to_end(report.id)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        if known == content:
            return []
        text = f"two different reports have the identity {report.id}: two panels use it, or somebody forges reports"
        return [e.Warned(report.id.panel, text)]

    def _follow(self, report: ReceivedReport) -> None:
        incident = self.incidents.get(report.incident) if report.incident else None
        if incident is not None and report.code == "LE":
            incident.sealed = True


def _delay_ms(report: ReceivedReport, now: e.Moment) -> int | None:
    return max(0, now.utc_ms - report.sent.utc_ms) if report.sent.synced else None
