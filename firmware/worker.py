"""Actors and the threads they run on.

An *actor* is an adapter without a thread: it handles one order at a time and says when it wants to be woken. On a panel
each runs in a `Worker` thread; in the simulator the same object is stepped in virtual time.
"""

from __future__ import annotations

import collections
import logging
import math
import os
import select
import threading
from typing import TYPE_CHECKING, Protocol

from firmware.core.facts import Trouble, TroubleOver

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from hal.ports import Clock

log = logging.getLogger(__name__)

NEVER = math.inf
STOP_S = 3.0
QUIET_S = 60.0
"""An adapter that raised is called sound again after this long without another exception."""


class Actor(Protocol):
    """One adapter's work, without a thread of its own.

    Synchronization: all methods on one thread, save where the actor's own docstring says otherwise.
    """

    @property
    def name(self) -> str:
        """The adapter's name: its configuration section, log name and trouble source."""
        ...

    def handle(self, order: object) -> None:
        """Obey one order. An order that the actor does not know is a programming error: `TypeError`."""
        ...

    def tick(self) -> None:
        """Do what is due."""
        ...

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted; `NEVER` when none is."""
        ...

    def close(self) -> None:
        """Leave everything in order; idempotent."""
        ...


class Mailbox:
    """Orders on their way to an actor's thread, with a descriptor that becomes readable when one waits.

    Synchronization: `put` from any thread; the rest from the actor's.
    """

    def __init__(self) -> None:
        self._orders: collections.deque[object] = collections.deque()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._fd

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        self._orders.append(order)
        os.eventfd_write(self._fd, 1)

    def take(self) -> list[object]:
        """All orders that wait, oldest first; clears the descriptor."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return []
        return [self._orders.popleft() for _ in range(len(self._orders))]

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


class Worker:
    """A thread that hands orders to one actor and wakes it at its deadlines.

    An exception out of the actor is a defect: it is logged, posted as a `Trouble`, and the thread goes on with the next
    order, because half an adapter is worth more to a booth than none.

    Args:
        actor: The work.
        clock: For deadlines.
        post: Where troubles go.
        wait: Called with the mailbox's descriptor and a time-out in seconds instead of a plain wait; for actors that
            have sockets of their own to wait on.

    Synchronization: `put` from any thread; `start` and `stop` from the owner's.
    """

    def __init__(
        self,
        actor: Actor,
        clock: Clock,
        post: Callable[[Fact], None],
        wait: Callable[[int, float], None] | None = None,
    ) -> None:
        self.actor = actor
        self._clock = clock
        self._post = post
        self._wait = wait or _wait_readable
        self._mailbox = Mailbox()
        self._stopping = False
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=actor.name, daemon=True)

    def start(self) -> None:
        """Begin to take orders; those that came before wait in the mailbox."""
        self._thread.start()

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        self._mailbox.put(order)

    def stop(self, timeout_s: float) -> bool:
        """Finish what waits, close the actor, end the thread.

        Returns:
            False when the thread did not end in time (a hung device); it is a daemon and dies with the process.
        """
        self._stopping = True
        self._mailbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._guard(self._step)
            if self._stopping:
                self._guard(self._drain)
                self._guard(self.actor.close)
                return

    def _step(self) -> None:
        deadline = self.actor.next_deadline()
        pause = 1.0 if deadline == NEVER else deadline - self._clock.now().mono_s
        self._wait(self._mailbox.fileno(), min(max(pause, 0.0), 1.0))
        self._drain()
        if self.actor.next_deadline() <= self._clock.now().mono_s:
            self.actor.tick()
        self._settle()

    def _drain(self) -> None:
        for order in self._mailbox.take():
            if order is not None:
                self._guard(lambda order=order: self.actor.handle(order))  # type: ignore[misc]

    def _settle(self) -> None:
        if self._failed_at is not None and self._clock.now().mono_s - self._failed_at > QUIET_S:
            self._failed_at = None
            self._post(TroubleOver(f"adapter {self.actor.name}"))

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # the outermost frame of this thread (law 8)
            log.exception("adapter %s raised", self.actor.name)
            self._failed_at = self._clock.now().mono_s
            self._post(Trouble(f"adapter {self.actor.name}", f"{type(error).__name__}: {error}"))


class Threads:
    """A crew of threads, one an actor.

    Synchronization: one thread.
    """

    def __init__(self, clock: Clock, post: Callable[[Fact], None]) -> None:
        self._clock = clock
        self._post = post
        self._workers: list[Worker] = []
        self._started = 0

    def take_on(self, actor: Actor, wait: Callable[[int, float], None] | None = None) -> Worker:
        """Give an actor a thread, which begins with `start`."""
        worker = Worker(actor, self._clock, self._post, wait)
        self._workers.append(worker)
        return worker

    def start(self) -> None:
        """Start everybody who has not been started."""
        for worker in self._workers[self._started :]:
            worker.start()
        self._started = len(self._workers)

    def stop(self) -> None:
        """Stop everybody, those who came last first; whoever hangs is left behind and named in the log."""
        for worker in reversed(self._workers[: self._started]):
            if not worker.stop(STOP_S):
                log.error("adapter %s did not stop within %.0f s", worker.actor.name, STOP_S)


def _wait_readable(fd: int, timeout_s: float) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(math.ceil(timeout_s * 1000))
