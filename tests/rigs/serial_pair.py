"""A serial cable without a board: a pseudo-terminal, one end a port, the other in the test's hand."""

from __future__ import annotations

import os
import select
import tty
from typing import Self


class SerialPair:
    """Use it in a `with` statement. `port` is what a program opens; the methods are the terminal at the other end."""

    def __init__(self) -> None:
        self._terminal, self._board = os.openpty()
        tty.setraw(self._board)
        self.port = os.ttyname(self._board)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.unplug()
        os.close(self._board)

    def type(self, data: bytes) -> None:
        """Send bytes to the program."""
        os.write(self._terminal, data)

    def shown(self, expected: bytes, timeout_s: float = 5.0) -> bytes:
        """What the program sent, until it ends with `expected` or the time is over."""
        seen = b""
        while not seen.endswith(expected) and select.select([self._terminal], [], [], timeout_s)[0]:
            seen += os.read(self._terminal, 4096)
        return seen

    def unplug(self) -> None:
        """Pull the cable's adapter out; idempotent."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
