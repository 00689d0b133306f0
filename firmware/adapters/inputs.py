"""Loops to facts: edges wake, levels decide.

Every edge is posted from the HAL's thread; beside that every loop is re-read 15 times a second, so that a button held
at boot, an edge that was dropped and a dead callback thread are seen all the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.adapters.reopening import pause_s
from firmware.core.facts import Trouble, TroubleOver
from hal.errors import DeviceLost
from hal.types import Level, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.core.facts import Fact
    from hal.ports import Clock, LoopInput

POLL_HZ = 15.0
ASK_MAX_S = 1.0
"""The longest pause between two tries to open a loop: until then nothing guards it."""
DEAF_AFTER = 3
"""Level changes in a row that only re-reading saw: the edges of this loop no longer come."""


@dataclass(frozen=True, slots=True)
class _Unwatched:
    """A loop whose edges do not come yet: how often it was asked for in vain, and when it is asked for again."""

    failures: int = 0
    due_s: float = 0.0


class Inputs:
    """Watches and re-reads all loops; one that cannot be opened, yet or any more, is asked for until it can.

    Args:
        loops: The board's loops by name.
        clock: For the time of levels that re-reading found.
        post: To the owner's inbox; never blocks.
        changed: Told, on the actor's thread, when `lost` is no longer what it was.

    Synchronization: an actor; edges come on the HAL's threads.
    """

    name = "inputs"

    def __init__(
        self,
        loops: Mapping[str, LoopInput],
        clock: Clock,
        post: Callable[[Fact], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._loops = dict(loops)
        self._clock = clock
        self._post = post
        self._seen: dict[str, LoopState] = dict.fromkeys(loops, LoopState.NORMAL)
        self._unheard: dict[str, int] = dict.fromkeys(loops, 0)
        self._edges: dict[str, int] = dict.fromkeys(loops, 0)
        self._order = threading.Lock()
        self._changed = changed
        self._unwatched = {name: _Unwatched() for name in loops}
        self._mute: set[str] = set()
        self._lost: set[str] = set()
        self._due_s = 0.0

    def arm(self) -> None:
        """Watch every loop and read it once: from here on a press is seen."""
        self._look()

    @property
    def lost(self) -> tuple[str, ...]:
        """The loops that cannot be read now: nothing guards them."""
        return tuple(sorted(self._lost))

    def handle(self, order: object) -> None:
        """Inputs take no orders."""
        raise TypeError(f"inputs take no orders, got {order!r}")

    def tick(self) -> None:
        """Re-read every loop; ask for those that are not watched yet."""
        before = set(self._lost)
        self._look()
        if self._lost != before:
            self._changed()

    def next_deadline(self) -> float:
        """When the loops are read again."""
        return self._due_s

    def close(self) -> None:
        """The board gives the pins back, not the actor."""

    def _look(self) -> None:
        now_s = self._clock.now().mono_s
        self._due_s = now_s + 1 / POLL_HZ
        for name, loop in self._loops.items():
            why = self._watch(name, now_s)
            edges = self._edges[name]
            try:
                state = loop.read()
            except DeviceLost as error:
                self._lose(name, error, now_s)
                continue
            if name in self._lost:
                self._lost.discard(name)
                self._post(TroubleOver(f"loop {name}"))
            if why:
                self._mute.add(name)
                self._post(Trouble(f"edges of loop {name}", why))
            self._reread(name, state, edges, now_s)

    def _watch(self, name: str, now_s: float) -> str:
        """Ask for edges if they do not come yet and it is time to; why they still do not, or ""."""
        absent = self._unwatched.get(name)
        if absent is None or now_s < absent.due_s:
            return ""
        try:
            self._loops[name].watch(self._edge)
        except DeviceLost as error:
            failures = absent.failures + 1
            self._unwatched[name] = _Unwatched(failures, now_s + min(pause_s(failures), ASK_MAX_S))
            return str(error)
        del self._unwatched[name]
        if name in self._mute:
            self._mute.discard(name)
            self._post(TroubleOver(f"edges of loop {name}"))
        return ""

    def _reread(self, name: str, state: LoopState, edges: int, now_s: float) -> None:
        """Post a level that no edge told; one that an edge has overtaken since it was read is history."""
        with self._order:
            if state is self._seen[name] or self._edges[name] != edges:
                return
            self._seen[name] = state
            self._post(Level(name, state, now_s))
        self._count_unheard(name)

    def _edge(self, level: Level) -> None:
        with self._order:  # held by others for the time of one post
            self._edges[level.loop] += 1
            self._seen[level.loop] = level.state
            if self._unheard[level.loop] >= DEAF_AFTER:
                self._post(TroubleOver(f"edges of loop {level.loop}"))
            self._unheard[level.loop] = 0
            self._post(level)

    def _count_unheard(self, name: str) -> None:
        if name in self._unwatched:
            return
        self._unheard[name] += 1
        if self._unheard[name] == DEAF_AFTER:
            why = (
                f"{DEAF_AFTER} level changes were found by re-reading alone; alarms come up to {1 / POLL_HZ:.2f} s "
                "later; restart the panel, then check the GPIO driver"
            )
            self._post(Trouble(f"edges of loop {name}", why))

    def _lose(self, name: str, error: DeviceLost, now_s: float) -> None:
        """Tell it once, and ask for the loop anew: its chip may have vanished, at once and then now and then."""
        asked = name in self._lost
        if not asked:
            self._lost.add(name)
            self._post(Trouble(f"loop {name}", str(error)))
        self._unwatched.setdefault(name, _Unwatched(due_s=now_s + pause_s(int(asked))))
