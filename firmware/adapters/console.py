"""The technician's line: text to the same commands that the desk sends, results and events back as text."""

from __future__ import annotations

import collections
import shlex
from typing import TYPE_CHECKING

from firmware.adapters.reopening import pause_s
from firmware.core.commands import CONSOLE
from firmware.core.effects import Reply, Say
from firmware.core.facts import Command, Trouble, TroubleOver
from firmware.core.words import say
from hal.errors import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from hal import ports

ARGUMENTS = {"reset": 3, "bell-off": 1, "status": 0}
"""Least number of words after each verb: reset ZONE|all NAME REASON…, bell-off NAME, status."""
OWN_KEPT, OWN_COMPARED = 16, 60
"""What was written last, by its beginning: a loose or looped-back receive wire brings it back as if it were typed."""


class Console:
    """Reads commands and writes what they came to.

    Args:
        line: The serial line, or a scripted one.
        language: "zh" or "en".
        post: To the owner's inbox.

    Synchronization: an actor for what is written; `read` on a thread of its own.
    """

    name = "console"

    def __init__(self, line: ports.Console, language: str, post: Callable[[Fact], None]) -> None:
        self._line = line
        self._language = language
        self._post = post
        self._count = self._failures = 0
        self._lost = self._closed = False
        self._own: collections.deque[str] = collections.deque(maxlen=OWN_KEPT)

    def handle(self, order: object) -> None:
        """Write a `Say` or a `Reply`."""
        if not isinstance(order, Say | Reply):
            raise TypeError(f"the console takes Say and Reply, got {order!r}")
        self._write(order.text)

    def tick(self) -> None:
        """Nothing is due here."""

    def next_deadline(self) -> float:
        """Never."""
        return float("inf")

    def close(self) -> None:
        """From here on a lost line is no trouble: the board gives the port back."""
        self._closed = True

    def read(self, timeout_s: float) -> bool:
        """Wait for one line and act on it, a blank one too: it asks whether anybody is there. False while lost."""
        try:
            text = self._line.read_line(timeout_s)
        except DeviceLost as error:
            self._failures += 1
            self._lose(error)
            return False
        self._failures = 0
        if self._lost:
            self._lost = False
            self._post(TroubleOver("console"))
        if text is not None and text.strip()[:OWN_COMPARED] not in self._own:
            self._obey(text.strip())
        return True

    @property
    def pause_s(self) -> float:
        """How long to leave a lost line alone before the next `read`."""
        return pause_s(self._failures)

    def _obey(self, text: str) -> None:
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split()
        verb, *words = words or [""]
        if verb not in ARGUMENTS or len(words) < ARGUMENTS[verb]:
            self._write(say(self._language, "help"))
            return
        target, actor, reason = "", "", ""
        if verb == "reset":
            target, actor, reason = "" if words[0] == "all" else words[0], words[1], " ".join(words[2:])
        elif words:
            actor = words[0]
        self._count += 1
        self._post(Command(f"{CONSOLE}-{self._count}", CONSOLE, verb, target, actor, reason))

    def _write(self, text: str) -> None:
        self._own.extend(line.strip()[:OWN_COMPARED] for line in text.splitlines())
        try:
            self._line.write(f"{text}\n")
        except DeviceLost as error:
            self._lose(error)

    def _lose(self, error: DeviceLost) -> None:
        if not (self._lost or self._closed):
            self._lost = True
            self._post(Trouble("console", str(error)))
