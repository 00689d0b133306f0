"""What the mock bench's parts do: orders to the panel's process, changes of its world, signals."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, NoReturn

from hil import processes
from hil.api import LID, PATIENCE_S, Touch
from hil.outputs import moments

if TYPE_CHECKING:
    import pathlib

    from hil.api import Change
    from hil.desk import Heard
    from hil.mock_bench.stand import MockBench

BLACK = 16


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

    def bounce(self, *, times: int, span_s: float) -> tuple[Touch, ...]:
        """Chatter, then stay pushed."""
        visits = self.touch(span_s, times=times, every_s=2 * span_s)
        self.press()
        return visits

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

    def cut(self, seed: int) -> None:
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

    def stop(self) -> None:
        """Stop in order."""
        self._supervisor.stop()

    def machine(self) -> NoReturn:
        """There is none of its own."""
        raise AssertionError("the mock bench has no machine; mark the test @needs(Can.WHOLE_MACHINE)")

    def said(self, after_s: float = 0.0) -> tuple[Heard, ...]:
        """Steps that it told."""
        with self._line.news:
            return tuple(heard for heard in self._line.said if heard.at_s >= after_s)

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
