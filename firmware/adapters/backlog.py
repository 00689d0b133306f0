"""Faults and status reports on their way out: the journal's index of them, as the paths see it.

The path that leads takes them, oldest first. What its far end does not take waits aside, behind the others, for the
next path that carries such reports, whether that one leads or not; on the same path it is offered again, but rarely.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from firmware.adapters.ring_format import Key, Place
    from firmware.core.report import Report, ReportId

AGAIN_S = 900.0
"""A path is offered what its far end did not take so long afterwards, and then one report in as long a time, until one
is taken: the far end may have been put right, and one that was not must not be kept busy by refusing."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Order to an uplink: the backlog has news."""


class Backlog(Protocol):
    """Reports that wait for a path, oldest first, as one path sees them.

    Synchronization: any thread.
    """

    def take(self, limit: int, *, leads: bool = True) -> list[Report]:
        """Up to `limit` of the oldest reports that are not taken already; they stay in the journal until `done`.

        Args:
            limit: How many at the most.
            leads: Whether the path leads; one that rests gets only what another path's far end did not take.
        """
        ...

    def done(self, ids: Iterable[ReportId]) -> None:
        """These reports have arrived; an identity that is not known, or done already, changes nothing."""
        ...

    def give_back(self) -> None:
        """All that this path has taken and not done waits again, before everything younger: the path went down."""
        ...

    def pass_on(self, report: ReportId, *, for_good: bool) -> None:
        """The far end did not take a report that this path has taken: it waits aside for the next path.

        Args:
            report: Which.
            for_good: Whether it is of no use to offer it here again; done when no path is left that may be offered it.
        """
        ...


_NOWHERE: Mapping[str, bool] = MappingProxyType({})


class Slot:
    """One report that has not arrived: in memory while its record is not on disk, or while it is taken."""

    __slots__ = ("epoch", "failed", "gone", "holder", "place", "report", "seq")

    def __init__(self, key: Key, place: Place | None, report: Report | None) -> None:
        self.epoch, self.seq = key
        self.place = place
        self.report = report
        self.gone = False
        self.holder = ""
        """The path that has taken it."""
        self.failed: Mapping[str, bool] = _NOWHERE
        """The paths whose far end did not take it, each with whether that is for good."""

    @property
    def key(self) -> Key:
        """Epoch and sequence number."""
        return self.epoch, self.seq


