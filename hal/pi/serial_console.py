"""The technician's line over a serial port."""

from __future__ import annotations

import errno
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

    A port that is not there yet, is held by another process or was lost is opened by a later `read_line`: an adapter
    may be plugged in at any time.

    Args:
        port: The device, as /dev/ttyAMA0.
        baud: Bits a second.

    Synchronization: `read_line` and `close` from one thread, `write` from any.
    """

    def __init__(self, port: str, baud: int) -> None:
        self._port = port
        self._baud = baud
        self._splitter = LineSplitter()
        self._writing = threading.Lock()
        self._closed = False
        self._why = ""
        self._serial: serial.Serial | None = None
        self._open()

    def read_line(self, timeout_s: float) -> str | None:
        """One line, or None when none came in time."""
        deadline = time.monotonic() + timeout_s
        port = self._reopened()
        while (line := self._splitter.take()) is None:
            pause_s = deadline - time.monotonic()
            if not self._wait(port, max(pause_s, 0.0)):
                return None
            self._splitter.feed(self._read(port))
        return line

    def write(self, text: str) -> None:
        """Send text; every line feed goes out as CR LF."""
        data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        with self._writing:
            port = self._check_open()
            try:
                port.write(data)
            except (serial.SerialException, OSError) as error:
                raise DeviceLost(f"console {self._port} takes no text: {error}") from error

    def close(self) -> None:
        """Give the port back."""
        with self._writing:
            self._closed = True
            if self._serial is not None:
                self._serial.close()

    def _open(self) -> None:
        try:
            self._serial = serial.Serial(
                self._port, self._baud, timeout=0, write_timeout=_WRITE_LIMIT_S, exclusive=True
            )
        except (serial.SerialException, OSError, ValueError) as error:
            self._why = f"console {self._port} at {self._baud} baud cannot be opened: {_words(error)}"

    def _reopened(self) -> serial.Serial:
        with self._writing:
            if self._serial is None and not self._closed:
                self._open()
            return self._check_open()

    def _wait(self, port: serial.Serial, pause_s: float) -> bool:
        try:
            poll = select.poll()
            poll.register(port, select.POLLIN)
            ready = poll.poll(math.ceil(pause_s * 1000))
        except (OSError, ValueError) as error:
            raise self._gone(str(error)) from error
        return bool(ready)

    def _read(self, port: serial.Serial) -> bytes:
        try:
            data: bytes = port.read(max(port.in_waiting, 1))
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: closed in this very moment
            raise self._gone(str(error)) from error
        if not data:
            raise self._gone("it is readable but has nothing to read")
        return data

    def _gone(self, why: str) -> DeviceLost:
        with self._writing:
            if self._serial is not None:
                self._serial.close()
            self._serial = None
            self._why = f"console {self._port} is gone: {why}"
            return DeviceLost(self._why)

    def _check_open(self) -> serial.Serial:
        if self._closed:
            raise DeviceLost(f"console {self._port} is closed")
        if self._serial is None:
            raise DeviceLost(self._why)
        return self._serial


def _words(error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return "there is no such device; is it plugged in, and is this its name?"
        case errno.EACCES | errno.EPERM:
            return "this user may not; is it in the group dialout?"
        case errno.EAGAIN | errno.EBUSY:
            return "another program holds it; a login shell on this line, perhaps?"
        case _:
            return str(error)
