"""How often the panel asks again for a device that is lost, or was never there: a line, a loop, an output."""

from __future__ import annotations

from typing import Final

RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses before the next try; the last one goes on."""


def pause_s(failures: int) -> float:
    """How long to leave the device alone after so many failures in a row; 0 after none."""
    return RETRY_S[min(failures, len(RETRY_S)) - 1] if failures else 0.0
