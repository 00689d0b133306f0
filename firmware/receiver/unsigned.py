"""Panels that speak without a valid signature: neither silence nor a sign of life, and the person must know which.

A panel that lost its key file goes on and speaks unsigned, and nothing of that is believed. Whoever may publish at the
broker can speak so under any name too: such words change nothing that the desk knows of a panel, and what is told says
whether the panel itself still proves that it lives.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.receiver import events as e

if TYPE_CHECKING:
    from collections.abc import Callable

CALM_S = 60.0
"""A panel that proves itself has its key again when nothing unsigned came under its name for this long."""
ALIVE_S = 90.0
"""A panel whose last new signed heartbeat is older than this is not heard: three times its health."""
AGAIN_S = 600.0
"""How often the same is told while it lasts."""
STRANGERS_MAX = 64
"""Names under which nothing was ever proved and that are told apart: they may be invented."""
PROVED_MAX = 4096


@dataclass(slots=True)
class _Spell:
    """A time in which unsigned words come under a name.

    Attributes:
        since_ms: Wall clock of its first word.
        last_s: Monotonic time of its last.
        told_s: When it was told last.
        alive: What was told of the panel itself then.
        alarm: Whether an alarm was among the words.
    """

    since_ms: int
    last_s: float
    told_s: float = float("-inf")
    alive: bool = False
    alarm: bool = False


class Unsigned:
    """Who speaks without a valid signature, and since when.

    Args:
        admit: Whether there is room on the screen for one more line of this kind now.

    Synchronization: one thread.
    """

    def __init__(self, admit: Callable[[float], bool]) -> None:
        self._admit = admit
        self._spells: dict[str, _Spell] = {}
        self._proved: collections.OrderedDict[str, e.Moment] = collections.OrderedDict()

    def refused(self, panel: str, now: e.Moment, *, alarm: bool) -> list[e.Shown] | None:
        """A word under a panel's name was not signed by it; None when there is no room for one more stranger."""
        spell = self._spells.get(panel)
        if spell is None:
            if not self._has_room(panel, now.mono_s):
                return None
            spell = self._spells[panel] = _Spell(now.utc_ms, now.mono_s)
        spell.last_s = now.mono_s
        proved = self._proved.get(panel)
        alive = proved is not None and now.mono_s - proved.mono_s < ALIVE_S
        news = (alarm and not spell.alarm) or (spell.alive and not alive) or now.mono_s - spell.told_s >= AGAIN_S
        if not news or not self._admit(now.mono_s):
            return []
        spell.told_s, spell.alive, spell.alarm = now.mono_s, alive, spell.alarm or alarm
        last_ms = None if proved is None else proved.utc_ms
        return [e.Unsigned(panel, spell.since_ms, last_ms, alive=alive, alarm=spell.alarm)]

    def proved(self, panel: str, now: e.Moment) -> list[e.Shown]:
        """A panel proved that it lives, by a signed heartbeat that is newer than all before."""
        self._proved[panel] = now
        self._proved.move_to_end(panel)
        if len(self._proved) > PROVED_MAX:
            self._proved.popitem(last=False)
        spell = self._spells.get(panel)
        if spell is None or now.mono_s - spell.last_s < CALM_S:
            return []
        del self._spells[panel]
        return [e.SignedAgain(panel, spell.since_ms)]

    def _has_room(self, panel: str, mono_s: float) -> bool:
        """Strangers take no place from each other before they fall silent, and never one from a panel."""
        if panel in self._proved:
            return True
        strangers = [name for name in self._spells if name not in self._proved]
        if len(strangers) < STRANGERS_MAX:
            return True
        oldest = min(strangers, key=lambda name: self._spells[name].last_s)
        if mono_s - self._spells[oldest].last_s < AGAIN_S:
            return False
        del self._spells[oldest]
        return True
