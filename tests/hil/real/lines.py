"""Serial lines of the table, read all the time: the technician's cable, the panel's own words, the sense box."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING

from hil.api import PATIENCE_S, Change
from hil.desk import Heard
from hil.outputs import moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.real.parts import Serial

READ_S = 0.2
ANSWER_S = 5.0
"""The sense box answers within milliseconds."""


class Reader:
    """Hands on every line of a serial line, with the time at which it was whole.

    Attributes:
        lost: Why it reads no more, or "".

    Synchronization: `take` is called on a thread of the reader's own.
    """

    def __init__(self, serial: Serial, take: Callable[[float, str], None]) -> None:
        self.lost = ""
        self._serial = serial
        self._take = take
        self._closing = threading.Event()
        serial.forget()
        self._thread = threading.Thread(target=self._run, name="serial line", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._closing.set()
        self._thread.join(10 * READ_S)

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - the outermost frame: whoever waits for a line says why none came
            self.lost = repr(error)

    def _read(self) -> None:
        rest = b""
        while not self._closing.is_set():
            rest += self._serial.read(READ_S)
            *lines, rest = rest.replace(b"\r", b"").split(b"\n")
            now_s = time.monotonic()
            for line in lines:
                self._take(now_s, line.decode("utf-8", "replace"))


class SenseBox:
    """Levels at the loads: lines `INPUT LEVEL`, one for every change and all of them when it is asked `?`.

    Synchronization: any thread.
    """

    def __init__(self, serial: Serial, inputs: dict[str, int]) -> None:
        self.news = threading.Condition()
        self._serial = serial
        self._names = {number: name for name, number in inputs.items()}
        self._changes: dict[str, list[Change]] = {name: [] for name in inputs}
        self._told = dict.fromkeys(inputs, 0)
        self._reader = Reader(serial, self._take)

    def ask(self, timeout_s: float = ANSWER_S) -> None:
        """Return when it has told every level anew; whatever changed before is known then.

        Raises:
            AssertionError: It is silent, and a silent box proves nothing about an output.
        """
        with self.news:
            before = dict(self._told)

            def silent() -> list[str]:
                return [name for name, count in self._told.items() if count == before[name]]

            self._serial.write(b"?\n")
            answered = self.news.wait_for(lambda: not silent(), timeout_s)
            assert answered, f"the sense box says nothing of {silent()} within {timeout_s} s {self._reader.lost}"

    def changes(self, name: str) -> list[Change]:
        """Every change of an output that it has told, oldest first."""
        with self.news:
            return list(self._changes[name])

    def close(self) -> None:
        """Listen no more."""
        self._reader.close()

    def _take(self, at_s: float, line: str) -> None:
        with contextlib.suppress(ValueError, KeyError):
            number, level = map(int, line.split())
            name = self._names[number]
            changes = self._changes[name]
            with self.news:
                self._told[name] += 1
                if (changes[-1].on if changes else False) != bool(level):
                    changes.append(Change(at_s, bool(level)))
                self.news.notify_all()


class RealOutput:
    """See `hil.api.Output`."""

    def __init__(self, box: SenseBox, name: str) -> None:
        self._box = box
        self._name = name

    def read(self) -> bool:
        """Whether it is on now."""
        self._box.ask()
        changes = self._box.changes(self._name)
        return bool(changes) and changes[-1].on

    def wait(self, *, on: bool, after_s: float = 0.0, timeout_s: float = PATIENCE_S) -> float:
        """Await a state."""

        def found() -> list[float]:
            return moments(self._box.changes(self._name), after_s, on=on)

        with self._box.news:
            came = self._box.news.wait_for(found, timeout_s)
        assert came, f"{self._name} was not {'on' if on else 'off'} within {timeout_s} s: {self.history()[-8:]}"
        return found()[0]

    def history(self, since_s: float = 0.0) -> tuple[Change, ...]:
        """Every change, up to now: the box has said so."""
        self._box.ask()
        return tuple(change for change in self._box.changes(self._name) if change.at_s >= since_s)


class RealConsole:
    """See `hil.api.Console`."""

    def __init__(self, serial: Serial) -> None:
        self.written: list[str] = []
        self._serial = serial
        self._news = threading.Condition()
        self._since = 0
        self._reader = Reader(serial, self._take)

    def type(self, text: str) -> None:
        """Type a line."""
        self._since = len(self.written)
        self._serial.write(f"{text}\r".encode())

    def expect(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Await a text."""

        def found() -> list[str]:
            return [line for line in self.written[self._since :] if text in line]

        with self._news:
            assert self._news.wait_for(found, timeout_s), (
                f"{text!r} is not on the console: {self.written[self._since :]} {self._reader.lost}"
            )
            return found()[0]

    def close(self) -> None:
        """Hang up."""
        self._reader.close()

    def _take(self, _at_s: float, line: str) -> None:
        with self._news:
            self.written.append(line)
            self._news.notify_all()


class Steps:
    """The panel's own words, up to the moment of a power cut.

    Synchronization: any thread.
    """

    def __init__(self, serial: Serial) -> None:
        self._said: list[Heard] = []
        self._reader = Reader(serial, self._take)

    def said(self) -> tuple[Heard, ...]:
        """Every word so far.

        Raises:
            AssertionError: The cable is gone, and what the panel said since then is not known.
        """
        assert not self._reader.lost, f"the cable that carries the panel's words: {self._reader.lost}"
        return tuple(self._said)

    def close(self) -> None:
        """Listen no more."""
        self._reader.close()

    def _take(self, at_s: float, line: str) -> None:
        with contextlib.suppress(ValueError):  # a line that the power cut off
            self._said.append(Heard(at_s, json.loads(line)))
