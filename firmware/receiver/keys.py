"""What the person at the desk types: single keys on a terminal, whole lines from a program."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import termios
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 4096
LINE_MAX = 1024
ESCAPE, ENTER, RUBOUT = "\x1b", ("\r", "\n"), ("\x7f", "\b")


@contextlib.contextmanager
def single_keys(fd: int) -> Iterator[None]:
    """Have a terminal give every key at once and show none, until the block ends."""
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def is_terminal(fd: int) -> bool:
    """Whether a person sits at this descriptor."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


class Keys:
    """Reads keys from a terminal; a key of its own asks for a line first.

    Args:
        fd: The terminal, in single-key mode.
        ask: Keys that want a line of text after them, with the question.

    Synchronization: one thread.
    """

    def __init__(self, fd: int, ask: dict[str, str]) -> None:
        self.fd = fd
        self._ask = ask
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._asking = ""
        self._line = ""

    @property
    def prompt(self) -> str:
        """The line being typed, or ""."""
        return f"{self._ask[self._asking]}{self._line}▏" if self._asking else ""

    def read(self) -> list[tuple[str, str]] | None:
        """What was typed: keys with the text that belongs to them, or None at the end of input."""
        data = os.read(self.fd, READ_BYTES)
        if not data:
            return None
        found = (self._key(char) for char in self._decoder.decode(data))
        return [item for item in found if item is not None]

    def _key(self, char: str) -> tuple[str, str] | None:
        if not self._asking:
            if char in self._ask:
                self._asking, self._line = char, ""
                return None
            return (char, "")
        if char in ENTER:
            key, self._asking = self._asking, ""
            return (key, self._line.strip())
        if char == ESCAPE:
            self._asking = ""
        elif char in RUBOUT:
            self._line = self._line[:-1]
        elif char.isprintable() and len(self._line) < LINE_MAX:
            self._line += char
        return None


class Lines:
    """Reads lines `WORD TEXT` from a program that drives the desk.

    Args:
        fd: A pipe.

    Synchronization: one thread.
    """

    prompt = ""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    def read(self) -> list[tuple[str, str]] | None:
        """Whole lines as (word, text), or None at the end of input."""
        data = os.read(self.fd, READ_BYTES)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_MAX:]
        split = (line.decode(errors="replace").strip().partition(" ") for line in lines)
        return [(word, text.strip()) for word, _, text in split if word]


def standard_input() -> int:
    """The descriptor of standard input, or -1 when there is none."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return -1
