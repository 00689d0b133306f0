"""What all benches make of the changes of an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.api import Change


def moments(changes: Sequence[Change], after_s: float, *, on: bool) -> list[float]:
    """When an output was on, or off, from a moment on: the change that had it so already, or those that followed."""
    before = [change for change in changes if change.at_s <= after_s]
    if (before[-1].on if before else False) is on:
        return [before[-1].at_s if before else 0.0]
    return [change.at_s for change in changes if change.at_s > after_s and change.on is on]
