"""A journal on a test's disk and clock, with everything it posted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.adapters.journal import Journal, Recovery
from firmware.adapters.ring_files import REAL, Disk
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Note, Store
from firmware.core.facts import Fact, Trouble
from firmware.core.report import Mark, Report, ReportId, Step
from hal.types import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from rigs.disk import MemoryDisk

UTC_S = 1_790_000_000.0
SMALL = JournalConfig(alarm_kib=32, event_kib=64)
FOLDER = Path("/state/journal")


class HandClock:
    """Time that stands until a test moves it."""

    def __init__(self, mono_s: float = 100.0, utc_s: float = UTC_S) -> None:
        self.mono_s = mono_s
        self.utc_s = utc_s
        self.synced = True

    def now(self) -> Instant:
        return Instant(self.mono_s, self.utc_s, self.synced)


class Bench:
    """One life of a journal: from an opening to a close, or to a cut of the power."""

    def __init__(
        self,
        disk: Disk = REAL,
        folder: Path = FOLDER,
        *,
        config: JournalConfig = SMALL,
        clock: HandClock | None = None,
        random53: Callable[[], int] = lambda: 12345,
        on_post: Callable[[Fact], None] = lambda fact: None,
    ) -> None:
        self.clock = clock or HandClock()
        self.facts: list[Fact] = []
        self.notified = 0
        self._on_post = on_post
        self.journal, self.recovery = Journal.open(
            folder, config, self.clock, self._post, random53=random53, notify=self._notify, disk=disk
        )
        self._seq = 0

    def _post(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._on_post(fact)

    def _notify(self) -> None:
        self.notified += 1

    def report(self, code: str = "PA", **more: object) -> Report:
        self._seq += 1
        return make_report(self.recovery.epoch, self._seq, code, **more)

    def alarm(self, code: str = "PA", **more: object) -> Report:
        """Store one alarm."""
        report = self.report(code, **more)
        self.journal.handle(Store(report))
        return report

    def event(self, code: str = "RR", **more: object) -> Report:
        """Store one fault or status report."""
        return self.alarm(code, **more)

    def note(self, report: Report, step: Step = Step.RECEIVED, by: str = "110") -> Mark:
        mark = make_mark(report, step, by)
        self.journal.handle(Note(mark))
        return mark

    def finish(self, *reports: Report) -> None:
        self.journal.handle(Finish(tuple(report.id for report in reports)))

    def settle(self) -> None:
        """Let all be done that is due now."""
        for _ in range(10_000):
            if self.journal.next_deadline() > self.clock.mono_s:
                return
            self.journal.tick()
        raise AssertionError("the journal is never done")

    def wait(self, seconds: float) -> None:
        """Let time pass, with every wake-up that the journal asks for."""
        end = self.clock.mono_s + seconds
        for _ in range(10_000):
            deadline = self.journal.next_deadline()
            if deadline > end:
                self.clock.mono_s = end
                return
            self.clock.mono_s = max(self.clock.mono_s, deadline)
            self.journal.tick()
        raise AssertionError("the journal wakes for ever")

    def of(self, kind: type) -> list:
        """Facts of a kind that were posted."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def again(disk: MemoryDisk, **more: Any) -> Bench:
    """The journal opened on what a disk holds, with all done that it then wants to do at once."""
    bench = Bench(disk.calls(), **more)
    bench.settle()
    return bench


def make_report(epoch: int, seq: int, code: str = "PA", text: str = "", **more: object) -> Report:
    detail = (("text", text),) if text else ()
    raised = Instant(100.25 + seq, UTC_S + seq, synced=True)
    return Report(ReportId("p1", epoch, seq), code, raised, "booth", detail=detail, **more)


def make_mark(report: Report, step: Step = Step.RECEIVED, by: str = "110") -> Mark:
    return Mark(report.id, step, by, "", Instant(report.raised.mono_s + 1, report.raised.utc_s + 1, synced=True))


def troubles(recovery: Recovery) -> dict[str, str]:
    """What was out of order at the start, by source."""
    return {trouble.source: trouble.why for trouble in recovery.troubles if isinstance(trouble, Trouble)}
