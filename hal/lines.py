"""Bytes of a terminal into lines of text: one rule for every console."""

from __future__ import annotations

from collections import deque
from typing import Final

LINE_LIMIT: Final = 256
"""Bytes of one line; what comes after them up to the line's end is dropped, so that rubbish cannot fill the memory."""

_CR: Final = 0x0D
_LF: Final = 0x0A
_RUBOUT: Final = (0x08, 0x7F)
"""Backspace and Delete: terminals differ in which of them the key sends."""
_UTF8_LEAD: Final = 0xC0
_UTF8_FOLLOWS: Final = 0x80
"""Bits by which a byte that goes on with a character is known (RFC 3629, section 3)."""
_ERASE: Final = 0x15
"""Ctrl-U: the line from its beginning."""


class LineSplitter:
    """Gathers bytes until a line is whole. CR, LF and CR LF end a line; Backspace takes a character back.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._part = bytearray()
        self._lines: deque[str] = deque()
        self._after_cr = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the line."""
        for byte in data:
            if byte in (_CR, _LF):
                self._end(byte)
            elif byte in _RUBOUT:
                del self._part[_last_character(self._part) :]
            elif byte == _ERASE:
                self._part.clear()
            elif len(self._part) < LINE_LIMIT:
                self._part.append(byte)
            if byte != _LF:
                self._after_cr = byte == _CR

    def take(self) -> str | None:
        """The oldest whole line, or None; bytes that are no UTF-8 stand as U+FFFD."""
        return self._lines.popleft() if self._lines else None

    def _end(self, byte: int) -> None:
        if byte == _LF and self._after_cr:
            self._after_cr = False
            return
        self._lines.append(self._part.decode("utf-8", errors="replace"))
        self._part.clear()


def _last_character(part: bytearray) -> int:
    """Where the last character begins, which may have several bytes in UTF-8."""
    place = max(len(part) - 1, 0)
    while place and part[place] & _UTF8_LEAD == _UTF8_FOLLOWS:
        place -= 1
    return place
