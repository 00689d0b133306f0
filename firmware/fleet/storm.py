"""A region-wide outage in virtual time: the real links of all panels, and brokers that take so many a second. Pure.

What is simulated is what decides about a storm: when each panel notices, when it tries, what the broker does with it,
and how the alarms get through. Heartbeats are there until they have told a panel that nobody answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from firmware.core.link import Alarm, Due, Link, Note, State
from firmware.core.path import BEAT_S, CLOSED_AWAY_S
from firmware.core.report import Report, ReportId
from firmware.core.retry import PAUSE_CAP_S
from firmware.fleet.tally import Tally
from firmware.sim.clock import WorldClock
from hal.types import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

LATENCY_S = 0.02
"""One way between panel and broker, and between broker and receiver."""
RECEIVE_MAXIMUM = 20
CONNECT_TIMEOUT_S, CONNECT_HURRIED_S = 5.0, 8.0
"""How long an uplink is held up by a host that does not answer, also while an alarm waits."""
SYN_S = (0.0, 1.0, 3.0)
"""When TCP knocks within that time (Linux: 1 s, doubled)."""
SYN_HURRIED_S = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
"""The same with a fresh call every 2 s."""
BEFORE_S = -3600.0
"""All panels have been up for an hour."""
PATIENCE_S = 900.0
"""Who is not back this long after the outage is counted as lost for good."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens.

    Attributes:
        panels: How many, spread evenly over the brokers.
        outage_s: How long nothing can be reached.
        presses: Panels at which somebody presses during the outage, one each.
        silent: Packets vanish, and every panel has to notice by itself; otherwise all connections break at once.
        brokers: How many.
        connect_rate: Connections a second that one broker takes, the same number as a burst; it refuses what is beyond.
        scatter_s: Over how long panels without an alarm spread their tries.
    """

    panels: int
    outage_s: float
    presses: int = 0
    silent: bool = False
    brokers: int = 1
    connect_rate: float = math.inf
    scatter_s: float = PAUSE_CAP_S


@dataclass(slots=True)
class Outcome:
    """What happened, in seconds of the world; the outage begins at 0."""

    lost: int = 0
    back: list[float] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    through: dict[int, float] = field(default_factory=dict)
    pressed: dict[int, float] = field(default_factory=dict)


class Gate:
    """A broker's door: a token bucket.

    Synchronization: one thread.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._tokens = max(1.0, rate_hz)
        self._seen_s = 0.0

    def admit(self, now_s: float) -> bool:
        """Whether one more is taken now."""
        if self._rate_hz == math.inf:
            return True
        full = max(1.0, self._rate_hz)
        self._tokens = min(full, self._tokens + (now_s - self._seen_s) * self._rate_hz)
        self._seen_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Booth:
    """One panel: its link, and what an uplink does with it.

    Args:
        number: Which.
        plan: What happens.
        gate: The door of its broker.
        world: The time.
        random01: Random numbers, 0 to 1.
        outcome: Where it is written down.

    Synchronization: one thread.
    """

    def __init__(
        self,
        number: int,
        plan: Plan,
        *,
        gate: Gate,
        world: WorldClock,
        random01: Callable[[], float],
        outcome: Outcome,
    ) -> None:
        self.link = Link(idle_cap_s=plan.scatter_s)
        self._number = number
        self._plan = plan
        self._gate = gate
        self._world = world
        self._random01 = random01
        self._outcome = outcome
        self._connection = 0
        self._wake_s = math.inf
        self._busy_until_s = -math.inf
        self.link.due(BEFORE_S)
        self.link.opened(RECEIVE_MAXIMUM, BEFORE_S)

    def cut(self) -> None:
        """The connection breaks, and the panel is told so."""
        self._lost(overdue=False)
        self._look()

    def beat(self) -> None:
        """The first heartbeat that nobody answers."""
        if self.link.state is State.UP:
            self.link.note(Note("beat", "", b""))
            self._look()

    def press(self) -> None:
        """Somebody presses."""
        now_s = self._world.now_s
        self._outcome.pressed[self._number] = now_s
        moment = Instant(now_s, now_s, synced=True)
        self.link.alarm(Report(ReportId(str(self._number), 1, 1), "PA", moment), 1, now_s)
        self._look()

    def _wake(self) -> None:
        self._wake_s = math.inf
        self._look()

    def _look(self) -> None:
        now_s = self._world.now_s
        if now_s < self._busy_until_s:
            return
        match self.link.due(now_s):
            case Due.OPEN:
                self._try()
            case Due.CLOSE:
                self._lost(overdue=True)
            case Due.NOTHING:
                pass
        while (out := self.link.pull(now_s)) is not None:
            if now_s >= self._plan.outage_s:
                self._after(2 * LATENCY_S, partial(self._answered, out.token, self._connection))
        due_s = max(self.link.next_deadline(), now_s)
        if due_s < self._wake_s:
            self._wake_s = due_s
            self._world.at(due_s, self._wake)

    def _after(self, pause_s: float, deed: Callable[[], None]) -> None:
        self._world.after(pause_s, deed)

    def _lost(self, *, overdue: bool) -> None:
        if self.link.state is State.UP:
            self._outcome.lost += 1
        self._connection += 1
        self.link.lost(self._world.now_s, self._random01(), overdue=overdue)

    def _try(self) -> None:
        now_s, plan = self._world.now_s, self._plan
        self._connection += 1
        connection = self._connection
        self._outcome.tries.append(now_s)
        hurried = self.link.hurried
        knocks = (SYN_HURRIED_S if hurried else SYN_S) if plan.silent else SYN_S[:1]
        heard = [now_s + pause_s for pause_s in knocks if now_s + pause_s >= plan.outage_s]
        if heard:
            self._busy_until_s = heard[0] + 2 * LATENCY_S
            self._world.at(self._busy_until_s, lambda: self._greeted(connection))
        elif plan.silent:
            self._busy_until_s = now_s + (CONNECT_HURRIED_S if hurried else CONNECT_TIMEOUT_S)
            self._world.at(self._busy_until_s, lambda: self._refused(connection))
        else:
            self._lost(overdue=False)

    def _greeted(self, connection: int) -> None:
        if connection != self._connection:
            return
        self.link.greeted(self._world.now_s, 2 * LATENCY_S)
        if self._gate.admit(self._world.now_s):
            self._after(4 * LATENCY_S, lambda: self._opened(connection))
        else:
            self._after(2 * LATENCY_S, lambda: self._refused(connection))

    def _refused(self, connection: int) -> None:
        if connection == self._connection:
            self._lost(overdue=False)
            self._look()

    def _opened(self, connection: int) -> None:
        if connection == self._connection:
            self.link.opened(RECEIVE_MAXIMUM, self._world.now_s)
            self._outcome.back.append(self._world.now_s)
            self._look()

    def _answered(self, token: int, connection: int) -> None:
        if connection != self._connection:
            return
        item = self.link.acked(token, self._world.now_s, accepted=True)
        if isinstance(item, Alarm):  # the broker has it; receiver and receipt are two more ways there and back
            self._outcome.through[self._number] = self._world.now_s + 2 * LATENCY_S
        self._look()


