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
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from hil import processes
from hil.api import LID, PATIENCE_S, Can, Change, Touch
from hil.desk import Heard
from hil.mock_bench.supervisor import Supervisor
from hil.mock_bench.world import WorldFile
from hil.outputs import moments
from hil.panel_file import OUTPUTS, Wiring, buttons, panel_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil.api import Setup
    from hil.house import House

TESTS = pathlib.Path(__file__).parents[2]
LOOP_PINS = (17, 27, 22, 5, 6, 13, 19, 26, 16, 20, 21, 12)
OUTPUT_PINS = dict(zip(OUTPUTS, (23, 24, 25, 4, 18), strict=True))
BLACK = 16


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

    @contextlib.contextmanager
    def open(self, house: House, folder: pathlib.Path, setup: Setup) -> Iterator[MockBench]:
        """A panel, armed."""
        bench = MockBench(house, folder, setup)
        try:
            bench.power.on()
            bench.panel.wait_armed()
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


class MockButton:
    """See `hil.api.Button`."""

    def __init__(self, bench: MockBench, name: str) -> None:
        self._bench = bench
        self._name = name

    def press(self) -> float:
        """Push and hold."""
        return self._set("alarm")

    def release(self) -> float:
        """Let go."""
        return self._set("normal")

    def touch(self, span_s: float, *, times: int = 1, every_s: float = 0.2) -> tuple[Touch, ...]:
        """Push for so long, so many times."""
        visits = [(number * every_s, span_s) for number in range(times)]
        began_s = time.monotonic()
        self._bench.line.order(do="touch", loop=self._name, visits=visits)
        return tuple(Touch(began_s + after_s, span) for after_s, span in visits)

    def bounce(self, *, times: int, span_s: float) -> float:
        """Chatter, then stay pushed."""
        first = self.touch(span_s, times=times, every_s=2 * span_s)[0]
        self.press()
        return first.at_s

    def cut(self) -> float:
        """Cut the wire; the lid has no resistor at its end, so that a cut looks as its alarm does."""
        return self._set("alarm" if self._name == LID else "open")

    def short(self) -> float:
        """Join the wires."""
        return self._set("normal" if self._name == LID else "short")

    def mend(self) -> float:
        """Make the wires whole."""
        return self._set("normal")

    def lose(self) -> None:
        """Take the driver away."""
        self._bench.change(lost_inputs=(*self._bench.world.now.lost_inputs, self._name))

    def find(self) -> None:
        """Give it back."""
        self._bench.change(lost_inputs=tuple(name for name in self._bench.world.now.lost_inputs if name != self._name))

    def _set(self, state: str) -> float:
        return self._bench.change(loops={**self._bench.world.now.loops, self._name: state})


class MockOutput:
    """See `hil.api.Output`; times are the panel's own, from the same clock."""

    def __init__(self, bench: MockBench, name: str) -> None:
        self._line = bench.line
        self._name = name

    def read(self) -> bool:
        """Whether it is on now."""
        changes = self.history()
        return bool(changes) and changes[-1].on

    def wait(self, *, on: bool, after_s: float = 0.0, timeout_s: float = PATIENCE_S) -> float:
        """Await a state."""

        def found() -> list[float]:
            return moments(self._line.changes[self._name], after_s, on=on)

        with self._line.news:
            came = self._line.news.wait_for(found, timeout_s)
            assert came, f"{self._name} was not {'on' if on else 'off'} within {timeout_s} s: {self.history()[-8:]}"
            return found()[0]

    def history(self, since_s: float = 0.0) -> tuple[Change, ...]:
        """Every change."""
        with self._line.news:
            return tuple(change for change in self._line.changes[self._name] if change.at_s >= since_s)


class MockMicrophone:
    """See `hil.api.Microphone`. Card numbers mean nothing here: the device is found by name, as in the field."""

    def __init__(self, bench: MockBench) -> None:
        self._world = bench.world

    def play(self, wav: pathlib.Path) -> None:
        """Play a WAV file."""
        self._world.change(microphone_wav=str(wav))

    def unplug(self) -> None:
        """Take it off the bus."""
        self._world.change(microphone_lost=True)

    def replug(self) -> None:
        """Plug it in again."""
        self._world.change(microphone_lost=False)


