"""One EXPECT or NEVER while it is open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.sim.conditions import ALL, States, matches
from firmware.sim.language import Mode
from firmware.sim.vocabulary import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.sim.events import Event
    from firmware.sim.language import Demand


class Trial:
    """Judges one demand.

    Args:
        demand: What must be, or must not.
        states: Tells whether states hold.
        receivers: Names of all of them, for `all`.
        since_s: When the action above it was done.

    Attributes:
        until_s: When it is looked at next although nothing happens.
        end_s: When it is over at the latest.
        verdict: None while it is open, "" when it held, else why not.

    Synchronization: one thread.
    """

    def __init__(self, demand: Demand, states: States, receivers: Iterable[str], since_s: float) -> None:
        self.demand = demand
        self.until_s = since_s + demand.within_s
        self.end_s = self.until_s + demand.hold_s
        self.verdict: str | None = None
        self._states = states
        self._since_s = since_s
        self._held_s: float | None = None
        self._is_event = demand.name in EVENTS
        everybody = demand.values.get("receiver") == ALL
        self._waiting = set(receivers) if everybody else {demand.values.get("receiver", "")}
        self._found: dict[str, set[object]] = {receiver: set() for receiver in self._waiting}

    def see(self, event: Event) -> None:
        """Something happened."""
        demand = self.demand
        if self.verdict is not None or not self._is_event or event.at_s > self.until_s:
            return
        if not matches(demand.name, demand.values, event):
            return
        if demand.mode is Mode.NEVER:
            self.verdict = f"it happened: {event.text}"
            return
        who = str(event.data.get("receiver", "")) if "receiver" in demand.values else ""
        self._found.setdefault(who, set()).add(event.data.get("id", (event.at_s, event.text)))
        self._waiting.discard(who)
        if not self._waiting and "count" not in demand.values:
            self.verdict = ""

    def look(self, now_s: float) -> None:
        """A moment has come; what was to happen at it has happened."""
        if self.verdict is None and not self._is_event:
            self._look_at_state(now_s)
        if self.verdict is None and now_s >= self.until_s:
            self._close()

    def end(self) -> None:
        """The scenario is over: what never happened has not happened."""
        if self.verdict is None:
            self.verdict = "" if self.demand.mode is Mode.NEVER else "the scenario ended before"

    def _look_at_state(self, now_s: float) -> None:
        demand = self.demand
        since_s = self._since_s if self._held_s is None else math.inf
        holds = self._states.holds(demand.name, demand.values, since_s)
        if demand.mode is Mode.NEVER:
            self.verdict = "it is so" if holds else None
        elif self._held_s is not None:
            if not holds:
                self.verdict = f"it was so for {now_s - self._held_s:.3f} s only"
        elif holds and demand.hold_s:
            self._held_s, self.until_s = now_s, now_s + demand.hold_s
        elif holds:
            self.verdict = ""

    def _close(self) -> None:
        demand = self.demand
        if demand.mode is Mode.NEVER or self._held_s is not None:
            self.verdict = ""
        elif "count" in demand.values and self._is_event:
            wanted = int(demand.values["count"])
            wrong = {who: len(found) for who, found in sorted(self._found.items()) if len(found) != wanted}
            self.verdict = "" if not wrong else f"counted {', '.join(f'{n} {who}'.strip() for who, n in wrong.items())}"
        elif not demand.within_s:
            self.verdict = "it is not so"
        else:
            missing = " ".join(sorted(self._waiting - {""}))
            self.verdict = f"not within {demand.within_s:g} s{' at ' + missing if missing else ''}"
