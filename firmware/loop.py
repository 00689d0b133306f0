"""The owner: one thread takes one fact from one inbox, lets the core decide, and hands the effects on.

It never waits for an adapter. It pets the watchdog, because nothing else proves that alarms are still decided.
"""

from __future__ import annotations

import logging
import math
import queue
from typing import TYPE_CHECKING

from firmware.core.facts import Tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.effects import Effect
    from firmware.core.facts import Fact
    from firmware.core.panel import Panel
    from hal.ports import Clock, Watchdog

log = logging.getLogger(__name__)

PET_S = 1.0
SLOW_S = 0.1
"""A fact that waited longer than this, or a decision that took longer, is told: alarms share this thread."""


class Owner:
    """Runs the core.

    Args:
        panel: The core, started already.
        clock: The board's.
        obey: Hands one effect to its adapter; never blocks.
        watchdog: Petted about once a second.

    Synchronization: `post` and `stop` from any thread; `run` and `step` from one.
    """

    def __init__(self, panel: Panel, clock: Clock, obey: Callable[[Effect], None], watchdog: Watchdog) -> None:
        self._panel = panel
        self._clock = clock
        self._obey = obey
        self._watchdog = watchdog
        self._inbox: queue.SimpleQueue[tuple[float, Fact] | None] = queue.SimpleQueue()
        self._pet_s = -math.inf

    def post(self, fact: Fact) -> None:
        """Put a fact into the inbox; never blocks, never raises."""
        self._inbox.put((self._clock.now().mono_s, fact))

    def stop(self) -> None:
        """Make `run` return after the facts that are in the inbox now."""
        self._inbox.put(None)

    def run(self) -> None:
        """Decide until stopped."""
        while self.step(PET_S):
            pass

    def step(self, patience_s: float) -> bool:
        """Wait for one fact or deadline, at most `patience_s`, and decide; False once stopped."""
        now_s = self._clock.now().mono_s
        if now_s - self._pet_s >= PET_S:
            self._pet_s = now_s
            self._watchdog.pet()
        pause_s = min(patience_s, self._panel.next_deadline() - now_s)
        try:
            item = self._inbox.get(timeout=pause_s) if pause_s > 0 else self._inbox.get_nowait()
        except queue.Empty:
            item = (now_s, Tick())
        if item is None:
            return False
        self._decide(*item)
        return True

    def _decide(self, posted_s: float, fact: Fact) -> None:
        now = self._clock.now()
        for effect in self._panel.handle(fact, now):
            self._obey(effect)
        waited_s, took_s = now.mono_s - posted_s, self._clock.now().mono_s - now.mono_s
        if took_s > SLOW_S or (waited_s > SLOW_S and not isinstance(fact, Tick)):
            log.warning("slow: %s waited %.3f s, deciding took %.3f s", type(fact).__name__, waited_s, took_s)
