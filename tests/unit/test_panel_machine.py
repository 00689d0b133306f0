"""For any order of edges, flaps, restarts, disk failures and receipts: no incident lost, no identity used twice."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rigs.core import Rig, spec

from firmware.core import effects as e
from firmware.core import facts as f
from firmware.core.panel import RESETS, Panel
from firmware.core.report import Mark, Step
from hal.types import Level, LoopState

ZONES = ("booth-button", "foot-bar", "lid")
RECEIVERS = ("110", "station")
ALARMS = ("PA", "HA", "TA")


class PanelMachine(RuleBasedStateMachine):
    """The panel with a model journal: what was synced survives a restart, what was not may or may not."""

    @initialize()
    def boot(self):
        self.epoch = 0
        self.synced: dict = {}
        self.unsynced: list = []
        self.marks: list[Mark] = []
        self.identities: set = set()
        self.alarms: dict = {}
        self.acked: set = set()
        self.reset_incidents: set = set()
        self.pressed_down = dict.fromkeys(ZONES, False)
        self.link = False
        self.mono_s = 0.0
        self._start()

    def _start(self):
        self.epoch += 1
        self.rig = Rig(Panel(spec(), self.epoch), mono_s=self.mono_s)
        self._obey(self.rig.start(sorted(self.synced.values(), key=lambda r: r.id), self.marks))
        self.link = False
        for zone in ZONES:
            if self.pressed_down[zone]:
                self._obey(self.rig.level(zone, LoopState.ALARM))

    def _obey(self, effects):
        self.mono_s = self.rig.mono_s
        for effect in effects:
            match effect:
                case e.Store(report):
                    assert report.id not in self.identities, f"{report.id} used twice"
                    self.identities.add(report.id)
                    if report.cls.value == "alarm":
                        self.unsynced.append(report)
                        self.alarms[report.id] = report
                case e.Note(mark):
                    self.marks.append(mark)
                case e.Finish(ids):
                    for done in ids:
                        assert {(done, who) for who in RECEIVERS} <= self.acked, f"{done} forgotten unacknowledged"
                        self.synced.pop(done, None)
                        self.unsynced = [report for report in self.unsynced if report.id != done]
        for transmit in self.rig.of(e.Transmit, effects):
            assert transmit.attempt >= 1
            assert transmit.report.id in self.alarms, "sent what was never ordered to be kept"

    @rule(zone=st.sampled_from(ZONES), hold=st.floats(0.031, 3))
    def press(self, zone, hold):
        before = {r.id for r in self.alarms.values()}
        was_down = self.pressed_down[zone]
        self.pressed_down[zone] = True
        self._obey(self.rig.level(zone, LoopState.ALARM))
        self._obey(self.rig.pass_time(hold))
        if not was_down:
            incidents = self.rig.panel.ledger.open()
            assert any(i.zone == zone for i in incidents), "a press left no open incident"
            chattering = "chatter" in self.rig.panel.zones[zone].troubles
            assert chattering or set(self.alarms) - before, "a press made no report"

    @rule(zone=st.sampled_from(ZONES), wait=st.floats(0.031, 3))
    def release(self, zone, wait):
        self.pressed_down[zone] = False
        self._obey(self.rig.level(zone, LoopState.NORMAL))
        self._obey(self.rig.pass_time(wait))

    @rule(zone=st.sampled_from(ZONES), edges=st.lists(st.floats(0.0001, 0.05), max_size=12))
    def bounce(self, zone, edges):
        state = self.pressed_down[zone]
        for pause in edges:
            state = not state
            self._obey(self.rig.post(Level(zone, LoopState.ALARM if state else LoopState.NORMAL, self.rig.mono_s)))
            self._obey(self.rig.pass_time(pause))
        self.pressed_down[zone] = state
        self._obey(self.rig.pass_time(0.031))

    @rule(up=st.booleans())
    def flap(self, up):
        fact = f.PathUp("main") if up else f.PathDown("main", "flap")
        effects = self.rig.post(fact)
        if up and not self.link:
            sent = {t.report.id for t in self.rig.of(e.Transmit, effects)}
            waiting = {
                report
                for report in self.alarms
                if report in self.synced or any(u.id == report for u in self.unsynced)
                if not {(report, who) for who in RECEIVERS} <= self.acked
            }
            assert waiting <= sent, "an unacknowledged alarm was not sent over a path that came back"
        self.link = up
        self._obey(effects)

    @rule(data=st.data(), who=st.sampled_from(RECEIVERS), step=st.sampled_from([Step.RECEIVED, Step.ACCEPTED]))
    def acknowledge(self, data, who, step):
        if not self.alarms:
            return
        report = data.draw(st.sampled_from(sorted(self.alarms)))
        self.acked.add((report, who))
        self._obey(self.rig.receipt(report, who, step))

    @rule(ok=st.booleans())
    def disk(self, ok):
        for report in self.unsynced:
            if ok:
                self.synced[report.id] = report
                self._obey(self.rig.post(f.Stored(report.id)))
            else:
                self._obey(self.rig.post(f.NotStored(report.id, "EIO")))
        if ok:
            self.unsynced = []

    @rule(zone=st.sampled_from(("", *ZONES)), origin=st.sampled_from(["110", "console"]))
    def reset(self, zone, origin):
        effects = self.rig.reset(target=zone, origin=origin)
        for report in self.rig.of(e.Store, effects):
            if report.report.code in RESETS:
                assert dict(report.report.detail)["actor"] == "Li"
        self._obey(effects)

    @rule(survives=st.integers(0, 5))
    def power_cut(self, survives):
        for report in self.unsynced[:survives]:
            self.synced[report.id] = report
        lost = self.unsynced[survives:]
        for report in lost:
            del self.alarms[report.id]
        self.unsynced = []
        known = {m.id for m in self.marks} - {r.id for r in lost}
        self.acked = {(i, who) for i, who in self.acked if i in known and (i, who) in self._marked()}
        self._start()

    def _marked(self):
        return {(m.id, m.by) for m in self.marks}

    @rule(seconds=st.floats(0.1, 300))
    def wait(self, seconds):
        self._obey(self.rig.pass_time(seconds))

    @invariant()
    def every_synced_alarm_without_its_reset_is_latched(self):
        if not hasattr(self, "rig"):
            return
        closed = {r.incident for r in self.alarms.values() if r.code in RESETS}
        for report in self.synced.values():
            if report.code in ALARMS and report.incident not in closed:
                assert report.incident in self.rig.panel.ledger.incidents
        assert len([i for i in self.rig.panel.ledger.open() if i.zone in ZONES]) <= len(ZONES) + len(closed)

    @invariant()
    def an_open_incident_lights_the_strobe_unless_it_is_covert(self):
        if not hasattr(self, "rig"):
            return
        drives = [d for d in self.rig.of(e.Drive) if d.role is e.Role.STROBE]
        visible = any(not i.covert for i in self.rig.panel.ledger.open())
        lit = bool(drives) and drives[-1].pattern is not e.Pattern.OFF
        assert lit == visible


TestPanelMachine = PanelMachine.TestCase
TestPanelMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
