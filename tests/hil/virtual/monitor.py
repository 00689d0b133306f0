"""QEMU's two control sockets: QMP for the machine with its events, qtest for the lines of the pin controller."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER_S: Final = 60.0
CONNECT_S: Final = 20.0


class MachineGoneError(RuntimeError):
    """QEMU ended, or answers no more."""


def connect(path: Path, alive: Callable[[], bool]) -> socket.socket:
    """A connection to a socket that a starting QEMU makes.

    Raises:
        MachineGoneError: It ended before, or did not make it in time.
    """
    deadline, pause = time.monotonic() + CONNECT_S, threading.Event()
    while True:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            made.close()
            if not alive() or time.monotonic() > deadline:
                raise MachineGoneError(f"QEMU did not open {path.name}; its own words are in qemu.log") from None
            pause.wait(0.005)
        else:
            return made


@dataclass(frozen=True, slots=True)
class Event:
    """What QEMU tells unasked, with the test machine's monotonic time."""

    at_s: float
    name: str
    data: dict[str, Any]


class Monitor:
    """QMP.

    Args:
        line: Connected.

    Synchronization: orders from one thread; events are kept by a thread of its own.
    """

    def __init__(self, line: socket.socket) -> None:
        self.on_event: Callable[[Event], None] = lambda _event: None
        """Called on the reader's thread; must not order anything."""
        self._line = line
        self._events: list[Event] = []
        self._answers: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._gone = False
        self._reader = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._reader.start()
        self.order("qmp_capabilities")

    @property
    def events(self) -> list[Event]:
        """Everything told so far."""
        with self._news:
            return list(self._events)

    def order(self, name: str, /, **arguments: Any) -> Any:
        """One command and its answer.

        Raises:
            MachineGoneError: QEMU ended, or did not answer.
            RuntimeError: It refused.
        """
        words = {"execute": name, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        with self._news:
            self._answers.clear()
        try:
            self._line.sendall(json.dumps(words).encode())
        except OSError as error:
            raise MachineGoneError(f"QEMU is gone: {error}") from error
        with self._news:
            self._news.wait_for(lambda: self._answers or self._gone, ANSWER_S)
            if not self._answers:
                raise MachineGoneError(f"QEMU did not answer {name}")
            answer = self._answers.pop()
        if "error" in answer:
            raise RuntimeError(f"QEMU refuses {words}: {answer['error']['desc']}")
        return answer["return"]

    def wait(self, name: str, after_s: float = 0.0, timeout_s: float = ANSWER_S) -> Event:
        """Await an event.

        Raises:
            AssertionError: It did not come in time.
        """

        def found() -> list[Event]:
            return [event for event in self._events if event.name == name and event.at_s >= after_s]

        with self._news:
            came = self._news.wait_for(found, timeout_s)
            assert came, f"QEMU told no {name} within {timeout_s} s; it told {[event.name for event in self._events]}"
            return found()[0]

    def text(self) -> str:
        """The events, for a failing test."""
        return "\n".join(f"{event.at_s:.3f} {event.name} {json.dumps(event.data)}" for event in self.events)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._line.makefile("rb") as lines:
            for line in lines:
                self._take(json.loads(line))
        with self._news:
            self._gone = True
            self._news.notify_all()

    def _take(self, told: dict[str, Any]) -> None:
        if "event" in told:
            event = Event(time.monotonic(), told["event"], told.get("data", {}))
            with self._news:
                self._events.append(event)
                self._news.notify_all()
            self.on_event(event)
        elif "QMP" not in told:
            with self._news:
                self._answers.append(told)
                self._news.notify_all()


class PinLines:
    """The eight lines of the PL061 by qtest, which works beside the running machine.

    Args:
        line: Connected.
        controller: The device's place in QEMU's tree of objects.
        changed: Called with line and level for every edge of an output, on the reader's thread.

    Synchronization: any thread.
    """

    def __init__(self, line: socket.socket, controller: str, changed: Callable[[int, bool, float], None]) -> None:
        self._line = line
        self._controller = controller
        self._changed = changed
        self._done = threading.Semaphore(0)
        self._turn = threading.Lock()
        threading.Thread(target=self._read, name="qtest", daemon=True).start()
        self._order(f"irq_intercept_out {controller}")

    def drive(self, line: int, *, high: bool) -> float:
        """Bring an input to a level; the moment before which nobody can have seen it."""
        at_s = time.monotonic()
        self._order(f"set_irq_in {self._controller} unnamed-gpio-in {line} {int(high)}")
        return at_s

    def _order(self, text: str) -> None:
        with self._turn:
            try:
                self._line.sendall(text.encode() + b"\n")
            except OSError as error:
                raise MachineGoneError(f"QEMU is gone: {error}") from error
            if not self._done.acquire(timeout=ANSWER_S):
                raise MachineGoneError(f"QEMU did not do {text}")

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._line.makefile("r") as lines:
            for text in lines:
                if edge := re.match(r"IRQ (raise|lower) (\d+)", text):
                    self._changed(int(edge[2]), edge[1] == "raise", time.monotonic())
                elif text.startswith("OK"):
                    self._done.release()


def pin_controller(monitor: Monitor) -> str:
    """Where the machine has its PL061."""
    parts = monitor.order("qom-list", path="/machine/unattached")
    return "/machine/unattached/" + next(part["name"] for part in parts if part["type"] == "child<pl061>")
