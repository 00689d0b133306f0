"""Zones: a named loop, what its alarm means, and how sound the loop is."""

from __future__ import annotations

import collections
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.debounce import Debounce, Decision
from hal.types import LoopState

if TYPE_CHECKING:
    from firmware.core.report import ReportId

CHATTER_COUNT = 20
CHATTER_WINDOW_S = 60.0
"""More than 20 presses or glitches in a minute are no hand. They become a trouble; the alarm stays an alarm."""


class ZoneType(enum.StrEnum):
    """Types of 24-hour zones; none can be disarmed."""

    PANIC = "panic"
    HOLD_UP = "hold-up"
    TAMPER = "tamper"


@dataclass(frozen=True, slots=True)
class ZoneKind:
    """What a zone type reports and whether the booth may see and hear it."""

    alarm: str
    released: str
    reset: str
    trouble: str
    trouble_over: str
    covert: bool


ZONE_KINDS: dict[ZoneType, ZoneKind] = {
    ZoneType.PANIC: ZoneKind("PA", "PH", "PR", "PT", "PJ", covert=False),
    ZoneType.HOLD_UP: ZoneKind("HA", "HH", "HR", "HT", "HJ", covert=True),
    ZoneType.TAMPER: ZoneKind("TA", "TH", "TR", "TT", "TJ", covert=False),
}


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """A zone as configured; times in seconds."""

    name: str
    type: ZoneType
    hold_s: float
    stuck_s: float


class Zone:
    """The state of one zone.

    Attributes:
        incident: The open incident that this zone latched, or None.
        presses: Presses in the open incident.
        troubles: Loop troubles that stand: "open", "short", "stuck", "chatter".

    Synchronization: one thread.
    """

    def __init__(self, spec: ZoneSpec) -> None:
        self.spec = spec
        self.kind = ZONE_KINDS[spec.type]
        self.debounce = Debounce(spec.hold_s)
        self.incident: ReportId | None = None
        self.presses = 0
        self.troubles: set[str] = set()
        self._unrest: collections.deque[float] = collections.deque(maxlen=CHATTER_COUNT + 1)
        self._glitches_seen = 0

    def restless(self, decisions: tuple[Decision, ...], now_s: float) -> bool:
        """Count presses and glitches; tell whether together they are chatter."""
        presses = sum(decision.state is LoopState.ALARM for decision in decisions)
        new_glitches = self.debounce.glitches - self._glitches_seen
        self._glitches_seen = self.debounce.glitches
        self._unrest.extend([now_s] * (presses + new_glitches))
        storm = any(decision.chatter for decision in decisions)
        full = len(self._unrest) > CHATTER_COUNT
        return storm or (full and bool(presses or new_glitches) and now_s - self._unrest[0] <= CHATTER_WINDOW_S)
