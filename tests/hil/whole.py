"""What a whole Linux machine has left, as its own kernel counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASK: Final = "head -1 /proc/stat; grep ^MemAvailable: /proc/meminfo"
"""The command whose answer `read_load` reads."""
_TICKS_S: Final = 100
"""USER_HZ: the same on every Linux that a panel runs on."""
_IDLE: Final = (3, 4)
"""Columns of /proc/stat in which nothing works: idle, and waiting for a disk."""


@dataclass(frozen=True, slots=True)
class Load:
    """A whole machine at one moment.

    Attributes:
        available_mib: What new programs could have without swapping.
        busy_s: Processor time spent since the start, of all cores.
    """

    available_mib: float
    busy_s: float


def read_load(told: str) -> Load:
    """What a machine answered to `ASK`."""
    processors, memory = told.splitlines()[:2]
    ticks = [int(word) for word in processors.split()[1:9]]
    busy = sum(ticks) - sum(ticks[column] for column in _IDLE)
    return Load(int(memory.split()[1]) / 1024, busy / _TICKS_S)