class MockCamera:
    """See `hil.api.Camera`."""

    def __init__(self, bench: MockBench, folder: pathlib.Path) -> None:
        self._world = bench.world
        self._folder = folder

    def show(self, luma: bytes, width: int, height: int) -> None:
        """Show a grey picture."""
        path = self._folder / f"picture-{time.monotonic_ns()}"
        path.write_bytes(luma)
        self._world.change(camera=f"{path} {width} {height}")

    def black(self) -> None:
        """Cover the lens."""
        self.show(bytes([BLACK]) * (320 * 180), 320, 180)

    def stand_still(self) -> None:
        """Send one picture for ever."""
        self._world.change(camera="still")

    def freeze(self) -> None:
        """Send nothing more."""
        self._world.change(camera="frozen")

    def disconnect(self) -> None:
        """Vanish."""
        self._world.change(camera="lost")

    def drop(self, percent: int) -> None:
        """Lose buffers."""
        self._world.change(camera_drop=percent)

    def stream_error(self) -> None:
        """Fail once."""
        self._world.change(camera_errors=self._world.now.camera_errors + 1)

    def well(self) -> None:
        """Be as at the start."""
        self._world.change(camera="well", camera_drop=0)


class MockConsole:
    """See `hil.api.Console`."""

    def __init__(self, bench: MockBench) -> None:
        self._line = bench.line
        self._read = 0

    def type(self, text: str) -> None:
        """Type a line."""
        self._read = len(self._line.written)
        self._line.order(do="type", text=text)

    def expect(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Await a text."""
        with self._line.news:
            came = self._line.news.wait_for(lambda: text in self._line.written[self._read :], timeout_s)
            written = self._line.written[self._read :]
            assert came, f"{text!r} is not on the console within {timeout_s} s:\n{written}"
            return next(line for line in written.splitlines() if text in line)


class MockPower:
    """See `hil.api.Power`."""

    def __init__(self, bench: MockBench) -> None:
        self._bench = bench

    def cut(self) -> None:
        """SIGKILL for everything."""
        self._bench.supervisor.cut()

    def on(self) -> float:
        """Start."""
        return self._bench.supervisor.start()


class MockPanel:
    """See `hil.api.Panel`."""

    def __init__(self, bench: MockBench) -> None:
        self._supervisor = bench.supervisor
        self._line = bench.line

    def wait_armed(self, timeout_s: float = PATIENCE_S, *, after_s: float = 0.0) -> float:
        """Await READY."""
        return self._supervisor.wait_armed(after_s, timeout_s)

    def kill(self) -> float:
        """SIGKILL."""
        return self._signal(signal.SIGKILL)

    def hang(self) -> float:
        """SIGSTOP."""
        return self._signal(signal.SIGSTOP)

    def restart(self) -> None:
        """Stop and start."""
        self._supervisor.stop()
        self.wait_armed(after_s=self._supervisor.start())

    def said(self) -> tuple[Heard, ...]:
        """Every step that it told."""
        with self._line.news:
            return tuple(self._line.said)

    def bites(self) -> int:
        """How often the supervisor ended it."""
        return self._supervisor.bites

    def crash_kernel(self) -> NoReturn:
        """There is none."""
        raise AssertionError("the mock bench has no kernel; mark the test @needs(Can.KERNEL_PANIC)")

    def freeze_machine(self) -> NoReturn:
        """There is none."""
        raise AssertionError("the mock bench has no machine; mark the test @needs(Can.HARDWARE_WATCHDOG)")

    def memory_mib(self) -> float:
        """Of the process and its media child."""
        return processes.memory_mib(self._supervisor.pid)

    def cpu_s(self) -> float:
        """Of the process and its media child."""
        return processes.cpu_s(self._supervisor.pid)

    def _signal(self, number: int) -> float:
        at_s = time.monotonic()
        os.kill(self._supervisor.pid, number)
        return at_s


class MockClock:
    """See `hil.api.WallClock`."""

    def __init__(self, bench: MockBench) -> None:
        self._bench = bench

    def set(self, utc_s: float, *, synced: bool = True) -> None:
        """Step it."""
        self._bench.change(clock_shift_s=utc_s - time.time(), synced=synced)


class MockDisk:
    """See `hil.api.Disk`."""

    def __init__(self, bench: MockBench) -> None:
        self._bench = bench

    def fill(self) -> None:
        """ENOSPC for all that grows."""
        self._bench.change(disk="full")

    def fail(self) -> None:
        """EIO for everything."""
        self._bench.change(disk="eio")

    def mend(self) -> None:
        """Be sound."""
        self._bench.change(disk="ok")


def make_stand(_config: object) -> MockStand:
    """The mock bench needs nothing."""
    return MockStand()
