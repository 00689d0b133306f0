"""Actors and the threads they run on.

An *actor* is an adapter without a thread: it handles one order at a time and says when it wants to be woken. On a panel
each runs in a `Worker` thread; in the simulator the same object is stepped in virtual time.
"""

from __future__ import annotations

import collections
import functools
import logging
import math
import os
import queue
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
PATIENCE_S = 1.0
DEFECT_PAUSE_S = 0.1
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


class Mailbox(Protocol):
    """Orders on their way to an actor's thread.

    Synchronization: `put` from any thread; the rest from the actor's.
    """

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        ...

    def take(self, timeout_s: float) -> list[object]:
        """All orders that wait, oldest first; waits for the first at most so long."""
        ...


class Letterbox:
    """The quicker mailbox: putting an order does not let go of the interpreter.

    Synchronization: as `Mailbox`.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[object] = queue.SimpleQueue()

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        self._orders.put(order)

    def take(self, timeout_s: float) -> list[object]:
        """All orders that wait, oldest first; waits for the first at most so long."""
        try:
            first = self._orders.get(timeout=timeout_s) if timeout_s > 0 else self._orders.get_nowait()
        except queue.Empty:
            return []
        return [first, *(self._orders.get_nowait() for _ in range(self._orders.qsize()))]


class Doorbell:
    """A mailbox with a descriptor that is readable while an order waits, for actors that wait on sockets too.

    Args:
        wait: Waits until the descriptor, or something of the actor's own, is ready, or the time is over.

    Synchronization: as `Mailbox`.
    """

    def __init__(self, wait: Callable[[int, float], None]) -> None:
        self._orders: collections.deque[object] = collections.deque()
        self._wait = wait
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        self._orders.append(order)
        os.eventfd_write(self._fd, 1)

    def take(self, timeout_s: float) -> list[object]:
        """All orders that wait, oldest first; waits for the first, or for the actor's own sockets."""
        self._wait(self._fd, timeout_s)
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return []
        return [self._orders.popleft() for _ in range(len(self._orders))]


class Worker:
    """A thread that hands orders to one actor and wakes it at its deadlines.

    An exception out of the actor is a defect: it is logged, posted as a `Trouble`, and the thread goes on with the next
    order, because half an adapter is worth more to a booth than none.

    Args:
        actor: The work.
        clock: For deadlines.
        post: Where troubles go.
        wait: How to wait for an actor that has sockets of its own; see `Doorbell`.

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
        self._mailbox: Mailbox = Doorbell(wait) if wait else Letterbox()
        self._stopping = False
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=actor.name, daemon=True)
        self.put = self._mailbox.put

    def start(self) -> None:
        """Begin to take orders; those that came before wait in the mailbox."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Finish what waits, close the actor, end the thread.

        Returns:
            False when the thread did not end in time (a hung device); it is a daemon and dies with the process.
        """
        self._stopping = True
        self.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            if not self._guard(self._step):  # orders are taken all the same, but a defect may not spin
                self._obey(self._mailbox.take(DEFECT_PAUSE_S))
        self._guard(lambda: self._obey(self._mailbox.take(0.0)))
        self._guard(self.actor.close)

    def _step(self) -> None:
        pause_s = min(self.actor.next_deadline() - self._clock.now().mono_s, PATIENCE_S)
        self._obey(self._mailbox.take(max(pause_s, 0.0)))
        if self.actor.next_deadline() <= self._clock.now().mono_s:
            self.actor.tick()
        if self._failed_at is not None:
            self._settle(self._failed_at)

    def _obey(self, orders: list[object]) -> None:
        for order in orders:
            if order is not None:
                self._guard(functools.partial(self.actor.handle, order))

    def _settle(self, failed_at: float) -> None:
        if self._clock.now().mono_s - failed_at > QUIET_S:
            self._failed_at = None
            self._post(TroubleOver(f"adapter {self.actor.name}"))

    def _guard(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:  # the outermost frame of this thread (law 8)
            log.exception("adapter %s raised", self.actor.name)
            self._failed_at = self._clock.now().mono_s
            self._post(Trouble(f"adapter {self.actor.name}", f"{type(error).__name__}: {error}"))
            return False
        return True


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
