"""The journal: everything that must survive a cut of the power, as an actor. `docs/journal.md` says what it promises.

Alarms are written down one by one, each with one synchronous write. Faults, status reports, marks and ends gather for
up to a second and share one. Whatever the disk does, no order raises and reports go out from memory.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from firmware.adapters.epoch import EpochFile, next_epoch, random_epoch
from firmware.adapters.journal_alarms import AlarmStore, Mounted, RingFull
from firmware.adapters.journal_events import EventStore
from firmware.adapters.journal_lock import FolderLock
from firmware.adapters.journal_troubles import JournalTroubles, fault_of, findings_of
from firmware.adapters.ring_files import REAL, Disk
from firmware.core.codes import ReportClass
from firmware.core.effects import Finish, Note, Store
from firmware.core.facts import Fact, NotStored, Recovered, Stored, Trouble, TroubleOver
from firmware.worker import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.adapters.backlog import EventIndex
    from firmware.config import JournalConfig
    from firmware.core.report import Mark, Report
    from hal.ports import Clock

log = logging.getLogger(__name__)

FOLDER = "journal"
"""Name of the journal's folder in the panel's state folder."""
GROUP_S = 1.0
"""How long marks, ends, faults and status reports gather before they share one write."""
DONE_S = 60.0
"""How long it may wait to be written that a fault or status report has arrived: on an idle panel it then shares the
write of the next one. What is lost of it is sent twice."""
DONE_MAX = 256
"""So many arrivals are written at once."""
RETRY_S = 2.0
"""Pause before a disk that failed is tried again."""
CHECK_S = 10.0
"""How often the files are looked after."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the journal still knew when it was opened.

    Attributes:
        epoch: Of this start: higher than ever before, and durable if anything can be.
        reports: Alarm-ring reports that are not finished, by identity.
        marks: Their marks.
        troubles: What was found out of order.
    """

    epoch: int
    reports: tuple[Report, ...]
    marks: tuple[Mark, ...]
    troubles: tuple[Trouble, ...]


class Journal:
    """Keeps reports and marks; made by `open`.

    Synchronization: `backlog` from any thread; the rest as every actor's.
    """

    def __init__(
        self,
        folder: Path,
        config: JournalConfig,
        clock: Clock,
        *,
        post: Callable[[Fact], None],
        notify: Callable[[], None],
        disk: Disk,
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._post = post
        self._notify = notify
        self._alarms = AlarmStore(folder, config.alarm_kib, disk)
        self._events = EventStore(folder, config.event_kib, disk, self._now)
        self._epochs = EpochFile(folder, disk)
        self._epoch = 0
        self._epoch_saved = False
        self._lock = FolderLock(folder, disk)
        self._troubles = JournalTroubles(folder)
        self._gather_until: float | None = None
        self._retry_at: float | None = None
        self._check_at = self._now() + CHECK_S
        self._news = False
        self._closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        config: JournalConfig,
        clock: Clock,
        post: Callable[[Fact], None],
        *,
        random53: Callable[[], int],
        notify: Callable[[], None],
        disk: Disk = REAL,
    ) -> tuple[Journal, Recovery]:
        """Open the journal of a panel, making it if need be; nothing that a disk can do keeps it from opening.

        Args:
            directory: The journal's own folder.
            config: Sizes of the rings.
            clock: For pauses, and for the epoch of a panel that has lost its memory.
            post: Takes `Stored`, `NotStored`, `Recovered`, `ReportsDropped`, `Trouble` and `TroubleOver`, from the
                journal's thread.
            random53: A number from 0 to 2**53-1, for an epoch that cannot be written down.
            notify: Called when the backlog has something new, from the journal's thread.
            disk: The operating system.

        Returns:
            The journal, and what it still knew.

        Raises:
            JournalInUseError: Another panel that is alive writes into the folder.
        """
        journal = cls(directory, config, clock, post=post, notify=notify, disk=disk)
        mounted = journal._mount()
        journal._lock.refuse_a_second_panel()
        journal._begin(mounted, random53)
        journal._events.restart(journal._epoch)
        troubles = tuple(fact for fact in journal._assess() if isinstance(fact, Trouble))
        return journal, Recovery(journal._epoch, mounted.reports, mounted.marks, troubles)

    @property
    def name(self) -> str:
        """The actor's name."""
        return "journal"

    @property
    def backlog(self) -> EventIndex:
        """Faults and status reports that wait for a path."""
        return self._events.index

    # ---- start

    def _mount(self) -> Mounted:
        """Open the alarm ring unless another panel has it."""
        try:
            self._disk.make_folder(str(self._folder))
        except OSError as error:
            log.warning("journal folder %s: %s", self._folder, error.strerror)
        if not self._lock.take():
            return Mounted(0, (), ())
        return self._alarms.mount()

    def _begin(self, mounted: Mounted, random53: Callable[[], int]) -> None:
        """Choose the epoch and make it durable, twice if possible."""
        if self._lock.fault:
            self._epoch = random_epoch(0, random53)
            self._alarms.announce(self._epoch)
            return
        slots = self._epochs.load()
        last = max(mounted.epoch, slots.epoch)
        now, ring_sound = self._clock.now(), self._alarms.ring.is_sound
        clock_s = now.utc_s if now.synced else 0.0
        if not self._save_epoch(next_epoch(last, clock_s, random53, slots_sound=slots.sound, ring_sound=ring_sound)):
            # The next start cannot know of this one: counting on would give both the same number.
            self._epoch = random_epoch(last, random53)
            self._alarms.announce(self._epoch)

    def _save_epoch(self, epoch: int) -> bool:
        """Write the epoch into both places; true when at least one has it."""
        self._epoch = epoch
        self._alarms.announce(epoch)
        return any([self._attempt(self._alarms.save_epoch), self._attempt(self._write_slot)])

    def _write_slot(self) -> None:
        self._epochs.write(self._epoch)
        self._epoch_saved = True

    # ---- orders

    def handle(self, order: object) -> None:
        """Obey `Store`, `Note` or `Finish`."""
        match order:
            case Store(report):
                self._store(report)
                if report.covert:
                    return  # a trouble that shows at the moment of a silent press would give it away: tick tells it
            case Note(mark):
                self._alarms.note(mark)
                self._gather()
            case Finish(ids):
                for identity in ids:
                    if not self._alarms.finish(identity):
                        self._events.finish(identity)
                self._gather()
            case _:
                raise TypeError(f"the journal takes Store, Note and Finish, not {type(order).__name__}")
        self._tell()

    def _store(self, report: Report) -> None:
        match report.cls:
            case ReportClass.ALARM:
                self._store_alarm(report)
            case ReportClass.FAULT | ReportClass.STATUS:
                self._events.add(report)
                self._news = True
                self._gather()
            case _ as never:
                assert_never(never)

    def _store_alarm(self, report: Report) -> None:
        try:
            self._alarms.put(report)
        except (OSError, RingFull) as error:
            self._fail_for_now()
            self._post(NotStored(report.id, self._lock.fault or self._alarms.fault or str(error)))
        else:
            self._post(Stored(report.id))

    def _gather(self) -> None:
        if self._gather_until is None:
            self._gather_until = self._now() + GROUP_S

    def _now(self) -> float:
        return self._clock.now().mono_s

    def _fail_for_now(self) -> None:
        self._retry_at = self._now() + RETRY_S

    def _attempt(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except (OSError, RingFull) as error:
            log.debug("journal: %s", error)
            self._fail_for_now()
            return False
        return True

    # ---- what is due

    def tick(self) -> None:
        """Write what has gathered, go on opening, repair, look after the files."""
        now = self._now()
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._attempt(self._repair)
        if not self._events.loaded and not self._lock.fault:
            self._open_events()
        if now >= self._gather_end():
            self._write_gathered()
        if self._alarms.untidy and self._retry_at is None:
            self._attempt(self._alarms.tidy)
        if now >= self._check_at:
            self._look_after()
        self._tell()

    def _gather_end(self) -> float:
        """When what has gathered is written; `NEVER` when nothing has."""
        index = self._events.index
        ends = [self._gather_until]
        if index.done_since is not None:
            ends.append(index.done_since + (DONE_S if index.done_count < DONE_MAX else 0.0))
        return min((end for end in ends if end is not None), default=NEVER)

    def next_deadline(self) -> float:
        """See `Actor`."""
        at_once = self._retry_at is None and self._alarms.untidy
        if at_once or (not self._events.loaded and not self._lock.fault):
            return self._now()
        retry_at = self._retry_at if self._retry_at is not None else NEVER
        return min(self._gather_end(), self._check_at, retry_at, self._troubles.deadline)

    def _open_events(self) -> None:
        self._events.step()
        if self._events.loaded:
            self._news = self._news or self._events.index.waiting > 0
            self._gather_until = self._now()

    def _write_gathered(self) -> None:
        self._gather_until = None
        if self._alarms.waiting and not self._attempt(self._alarms.flush):
            self._gather_until = self._retry_at
        if self._events.loaded and not self._attempt(self._events.flush):
            self._gather_until = self._retry_at
        elif self._events.waiting and self._gather_until is None:
            # One write at a time: an alarm may have come meanwhile.
            self._gather_until = self._now() if self._events.loaded else self._now() + GROUP_S
        if self._news:
            self._news = False
            self._notify()

    def _repair(self) -> None:
        """Write what the disk refused."""
        self._alarms.retry(lambda identity: self._post(Stored(identity)))
        if not self._epoch_saved:
            self._epochs.load()
            self._write_slot()

    def _look_after(self) -> None:
        """See whether the files are still there; open them again when none could be written."""
        self._check_at = self._now() + CHECK_S
        if not self._lock.take():
            return
        found = self._alarms.check() if self._alarms.ring.started else self._mount()
        if found.reports:
            self._post(Recovered(found.reports, found.marks))
        self._events.check(self._epoch)
        self._epochs.check()
        self._events.tell_unreadable()
        if self._alarms.mounted and self._alarms.owing:
            self._retry_at = self._now()
        if self._alarms.waiting:
            self._gather()

    # ---- what is out of order

    def _tell(self) -> None:
        if self._retry_at is None and self._alarms.mounted and (self._alarms.owing or not self._epoch_saved):
            self._fail_for_now()
        for fact in (*self._events.dropped, *self._assess()):
            self._post(fact)
        self._events.dropped.clear()

    def _assess(self) -> list[Trouble | TroubleOver]:
        """Facts about what changed since the last call."""
        rings = [self._alarms.ring, *([self._events.ring] if self._events.loaded else [])]
        findings = [finding for ring in rings for finding in findings_of(ring)] + self._epochs.take_findings()
        whys = [self._lock.fault, self._alarms.fault, self._alarms.full, self._events.fault]
        if not self._lock.fault:
            whys += [*(fault_of(ring, self._folder) for ring in rings), self._epoch_fault()]
        return self._troubles.told(whys, findings, self._now())

    def _epoch_fault(self) -> str | None:
        if self._epoch_saved:
            return None
        return f"epoch file in {self._folder} cannot be written: {self._epochs.fault or 'the disk refused'}"

    def close(self) -> None:
        """Write what has gathered and give all files back; idempotent."""
        if self._closed:
            return
        self._closed = True
        while not self._events.loaded and not self._lock.fault:
            self._events.step()
        self._attempt(self._alarms.flush)
        while self._events.loaded and (self._events.waiting or self._events.index.done_since is not None):
            if not self._attempt(self._events.flush):
                break
        self._alarms.close()
        self._events.close()
        self._epochs.close()
        self._lock.close()
