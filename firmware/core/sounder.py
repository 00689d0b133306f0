"""What the booth shows and sounds, from the state of the panel: one literal table and one function of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.core.effects import Drive, Pattern, Role
from firmware.core.report import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.incident import Incident

LEASE_S = 30.0
"""Outputs are ordered for this long and renewed at a third of it: if nobody decides any more, they fall silent."""

LAMP: dict[Step, Pattern] = {
    Step.RAISED: Pattern.FAST,
    Step.STORED: Pattern.FAST,
    Step.BROKERED: Pattern.SLOW,
    Step.RECEIVED: Pattern.DOUBLE,
    Step.ACCEPTED: Pattern.STEADY,
    Step.DISPATCHED: Pattern.STEADY,
    Step.ARRIVED: Pattern.STEADY,
    Step.CLOSED: Pattern.STEADY,
}
"""The receipt lamp: hurried while nobody has it, calmer when a machine has it, steady when a person has it."""


class Sounder:
    """Keeps the outputs in line with the panel's state.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self.deadline_s = -math.inf
        self._shown: dict[Role, Pattern] = {}
        self._renew_s = math.inf

    def orders(self, incidents: Iterable[Incident], *, path_up: bool, trouble: bool, now_s: float) -> list[Drive]:
        """Orders for all outputs whose pattern changed or whose lease is to be renewed.

        Covert incidents count for nothing here. `deadline_s` then says when to ask again.
        """
        visible = [incident for incident in incidents if not (incident.covert or incident.closed)]
        siren_until_s = max((incident.siren_until_s for incident in visible), default=0.0)
        siren = siren_until_s > now_s
        wanted = {
            Role.SIREN: Pattern.STEADY if siren else Pattern.OFF,
            Role.STROBE: Pattern.FAST if visible else Pattern.OFF,
            Role.LAMP: LAMP[visible[-1].step] if visible else Pattern.OFF,
            Role.PATH_LAMP: Pattern.STEADY if path_up else Pattern.OFF,
            Role.TROUBLE_LAMP: Pattern.SLOW if trouble else Pattern.OFF,
        }
        renew = now_s >= self._renew_s
        drives = [
            Drive(role, pattern, min(now_s + LEASE_S, siren_until_s) if role is Role.SIREN else now_s + LEASE_S)
            for role, pattern in wanted.items()
            if self._shown.get(role) is not pattern or (renew and pattern is not Pattern.OFF)
        ]
        if drives or renew:
            lit = any(pattern is not Pattern.OFF for pattern in wanted.values())
            self._renew_s = now_s + LEASE_S / 3 if lit else math.inf
        self._shown = wanted
        self.deadline_s = min(self._renew_s, siren_until_s if siren else math.inf)
        return drives
