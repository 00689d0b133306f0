"""A relay or lamp that remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hal.errors import DeviceLost

if TYPE_CHECKING:
    from hal.ports import Clock


class MockOutput:
    """An output whose every change is kept.

    Args:
        name: The output's name.
        clock: Dates the changes.

    Attributes:
        journal: (monotonic seconds, on) for each change, oldest first; repeated orders are no change.

    Synchronization: any thread.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.journal: list[tuple[float, bool]] = []
        self._name = name
        self._clock = clock
        self._on = False
        self._lost = False
        self._open = True
        self._closed = False

    @property
    def name(self) -> str:
        """The output's name."""
        return self._name

    def set(self, *, on: bool) -> None:
        """Drive the output. Opens what was lost and found."""
        self._open = not self._lost
        self._check()
        self._drive(on=on)

    def get(self) -> bool:
        """The state that the pin is driven to."""
        self._check()
        return self._on

    def close(self) -> None:
        """Switch off and give the pin back."""
        if not self._closed:
            self._drive(on=False)
        self._closed = True

    def lose(self) -> None:
        """Take the output's chip away: every call raises; the relay stays as it is."""
        self._lost = True
        self._open = False

    def find(self) -> None:
        """Bring the chip back: `set` opens the output on it."""
        self._lost = False

    def _drive(self, *, on: bool) -> None:
        if on is not self._on:
            self._on = on
            self.journal.append((self._clock.now().mono_s, on))

    def _check(self) -> None:
        if self._closed:
            raise DeviceLost(f"output {self._name} is closed")
        if not self._open:
            raise DeviceLost(f"output {self._name} cannot be driven: the simulated driver is gone")
