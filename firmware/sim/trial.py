"""One EXPECT or NEVER while it is open."""

from __future__ import annotations

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
        verdict: None while it is open, "" when it held, else why not.

    Synchronization: one thread.
    """

    def __init__(self, demand: Demand, states: States, receivers: Iterable[str], since_s: float) -> None:
        self.demand = demand
        self.until_s = since_s + demand.span_s
        self.verdict: str | None = None
        self._states = states
        self._since_s = since_s
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
            self.verdict = "" if self.demand.mode in (Mode.NEVER, Mode.FOR) else "the scenario ended before"

    def _look_at_state(self, now_s: float) -> None:
        demand = self.demand
        since_s = self._since_s if demand.mode in (Mode.WITHIN, Mode.NEVER) else now_s
        holds = self._states.holds(demand.name, demand.values, since_s)
        match demand.mode:
            case Mode.NOW:
                self.verdict = "" if holds else "it is not so"
            case Mode.WITHIN if holds:
                self.verdict = ""
            case Mode.FOR if not holds:
                self.verdict = f"it was so for {now_s - self._since_s:.3f} s only"
            case Mode.NEVER if holds:
                self.verdict = "it is so"
            case _:
                pass

    def _close(self) -> None:
        demand = self.demand
        if demand.mode in (Mode.NEVER, Mode.FOR):
            self.verdict = ""
        elif "count" in demand.values and self._is_event:
            wanted = int(demand.values["count"])
            wrong = {who: len(found) for who, found in self._found.items() if len(found) != wanted}
            self.verdict = "" if not wrong else f"counted {', '.join(f'{n} {who}'.strip() for who, n in wrong.items())}"
        else:
            missing = " ".join(sorted(self._waiting - {""}))
            self.verdict = f"not within {demand.span_s:g} s{' at ' + missing if missing else ''}"
