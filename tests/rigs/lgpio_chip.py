"""A GPIO chip under the real lgpio: its C calls end here, and edges come through its own FIFO and callback thread."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.pi.pins import Pins

CHIP = 0
_SENTINEL = 63
_OUT, _PULL_UP, _ALERT = 1 << 1, 1 << 5, 1 << 10
PI_3B = 0xA02082


class LgpioChip:
    """Levels and modes of 54 lines, and whether there is a chip at all.

    Args:
        mocker: pytest-mock's.
        work_dir: Where lgpio keeps its FIFO; the first of a process counts.

    Attributes:
        error: What claiming or reading any line answers, if not "".
        deaf: lgpio reports no edges of any line.
    """

    def __init__(self, mocker, work_dir: Path) -> None:
        mocker.patch("gpiozero.pins.local.get_pi_revision", return_value=PI_3B)
        self._work_dir = work_dir
        self._levels: dict[int, int] = {}
        self._modes: dict[int, int] = {}
        self._there = True
        self._births = 0
        self._number = CHIP
        self._devices = Path(tempfile.mkdtemp(prefix="chips-", dir=work_dir))
        mocker.patch("hal.pi.pins.CHIPS", self._devices / "bus")
        self._list()
        self._handles: dict[int, int] = {}
        self._pins: Pins | None = None
        self.error = ""
        self.deaf = False
        lgpio = _import_lgpio(work_dir)
        for name, stand_in in {
            "gpiochip_open": self._open,
            "gpiochip_close": self._close,
            "gpio_claim_input": lambda handle, gpio, flags=0: self._claim(handle, gpio, flags),
            "gpio_claim_output": self._claim_output,
            "gpio_claim_alert": self.claim_alert,
            "gpio_free": lambda handle, gpio: self._mode(handle, gpio) and self._modes.pop(gpio) and 0,
            "gpio_get_mode": self._mode,
            "gpio_read": self._read,
            "gpio_write": self._write,
            "gpio_set_debounce_micros": lambda handle, gpio, micros: 0,
        }.items():
            mocker.patch.object(lgpio, name, stand_in)
        self._lgpio = lgpio
        self._passed = threading.Event()
        self._sentinel = lgpio.callback(CHIP, _SENTINEL, lgpio.BOTH_EDGES, lambda *_: self._passed.set())
        self._fifo = os.open(f"/proc/self/fd/{lgpio._notify_thread._file.fileno()}", os.O_WRONLY)

    @property
    def pins(self) -> Pins:
        """The chip opened for a test's own parts."""
        from hal.pi.pins import open_pins  # noqa: PLC0415 - the pins module must not load for the mock alone

        if self._pins is None:
            self._pins = open_pins(self._work_dir)
        return self._pins

    def close(self) -> None:
        self.error = ""
        if self._pins is not None:
            self._pins.close()
        self._sentinel.cancel()
        os.close(self._fifo)

    def vanish(self) -> None:
        """Unbind the driver: every line is gone, and whoever has the chip open holds a corpse."""
        self._there = False
        self._modes.clear()
        shutil.rmtree(self._devices / "bus")

    def come_back(self, number: int = CHIP) -> None:
        """Bind it again; the kernel may give it another number."""
        self._there = True
        self._births += 1
        self._number = number
        self._list()

    @property
    def held(self) -> bool:
        """Whether somebody has it open, or its corpse."""
        return bool(self._handles)

    def wire(self, gpio: int, *, high: bool) -> None:
        """Bring a line to a level before anybody looks."""
        self._levels[gpio] = int(high)

    def drive(self, gpio: int, *, high: bool) -> None:
        """Change a line's level and wait until lgpio's thread has called whom it wants to call."""
        before, self._levels[gpio] = self._level(gpio), int(high)
        if before == int(high):
            return
        if self._there and not self.deaf and self._modes.get(gpio, 0) & _ALERT:
            self._report(gpio, int(high))
        self._passed.clear()
        self._report(_SENTINEL, 1)
        assert self._passed.wait(5), "lgpio's callback thread is dead: every input is deaf"

    def claim_alert(self, handle: int, gpio: int, _edges: int, flags: int = 0) -> int:
        """What lgpio does for a line whose edges are wanted."""
        return self._claim(handle, gpio, flags | _ALERT)

    def _report(self, gpio: int, level: int) -> None:
        chip = CHIP if gpio == _SENTINEL else self._number
        os.write(self._fifo, struct.pack("QBBBBI", 123_456_789, chip, gpio, level, 0, 0))

    def _list(self) -> None:
        """As /sys/bus/gpio/devices has it."""
        (self._devices / "bus").mkdir()
        for number, device in ((self._number, "soc.gpio"), (9, "expander")):
            (self._devices / device / f"gpiochip{number}").mkdir(parents=True, exist_ok=True)
            (self._devices / "bus" / f"gpiochip{number}").symlink_to(self._devices / device / f"gpiochip{number}")

    def _open(self, number: int) -> int:
        # While anybody holds the old chip open, the kernel keeps its number and gives the returning one another.
        held = self._number == CHIP and any(birth != self._births for birth in self._handles.values())
        if not self._there or number != self._number or held:
            raise self._lgpio.error("can not open gpiochip")
        place = next(place for place in range(len(self._handles) + 1) if place | number << 16 not in self._handles)
        self._handles[place | number << 16] = self._births
        return place | number << 16

    def _close(self, handle: int) -> int:
        if self._handles.pop(handle) == self._births:
            self._modes.clear()
        return 0

    def _check(self, handle: int) -> None:
        if handle not in self._handles:
            raise self._lgpio.error("unknown handle")
        if not self._there or self._handles[handle] != self._births:
            raise self._lgpio.error("bad line info ioctl")
        if self.error:
            raise self._lgpio.error(self.error)

    def _mode(self, handle: int, gpio: int) -> int:
        if not self.error:  # the kernel tells of a line whoever holds it
            self._check(handle)
        return self._modes.get(gpio, 0)

    def _claim(self, handle: int, gpio: int, flags: int) -> int:
        self._modes[gpio] = flags
        self._check(handle)
        return 0

    def _claim_output(self, handle: int, gpio: int, level: int = 0, _flags: int = 0) -> int:
        self._claim(handle, gpio, _OUT)
        self._levels[gpio] = level
        return 0

    def _read(self, handle: int, gpio: int) -> int:
        self._check(handle)
        self._modes.setdefault(gpio, 0)  # lgpio claims what nobody claimed, without a pull-up: it floats, low here
        return self._level(gpio)

    def _write(self, handle: int, gpio: int, level: int) -> None:
        self._check(handle)
        self._levels[gpio] = int(level)

    def _level(self, gpio: int) -> int:
        return self._levels.get(gpio, int(bool(self._modes.get(gpio, 0) & _PULL_UP)))


def _import_lgpio(work_dir: Path):
    from hal.pi import pins  # noqa: PLC0415 - see above

    return sys.modules.get("lgpio") or pins._import_lgpio(work_dir)
