"""The panel: one fact in, the effects that follow out. Pure; the owner thread calls it with the time.

    Level → debounce → zone → incident → ledger → Drive, Store, Transmit, Capture

Law 1 governs everything here: nothing disarms, delays or drops a 24-hour zone. What is wrong is *added* as a trouble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from firmware.core import facts as f
from firmware.core.commands import Commands
from firmware.core.effects import Capture, Effect, Finish, Health, Note, Store
from firmware.core.incident import ORDER, Incident
from firmware.core.ledger import Ledger
from firmware.core.maker import Maker
from firmware.core.report import Mark, Report, ReportId, Scalar, Step
from firmware.core.sounder import Sounder
from firmware.core.supervisor import Supervisor
from firmware.core.timers import Timers
from firmware.core.troubles import Troubles
from firmware.core.zone import CHATTER_COUNT, CHATTER_WINDOW_S, ZONE_KINDS, Zone, ZoneSpec
from hal.types import Instant, Level, LoopState

if TYPE_CHECKING:
    from firmware.core.debounce import Decision
    from firmware.core.path import PathSpec

HEALTH_S = 30.0
HEALTH_SETTLE_S = 0.5
LATE_S = 0.003
"""What an edge that was handed over late is given for the one behind it; an edge in time is not delayed by it."""
PRESSES_S = 10.0
"""While a contact chatters its presses are counted and reported together this often."""

CAPTURED_MAX = 256
"""Incidents whose evidence may still be sealed after they are over."""
RESETS = frozenset(kind.reset for kind in ZONE_KINDS.values())


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """What the core knows of the configuration; times in seconds."""

    panel: str
    language: str
    zones: tuple[ZoneSpec, ...]
    paths: tuple[PathSpec, ...]
    receivers: tuple[str, ...]
    resend_s: tuple[float, ...] = (2.0, 4.0, 5.0)
    siren_s: float = 180.0
    capture_s: float = 1800.0
    version: str = "0"


class Panel:
    """All decisions of one panel.

    Args:
        spec: The configuration.
        epoch: This run's epoch, durable already.

    Synchronization: the owner thread alone.
    """

    def __init__(self, spec: PanelSpec, epoch: int) -> None:
        self.zones = {zone.name: Zone(zone) for zone in spec.zones}
        # Such a trouble comes with a press or a release: that of a silent button would tell of it.
        self._telltales = {f"edges of loop {name}" for name, zone in self.zones.items() if zone.kind.covert}
        self.ledger = Ledger(tuple(path.name for path in spec.paths), spec.receivers, spec.resend_s)
        self._spec = spec
        self._make = Maker(spec.panel, epoch, spec.language)
        self.troubles = Troubles(self._make)
        self._commands = Commands(self.zones, self.ledger, self.troubles, self._make, spec.version)
        self._sounder = Sounder()
        self._timers: Timers[tuple[str, str]] = Timers()
        self._paths = Supervisor(
            spec.paths, spec.receivers, ledger=self.ledger, troubles=self.troubles, make=self._make
        )
        self._captured: dict[ReportId, bool] = {}
        self._health: Health | None = None
        self._health_s = self._start_s = 0.0

    def start(self, reports: tuple[Report, ...], marks: tuple[Mark, ...], now: Instant) -> list[Effect]:
        """Take up what the journal kept, before the first fact: latched alarms are latched again."""
        self._start_s = now.mono_s
        effects = self._take_up(reports, marks, now)
        self._paths.start(now.mono_s)
        self._timers.set(("health", ""), now.mono_s + HEALTH_SETTLE_S)
        # Whoever lists the journal sees this report: silent alarms are not counted in it.
        visible = sum(not incident.covert for incident in self.ledger.open())
        started = self._make.report("RR", now, detail=(("version", self._spec.version), ("restored", visible)))
        return self._settle([*effects, Store(started)], now)

    def _take_up(self, reports: tuple[Report, ...], marks: tuple[Mark, ...], now: Instant) -> list[Effect]:
        own = tuple(report for report in reports if report.id.panel == self._spec.panel)
        effects = self._renamed(tuple(report.id for report in reports if report.id.panel != self._spec.panel), now)
        restored = self.ledger.restore(own, marks, RESETS, now)
        alarms = {report.id for report in own if report.code not in RESETS}
        latched = [incident for incident in restored if not incident.closed]
        for incident in latched:
            if not incident.silenced and ORDER[incident.step] < ORDER[Step.ACCEPTED]:
                self._sound(incident, now)
            zone = self.zones.get(incident.zone)
            if zone is not None and (zone.incident is None or zone.incident < incident.id):
                zone.incident, zone.presses = incident.id, len(alarms.intersection(incident.reports))
            effects.append(self._capture(incident.id, now, covert=incident.covert))
        visible = sum(not incident.covert for incident in latched)
        if visible:
            effects.append(self._make.say("restored", count=visible))
        return [*self.ledger.resume(restored, now), *effects]

    def _renamed(self, strange: tuple[ReportId, ...], now: Instant) -> list[Effect]:
        """Let go of what the panel raised under another identity: no receiver would take it from this one."""
        if not strange:
            return []
        why = self._make.words("renamed", count=len(strange), panel=strange[0].panel)
        told = self._make.report("YX", now, detail=(("source", "journal"), ("why", why)))
        return [Finish(strange), Store(told), self._make.say("trouble", source="journal", why=why)]

    def handle(self, fact: f.Fact, now: Instant) -> list[Effect]:
        """Decide what follows from one fact.

        Returns:
            Effects in the order in which they are to be obeyed: what the booth sees and hears comes first.
        """
        effects = self._dispatch(fact, now) + self.ledger.due(now) + self._paths.due(now)
        effects += self.ledger.due_silence(now)
        while (key := self._timers.pop(now.mono_s)) is not None:
            effects += self._due(key, now)
        if any(not isinstance(effect, Health) for effect in effects):
            self._timers.set_sooner(("health", ""), now.mono_s + HEALTH_SETTLE_S)
        return self._settle(effects, now)

    def next_deadline(self) -> float:
        """Monotonic time at which a `Tick` is wanted; infinite when none is."""
        return min(
            self._timers.next(), self.ledger.timers.next(), self._sounder.deadline_s, self._paths.next_deadline()
        )

    def _dispatch(self, fact: f.Fact, now: Instant) -> list[Effect]:  # noqa: C901, PLR0911, PLR0912 - the table of facts
        match fact:
            case Level():
                return self._level(fact, now)
            case f.Tick():
                return []
            case f.Stored():
                return self.ledger.reach(fact.id, Step.STORED, "journal", "", now)
            case f.NotStored():
                return self._refusal("journal", fact, now)
            case f.Recovered():
                return [*map(Note, fact.marks), *self._take_up(fact.reports, fact.marks, now)]
            case f.Brokered():
                heard = self.troubles.end(f"path {fact.path} receiver", now, covert=self.ledger.covert(fact.id))
                return self.ledger.reach(fact.id, Step.BROKERED, fact.path, "", now) + heard
            case f.Refused():
                return self._refusal(f"path {fact.path} receiver", fact, now)
            case f.Receipt():
                return self._receipt(fact, now)
            case f.PathUp() | f.PathDown() | f.Beat() | f.Echo():
                return self._paths.handle(fact, now)
            case f.Command():
                return self._commands.obey(fact, now)
            case f.EvidenceFile():
                return []
            case f.EvidenceSealed():
                return self._sealed(fact, now)
            case f.Trouble():
                covert = fact.source in self._telltales
                return self.troubles.begin(fact.source, fact.why, now, covert=covert, detail=fact.detail)
            case f.TroubleOver():
                return self.troubles.end(fact.source, now)
            case f.ReportsDropped():
                run: tuple[tuple[str, Scalar], ...] = (
                    ("first", str(fact.first)),
                    ("last", str(fact.last)),
                    ("count", fact.count),
                )
                return [Store(self._make.report("JO", now, detail=run))]
            case _:
                assert_never(fact)

    # ── zones ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _level(self, fact: Level, now: Instant) -> list[Effect]:
        zone = self.zones.get(fact.loop)
        if zone is None:
            return []
        effects = self._decided(zone, zone.debounce.see(fact.state, min(fact.mono_s, now.mono_s)), now)
        # On a busy board an edge may come so late that its hold is over, and the edge that ended it right behind.
        self._timers.set(("hold", fact.loop), max(zone.debounce.deadline(), now.mono_s + LATE_S))
        return effects

    def _decided(self, zone: Zone, decisions: tuple[Decision, ...], now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for decision in decisions:
            effects += self._change(zone, decision, now)
        if zone.restless(decisions, now.mono_s):
            effects += self._loop_trouble(zone, "chatter", now, limit=CHATTER_COUNT)
            self._timers.set(("quiet", zone.spec.name), now.mono_s + CHATTER_WINDOW_S)
        self._timers.set(("hold", zone.spec.name), zone.debounce.deadline())
        return effects

    def _change(self, zone: Zone, decision: Decision, now: Instant) -> list[Effect]:
        over: list[Effect] = []
        faults = {LoopState.OPEN: "open", LoopState.SHORT: "short"}
        for reason in ("open", "short", "stuck"):
            if faults.get(decision.state) != reason:
                over += self._loop_trouble_over(zone, reason, now)
        self._timers.clear(("stuck", zone.spec.name))
        match decision.state:
            case LoopState.ALARM:
                self._timers.set(("stuck", zone.spec.name), decision.since_s + zone.spec.stuck_s)
                return self._press(zone, decision.since_s, now) + over
            case LoopState.NORMAL:
                return self._release(zone, decision.since_s, now) + over
            case LoopState.OPEN | LoopState.SHORT:
                return self._loop_trouble(zone, faults[decision.state], now) + over
            case _:
                assert_never(decision.state)

    def _press(self, zone: Zone, since_s: float, now: Instant) -> list[Effect]:
        zone.presses += 1
        known = zone.incident
        if known is not None and "chatter" in zone.troubles:
            if not self._timers.has(("presses", zone.spec.name)):
                self._timers.set(("presses", zone.spec.name), now.mono_s + PRESSES_S)
            return []
        return self._alarm(zone, since_s, now)

    def _alarm(self, zone: Zone, since_s: float, now: Instant) -> list[Effect]:
        first = zone.incident is None
        report = self._make.alarm(zone, now, since_s)
        if first:
            zone.incident = report.id
            incident = Incident(report.id, zone.spec.name, zone.kind.covert, 0.0)
        else:
            incident = self.ledger.incidents[report.incident or report.id]
        # A button that is held since before the start, or counted chatter, is no hand that presses anew.
        if first or (since_s > self._start_s and "chatter" not in zone.troubles):
            self._sound(incident, now)
        effects = self.ledger.enter(report, incident, now)
        if first:
            effects.append(self._capture(report.id, now, covert=zone.kind.covert))
        return effects + self._make.say_event(report)

    def _sound(self, incident: Incident, now: Instant) -> None:
        """From now on its siren, until the bell cut-off; a silent alarm has none."""
        incident.silenced = incident.covert or not self._spec.siren_s
        incident.siren_until_s = 0.0 if incident.silenced else now.mono_s + self._spec.siren_s

    def _release(self, zone: Zone, since_s: float, now: Instant) -> list[Effect]:
        if zone.incident is None or "chatter" in zone.troubles:
            return []
        report = self._make.report(
            zone.kind.released, now, since_s, zone=zone.spec.name, incident=zone.incident, covert=zone.kind.covert
        )
        return [Store(report), *self._make.say_event(report)]

    def _loop_trouble(self, zone: Zone, reason: str, now: Instant, **limits: object) -> list[Effect]:
        if reason in zone.troubles:
            return []
        zone.troubles.add(reason)
        # A held or chattering hold-up button would tell of the alarm that it raised; a cut wire would not.
        covert = zone.kind.covert and reason in {"stuck", "chatter"}
        why = self._make.words(reason, **limits)
        self.troubles.note(f"zone {zone.spec.name} {reason}", why, covert=covert)
        report = self._make.report(
            zone.kind.trouble, now, zone=zone.spec.name, covert=covert, detail=(("reason", reason),)
        )
        return [Store(report), *([] if covert else [self._make.say("trouble", source=zone.spec.name, why=why)])]

    def _loop_trouble_over(self, zone: Zone, reason: str, now: Instant) -> list[Effect]:
        if reason not in zone.troubles:
            return []
        zone.troubles.discard(reason)
        covert = self.troubles.forget(f"zone {zone.spec.name} {reason}")
        report = self._make.report(
            zone.kind.trouble_over, now, zone=zone.spec.name, covert=covert, detail=(("reason", reason),)
        )
        return [Store(report), *([] if covert else [self._make.say("trouble-over", source=zone.spec.name)])]

    # ── receipts, evidence ─────────────────────────────────────────────────────────────────────────────────────────

    def _receipt(self, fact: f.Receipt, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        if fact.step is not Step.RECEIVED:  # a person who answers has it
            effects = self.ledger.reach(fact.id, Step.RECEIVED, fact.receiver, "", now, path=fact.path)
        first = self.ledger.reach(fact.id, fact.step, fact.receiver, fact.person, now, path=fact.path)
        return effects + (first or self.ledger.again(fact, now))

    def _refusal(self, source: str, fact: f.NotStored | f.Refused, now: Instant) -> list[Effect]:
        covert = self.ledger.covert(fact.id)
        return self.troubles.begin(source, fact.why, now, covert=covert, loud=not covert)

    def _capture(self, incident: ReportId, now: Instant, *, covert: bool) -> Capture:
        """Begin to capture; whether it is covert is kept, for the seal comes when the incident may be over."""
        self._captured[incident] = covert
        if len(self._captured) > CAPTURED_MAX:
            del self._captured[next(iter(self._captured))]
        return Capture(incident, covert, now.mono_s + self._spec.capture_s)

    def _sealed(self, fact: f.EvidenceSealed, now: Instant) -> list[Effect]:
        detail: tuple[tuple[str, Scalar], ...] = (
            ("files", fact.files),
            ("bytes", fact.size),
            ("manifest_sha256", fact.manifest_sha256),
            ("complete", fact.complete),
        )
        covert = self._captured.get(fact.incident, True)  # of an incident that nobody knows nothing is shown
        return [Store(self._make.report("LE", now, incident=fact.incident, covert=covert, detail=detail))]

    # ── timers, outputs, health ────────────────────────────────────────────────────────────────────────────────

    def _due(self, key: tuple[str, str], now: Instant) -> list[Effect]:
        kind, name = key
        match kind:
            case "hold":
                zone = self.zones[name]
                return self._decided(zone, zone.debounce.due(now.mono_s), now)
            case "stuck":
                return self._loop_trouble(self.zones[name], "stuck", now, limit=round(self.zones[name].spec.stuck_s))
            case "quiet":
                return self._loop_trouble_over(self.zones[name], "chatter", now)
            case "presses":
                zone = self.zones[name]
                return self._alarm(zone, now.mono_s, now) if zone.incident else []
            case _:
                return self._tell_health(now)

    def _tell_health(self, now: Instant) -> list[Effect]:
        counts = ((name, zone.debounce.glitches) for name, zone in self.zones.items())
        glitches = tuple((name, count) for name, count in counts if count)
        state = Health(len(self.ledger.open()), self.ledger.pending(), tuple(sorted(self.troubles)), glitches)
        changed, self._health = state != self._health, state
        due = now.mono_s >= self._health_s
        if not (changed or due):
            self._timers.set(("health", ""), self._health_s)
            return []
        self._health_s = now.mono_s + HEALTH_S
        self._timers.set(("health", ""), self._health_s)
        return [state]

    def _settle(self, effects: list[Effect], now: Instant) -> list[Effect]:
        """Bring the outputs in line with the state; what the booth sees goes to the front."""
        trouble = bool(self.troubles.visible)
        incidents = self.ledger.incidents.values()
        drives = self._sounder.orders(incidents, path_up=self._paths.alive, trouble=trouble, now_s=now.mono_s)
        return [*drives, *self._paths.lead(now.mono_s), *effects]