class EventIndex:
    """What stands behind the `Backlog` of every path.

    Args:
        load: Reads a report from its place on disk; None when it cannot.
        now: Monotonic seconds.

    Attributes:
        done_since: When the oldest of the keys came in that `take_done` would hand over; None when there are none.

    Synchronization: `share` before the paths run; `take`, `done`, `give_back` and `pass_on` from any thread; the rest
        from the journal's.
    """

    def __init__(self, load: Callable[[Place], Report | None], now: Callable[[], float]) -> None:
        self.done_since: float | None = None
        self._load = load
        self._now = now
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._waiting: deque[Slot] = deque()
        self._aside: dict[Key, Slot] = {}
        self._again_s: dict[str, float] = {}
        self._taken: dict[Key, Slot] = {}
        self._returned: dict[Key, Slot] = {}
        self._done: list[Key] = []
        self._unreadable: list[Key] = []

    # ---- the paths' side

    def share(self, path: str, wake: Callable[[], None]) -> Backlog:
        """The backlog as one path sees it that carries faults and status.

        Args:
            path: Its name.
            wake: Tells all paths that the backlog has news.
        """
        self._paths.add(path)
        return Share(self, path, wake)

    def take(self, limit: int, path: str = "", *, leads: bool = True) -> list[Report]:
        """See `Backlog`."""
        reports: list[Report] = []
        with self._lock:
            while leads and self._waiting and len(reports) < limit:
                self._hand_over(self._waiting.popleft(), path, reports)
            if self._aside and len(reports) < limit:
                for slot in self._from_aside(path, limit - len(reports), leads=leads):
                    del self._aside[slot.key]
                    self._hand_over(slot, path, reports)
            if self._returned:
                for report in reports:
                    self._returned.pop((report.id.epoch, report.id.seq), None)
        return reports

    def _hand_over(self, slot: Slot, path: str, reports: list[Report]) -> None:
        if slot.gone:
            return
        report = slot.report or (slot.place and self._load(slot.place))
        if report is None:
            slot.gone = True
            self._unreadable.append(slot.key)
            return
        slot.report, slot.holder = report, path
        self._taken[slot.key] = slot
        reports.append(report)

    def _from_aside(self, path: str, limit: int, *, leads: bool) -> list[Slot]:
        fresh = [slot for slot in self._aside.values() if path not in slot.failed][:limit]
        now_s = self._now()
        if fresh or not leads or now_s < self._again_s.get(path, -math.inf):
            return fresh
        again = next((slot for slot in self._aside.values() if not slot.failed[path]), None)
        if again is None:
            return []
        if path in self._again_s:  # no sooner than that one was taken may the next one follow
            self._again_s[path] = now_s + AGAIN_S
        return [again]

    def done(self, ids: Iterable[ReportId], path: str = "") -> None:
        """See `Backlog`."""
        with self._lock:
            for identity in ids:
                key = (identity.epoch, identity.seq)
                slot = self._taken.pop(key, None) or self._returned.pop(key, None) or self._aside.get(key)
                if slot is None:
                    continue
                if path in slot.failed:  # the far end was put right: the others follow without a pause
                    self._again_s.pop(path, None)
                self._end(slot)

    def _end(self, slot: Slot) -> None:
        slot.gone = True
        self._aside.pop(slot.key, None)
        self._done.append(slot.key)
        if self.done_since is None:
            self.done_since = self._now()

    def give_back(self, path: str = "") -> None:
        """See `Backlog`."""
        with self._lock:
            back = {key: slot for key, slot in self._taken.items() if slot.holder == path}
            # What an earlier start had stored may have come in from the disk after these were taken.
            self._put_before([slot for slot in back.values() if not slot.failed])
            self._aside = {key: slot for key, slot in back.items() if slot.failed} | self._aside
            self._returned |= back
            for key in back:
                del self._taken[key]

    def pass_on(self, identity: ReportId, path: str, *, for_good: bool) -> None:
        """See `Backlog`."""
        with self._lock:
            slot = self._taken.get((identity.epoch, identity.seq))
            if slot is None or slot.holder != path:
                return
            del self._taken[slot.key]
            slot.failed = {**slot.failed, path: for_good}
            if all(slot.failed.get(other, False) for other in self._paths):
                self._end(slot)
                return
            self._aside[slot.key] = slot
            if slot.place is not None:
                slot.report = None
            if not for_good:
                self._again_s.setdefault(path, self._now() + AGAIN_S)

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
            slot = self._taken.pop(key, None) or next((slot for slot in self._idle() if slot.key == key), None)
            if slot is None or slot.gone:
                return False
            self._returned.pop(key, None)
            self._end(slot)
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
            dropped = [slot for slot in self._idle() if slot.place is not None and slot.place.ordinal <= ordinal]
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
            self._aside.pop(slot.key, None)
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
            return {slot.key for slot in (*self._idle(), *self._taken.values()) if not slot.gone}

    def take_unreadable(self) -> list[Key]:
        """Keys of reports that could not be read back, each handed over once."""
        with self._lock:
            keys, self._unreadable = self._unreadable, []
            return keys

    @property
    def waiting(self) -> int:
        """How many reports are neither done nor taken."""
        with self._lock:
            return sum(not slot.gone for slot in self._idle())

    def _idle(self) -> Iterable[Slot]:
        return itertools.chain(self._waiting, self._aside.values())


class Share(Backlog):
    """The backlog as one path sees it.

    Synchronization: any thread.
    """

    def __init__(self, index: EventIndex, path: str, wake: Callable[[], None]) -> None:
        self._index = index
        self._path = path
        self._wake = wake

    def take(self, limit: int, *, leads: bool = True) -> list[Report]:
        """See `Backlog`."""
        return self._index.take(limit, self._path, leads=leads)

    def done(self, ids: Iterable[ReportId]) -> None:
        """See `Backlog`."""
        self._index.done(ids, self._path)

    def give_back(self) -> None:
        """See `Backlog`."""
        self._index.give_back(self._path)

    def pass_on(self, report: ReportId, *, for_good: bool) -> None:
        """See `Backlog`."""
        self._index.pass_on(report, self._path, for_good=for_good)
        self._wake()
