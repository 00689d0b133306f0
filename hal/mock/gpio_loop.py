"""A loop with a button that people and faults can work."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from hal.errors import DeviceLost
from hal.types import Level, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hal.ports import Clock

Step = tuple[float, LoopState]
"""Seconds after the one before, and the level from then on."""


def bounce(times: int, gap_s: float, last: LoopState = LoopState.ALARM) -> tuple[Step, ...]:
    """A chattering contact as a script: `times` short visits to `last`, each `gap_s` long, and then `last` to stay."""
    other = LoopState.NORMAL if last is LoopState.ALARM else LoopState.ALARM
    visits = tuple(step for _ in range(times) for step in ((gap_s, last), (gap_s, other)))
    return (*visits, (gap_s, last))


class MockLoop:
    """A wire pair to an imagined button.

    In real time call `press`, `release`, `cut`, `short` or `play`. In virtual time call `script` and then `produce` as
    time passes.

    Args:
        name: The loop's name.
        clock: Dates the edges.

    Attributes:
        deaf: While True edges are swallowed, as by a dead callback thread; only `read` sees the level.

    Synchronization: one thread at a time works the button; `read` from any. The watcher is called on the thread of
    whoever works the button.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.deaf = False
        self._name = name
        self._clock = clock
        self._state = LoopState.NORMAL
        self._post: Callable[[Level], None] | None = None
        self._steps: deque[Step] = deque()
        self._lost = False
        self._open = True
        self._closed = False

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    def read(self) -> LoopState:
        """The level at this instant."""
        self._check()
        return self._state

    def watch(self, post: Callable[[Level], None]) -> None:
        """Have `post` called at every edge; a second watcher replaces the first. Opens what was lost and found."""
        self._open = not self._lost
        self._check()
        self._post = post

    def close(self) -> None:
        """Give the pin back."""
        self._closed = True
        self._post = None

    def press(self) -> None:
        """Push the button and hold it."""
        self.set(LoopState.ALARM)

    def release(self) -> None:
        """Let the button go; mends a cut or a short too."""
        self.set(LoopState.NORMAL)

    def cut(self) -> None:
        """Cut the wire."""
        self.set(LoopState.OPEN)

    def short(self) -> None:
        """Join the wires."""
        self.set(LoopState.SHORT)

    def set(self, state: LoopState) -> None:
        """Bring the loop to a level now."""
        self._change(state, self._clock.now().mono_s)

    def lose(self) -> None:
        """Take the input's chip away: `read` raises, no edges come."""
        self._lost = True
        self._open = False
        self._post = None

    def find(self) -> None:
        """Bring the chip back: `watch` opens the input on it."""
        self._lost = False

    def play(self, steps: Iterable[Step]) -> None:
        """Work the button in real time; returns when the script is through."""
        for delay_s, state in steps:
            time.sleep(delay_s)
            self.set(state)

    def script(self, steps: Iterable[Step]) -> None:
        """Have levels come by themselves as virtual time passes.

        The first delay counts from now, or from the end of a script that is not through yet.
        """
        at_s = self._steps[-1][0] if self._steps else self._clock.now().mono_s
        for delay_s, state in steps:
            at_s += delay_s
            self._steps.append((at_s, state))

    def next_due_s(self) -> float | None:
        """Monotonic time of the next scripted level, or None."""
        return self._steps[0][0] if self._steps else None

    def produce(self, until_s: float) -> None:
        """Let the scripted levels up to a moment happen, each dated with its own time."""
        while self._steps and self._steps[0][0] <= until_s:
            at_s, state = self._steps.popleft()
            self._change(state, at_s)

    def _change(self, state: LoopState, at_s: float) -> None:
        if state is self._state:
            return
        self._state = state
        if self._post is not None and not self.deaf:
            self._post(Level(self._name, state, at_s))

    def _check(self) -> None:
        if self._closed:
            raise DeviceLost(f"loop {self._name} is closed")
        if not self._open:
            raise DeviceLost(f"loop {self._name} cannot be read: the simulated input is gone")
