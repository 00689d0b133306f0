"""Zones: what a loop's alarm means."""

from __future__ import annotations

import enum


class ZoneType(enum.StrEnum):
    """Types of 24-hour zones; none can be disarmed."""

    PANIC = "panic"
    HOLD_UP = "hold-up"
    TAMPER = "tamper"
