"""Loops and outputs that come and go: a pin that is busy, a chip that appears late or vanishes, a permission to come.

Each stands in the place of the real one from the start and is opened by whoever wants to use it, as often as asked.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from hal.errors import DeviceLost, PinInUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.pi.gpio_loop import GpioLoop
    from hal.pi.output import GpioOutput
    from hal.types import Level, LoopState


class _OnChip(Protocol):
    @property
    def gone(self) -> bool: ...

    def close(self) -> None: ...


_Part = TypeVar("_Part", bound=_OnChip)


class _Place(Generic[_Part]):
    """Where a part belongs, with or without it; opened at once if it can be."""

    def __init__(self, make: Callable[[], _Part]) -> None:
        self._why = ""
        self._make = make
        self._part: _Part | None = None
        self._changing = threading.Lock()
        try:
            self._part = make()
        except DeviceLost as error:
            self._why = str(error)

    def fill(self) -> _Part:
        """The part, opened now if it was not, or if its chip has vanished since.

        Raises:
            DeviceLost: It cannot be opened yet.
        """
        with self._changing:
            if self._part is not None and self._part.gone:
                self._part.close()
                self._part = None
            if self._part is None:
                # The error must be gone before the next try: its frames keep gpiozero's reservation of the pin alive.
                try:
                    self._part = self._make()
                except (DeviceLost, PinInUse) as error:
                    self._why = str(error)
        return self.part()

    def part(self) -> _Part:
        """The part, if it is there.

        Raises:
            DeviceLost: It is not, and why.
        """
        if self._part is None:
            raise DeviceLost(self._why)
        return self._part

    def close(self, why: str) -> None:
        """Give back what was opened; nothing is opened any more."""
        with self._changing:
            self._why, self._make = why, self._refuse
            if self._part is not None:
                self._part.close()

    def _refuse(self) -> _Part:
        raise DeviceLost(self._why)


class LateLoop:
    """A loop that `watch` opens as soon as it can be opened, and again when its chip had vanished.

    Args:
        name: The loop's name.
        make: Opens it, or raises `DeviceLost`.

    Raises:
        PinInUse: Someone in this process holds the pin.

    Synchronization: as `hal.ports.LoopInput`; `watch` and `close` exclude each other.
    """

    def __init__(self, name: str, make: Callable[[], GpioLoop]) -> None:
        self._name = name
        self._place = _Place(make)

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    def read(self) -> LoopState:
        """The level at this instant."""
        return self._place.part().read()

    def watch(self, post: Callable[[Level], None]) -> None:
        """Open the loop if need be and have `post` called at every edge."""
        self._place.fill().watch(post)

    def close(self) -> None:
        """Give the pin back, if it was ever had."""
        self._place.close(f"loop {self._name} is closed")


class LateOutput:
    """An output that `set` opens as soon as it can be opened, and again when its chip had vanished.

    Args:
        name: The output's name.
        make: Opens it, or raises `DeviceLost`.

    Raises:
        PinInUse: Someone in this process holds the pin.

    Synchronization: any thread.
    """

    def __init__(self, name: str, make: Callable[[], GpioOutput]) -> None:
        self._name = name
        self._place = _Place(make)

    @property
    def name(self) -> str:
        """The output's name."""
        return self._name

    def set(self, *, on: bool) -> None:
        """Open the output if need be and drive it."""
        self._place.fill().set(on=on)

    def get(self) -> bool:
        """The state that the pin is driven to."""
        return self._place.part().get()

    def close(self) -> None:
        """Switch off and give the pin back, if it was ever had."""
        self._place.close(f"output {self._name} is closed")
