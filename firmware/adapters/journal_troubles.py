"""What is out of order with the journal, as the core and a technician are told it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from firmware.adapters.ring import Ring

log = logging.getLogger(__name__)

DEGRADED = "journal"
"""Source of the trouble that something cannot be written; over when it can again."""
DAMAGE = "journal damage"
"""Source of the trouble that something kept was found damaged: an event, and no state that could be seen to end."""
DAMAGE_SHOWN_S = 3600.0


class JournalTroubles:
    """Turns what the parts of a journal say of themselves into facts, each once.

    Synchronization: the journal's thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._degraded = False
        self._damage_until = math.inf

    @property
    def deadline(self) -> float:
        """When the next fact is due by time alone; infinite when none is."""
        return self._damage_until

    def told(self, whys: Iterable[str | None], findings: list[str], now: float) -> list[Trouble | TroubleOver]:
        """Facts about what changed since the last call.

        Args:
            whys: What cannot be written at present, the gravest first; None for what can.
            findings: What was found damaged since the last call.
            now: Monotonic seconds.
        """
        return self._degradation(next((why for why in whys if why), None)) + self._damage(findings, now)

    def _degradation(self, why: str | None) -> list[Trouble | TroubleOver]:
        before, self._degraded = self._degraded, why is not None
        if why and not before:
            log.warning("%s: %s", DEGRADED, why)
            return [Trouble(DEGRADED, why)]
        if before and not why:
            log.warning("%s: over", DEGRADED)
            return [TroubleOver(DEGRADED)]
        return []

    def _damage(self, findings: list[str], now: float) -> list[Trouble | TroubleOver]:
        if findings:
            more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            why = f"{self._folder}: {findings[0]}{more}; what could be read was kept; look at the disk"
            log.warning("%s: %s", DAMAGE, why)
            self._damage_until = now + DAMAGE_SHOWN_S
            return [Trouble(DAMAGE, why)]
        if now >= self._damage_until:
            self._damage_until = math.inf
            return [TroubleOver(DAMAGE)]
        return []


def findings_of(ring: Ring) -> list[str]:
    """What was wrong with a ring's files and records, each thing once."""
    found, ring.findings = ring.findings, []
    damage = ring.take_damage()
    return [*found, f"{ring.layout.name} ring: {damage}"] if damage else found


def fault_of(ring: Ring, folder: Path) -> str | None:
    """Why not every segment of a ring can be written."""
    return f"{ring.layout.name} ring in {folder}: {ring.fault}" if ring.fault else None
