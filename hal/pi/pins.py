"""The pins of a board: gpiozero with a factory that is named, never guessed.

gpiozero would otherwise fall through four libraries with a warning each, and end with one that sees no edges.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpiozero

from hal.errors import DeviceLost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pins:
    """A gpiozero factory and the errors that its library raises.

    Attributes:
        factory: gpiozero's factory; its pins are guarded against exceptions in callbacks.
        errors: What any operation on a pin may raise.
    """

    factory: Any
    errors: tuple[type[Exception], ...]

    @classmethod
    def over(cls, factory: Any, *library_errors: type[Exception]) -> Pins:
        """Guard a factory that the caller opened, as gpiozero's MockFactory in a test."""
        factory.pin_class = _guarded(factory.pin_class)
        return cls(factory, (gpiozero.GPIOZeroError, OSError, *library_errors))


def open_pins(work_dir: Path) -> Pins:
    """Open the board's GPIO chip by lgpio.

    Args:
        work_dir: Writable folder for the FIFO through which lgpio reports edges.

    Raises:
        DeviceLost: This machine has no such chip, or may not use it.
    """
    lgpio = _import_lgpio(work_dir)
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - imports lgpio, which needs its folder first

        return Pins.over(LGPIOFactory(), lgpio.error)
    except (gpiozero.GPIOZeroError, OSError, lgpio.error) as error:
        raise DeviceLost(
            f"the GPIO chip cannot be opened: {error}; is this a Raspberry Pi, and is the user in the group gpio?"
        ) from error


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
