"""Serial lines out of the virtual board: drained without a pause, for an unread console stops the whole machine.

QEMU's UART writes byte by byte; when the socket is full it waits with its big lock held, and processors, pins and
monitor stand still until somebody reads.
"""

from __future__ import annotations

import bisect
import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


class SerialLine:
    """One line and its transcript.

    Synchronization: any thread.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._times: list[tuple[int, float]] = []
        self._news = threading.Condition()
        self._line: socket.socket | None = None

    def attach(self, line: socket.socket) -> None:
        """Read from now on what comes here; a machine that is started again has new lines."""
        self._line = line
        if not self._text.endswith(b"\n"):
            # The power went in the middle of a line: the next boot's first word belongs to none.
            self._take(b"\n")
        threading.Thread(target=self._drain, args=(line,), name="serial", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Type."""
        assert self._line is not None
        self._line.sendall(data)

    @property
    def length(self) -> int:
        """How much has come so far."""
        with self._news:
            return len(self._text)

    def text(self, start: int = 0) -> str:
        """What has come since a length."""
        with self._news:
            return bytes(self._text[start:]).decode("utf-8", "replace")

    def expect(self, wanted: str, start: int, timeout_s: float) -> str:
        """Await a text; the line that holds it.

        Raises:
            AssertionError: It did not come in time; the message holds what came.
        """
        text = self.wait(wanted.encode(), start, timeout_s).decode("utf-8", "replace")
        assert wanted in text, f"{wanted!r} did not come within {timeout_s} s:\n{text}"
        return next(line for line in text.splitlines() if wanted in line)

    def wait(self, wanted: bytes, start: int, timeout_s: float) -> bytes:
        """Await bytes; all that has come since a length, with them or, too late, without."""
        with self._news:
            self._news.wait_for(lambda: self._text.find(wanted, start) >= 0, timeout_s)
            return bytes(self._text[start:])

    def lines(self, after_s: float = 0.0) -> list[tuple[float, str]]:
        """Whole lines, each with the moment at which its end came, from a moment on."""
        found = []
        with self._news:
            first = bisect.bisect_left(self._times, after_s, key=lambda piece: piece[1])
            end = self._text.rfind(b"\n", 0, self._times[first - 1][0]) + 1 if first else 0
            times = iter(self._times[first:])
            until, at_s = 0, 0.0
            for line in bytes(self._text[end:]).split(b"\n")[:-1]:
                end += len(line) + 1
                while until < end:
                    until, at_s = next(times)
                found.append((at_s, line.decode("utf-8", "replace")))
        return found

    def _drain(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := line.recv(65536):
                self._take(data)

    def _take(self, data: bytes) -> None:
        with self._news:
            self._times.append((len(self._text) + len(data), time.monotonic()))
            self._text += data
            self._news.notify_all()
