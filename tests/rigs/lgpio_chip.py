"""A GPIO chip under the real lgpio: its C calls end here, and edges come through its own FIFO and callback thread."""

from __future__ import annotations

import os
import struct
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHIP = 0
_SENTINEL = 63
_OUT, _PULL_UP, _ALERT = 1 << 1, 1 << 5, 1 << 10
PI_3B = 0xA02082


class LgpioChip:
    """Levels and modes of 54 lines.

    Args:
        mocker: pytest-mock's.
        work_dir: Where lgpio keeps its FIFO; the first of a process counts.
    """

    def __init__(self, mocker, work_dir: Path) -> None:
        from hal.pi.pins import open_pins  # noqa: PLC0415 - the pins module must not load for the mock alone

        mocker.patch("gpiozero.pins.local.get_pi_revision", return_value=PI_3B)
        self._levels: dict[int, int] = {}
        self._modes: dict[int, int] = {}
        self.error = ""
        lgpio = _import_lgpio(work_dir)
        for name, stand_in in {
            "gpiochip_open": lambda chip: CHIP,
            "gpiochip_close": lambda handle: 0,
            "gpio_claim_input": lambda handle, gpio, flags=0: self._claim(gpio, flags),
            "gpio_claim_output": lambda handle, gpio, level=0, flags=0: self._claim_output(gpio, level),
            "gpio_claim_alert": self.claim_alert,
            "gpio_free": lambda handle, gpio: self._modes.pop(gpio, None) and 0,
            "gpio_get_mode": lambda handle, gpio: self._modes.get(gpio, 0),
            "gpio_read": lambda handle, gpio: self._read(gpio),
            "gpio_write": lambda handle, gpio, level: self._levels.__setitem__(gpio, int(level)),
            "gpio_set_debounce_micros": lambda handle, gpio, micros: 0,
        }.items():
            mocker.patch.object(lgpio, name, stand_in)
        self._lgpio = lgpio
        self._passed = threading.Event()
        self._sentinel = lgpio.callback(CHIP, _SENTINEL, lgpio.BOTH_EDGES, lambda *_: self._passed.set())
        self._fifo = os.open(f"/proc/self/fd/{lgpio._notify_thread._file.fileno()}", os.O_WRONLY)
        self.pins = open_pins(work_dir)

    def close(self) -> None:
        self.error = ""
        self.pins.factory.close()
        self._sentinel.cancel()
        os.close(self._fifo)

    def wire(self, gpio: int, *, high: bool) -> None:
        """Bring a line to a level before anybody looks."""
        self._levels[gpio] = int(high)

    def drive(self, gpio: int, *, high: bool) -> None:
        """Change a line's level and wait until lgpio's thread has called whom it wants to call."""
        if self._level(gpio) == int(high):
            return
        self._levels[gpio] = int(high)
        if self._modes.get(gpio, 0) & _ALERT:
            self._report(gpio, int(high))
        self._passed.clear()
        self._report(_SENTINEL, 1)
        assert self._passed.wait(5), "lgpio's callback thread is dead: every input is deaf"

    def claim_alert(self, _handle: int, gpio: int, _edges: int, flags: int = 0) -> int:
        """What lgpio does for a line whose edges are wanted."""
        return self._claim(gpio, flags | _ALERT)

    def _report(self, gpio: int, level: int) -> None:
        os.write(self._fifo, struct.pack("QBBBBI", 123_456_789, CHIP, gpio, level, 0, 0))

    def _claim(self, gpio: int, flags: int) -> int:
        self._modes[gpio] = flags
        if self.error:
            raise self._lgpio.error(self.error)
        return 0

    def _claim_output(self, gpio: int, level: int) -> int:
        self._claim(gpio, _OUT)
        self._levels[gpio] = level
        return 0

    def _read(self, gpio: int) -> int:
        if self.error:
            raise self._lgpio.error(self.error)
        return self._level(gpio)

    def _level(self, gpio: int) -> int:
        return self._levels.get(gpio, int(bool(self._modes.get(gpio, 0) & _PULL_UP)))


def _import_lgpio(work_dir: Path):
    from hal.pi import pins  # noqa: PLC0415 - see above

    return sys.modules.get("lgpio") or pins._import_lgpio(work_dir)
