"""A core in a test's hand: time by the test, effects sorted by kind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from firmware.core import effects as e
from firmware.core import facts as f
from firmware.core.panel import Panel, PanelSpec
from firmware.core.path import PathSpec
from firmware.core.report import ReportId, Step
from firmware.core.zone import ZoneSpec, ZoneType
from hal.types import Instant, Level, LoopState

BUTTON = ZoneSpec("booth-button", ZoneType.PANIC, 0.030, 120.0)
FOOT = ZoneSpec("foot-bar", ZoneType.HOLD_UP, 0.030, 120.0)
LID = ZoneSpec("lid", ZoneType.TAMPER, 0.030, 120.0)


def spec(**changes) -> PanelSpec:
    given = {
        "panel": "p1",
        "language": "en",
        "zones": (BUTTON, FOOT, LID),
        "paths": ("main",),
        "receivers": ("110", "station"),
    }
    merged = given | changes
    ways = [way if isinstance(way, PathSpec) else PathSpec(way) for way in merged["paths"]]
    return PanelSpec(**(merged | {"paths": tuple(ways)}))


@dataclass
class Rig:
    """One panel's core with a clock that only the test moves."""

    panel: Panel
    mono_s: float = 100.0
    utc_s: float = 1.8e9
    effects: list = field(default_factory=list)

    @property
    def now(self) -> Instant:
        return Instant(self.mono_s, self.utc_s, synced=True)

    def start(self, reports=(), marks=()):
        return self._keep(self.panel.start(tuple(reports), tuple(marks), self.now))

    def post(self, fact):
        return self._keep(self.panel.handle(fact, self.now))

    def pass_time(self, seconds):
        """Run every deadline up to then, each at its own time."""
        end, got = self.mono_s + seconds, []
        while self.panel.next_deadline() <= end:
            step = max(self.panel.next_deadline() - self.mono_s, 0.0)
            self.mono_s += step
            self.utc_s += step
            got += self.post(f.Tick())
        self.utc_s += end - self.mono_s
        self.mono_s = end
        return got

    def level(self, loop, state):
        return self.post(Level(loop, state, self.mono_s))

    def press(self, loop="booth-button", hold=0.05):
        """Press until decided; the button stays down."""
        return self.level(loop, LoopState.ALARM) + self.pass_time(hold)

    def release(self, loop="booth-button"):
        return self.level(loop, LoopState.NORMAL) + self.pass_time(0.05)

    def click(self, loop="booth-button"):
        return self.press(loop) + self.release(loop)

    def receipt(self, report: ReportId, receiver="110", step=Step.RECEIVED, person="", path=""):
        return self.post(f.Receipt(receiver, report, step, person, path))

    def reset(self, target="", origin="110", actor="Li", reason="over"):
        return self.post(f.Command("c1", origin, "reset", target, actor, reason))

    def of(self, kind, effects=None):
        return [effect for effect in (self.effects if effects is None else effects) if isinstance(effect, kind)]

    def stored(self, code, effects=None):
        return [effect.report for effect in self.of(e.Store, effects) if effect.report.code == code]

    def _keep(self, effects):
        self.effects += effects
        return effects


def rig(epoch=1, **changes) -> Rig:
    made = Rig(Panel(spec(**changes), epoch))
    made.start()
    made.effects.clear()
    return made


def shown(effects) -> dict:
    """The last pattern of every role."""
    return {drive.role: drive.pattern for drive in effects if isinstance(drive, e.Drive)}


def finite(value: float) -> bool:
    return math.isfinite(value)
