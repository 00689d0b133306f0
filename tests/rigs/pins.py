"""Wires on gpiozero's mock pins: a contact to ground wins over the pull-up, as it does with copper."""

from __future__ import annotations

import errno
from typing import ClassVar

from gpiozero.pins.mock import MockFactory, MockPin


class WiredPin(MockPin):
    """A pin with a contact to ground; `ground` closes it."""

    grounded = False
    level_error: Exception | None = None
    busy: ClassVar[set[int]] = set()

    def __init__(self, factory, info):
        if int(info.name.removeprefix("GPIO")) in self.busy:
            raise OSError(errno.EBUSY, "Device or resource busy")
        super().__init__(factory, info)

    def ground(self, *, closed: bool) -> None:
        self.grounded = closed
        if closed:
            self.drive_low()
        else:
            self.drive_high()

    def _change_state(self, value):
        return super()._change_state(bool(value) and not self.grounded if self.function == "input" else value)

    def _get_state(self):
        if self.level_error is not None:
            raise self.level_error
        return super()._get_state()


def wired_factory() -> MockFactory:
    """A board of a Raspberry Pi 3 whose pins can be wired."""
    return MockFactory(pin_class=WiredPin)


def busy_factory(*pins: int) -> tuple[MockFactory, set[int]]:
    """The same while some of its pins are held by somebody else; they are free when they leave the set."""
    held = set(pins)
    return MockFactory(pin_class=type("BusyPin", (WiredPin,), {"busy": held})), held
