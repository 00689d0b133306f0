"""The pins of a board: gpiozero with a factory that is named, never guessed.

gpiozero would otherwise fall through four libraries with a warning each, and end with one that sees no edges.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpiozero

from hal.errors import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

CHIPS = Path("/sys/bus/gpio/devices")
"""The kernel's list of chips."""


class Pins:
    """One opening of a GPIO chip: gpiozero's factory and the errors that its library raises.

    A chip that vanishes (its driver is unbound, its bus is pulled out) never answers through this opening again, not
    even when it is back. It is given back as soon as that is known: while anybody holds the old chip the kernel gives
    the returning one another number, and lgpio's thread for edges spins on the dead lines.

    Args:
        factory: gpiozero's factory, as its MockFactory in a test; its pins get guarded against exceptions in callbacks.
        library_errors: What the library below gpiozero raises.
        device: Where the chip sits, as the kernel has it, whatever number it bears; None when nobody knows.

    Attributes:
        factory: The same.
        device: The same.
        errors: What any operation on a pin may raise.

    Synchronization: any thread.
    """

    def __init__(self, factory: Any, *library_errors: type[Exception], device: Path | None = None) -> None:
        factory.pin_class = _guarded(factory.pin_class)
        self.factory = factory
        self.device = device
        self.errors: tuple[type[Exception], ...] = (gpiozero.GPIOZeroError, OSError, *library_errors)
        self._using = threading.RLock()
        self._gone = False

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """For the time of one operation on a pin: nobody gives the chip back meanwhile.

        lgpio gives the number of a chip that was given back to the one that is opened next, and claims a line that is
        read unclaimed, without a pull-up: whoever read on through an old opening would see a press that nobody made.

        Raises:
            DeviceLost: The chip was given back.
        """
        with self._using:
            if self._gone:
                raise DeviceLost("the GPIO chip is gone")
            yield

    @property
    def gone(self) -> bool:
        """Whether the chip was given back."""
        return self._gone

    def answers(self, pin: Any) -> bool:
        """Whether the chip is still there by what one of its pins says; one that is not is given back."""
        with self._using:
            if not self._gone:
                try:
                    _ = pin.function  # asks the kernel for the line, whoever holds it
                except self.errors as error:
                    log.warning("the GPIO chip is gone: %s", error)
                    self.close()
            return not self._gone

    def give_back(self, label: str, *steps: Callable[[], None]) -> None:
        """Do every step by which a part is given back; what fails is only logged: nobody wants it any more."""
        for step in steps:
            try:
                step()
            except self.errors as error:
                log.warning("%s was given back with an error: %s", label, error)

    def close(self) -> None:
        """Give the chip back with all its lines; idempotent. lgpio takes 0.1 s for it."""
        with self._using:
            self._gone = True
            pins = self.factory.pins
            for pin in pins.values():
                with contextlib.suppress(*self.errors):
                    pin.when_changed = None
            pins.clear()  # a pin's own way back would claim its line once more, which a chip that is gone refuses
            with contextlib.suppress(*self.errors):
                self.factory.close()


def open_pins(work_dir: Path, device: Path | None = None) -> Pins:
    """Open the board's GPIO chip by lgpio.

    Args:
        work_dir: Writable folder for the FIFO through which lgpio reports edges.
        device: Where a chip sits that was open before: it may have come back under another number (a kernel before 6.9
            never gives the number of one away whose lines were in use when it went). None: the board's usual number.

    Raises:
        DeviceLost: This machine has no such chip, or may not use it.
    """
    lgpio = _import_lgpio(work_dir)
    number = None if device is None else _number(device)
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - imports lgpio, which needs its folder first

        factory = LGPIOFactory(number)
    except (gpiozero.GPIOZeroError, OSError, lgpio.error) as error:
        raise DeviceLost(
            f"the GPIO chip cannot be opened: {error}; is this a Raspberry Pi, and is the user in the group gpio?"
        ) from error
    return Pins(factory, lgpio.error, device=_device(CHIPS / f"gpiochip{factory.chip}"))


def _device(chip: Path) -> Path | None:
    """What a chip is part of, which stays the same when its number does not."""
    return chip.resolve().parent if chip.exists() else None


def _number(device: Path) -> int:
    """The number that a device's chip bears now."""
    for chip in CHIPS.glob("gpiochip*"):
        if _device(chip) == device:
            return int(chip.name.removeprefix("gpiochip"))
    raise DeviceLost("the GPIO chip is gone")


def _import_lgpio(work_dir: Path) -> Any:
    # Its import makes a FIFO in LG_WD, changes into that folder and opens the FIFO by a relative name.
    if not os.access(work_dir, os.W_OK | os.X_OK):
        raise DeviceLost(
            f"lgpio needs a folder that this user (uid {os.getuid()}) can write: {work_dir}; "
            "create it or point the panel's state folder elsewhere"
        )
    os.environ["LG_WD"] = str(work_dir.absolute())
    here = Path.cwd()
    try:
        import lgpio  # noqa: PLC0415 - only now is its folder known
    except (ImportError, OSError) as error:
        raise DeviceLost(f"lgpio cannot be loaded: {error}; install the extra gatebooth[board]") from error
    finally:
        os.chdir(here)
    return lgpio


def _guarded(pin_class: Any) -> Any:
    if getattr(pin_class, "guarded", False):  # a board that is opened a second time over the same factory
        return pin_class

    class GuardedPin(pin_class):  # type: ignore[misc] # the class is known at run time only
        """A pin whose callback cannot end the one thread on which lgpio calls back for all pins."""

        guarded = True

        def _call_when_changed(self, *args: Any) -> None:
            try:
                super()._call_when_changed(*args)
            except Exception:  # the outermost frame of lgpio's thread that is ours (law 8)
                log.exception("an edge was lost in its watcher; the level poll still sees the loop")

    return GuardedPin
