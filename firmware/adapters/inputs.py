"""Loops to facts: edges wake, levels decide.

Every edge is posted from the HAL's thread; beside that every loop is re-read 15 times a second, so that a button held
at boot, an edge that was dropped and a dead callback thread are seen all the same.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver
from hal.errors import DeviceLost
from hal.types import Level, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.core.facts import Fact
    from hal.ports import Clock, LoopInput

POLL_HZ = 15.0
DEAF_AFTER = 3
"""Level changes in a row that only re-reading saw: the edges of this loop no longer come."""


class Inputs:
    """Watches and re-reads all loops.

    Args:
        loops: The board's loops by name.
        clock: For the time of levels that re-reading found.
        post: To the owner's inbox; never blocks.

    Synchronization: an actor; edges come on the HAL's threads.
    """

    name = "inputs"

    def __init__(self, loops: Mapping[str, LoopInput], clock: Clock, post: Callable[[Fact], None]) -> None:
        self._loops = dict(loops)
        self._clock = clock
        self._post = post
        self._seen: dict[str, LoopState] = dict.fromkeys(loops, LoopState.NORMAL)
        self._unheard: dict[str, int] = dict.fromkeys(loops, 0)
        self._edges: dict[str, int] = dict.fromkeys(loops, 0)
        self._order = threading.Lock()
        self._lost: set[str] = set()
        self._due_s = 0.0

    def arm(self) -> None:
        """Watch every loop and read it once: from here on a press is seen."""
        for loop in self._loops.values():
            try:
                loop.watch(self._edge)
            except DeviceLost as error:
                self._lose(loop.name, error)
        self.tick()

    def handle(self, order: object) -> None:
        """Inputs take no orders."""
        raise TypeError(f"inputs take no orders, got {order!r}")

    def tick(self) -> None:
        """Re-read every loop."""
        now_s = self._clock.now().mono_s
        self._due_s = now_s + 1 / POLL_HZ
        for name, loop in self._loops.items():
            edges = self._edges[name]
            try:
                state = loop.read()
            except DeviceLost as error:
                self._lose(name, error)
                continue
            if name in self._lost:
                self._lost.discard(name)
                self._post(TroubleOver(f"loop {name}"))
            self._reread(name, state, edges, now_s)

    def next_deadline(self) -> float:
        """When the loops are read again."""
        return self._due_s

    def close(self) -> None:
        """The board gives the pins back, not the actor."""

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
        self._unheard[name] += 1
        if self._unheard[name] == DEAF_AFTER:
            why = (
                f"{DEAF_AFTER} level changes were found by re-reading alone; alarms come up to {1 / POLL_HZ:.2f} s "
                "later; restart the panel, then check the GPIO driver"
            )
            self._post(Trouble(f"edges of loop {name}", why))

    def _lose(self, name: str, error: DeviceLost) -> None:
        if name not in self._lost:
            self._lost.add(name)
            self._post(Trouble(f"loop {name}", str(error)))
