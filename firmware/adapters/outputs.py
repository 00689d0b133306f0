"""Orders to relays and lamps: patterns in time, and off by itself when an order ends.

Every output is also read back once a second: one whose chip vanished and came back has forgotten what it was ordered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firmware.adapters.reopening import pause_s
from firmware.core.effects import PATTERNS, Drive, Pattern, Role
from firmware.core.facts import Trouble, TroubleOver
from hal.errors import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.core.facts import Fact
    from hal.ports import Clock, DigitalOut

CHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Order:
    pattern: Pattern
    since_s: float
    until_s: float

    def at(self, now_s: float) -> tuple[bool, float]:
        """Whether the output is on now, and when that next changes."""
        if self.pattern is Pattern.OFF or now_s >= self.until_s:
            return False, math.inf
        beats = PATTERNS[self.pattern]
        if not beats:
            return True, self.until_s
        start_s = now_s - (now_s - self.since_s) % sum(beats)
        for place, beat in enumerate(beats):
            start_s += beat
            if now_s < start_s - 1e-9:
                return place % 2 == 0, min(start_s, self.until_s)
        return True, min(start_s + beats[0], self.until_s)


_OFF = _Order(Pattern.OFF, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Loss:
    """An output that cannot be driven: how often in a row it refused, and when it is tried again."""

    failures: int
    due_s: float


class Outputs:
    """Drives every output by its role; one that cannot be driven, or opened, is tried until it can.

    Args:
        outputs: The board's outputs by name.
        roles: What each is for.
        clock: For patterns and ends.
        post: Where lost outputs are told.

    Synchronization: an actor.
    """

    name = "outputs"

    def __init__(
        self,
        outputs: Mapping[str, DigitalOut],
        roles: Mapping[str, Role],
        clock: Clock,
        post: Callable[[Fact], None],
    ) -> None:
        self._outputs = dict(outputs)
        self._roles = dict(roles)
        self._clock = clock
        self._post = post
        self._orders: dict[Role, _Order] = dict.fromkeys(Role, _OFF)
        self._driven: dict[str, bool] = {}
        self._lost: dict[str, _Loss] = {}
        self._due_s = 0.0

    def handle(self, order: object) -> None:
        """Take a `Drive`; a renewal of the same pattern does not disturb its rhythm."""
        if not isinstance(order, Drive):
            raise TypeError(f"outputs take Drive, got {order!r}")
        before = self._orders[order.role]
        now_s = self._clock.now().mono_s
        going_on = before.pattern is order.pattern and now_s < before.until_s
        self._orders[order.role] = _Order(order.pattern, before.since_s if going_on else now_s, order.until_s)
        if not going_on:  # an alarm does not wait for the next try
            for name in self._lost:
                if self._roles[name] is order.role:
                    self._lost[name] = replace(self._lost[name], due_s=now_s)
        self.tick()

    def tick(self) -> None:
        """Set every output to what its order says now."""
        now_s = self._clock.now().mono_s
        self._due_s = now_s + CHECK_S
        for name, output in self._outputs.items():
            on, change_s = self._orders[self._roles[name]].at(now_s)
            if self._driven.get(name) is not on or not _obeys(output, on=on):
                change_s = min(change_s, self._drive(name, output, on=on, now_s=now_s))
            self._due_s = min(self._due_s, change_s)

    def next_deadline(self) -> float:
        """When some output changes next, is tried again or read back."""
        return self._due_s

    def close(self) -> None:
        """All off; the board gives the pins back."""
        self._orders = dict.fromkeys(Role, _OFF)
        self.tick()

    def _drive(self, name: str, output: DigitalOut, *, on: bool, now_s: float) -> float:
        loss = self._lost.get(name)
        if loss is not None and now_s < loss.due_s:
            return loss.due_s
        try:
            output.set(on=on)
        except DeviceLost as error:
            if loss is None:
                self._post(Trouble(f"output {name}", str(error)))
            failures = 1 if loss is None else loss.failures + 1
            self._driven.pop(name, None)  # nobody knows what it shows now, so it is tried until it obeys
            self._lost[name] = _Loss(failures, now_s + pause_s(failures))
            return self._lost[name].due_s
        self._driven[name] = on
        if self._lost.pop(name, None) is not None:
            self._post(TroubleOver(f"output {name}"))
        return math.inf


def _obeys(output: DigitalOut, *, on: bool) -> bool:
    try:
        return output.get() is on
    except DeviceLost:
        return False
