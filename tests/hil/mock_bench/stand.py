"""The mock bench: the real application on the simulated board, real broker, real files, real signals, real time.

What it proves: everything above the kernel's drivers. Its power cut is a SIGKILL of all the panel's processes: what the
panel had handed to the operating system survives, so it proves that nothing lives in memory alone, and nothing about
flushing; `tests/proof` and the virtual board's honest disk do that.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from hil.api import PATIENCE_S, Can, Change
from hil.desk import Heard
from hil.mock_bench.parts import (
    MockButton,
    MockCamera,
    MockClock,
    MockConsole,
    MockDisk,
    MockMicrophone,
    MockOutput,
    MockPanel,
    MockPower,
)
from hil.mock_bench.supervisor import Supervisor
from hil.mock_bench.world import WorldFile
from hil.panel_file import OUTPUTS, Wiring, buttons, panel_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil.api import Setup
    from hil.house import House

TESTS = pathlib.Path(__file__).parents[2]
LOOP_PINS = (17, 27, 22, 5, 6, 13, 19, 26, 16, 20, 21, 12)
OUTPUT_PINS = dict(zip(OUTPUTS, (23, 24, 25, 4, 18), strict=True))


class MockStand:
    """Builds nothing: every test starts a process."""

    name = "mock"
    can = frozenset(
        {
            *(Can.OUTPUTS, Can.SHORT_TOUCHES, Can.FOUR_STATES, Can.TEN_ZONES, Can.INPUT_LOSS, Can.CONSOLE),
            *(Can.MICROPHONE, Can.MICROPHONE_UNPLUG, Can.CAMERA, Can.CAMERA_PICTURE, Can.CAMERA_DISCONNECT),
            *(Can.CAMERA_DROP, Can.CAMERA_STREAM_ERROR, Can.CAMERA_FREEZE, Can.LINK, Can.POWER, Can.STEPS),
            *(Can.KILL, Can.SUPERVISOR, Can.CLOCK, Can.TLS, Can.DISK_FULL, Can.DISK_ERROR),
        }
    )
    image = f"python {platform.python_version()} {platform.machine()}"
    image_mib = None

    @contextlib.contextmanager
    def open(self, house: House, folder: pathlib.Path, setup: Setup) -> Iterator[MockBench]:
        """A panel, off."""
        bench = MockBench(house, folder, setup)
        try:
            yield bench
        finally:
            bench.close()

    def close(self) -> None:
        """Nothing is left."""


class MockBench:
    """One panel; see `hil.api.Bench`."""

    name = "mock"

    def __init__(self, house: House, folder: pathlib.Path, setup: Setup) -> None:
        self.setup, self.house = setup, house
        self.buttons = buttons(setup, len(LOOP_PINS))
        self.link = house.link
        self._log = folder / "panel.log"
        self._config = folder / "panel.toml"
        state, keys = str(folder / "state"), str(house.keys)
        wiring = Wiring("mock", keys, state, "127.0.0.1", house.port, LOOP_PINS, OUTPUT_PINS)
        self._config.write_text(panel_toml(setup, wiring))
        self.world = WorldFile(folder / "world.json")
        self.line = Line()
        self.supervisor = Supervisor(self._spawn)
        self.power = MockPower(self)
        self.panel = MockPanel(self)
        self.clock = MockClock(self)
        self.disk = MockDisk(self)
        self.camera = MockCamera(self, folder)
        self.microphone = MockMicrophone(self)
        self.console = MockConsole(self)
        self._outputs = {name: MockOutput(self, name) for name in OUTPUTS}

    @property
    def loudspeaker(self) -> NoReturn:
        """The panel plays nothing yet."""
        raise AssertionError("the mock bench has no loudspeaker; mark the test @needs(Can.LOUDSPEAKER)")

    def begin(self) -> None:
        """Switch on."""
        self.power.on()
        self.panel.wait_armed()

    def button(self, name: str = "booth-button") -> MockButton:
        """A loop."""
        return MockButton(self, name)

    def output(self, name: str) -> MockOutput:
        """A relay or lamp."""
        return self._outputs[name]

    def change(self, **fields: Any) -> float:
        """Let the world be otherwise, and the panel see it; the moment."""
        self.world.change(**fields)
        return self.line.order(do="world")

    def attachments(self) -> Mapping[str, str]:
        """The panel's log, its configuration, and what its outputs did."""
        outputs = "\n".join(
            f"{change.at_s:.3f} {name} {'on' if change.on else 'off'}"
            for name, output in self._outputs.items()
            for change in output.history()
        )
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        return {"panel.log": log, "panel.toml": self._config.read_text(), "outputs.txt": outputs}

    def close(self) -> None:
        """End the panel."""
        self.supervisor.close()
        self.line.close()

    def _spawn(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        theirs = self.line.fresh()
        arguments = ["--config", str(self._config), "--world", str(self.world.path), "--fd", str(theirs.fileno())]
        path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
        with theirs, self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "hil.mock_bench.booth", *arguments],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path, **environment},
                start_new_session=True,
            )


class Line:
    """The bench's end of the line to the panel's process, which comes and goes.

    Synchronization: orders from one thread; `fresh` from the supervisor's.
    """

    def __init__(self) -> None:
        self.changes: dict[str, list[Change]] = {name: [] for name in OUTPUTS}
        self.written = ""
        self.said: list[Heard] = []
        self.news = threading.Condition()
        self._socket: socket.socket | None = None
        self._number = 0
        self._done: dict[int, float] = {}
        self._alive = False

    def fresh(self) -> socket.socket:
        """The other end, for a new process."""
        ours, theirs = socket.socketpair()
        with self.news:
            self._socket = ours
            self._alive = True
        threading.Thread(target=self._read, args=(ours,), daemon=True).start()
        return theirs

    def order(self, **words: Any) -> float:
        """Have the panel's process do something, and return when it has; the moment, or now when it is dead."""
        with self.news:
            self._number += 1
            number, line = self._number, self._socket
            if not self._alive or line is None:
                return time.monotonic()
            try:
                line.sendall(json.dumps({"number": number, **words}).encode() + b"\n")
            except OSError:
                return time.monotonic()
            gone = self.news.wait_for(lambda: number in self._done or self._socket is not line, PATIENCE_S)
            assert gone, f"the panel's process did not take {words}"
            return self._done.get(number, time.monotonic())

    def close(self) -> None:
        """Hang up."""
        with self.news:
            if self._socket is not None:
                self._socket.close()

    def _read(self, ours: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), ours.makefile("r") as lines:
            for text in lines:
                self._take(json.loads(text))
        with self.news:
            if self._socket is ours:
                self._alive, self._socket = False, None
                now_s = time.monotonic()
                for changes in self.changes.values():  # relays fall with the process that held their lines
                    if changes and changes[-1].on:
                        changes.append(Change(now_s, on=False))
            self.news.notify_all()

    def _take(self, told: dict[str, Any]) -> None:
        with self.news:
            match told:
                case {"output": str(name), "at_s": float(at_s), "on": bool(on)}:
                    self.changes[name].append(Change(at_s, on))
                case {"console": str(text)}:
                    self.written += text
                case {"said": dict(step)}:
                    self.said.append(Heard(time.monotonic(), step))
                case {"done": int(number), "at_s": float(at_s)}:
                    self._done[number] = at_s
            self.news.notify_all()


def make_stand(_config: object) -> MockStand:
    """The mock bench needs nothing."""
    return MockStand()
