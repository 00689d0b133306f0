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


class Inbox:
    """Facts on their way to the owner, each with the time at which it was posted.

    Synchronization: `post` and `close` from any thread; `take` from the owner's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._facts: queue.SimpleQueue[tuple[float, Fact] | None] = queue.SimpleQueue()

    def post(self, fact: Fact) -> None:
        """Put a fact in; never blocks, never raises."""
        self._facts.put((self._clock.now().mono_s, fact))

    def close(self) -> None:
        """Let the owner stop after the facts that are in now."""
        self._facts.put(None)

    def take(self, patience_s: float) -> tuple[float, Fact] | None:
        """The oldest fact with its time; None once closed.

        Raises:
            queue.Empty: None came within `patience_s`.
        """
        return self._facts.get(timeout=patience_s) if patience_s > 0 else self._facts.get_nowait()

    @property
    def waiting(self) -> int:
        """How many facts wait; for those who step the owner in virtual time."""
        return self._facts.qsize()


class Owner:
    """Runs the core.

    Args:
        panel: The core, started already.
        inbox: Where facts come from.
        clock: The board's.
        obey: Hands one effect to its adapter; never blocks.
        watchdog: Petted about once a second.

    Synchronization: one thread.
    """

    def __init__(
        self, panel: Panel, inbox: Inbox, clock: Clock, obey: Callable[[Effect], None], watchdog: Watchdog
    ) -> None:
        self._panel = panel
        self._inbox = inbox
        self._clock = clock
        self._obey = obey
        self._watchdog = watchdog
        self._pet_s = -math.inf

    def run(self) -> None:
        """Decide until the inbox is closed."""
        while self.step(PET_S):
            pass

    def step(self, patience_s: float) -> bool:
        """Wait for one fact or deadline, at most `patience_s`, and decide; False once the inbox is closed."""
        now_s = self._clock.now().mono_s
        if now_s - self._pet_s >= PET_S:
            self._pet_s = now_s
            self._watchdog.pet()
        try:
            item = self._inbox.take(min(patience_s, self._panel.next_deadline() - now_s))
        except queue.Empty:
            item = (self._clock.now().mono_s, Tick())
        if item is None:
            return False
        self._decide(*item)
        return True

    def next_deadline(self) -> float:
        """When the core wants to be woken; for those who step it in virtual time."""
        return self._panel.next_deadline()

    def _decide(self, posted_s: float, fact: Fact) -> None:
        now = self._clock.now()
        for effect in self._panel.handle(fact, now):
            self._obey(effect)
        waited_s, took_s = now.mono_s - posted_s, self._clock.now().mono_s - now.mono_s
        if max(waited_s, took_s) > SLOW_S:
            log.warning("slow: %s waited %.3f s, deciding took %.3f s", type(fact).__name__, waited_s, took_s)
