"""An uplink on a thread of its own against a real broker, with its facts in hand."""

from __future__ import annotations

import collections
import random
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.adapters.uplink import Uplink
from firmware.config import PathConfig
from firmware.core.effects import Transmit
from firmware.core.link import Link
from firmware.core.report import Report, ReportId
from firmware.wire.report import Site
from firmware.worker import Worker
from hal.types import Instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.adapters.backlog import Backlog
    from firmware.core.facts import Fact

F = TypeVar("F")

PANEL = "school-17"
EPOCH = 3
PANEL_KEY = bytes(range(32))
DESK_KEY = b"d" * 32
RECEIVERS: dict[str, bytes | None] = {"110": DESK_KEY, "station": None}
IDLE_CAP_S = 1.0
"""Instead of 30 s: tests wait for tries."""
SITE = Site("安丘市第一中学", "东门", "36.427", "119.189")


class RigClock:
    """The machine's clocks, with a wall clock that may be elsewhere."""

    def __init__(self, utc_s: float | None = None, *, synced: bool = True) -> None:
        self._shift_s = 0.0 if utc_s is None else utc_s - time.time()
        self._synced = synced

    def now(self) -> Instant:
        return Instant(time.monotonic(), time.time() + self._shift_s, self._synced)


class ListBacklog:
    """A backlog in memory.

    Attributes:
        finished: What has arrived.
        passed: What its path was not relieved of, each with whether that is for good.
    """

    def __init__(self) -> None:
        self.passed: list[tuple[ReportId, bool]] = []
        self._waiting: collections.deque[Report] = collections.deque()
        self._taken: dict[ReportId, Report] = {}
        self._lock = threading.Lock()
        self.finished: list[ReportId] = []

    def add(self, reports: Iterable[Report]) -> None:
        with self._lock:
            self._waiting.extend(reports)

    def take(self, limit: int, *, leads: bool = True) -> list[Report]:
        if not leads:
            return []
        with self._lock:
            found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._taken.update((report.id, report) for report in found)
            return found

    def done(self, ids: Iterable[ReportId]) -> None:
        with self._lock:
            for ident in ids:
                del self._taken[ident]
                self.finished.append(ident)

    def give_back(self) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(self._taken.values()))
            self._taken.clear()

    def pass_on(self, report: ReportId, *, for_good: bool) -> None:
        with self._lock:
            del self._taken[report]
            self.passed.append((report, for_good))


class UplinkRig:
    """One path of a panel.

    Args:
        port: The broker's.
        backlog: Where events come from.
        clock: Both clocks.
        pipe: Takes the place of the real one.
        keyed: Whether the panel signs.
        path: Further keys of the path's configuration.
    """

    def __init__(
        self,
        port: int,
        *,
        backlog: Backlog | None = None,
        clock: RigClock | None = None,
        keyed: bool = True,
        name: str = "main",
        host: str = "127.0.0.1",
        **path: Any,
    ) -> None:
        self.config = PathConfig(name=name, host=host, port=port, **path)
        self.clock = clock or RigClock()
        self.facts: list[Fact] = []
        self._news = threading.Condition()
        self._read = 0
        self._seq = 0
        self.uplink = Uplink(
            self.config,
            panel_id=PANEL,
            epoch=EPOCH,
            site=SITE,
            panel_key=PANEL_KEY if keyed else None,
            receivers=RECEIVERS,
            backlog=backlog,
            pipe=MqttPipe(self.config, PANEL, self.clock),
            clock=self.clock,
            post=self.post,
            random01=random.random,
        )
        self.uplink.link = Link(self.config.window, self.config.events_hz, idle_cap_s=IDLE_CAP_S)
        self.worker = Worker(self.uplink, self.clock, self.post, self.uplink.wait)

    def start(self) -> UplinkRig:
        self.worker.start()
        return self

    def stop(self) -> None:
        assert self.worker.stop(10), "the uplink's thread hangs"

    def post(self, fact: Fact) -> None:
        with self._news:
            self.facts.append(fact)
            self._news.notify_all()

    def expect(self, kind: type[F], test: Callable[[F], bool] = lambda _: True, timeout_s: float = 15.0) -> F:
        """The next fact of a kind that passes a test; facts before it are read past."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while True:
                while self._read < len(self.facts):
                    fact = self.facts[self._read]
                    self._read += 1
                    if isinstance(fact, kind) and test(fact):
                        return fact
                left = deadline - time.monotonic()
                assert left > 0, f"no {kind.__name__} within {timeout_s} s; came: {self.facts[-10:]}"
                self._news.wait(left)

    def of(self, kind: type[F]) -> list[F]:
        """All facts of a kind so far."""
        with self._news:
            return [fact for fact in self.facts if isinstance(fact, kind)]

    def report(self, code: str = "PA", *, covert: bool = False) -> Report:
        """A new report of now."""
        self._seq += 1
        return Report(ReportId(PANEL, EPOCH, self._seq), code, self.clock.now(), "booth-button", covert=covert)

    def press(self) -> Report:
        """Transmit an alarm."""
        alarm = self.report()
        self.transmit(alarm)
        return alarm

    def transmit(self, report: Report, attempt: int = 1) -> None:
        self.worker.put(Transmit(self.config.name, report, attempt))
