"""The processes of the demonstration, driven by lines and answering in JSON lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

from firmware.demo.stage import RECEIVERS

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.demo.stage import Stage

READ_BYTES = 65536
STOP_S = 5.0
WORDS_MAX = 400


class PlayerLost(RuntimeError):  # noqa: N818 - an event of the play
    """A process ended before its time; the message holds its last words."""


class Player:
    """One process: orders in as lines, facts out as JSON lines, everything else into a log.

    Args:
        name: For messages.
        arguments: Of `gatebooth`.
        log: Its standard error.

    Synchronization: one thread.
    """

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self._log = log
        self._rest = b""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-m", "firmware.cli", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends its players in order
            )

    def fileno(self) -> int:
        """What to wait on."""
        return _pipe(self._process.stdout).fileno()

    def read(self) -> list[dict[str, Any]]:
        """The facts that came.

        Raises:
            PlayerLost: The process has ended.
        """
        data = os.read(self.fileno(), READ_BYTES)
        if not data:
            raise PlayerLost(self.last_words())
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = (_object(line) for line in lines)
        return [item for item in found if item is not None]

    def order(self, line: str) -> None:
        """Send a line; a process that has ended is told of by `read`."""
        try:
            os.write(_pipe(self._process.stdin).fileno(), line.encode() + b"\n")
        except OSError:
            return

    def last_words(self) -> str:
        """How the process ended."""
        code = self._process.wait(STOP_S)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        said = lines[-1][-WORDS_MAX:] if lines else "nothing"
        return f"{self.name} ended with exit code {code}; its last words: {said}"

    def close(self) -> None:
        """End the process in order, or at any rate; idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def desk(stage: Stage, name: str, port: int, *, auto_accept_s: float | None) -> Player:
    """A receiver: `gatebooth watch`."""
    arguments = ["watch", "--broker", f"127.0.0.1:{port}", "--mqtt", "3.1.1", "--json", "--control-stdin"]
    arguments += [
        "--as",
        name,
        "--key-file",
        str(stage.panel_key),
        "--receiver-key-file",
        str(stage.receiver_key(name)),
    ]
    arguments += ["--evidence", str(stage.evidence(name)), "--person", f"officer of {name}"]
    if name != RECEIVERS[0]:
        arguments.append("--no-live")
    if auto_accept_s is not None:
        arguments += ["--auto-accept", f"{auto_accept_s:g}"]
    return Player(f"the {name} desk", arguments, stage.log(name))


def panel(stage: Stage) -> Player:
    """The panel: `gatebooth run` on the simulated board."""
    arguments = ["run", "--config", str(stage.config), "--json-steps", "--control-stdin"]
    return Player("the panel", arguments, stage.log("panel"))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - asked for with PIPE
    return stream
