"""One panel of a fleet: the real core and the real uplink, with a disk that is always there in between. Pure."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from firmware.adapters.backlog import Backlog, Wake
from firmware.adapters.uplink import Uplink
from firmware.core.codes import ReportClass
from firmware.core.effects import Health, Lead, Progress, Store, Transmit
from firmware.core.facts import PathDown, PathUp, Stored, Tick
from firmware.core.panel import Panel, PanelSpec
from firmware.core.path import PathSpec
from firmware.core.report import Step
from firmware.core.zone import ZoneSpec, ZoneType
from firmware.wire.report import Site
from hal.types import Level, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.adapters.pipe import Pipe
    from firmware.config import PathConfig
    from firmware.core.effects import Effect
    from firmware.core.facts import Fact
    from firmware.core.report import Report, ReportId
    from hal.ports import Clock

BUTTON = "button"
HOLD_S = 0.03
CLICK_S = 0.3


class Shelf(Backlog):
    """A journal of faults and status reports that forgets them with the process.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._waiting: collections.deque[Report] = collections.deque()
        self._taken: dict[ReportId, Report] = {}

    def add(self, report: Report) -> None:
        """Let a report wait."""
        self._waiting.append(report)

    def take(self, limit: int, *, leads: bool = True) -> list[Report]:  # noqa: ARG002 - the only path there is
        """See `Backlog`."""
        found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._taken.update((report.id, report) for report in found)
        return found

    def done(self, ids: Iterable[ReportId]) -> None:
        """See `Backlog`."""
        for ident in ids:
            self._taken.pop(ident, None)

    def give_back(self) -> None:
        """See `Backlog`."""
        self._waiting.extendleft(reversed(self._taken.values()))
        self._taken.clear()

    def pass_on(self, report: ReportId, *, for_good: bool) -> None:  # noqa: ARG002 - no other path takes it
        """See `Backlog`."""
        self._taken.pop(report, None)


class Booth:
    """A panel with one button and one path.

    Args:
        panel_id: Its identity.
        epoch: Higher than in any run before.
        path: Its way to the broker.
        receiver: Who must acknowledge.
        pipe: The connection.
        clock: Both clocks.
        random01: Random numbers, 0 to 1.

    Attributes:
        up: Whether the connection carries reports.
        ups: When it came up, each time; monotonic seconds.
        downs: When it went down.
        raised: When each alarm was first sent towards the uplink.
        acked: When the receiver had acknowledged it.

    Synchronization: one thread.
    """

    def __init__(
        self,
        panel_id: str,
        *,
        epoch: int,
        path: PathConfig,
        receiver: str,
        pipe: Pipe,
        clock: Clock,
        random01: Callable[[], float],
    ) -> None:
        self.up = False
        self.ups: list[float] = []
        self.downs: list[float] = []
        self.raised: dict[ReportId, float] = {}
        self.acked: dict[ReportId, float] = {}
        self._clock = clock
        self._facts: collections.deque[Fact] = collections.deque()
        self._shelf = Shelf()
        self._release_s: float | None = None
        zone = ZoneSpec(BUTTON, ZoneType.PANIC, HOLD_S, 600.0)
        self._panel = Panel(PanelSpec(panel_id, "en", (zone,), (PathSpec(path.name),), (receiver,)), epoch)
        self._uplink = Uplink(
            path,
            panel_id=panel_id,
            epoch=epoch,
            site=Site(panel_id),
            panel_key=None,
            receivers={receiver: None},
            backlog=self._shelf,
            pipe=pipe,
            clock=clock,
            post=self._facts.append,
            random01=random01,
        )
        self._obey(self._panel.start((), (), clock.now()))

    def press(self) -> None:
        """Somebody presses the button and lets it go."""
        now_s = self._clock.now().mono_s
        self._release_s = now_s + CLICK_S
        self._facts.append(Level(BUTTON, LoopState.ALARM, now_s))

    def step(self) -> None:
        """Do all that is due now."""
        now_s = self._clock.now().mono_s
        if self._release_s is not None and now_s >= self._release_s:
            self._release_s = None
            self._facts.append(Level(BUTTON, LoopState.NORMAL, now_s))
        self._uplink.tick()
        if now_s >= self._panel.next_deadline():
            self._facts.append(Tick())
        while self._facts:
            fact = self._facts.popleft()
            self._note(fact)
            self._obey(self._panel.handle(fact, self._clock.now()))

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        own = [] if self._release_s is None else [self._release_s]
        return min(self._uplink.next_deadline(), self._panel.next_deadline(), *own)

    @property
    def pending(self) -> int:
        """Alarms without an acknowledgement."""
        return len(self.raised) - len(self.acked)

    def close(self) -> None:
        """Say goodbye to the broker."""
        self._uplink.close()

    def _note(self, fact: Fact) -> None:
        now_s = self._clock.now().mono_s
        if isinstance(fact, PathUp):
            self.up = True
            self.ups.append(now_s)
        elif isinstance(fact, PathDown) and self.up:
            self.up = False
            self.downs.append(now_s)

    def _obey(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                self.raised.setdefault(effect.report.id, self._clock.now().mono_s)
                self._uplink.handle(effect)
            elif isinstance(effect, (Lead, Health)):
                self._uplink.handle(effect)
            elif isinstance(effect, Store):
                self._store(effect.report)
            elif isinstance(effect, Progress) and effect.step is Step.RECEIVED:
                self.acked.setdefault(effect.id, self._clock.now().mono_s)

    def _store(self, report: Report) -> None:
        if report.cls is ReportClass.ALARM:
            self._facts.append(Stored(report.id))
        else:
            self._shelf.add(report)
            self._uplink.handle(Wake())
