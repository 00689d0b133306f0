"""What must hold in every scenario, whatever it plays: the laws, and that nothing was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.adapters.inputs import ASK_MAX_S, POLL_HZ
from firmware.core.codes import ReportClass
from firmware.core.zone import ZONE_KINDS
from hal.types import LoopState

if TYPE_CHECKING:
    from firmware.sim.events import Event
    from firmware.sim.world import World

HEAL_S = 600.0
"""How long a healed world has to deliver what it owes."""
GRACE_S = 0.1
SHOWN_MAX = 5
ALARMS = frozenset(kind.alarm for kind in ZONE_KINDS.values())
TOLD_TWICE = "two different reports have the identity"


class Judge:
    """Watches a world and judges it at the end.

    Args:
        world: Which.

    Synchronization: one thread.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed_s = 0.0
        self._alarm_s: dict[str, float] = {}
        self._checked: dict[str, float] = {}
        self._faults: list[str] = []

    def look(self) -> None:
        """Law 1: a button that has been held long enough is an alarm, whatever else is wrong."""
        machine, now_s = self._world.machine, self._world.clock.now_s
        if machine.panel is None:
            return
        for zone, loop in machine.loops.items():
            if loop.state is not LoopState.ALARM or loop.lost:
                continue
            since_s = max(loop.since_s, self._armed_s)
            patience_s = self._world.config.zone[zone].debounce_ms / 1000 + 1 / POLL_HZ + GRACE_S
            if now_s - max(since_s, loop.back_s + ASK_MAX_S) < patience_s or self._checked.get(zone) == since_s:
                continue
            self._checked[zone] = since_s
            if machine.panel.zones[zone].incident is None and self._alarm_s.get(zone, -1.0) < since_s:
                self._faults.append(
                    f"law 1: {zone} is pressed since {since_s:.3f} s, and at {now_s:.3f} s there is no alarm"
                )

    def owed(self) -> list[str]:
        """Alarms that were decided and that some receiver does not have."""
        reports = self._world.machine.witness.decided.reports
        alarms = [ident for ident, report in reports.items() if report.cls is ReportClass.ALARM]
        desks = self._world.desks.by_name.values()
        return [f"{ident} at {desk.name}" for ident in alarms for desk in desks if ident not in desk.seen]

    def at_peace(self) -> bool:
        """Whether every receiver has every alarm, and the panel knows it."""
        panel = self._world.machine.panel
        return panel is not None and not panel.ledger.pending() and not self.owed()

    def verdict(self, *, allow_loss: bool) -> list[str]:
        """Everything that is wrong, after the world was healed and had time."""
        machine = self._world.machine
        faults = [*self._faults, *machine.defects]
        faults += [f"the identity {ident} was given to two reports" for ident in machine.witness.decided.twice]
        panel = machine.panel
        if panel is None:
            return [*faults, "the panel does not run although its world is whole again"]
        owed = [] if allow_loss else self.owed()
        if owed:
            more = f" and {len(owed) - SHOWN_MAX} more" if len(owed) > SHOWN_MAX else ""
            faults.append(
                f"lost: {HEAL_S:g} s after everything was mended there is no {', '.join(owed[:SHOWN_MAX])}{more}"
            )
        elif panel.ledger.pending():
            faults.append(f"the panel still believes {panel.ledger.pending()} alarms to be unacknowledged")
        return faults

    def see(self, event: Event) -> None:
        """Something happened."""
        data = event.data
        if event.kind == "process" and data["armed"]:
            self._armed_s = event.at_s
        elif event.kind == "decided" and data["code"] in ALARMS:
            self._alarm_s[str(data["zone"])] = event.at_s
        elif event.kind == "warning" and TOLD_TWICE in str(data["says"]):
            self._faults.append(f"{data['receiver']}: {data['says']}")
