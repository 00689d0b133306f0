"""Lines to whoever reads our output, from a thread of its own: a reader that is slow, stuck or gone stops no alarm."""

from __future__ import annotations

import logging
import os
import queue
import threading

LINES_MAX = 10_000
"""Lines that wait for a reader; what comes while so many wait is dropped and counted."""
STOP_S = 1.0


class Teller:
    """Writes lines to a descriptor.

    It writes past Python's own buffers: whoever waits for their locks at the end of the process would wait for the
    reader.

    Args:
        fd: Standard output or error.
        name: For the thread.
        dropped: The line that tells of dropped ones, with a place for their `{count}`.

    Synchronization: any thread.
    """

    def __init__(self, fd: int, name: str, dropped: str) -> None:
        self._fd = fd
        self._told = dropped
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Write a line some time; never blocks, never raises."""
        if self._lines.qsize() < LINES_MAX:
            self._lines.put(line)
        else:
            self._dropped += 1

    def stop(self, patience_s: float = STOP_S) -> bool:
        """Let the reader have what waits; False when it did not take all of it in time."""
        self._lines.put(None)
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._write(f"{line}\n"):
                return
            if self._dropped and self._lines.empty():
                count, self._dropped = self._dropped, 0
                self._write(self._told.replace("{count}", str(count)) + "\n")

    def _write(self, text: str) -> bool:
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return False  # the reader is gone for good
        return True


class LogLines(logging.Handler):
    """Log records to a teller.

    Synchronization: any thread.
    """

    def __init__(self, teller: Teller) -> None:
        super().__init__()
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record's line over."""
        try:
            self._teller.say(self.format(record))
        except (TypeError, ValueError):
            self._teller.say(f"{record.levelname} {record.name}: a line that cannot be formatted: {record.msg!r}")
