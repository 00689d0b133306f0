"""The technician's line over a serial port."""

from __future__ import annotations

import math
import select
import threading
import time
from typing import Final

import serial

from hal.errors import DeviceLost
from hal.lines import LineSplitter

_WRITE_LIMIT_S: Final = 1.0
"""A port that takes nothing for this long is held up by flow control or an adapter that hangs."""


class SerialConsole:
    """A terminal at the other end of a serial cable, 8 bits, no parity, no flow control.

    Args:
        port: The device, as /dev/ttyAMA0.
        baud: Bits a second.

    Raises:
        DeviceLost: No such port, or another process holds it.

    Synchronization: `read_line` and `close` from one thread, `write` from any.
    """

    def __init__(self, port: str, baud: int) -> None:
        self._port = port
        self._splitter = LineSplitter()
        self._writing = threading.Lock()
        self._closed = False
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=_WRITE_LIMIT_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise DeviceLost(f"console {port} at {baud} baud cannot be opened: {error}") from error

    def read_line(self, timeout_s: float) -> str | None:
        """One line, or None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while (line := self._splitter.take()) is None:
            pause_s = deadline - time.monotonic()
            if not self._wait(max(pause_s, 0.0)):
                return None
            self._splitter.feed(self._read())
        return line

    def write(self, text: str) -> None:
        """Send text; every line feed goes out as CR LF."""
        data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        with self._writing:
            self._check_open()
            try:
                self._serial.write(data)
            except (serial.SerialException, OSError) as error:
                raise DeviceLost(f"console {self._port} takes no text: {error}") from error

    def close(self) -> None:
        """Give the port back."""
        with self._writing:
            self._closed = True
            self._serial.close()

    def _wait(self, pause_s: float) -> bool:
        self._check_open()
        try:
            poll = select.poll()
            poll.register(self._serial, select.POLLIN)
            ready = poll.poll(math.ceil(pause_s * 1000))
        except (OSError, ValueError) as error:
            raise DeviceLost(f"console {self._port} is gone: {error}") from error
        return bool(ready)

    def _read(self) -> bytes:
        try:
            data: bytes = self._serial.read(max(self._serial.in_waiting, 1))
        except (serial.SerialException, OSError) as error:
            raise DeviceLost(f"console {self._port} is gone: {error}") from error
        if not data:
            raise DeviceLost(f"console {self._port} is gone: it is readable but has nothing to read")
        return data

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceLost(f"console {self._port} is closed")
