"""The host's end of the hand inside (`guest/opt/bench/hand.py`)."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from hil.virtual.monitor import MachineGoneError

if TYPE_CHECKING:
    import socket

LIMIT_S: Final = 60.0
MARGIN_S: Final = 10.0


class RefusedError(RuntimeError):
    """A line of the shell failed inside; the message holds what it said."""


class Hand:
    """Orders to the inside of the virtual board.

    Synchronization: any thread.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._hellos: list[float] = []
        self._news = threading.Condition()
        self._gone = False
        threading.Thread(target=self._read, name="hand", daemon=True).start()

    def wait_hello(self, after_s: float, timeout_s: float) -> float:
        """Await that a start of the system has brought the hand up; the moment.

        Raises:
            MachineGoneError: It did not.
        """

        def found() -> list[float]:
            return [at_s for at_s in self._hellos if at_s > after_s]

        with self._news:
            if not self._news.wait_for(found, timeout_s):
                raise MachineGoneError(f"no hand inside the virtual board within {timeout_s} s")
            return found()[0]

    def run(self, line: str, limit_s: float = LIMIT_S, margin_s: float = MARGIN_S) -> str:
        """Run a line of the shell as root; what it printed.

        Args:
            line: For /bin/sh.
            limit_s: How long it may run.
            margin_s: For its answer to come out, beyond that.

        Raises:
            MachineGoneError: No answer came.
            RefusedError: It failed.
        """
        done = self._order({"run": line, "limit_s": limit_s}, limit_s + margin_s)
        if done["status"]:
            raise RefusedError(
                f"{line!r} inside the virtual board: status {done['status']}: {done['err'].strip()[-1000:]}"
            )
        return base64.b64decode(done["out"]).decode("utf-8", "replace")

    def leave(self, line: str) -> None:
        """Start a line of the shell and leave it running."""
        self._order({"run": line, "leave": True}, LIMIT_S)

    def shout(self, line: str) -> float:
        """Start a line after which nobody may be there to answer; the moment."""
        at_s = time.monotonic()
        self._send({"id": 0, "run": line, "leave": True})
        return at_s

    def put(self, path: str, data: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Write a file inside."""
        packed = base64.b64encode(data).decode()
        done = self._order({"put": path, "data": packed, "mode": mode, "owner": owner}, LIMIT_S)
        if done["status"]:
            raise RefusedError(f"{path} inside the virtual board: {done['err']}")

    def get(self, path: str) -> bytes:
        """Read a file inside."""
        done = self._order({"run": f"cat {path}", "limit_s": LIMIT_S}, LIMIT_S + MARGIN_S)
        if done["status"]:
            raise RefusedError(f"{path} inside the virtual board: {done['err']}")
        return base64.b64decode(done["out"])

    def _order(self, words: dict[str, Any], limit_s: float) -> dict[str, Any]:
        with self._news:
            self._number += 1
            number = self._number
        self._send({"id": number, **words})
        with self._news:
            self._news.wait_for(lambda: number in self._answers or self._gone, limit_s)
            if number not in self._answers:
                raise MachineGoneError(f"the virtual board did not answer {words.get('run') or words.get('put')!r}")
            return self._answers.pop(number)

    def _send(self, words: dict[str, Any]) -> None:
        try:
            self._line.sendall(json.dumps(words).encode() + b"\n")
        except OSError as error:
            raise MachineGoneError(f"the virtual board is off: {error}") from error

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._line.makefile("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # a reset may cut a line in two
                    self._take(json.loads(line))
        with self._news:
            self._gone = True
            self._news.notify_all()

    def _take(self, told: dict[str, Any]) -> None:
        with self._news:
            if "hello" in told:
                self._hellos.append(time.monotonic())
            else:
                self._answers[told["id"]] = told
            self._news.notify_all()
