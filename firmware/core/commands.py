"""Orders by people, from the desk or the console: one path for both, answered in every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.effects import Effect, Reply, Seal
from firmware.core.zone import ZONE_KINDS
from hal.types import Instant, LoopState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.core.facts import Command
    from firmware.core.incident import Incident
    from firmware.core.ledger import Ledger
    from firmware.core.maker import Maker
    from firmware.core.report import Scalar
    from firmware.core.troubles import Troubles
    from firmware.core.zone import Zone

TEXT_MAX = 300
CONSOLE = "console"


class Commands:
    """Obeys commands over zones and incidents.

    The booth's own console neither shows nor resets a covert alarm: a guard could be made to use it.

    Synchronization: one thread.
    """

    def __init__(
        self, zones: Mapping[str, Zone], ledger: Ledger, troubles: Troubles, make: Maker, version: str
    ) -> None:
        self._zones = zones
        self._ledger = ledger
        self._troubles = troubles
        self._make = make
        self._version = version

    def obey(self, order: Command, now: Instant) -> list[Effect]:
        """What a command does, and its result."""
        match order.verb:
            case "reset":
                return self._reset(order, now)
            case "bell-off":
                return [*self._bell_off(order, now), self._reply(order, "bell-off")]
            case "status":
                return [self._status(order, now)]
            case _:
                return [self._reply(order, "no-verb", ok=False, verb=order.verb[:40])]

    def _bell_off(self, order: Command, now: Instant) -> list[Effect]:
        by, person = order.origin, order.actor[:TEXT_MAX]
        return [
            effect for incident in self._ledger.open() for effect in self._ledger.silence(incident, by, person, now)
        ]

    def _visible(self, order: Command) -> list[Incident]:
        return [incident for incident in self._ledger.open() if not (incident.covert and order.origin == CONSOLE)]

    def _reset(self, order: Command, now: Instant) -> list[Effect]:
        if not (order.actor.strip() and order.reason.strip()):
            return [self._reply(order, "reset-who", ok=False)]
        visible = self._visible(order)
        if order.target and order.target not in {*self._zones, *(incident.zone for incident in visible)}:
            return [self._reply(order, "no-zone", ok=False, zone=order.target[:40], zones=" ".join(self._zones))]
        chosen = [incident for incident in visible if order.target in ("", incident.zone)]
        held = [incident.zone for incident in chosen if self._held(incident)]
        ready = [incident for incident in chosen if incident.zone not in held]
        effects = [effect for incident in ready for effect in self._reset_one(incident, order, now)]
        if held:
            return [*effects, self._reply(order, "reset-held", ok=False, zone=" ".join(held))]
        if not ready:
            return [self._reply(order, "reset-none", ok=False)]
        return [*effects, self._reply(order, "reset-done", zones=" ".join(incident.zone for incident in ready))]

    def _held(self, incident: Incident) -> bool:
        """Whether its button is pressed still: a reset would hide an alarm, unless the button is known as stuck."""
        zone = self._zones.get(incident.zone)
        if zone is None or zone.incident != incident.id or "stuck" in zone.troubles:
            return False
        return zone.debounce.settled is LoopState.ALARM

    def _reset_one(self, incident: Incident, order: Command, now: Instant) -> list[Effect]:
        detail: tuple[tuple[str, Scalar], ...] = (
            ("actor", order.actor[:TEXT_MAX]),
            ("reason", order.reason[:TEXT_MAX]),
            ("origin", order.origin),
        )
        alarm = self._ledger.code(incident.reports[0])
        code = next(kind.reset for kind in ZONE_KINDS.values() if kind.alarm == alarm)
        report = self._make.report(
            code, now, zone=incident.zone, incident=incident.id, covert=incident.covert, detail=detail
        )
        zone = self._zones.get(incident.zone)
        if zone is not None and zone.incident == incident.id:
            zone.incident, zone.presses = None, 0
        effects = self._ledger.enter(report, incident, now)
        return [*effects, *self._ledger.close(incident), Seal(incident.id), *self._make.say_event(report)]

    def _status(self, order: Command, now: Instant) -> Effect:
        local = order.origin == CONSOLE
        visible = self._troubles.visible
        sources = [source for source, _ in visible] if local else list(self._troubles)
        none = self._make.words("none")
        state = self._make.words(
            "status",
            open=len(self._visible(order)),
            pending=self._ledger.pending(covert=not local),
            paths=" ".join(sorted(self._ledger.paths_up)) or none,
            troubles="; ".join(sources) or none,
        )
        if not local:  # a report told the desk why
            return Reply(order.id, order.origin, ok=True, text=state)
        why = [self._make.words("status-trouble", source=source, why=why) for source, why in visible]
        clock = self._make.words("clock-set" if now.synced else "clock-unset")
        panel = self._make.words("status-panel", panel=self._make.run, version=self._version, clock=clock)
        return Reply(order.id, order.origin, ok=True, text="\n".join([panel, state, *why]))

    def _reply(self, order: Command, key: str, *, ok: bool = True, **values: object) -> Reply:
        return Reply(order.id, order.origin, ok, self._make.words(key, **values))
