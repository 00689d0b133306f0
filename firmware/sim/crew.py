"""Actors stepped one after another in virtual time, where a panel has threads."""

from __future__ import annotations

import collections
import math
import traceback
from typing import TYPE_CHECKING

from firmware.core.facts import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from firmware.worker import Actor
    from hal.ports import Clock


SOLITARY = frozenset({"inputs", "outputs"})
"""Actors whose ticks change nobody else's plans but through the owner."""


class Seat:
    """One actor's place: its orders, and what holds it up.

    Attributes:
        lag_s: How long every order takes.
        hung: Nothing is done any more, as by a thread that waits for a device for ever.
        due_s: When it wanted to be stepped when it was last asked.

    Synchronization: one thread.
    """

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self.actor = actor
        self.lag_s = 0.0
        self.hung = False
        self.due_s = math.inf
        self._clock = clock
        self._orders: collections.deque[tuple[float, object]] = collections.deque()
        self._free_s = 0.0

    def put(self, order: object) -> None:
        """Hand over an order."""
        begin_s = max(self._free_s, self._clock.now().mono_s)
        self._free_s = begin_s + self.lag_s
        self._orders.append((self._free_s, order))

    def ask(self) -> None:
        """See when it wants to be stepped."""
        self.due_s = self.next_s()

    def next_s(self) -> float:
        """When it wants to be stepped."""
        if self.hung:
            return math.inf
        orders_s = self._orders[0][0] if self._orders else math.inf
        return min(orders_s, self.actor.next_deadline())

    def take(self, now_s: float) -> object | None:
        """The next order that is through by now, or None."""
        if self._orders and self._orders[0][0] <= now_s and not self.hung:
            return self._orders.popleft()[1]
        return None

    def hurry(self) -> None:
        """What waits is done now; what held it up is over."""
        self.lag_s, self.hung, self._free_s = 0.0, False, 0.0
        self._orders = collections.deque((0.0, order) for _, order in self._orders)


class InlineCrew:
    """A crew without threads.

    Whoever works may change when others want to be stepped, so all are asked again, save after those ticks that can
    touch nobody: in an hour of virtual time every loop is re-read 54 000 times.

    Args:
        clock: The board's.
        post: Where troubles go.
        defect: Told of every exception out of an actor: on a panel it would be survived, here it fails the scenario.

    Synchronization: one thread.
    """

    def __init__(self, clock: Clock, post: Callable[[Fact], None], defect: Callable[[str], None]) -> None:
        self.seats: dict[str, Seat] = {}
        self._clock = clock
        self._post = post
        self._defect = defect
        self._working = False
        self._stale = True

    def take_on(self, actor: Actor, wait: Callable[[int, float], None] | None = None) -> Seat:
        """Give an actor its place."""
        del wait  # nobody waits in virtual time
        seat = self.seats[actor.name] = Seat(actor, self._clock)
        return seat

    def start(self) -> None:
        """Let everybody work from the next `step` on."""
        self._working = True

    def stop(self) -> None:
        """Let everybody finish, those who came last first."""
        for seat in reversed(self.seats.values()):
            if not seat.hung:
                seat.hurry()
                self._drain(seat, math.inf)
                self._guard(seat, seat.actor.close)
        self._working = False

    def touch(self) -> None:
        """Something happened outside: everybody has to be asked again."""
        self._stale = True

    def step(self) -> bool:
        """Do what is due; whether anything was."""
        if not self._working:
            return False
        now_s = self._clock.now().mono_s
        if self._stale:
            self._ask()
        done = False
        for seat in self.seats.values():
            if seat.due_s <= now_s:
                self._work(seat, now_s)
                done = True
        return done

    def next_s(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        if not self._working:
            return math.inf
        if self._stale:
            self._ask()
        return min(seat.due_s for seat in self.seats.values())

    def _ask(self) -> None:
        self._stale = False
        for seat in self.seats.values():
            seat.ask()

    def _work(self, seat: Seat, now_s: float) -> None:
        drained = self._drain(seat, now_s)
        if not seat.hung and seat.actor.next_deadline() <= now_s:
            self._guard(seat, seat.actor.tick)
        if drained or seat.actor.name not in SOLITARY:
            self._stale = True
        else:
            seat.ask()

    def _drain(self, seat: Seat, now_s: float) -> bool:
        done = False
        while (order := seat.take(now_s)) is not None:
            self._guard(seat, lambda order=order: seat.actor.handle(order))  # type: ignore[misc]
            done = True
        return done

    def _guard(self, seat: Seat, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the outermost frame of what is a thread on a panel
            self._defect(f"adapter {seat.actor.name} raised:\n{traceback.format_exc()}")
            self._post(Trouble(f"adapter {seat.actor.name}", f"{type(error).__name__}: {error}"))