def play(plan: Plan, random01: Callable[[], float]) -> Tally:
    """Play an outage to its end: everybody back and every alarm through, or `PATIENCE_S` over.

    Args:
        plan: What happens.
        random01: Seeded random numbers, 0 to 1: the same seed gives the same storm.
    """
    world, outcome = WorldClock(), Outcome()
    gates = [Gate(plan.connect_rate) for _ in range(plan.brokers)]
    booths = [
        Booth(number, plan, gate=gates[number % plan.brokers], world=world, random01=random01, outcome=outcome)
        for number in range(plan.panels)
    ]
    for number, booth in enumerate(booths):
        if plan.silent:
            world.at(random01() * BEAT_S, booth.beat)
        else:
            world.at(0.0, booth.cut)
        if number < plan.presses:
            world.at(random01() * plan.outage_s, booth.press)
    end_s = plan.outage_s + PATIENCE_S
    while (next_s := world.next_s()) <= end_s and not _over(plan, world, outcome):
        world.now_s = next_s
        world.run_due()
    return _tally(plan, outcome)


def _over(plan: Plan, world: WorldClock, outcome: Outcome) -> bool:
    return (
        world.now_s > plan.outage_s
        and len(outcome.back) >= outcome.lost
        and len(outcome.through) >= plan.presses
        and (not plan.silent or world.now_s > 2 * BEAT_S)
    )


def _tally(plan: Plan, outcome: Outcome) -> Tally:
    through = [when_s - max(plan.outage_s, outcome.pressed[number]) for number, when_s in outcome.through.items()]
    return Tally(
        panels=plan.panels,
        lost=outcome.lost,
        back=tuple(when_s - plan.outage_s for when_s in outcome.back),
        through=tuple(through),
        pending=plan.presses - len(through),
        told=None if plan.silent else sum(when_s + 4 * LATENCY_S > CLOSED_AWAY_S for when_s in outcome.back),
        tries=tuple(when_s - plan.outage_s for when_s in outcome.tries if when_s >= plan.outage_s),
    )
