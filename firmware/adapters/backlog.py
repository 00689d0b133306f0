"""Faults and status reports on their way out: the journal's index of them, as the uplink sees it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.adapters.ring_format import Key, Place
    from firmware.core.report import Report, ReportId


@dataclass(frozen=True, slots=True)
class Wake:
    """Order to an uplink: the backlog has news."""


class Backlog(Protocol):
    """Reports that wait for a path, oldest first.

    Synchronization: any thread.
    """

    def take(self, limit: int) -> list[Report]:
        """Up to `limit` of the oldest reports that are not taken already; they stay in the journal until `done`."""
        ...

    def done(self, ids: Iterable[ReportId]) -> None:
        """These reports have arrived; an identity that is not known, or done already, changes nothing."""
        ...

    def give_back(self) -> None:
        """All that is taken and not done waits again, before everything younger: the path went down."""
        ...


class Slot:
    """One report that has not arrived: in memory while its record is not on disk, or while it is taken."""

    __slots__ = ("epoch", "gone", "place", "report", "seq")

    def __init__(self, key: Key, place: Place | None, report: Report | None) -> None:
        self.epoch, self.seq = key
        self.place = place
        self.report = report
        self.gone = False

    @property
    def key(self) -> Key:
        """Epoch and sequence number."""
        return self.epoch, self.seq


class EventIndex:
    """The `Backlog` of a journal.

    Args:
        load: Reads a report from its place on disk; None when it cannot.
        now: Monotonic seconds.

    Attributes:
        done_since: When the oldest of the keys came in that `take_done` would hand over; None when there are none.

    Synchronization: `take`, `done` and `give_back` from any thread; the rest from the journal's.
    """

    def __init__(self, load: Callable[[Place], Report | None], now: Callable[[], float]) -> None:
        self.done_since: float | None = None
        self._load = load
        self._now = now
        self._lock = threading.Lock()
        self._waiting: deque[Slot] = deque()
        self._taken: dict[Key, Slot] = {}
        self._returned: dict[Key, Slot] = {}
        self._done: list[Key] = []
        self._unreadable: list[Key] = []

    # ---- the uplink's side

    def take(self, limit: int) -> list[Report]:
        """See `Backlog`."""
        reports: list[Report] = []
        with self._lock:
            while self._waiting and len(reports) < limit:
                slot = self._waiting.popleft()
                if slot.gone:
                    continue
                report = slot.report or (slot.place and self._load(slot.place))
                if report is None:
                    slot.gone = True
                    self._unreadable.append(slot.key)
                    continue
                slot.report = report
                self._taken[slot.key] = slot
                reports.append(report)
            if self._returned:
                for report in reports:
                    self._returned.pop((report.id.epoch, report.id.seq), None)
        return reports

    def done(self, ids: Iterable[ReportId]) -> None:
        """See `Backlog`."""
        with self._lock:
            for identity in ids:
                key = (identity.epoch, identity.seq)
                slot = self._taken.pop(key, None) or self._returned.pop(key, None)
                if slot is not None:
                    slot.gone = True
                    self._done.append(key)
            if self._done and self.done_since is None:
                self.done_since = self._now()

    def give_back(self) -> None:
        """See `Backlog`."""
        with self._lock:
            # What an earlier start had stored may have come in from the disk after these were taken.
            self._put_before(list(self._taken.values()))
            self._returned |= self._taken
            self._taken.clear()

    # ---- the journal's side

    def add(self, slots: Iterable[Slot]) -> None:
        """Let younger reports wait."""
        with self._lock:
            self._waiting.extend(slots)

    def add_older(self, slots: list[Slot]) -> None:
        """Let reports wait that were stored before this start."""
        with self._lock:
            self._put_before(slots)

    def _put_before(self, slots: list[Slot]) -> None:
        self._waiting.extendleft(reversed(slots))
        if len(self._waiting) > len(slots) > 0 and self._waiting[len(slots)].key < slots[-1].key:
            self._waiting = deque(sorted(self._waiting, key=lambda slot: slot.key))

    def written(self, slot: Slot, place: Place) -> None:
        """A report is on disk now; memory need not keep it unless somebody has it."""
        with self._lock:
            slot.place = place
            if slot.key not in self._taken:
                slot.report = None

    def finish(self, identity: ReportId) -> bool:
        """A report is not to be sent any more, taken or not.

        Returns:
            Whether it waited or was taken.
        """
        key = (identity.epoch, identity.seq)
        with self._lock:
            slot = self._taken.pop(key, None) or next((slot for slot in self._waiting if slot.key == key), None)
            if slot is None or slot.gone:
                return False
            self._returned.pop(key, None)
            slot.gone = True
            self._done.append(key)
            self.done_since = self._now() if self.done_since is None else self.done_since
        return True

    def drop_up_to(self, ordinal: int) -> list[Slot]:
        """Forget what lies in segments up to this one; what somebody has taken is kept in memory.

        Returns:
            The slots dropped, oldest first.
        """
        with self._lock:
            for slot in self._taken.values():
                if slot.place is not None and slot.place.ordinal <= ordinal:
                    slot.place = None
            dropped = [slot for slot in self._waiting if slot.place is not None and slot.place.ordinal <= ordinal]
            return self._forget(dropped)

    def drop(self, slots: Iterable[Slot]) -> list[Slot]:
        """Forget these, save those that somebody has taken.

        Returns:
            The slots dropped, oldest first.
        """
        with self._lock:
            return self._forget([slot for slot in slots if slot.key not in self._taken])

    def _forget(self, slots: list[Slot]) -> list[Slot]:
        dropped = [slot for slot in slots if not slot.gone]
        for slot in dropped:
            slot.gone = True
            self._returned.pop(slot.key, None)
        while self._waiting and self._waiting[0].gone:
            self._waiting.popleft()
        return dropped

    def take_done(self) -> list[Key]:
        """Keys of reports that have arrived, each handed over once."""
        with self._lock:
            keys, self._done, self.done_since = self._done, [], None
            return keys

    @property
    def done_count(self) -> int:
        """How many keys `take_done` would hand over."""
        with self._lock:
            return len(self._done)

    def keys(self) -> set[Key]:
        """Keys of all reports that have not arrived."""
        with self._lock:
            return {slot.key for slot in (*self._waiting, *self._taken.values()) if not slot.gone}

    def take_unreadable(self) -> list[Key]:
        """Keys of reports that could not be read back, each handed over once."""
        with self._lock:
            keys, self._unreadable = self._unreadable, []
            return keys

    @property
    def waiting(self) -> int:
        """How many reports are neither done nor taken."""
        with self._lock:
            return sum(not slot.gone for slot in self._waiting)
