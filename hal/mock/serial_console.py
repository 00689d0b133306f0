"""A technician's line without a cable."""

from __future__ import annotations

import threading
import time

from hal.errors import DeviceLost
from hal.lines import LineSplitter


class MockConsole:
    """A terminal at which a script types.

    Args:
        lines: Lines that are typed already.
        real_time: Whether `read_line` waits; in virtual time it answers at once.

    Attributes:
        written: Everything that was sent, with line ends as on the wire.

    Synchronization: any thread.
    """

    def __init__(self, *lines: str, real_time: bool = True) -> None:
        self.written = ""
        self._real_time = real_time
        self._splitter = LineSplitter()
        self._typed = threading.Condition()
        self._gone = ""
        for line in lines:
            self.type(line)

    def read_line(self, timeout_s: float) -> str | None:
        """One line, or None when none came in time."""
        deadline = time.monotonic() + timeout_s
        with self._typed:
            while True:
                self._check()
                line = self._splitter.take()
                pause_s = deadline - time.monotonic()
                if line is not None or not self._real_time or pause_s <= 0:
                    return line
                self._typed.wait(pause_s)

    def write(self, text: str) -> None:
        """Send text; every line feed goes out as CR LF."""
        with self._typed:
            self._check()
            self.written += text.replace("\r\n", "\n").replace("\n", "\r\n")

    def close(self) -> None:
        """Give the port back."""
        self._leave("is closed")

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self.feed(line.encode() + b"\r")

    def feed(self, data: bytes) -> None:
        """Have bytes come in as they are."""
        with self._typed:
            self._splitter.feed(data)
            self._typed.notify_all()

    def lose(self) -> None:
        """Pull the adapter out."""
        self._leave("is gone: the simulated adapter was pulled out")

    def find(self) -> None:
        """Plug the adapter in again."""
        self._leave("")

    def _leave(self, why: str) -> None:
        with self._typed:
            self._gone = why
            self._typed.notify_all()

    def _check(self) -> None:
        if self._gone:
            raise DeviceLost(f"the simulated console {self._gone}")
