"""The panel of the mock bench: the real application on the simulated board, in a process that a bench may kill.

`python -m hil.mock_bench.booth --config FILE --world FILE --fd N`. It differs from `gatebooth run` in what the outside
is made of: its buttons, disk and wall clock obey the bench over a socket, and it tells what its relays and its console
show. Supervision is systemd's protocol, as in the field; the bench is the other end of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from hil.mock_bench.world import World, load

from firmware import config_file, run
from firmware.adapters.media_link import OsChild
from firmware.adapters.ring_files import REAL, Disk
from firmware.app import board_spec
from hal.board import open_board
from hal.clock import SystemClock
from hal.mock.gpio_loop import MockLoop
from hal.mock.output import MockOutput
from hal.mock.serial_console import MockConsole
from hal.pi.watchdog import SystemdWatchdog
from hal.types import Instant, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TELL_S = 0.005
CONSOLE_WAIT_S = 0.2
UNDISTURBED_S = 1.0


class ShiftedClock(SystemClock):
    """The machine's clocks with a wall clock that may be elsewhere."""

    shift_s = 0.0
    told_synced = True

    def now(self) -> Instant:
        real = super().now()
        return Instant(real.mono_s, real.utc_s + self.shift_s, self.told_synced)


class FaultyDisk:
    """The real disk until it is full or dead.

    Attributes:
        state: `ok`, `full` (nothing new, nothing longer), or `eio`.
    """

    def __init__(self) -> None:
        self.state = "ok"

    def calls(self) -> Disk:
        """What the journal is given."""
        names = ("open", "pread", "pwrite", "fsync", "link", "replace")
        return dataclasses.replace(REAL, **{name: self._guard(name, getattr(REAL, name)) for name in names})

    def _guard(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.state == "eio":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if self.state == "full" and name == "pwrite" and _grows(*arguments):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        return call


class BenchChild(OsChild):
    """A media child whose devices obey the bench."""

    def __init__(self, world: pathlib.Path) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)  # noqa: FBT003 - the socket's own word
        arguments = ["--fd", str(theirs.fileno()), "--parent", str(os.getpid()), "--world", str(world)]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hil.mock_bench.media", *arguments],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )


class Booth:
    """One run of the panel.

    Synchronization: `run` on the main thread; the bench's orders on one of their own.
    """

    def __init__(self, config: pathlib.Path, world: pathlib.Path, channel: socket.socket) -> None:
        self._world = world
        self._channel = channel
        self._send = threading.Lock()
        self._stopping = threading.Event()
        self._disk = FaultyDisk()
        self._clock = ShiftedClock()
        self._watchdog = SystemdWatchdog()
        parsed = config_file.load(config)
        board = open_board(board_spec(parsed, run.work_dir(parsed.panel.state_dir)), clock=self._clock)
        self._board = dataclasses.replace(board, watchdog=self._watchdog)
        self._become(load(world))
        self._app = run.compose(
            parsed,
            self._board,
            self._clock,
            watch=run.steps(self),
            disk=self._disk.calls(),
            spawn=lambda: BenchChild(self._world),
        )

    def run(self) -> None:
        """Arm, decide until told to stop, stop; as `gatebooth run`."""
        signal.signal(signal.SIGTERM, lambda *_: self._app.inbox.close())
        self._app.arm()
        self._tell(armed=self._app.epoch, at_s=time.monotonic())
        for work in (self._obey, self._show, self._read_console):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()
        self._app.owner.run()
        self._stopping.set()
        run.stop(self._app)
        self._watchdog.close()

    def say(self, line: str) -> None:
        """Hand on a step of an alarm."""
        self._tell(said=json.loads(line))

    # ── the bench's side ───────────────────────────────────────────────────────────────────────────────────────────

    def _obey(self) -> None:
        with self._channel.makefile("r") as orders:
            for text in orders:
                order = json.loads(text)
                match order["do"]:
                    case "world":
                        self._become(load(self._world))
                    case "touch":
                        self._touch(order["loop"], [(group[0], group[1]) for group in order["visits"]])
                    case "type":
                        self._console().type(order["text"])
                self._tell(done=order["number"], at_s=time.monotonic())
        self._app.inbox.close()  # the bench is gone, and no panel outlives it

    def _become(self, world: World) -> None:
        self._clock.shift_s, self._clock.told_synced = world.clock_shift_s, world.synced
        self._disk.state = world.disk
        for name, loop in self._loops():
            state = LoopState(world.loops.get(name, "normal"))
            if name in world.lost_inputs:
                loop.lose()
                loop._state = state  # the finger moves, whoever looks
            else:
                loop.find()
                loop.set(state)

    def _touch(self, name: str, visits: list[tuple[float, float]]) -> None:
        """Push and let go, `(seconds from now, how long)` each; edges bear the time that they were meant for.

        A visit is delivered when it is over, as by a driver's thread that wakes late: so the interference that a test
        plays lasts exactly as long as it says on any machine.
        """
        loop = dict(self._loops())[name]
        start_s = time.monotonic()
        for after_s, span_s in visits:
            time.sleep(max(0.0, start_s + after_s + span_s - time.monotonic()))
            sys.setswitchinterval(UNDISTURBED_S)  # else the owner may decide between the two, on a busy machine
            loop._change(LoopState.ALARM, start_s + after_s)
            loop._change(LoopState.NORMAL, start_s + after_s + span_s)
            sys.setswitchinterval(run.SWITCH_S)

    def _show(self) -> None:
        """Tell the bench what changed at relays, lamps and console."""
        told = dict.fromkeys(self._board.outputs, 0)
        written = 0
        while True:
            for name, output in self._board.outputs.items():
                assert isinstance(output, MockOutput)
                for at_s, on in output.journal[told[name] :]:
                    told[name] += 1
                    self._tell(output=name, at_s=at_s, on=on)
            if self._board.console is not None:
                text = self._console().written
                if len(text) > written:
                    self._tell(console=text[written:])
                    written = len(text)
            time.sleep(TELL_S)

    def _read_console(self) -> None:
        console = self._app.console
        while console is not None and not self._stopping.is_set():
            console.read(CONSOLE_WAIT_S)

    def _loops(self) -> Iterator[tuple[str, MockLoop]]:
        for name, loop in self._board.loops.items():
            assert isinstance(loop, MockLoop)
            yield name, loop

    def _console(self) -> MockConsole:
        assert isinstance(self._board.console, MockConsole)
        return self._board.console

    def _tell(self, **words: Any) -> None:
        with self._send:
            try:
                self._channel.sendall(json.dumps(words).encode() + b"\n")
            except OSError:
                os._exit(1)


def _grows(fd: int, data: bytes, offset: int) -> bool:
    return offset + len(data) > os.fstat(fd).st_size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=pathlib.Path, required=True)
    parser.add_argument("--world", type=pathlib.Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.setswitchinterval(run.SWITCH_S)
    Booth(arguments.config, arguments.world, socket.socket(fileno=arguments.fd)).run()


if __name__ == "__main__":
    main()
