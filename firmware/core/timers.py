"""Named deadlines: the only way in which the core asks to be woken."""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Timers(Generic[Key]):
    """A set of keys, each with at most one deadline in monotonic seconds.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0

    def set(self, key: Key, due_s: float) -> None:
        """Set or move the deadline of a key; `math.inf` clears it."""
        if self._due.get(key) == due_s:
            return
        if due_s == math.inf:
            self.clear(key)
            return
        self._due[key] = due_s
        self._order += 1
        heapq.heappush(self._heap, (due_s, self._order, key))

    def clear(self, key: Key) -> None:
        """Forget a key's deadline, if it has one."""
        self._due.pop(key, None)

    def has(self, key: Key) -> bool:
        """Whether a key has a deadline."""
        return key in self._due

    def set_sooner(self, key: Key, due_s: float) -> None:
        """Set the deadline of a key unless it has an earlier one."""
        if due_s < self._due.get(key, math.inf):
            self.set(key, due_s)

    def next(self) -> float:
        """The earliest deadline, or `math.inf`."""
        while self._heap and self._stale():
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def pop(self, now_s: float) -> Key | None:
        """Take one key whose deadline has come, earliest first; None when there is none."""
        if self.next() > now_s:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key

    def _stale(self) -> bool:
        due, _, key = self._heap[0]
        return self._due.get(key) != due
