"""The host's end of the forgetful disk."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Final

from hil.virtual.monitor import MachineGoneError

PLUGIN: Final = Path(__file__).with_name("forgetful_disk.py")
START_S: Final = 20.0
WAYS: Final = ("drop", "keep some", "tear")
"""What may become of writes that no flush has followed."""


class ForgetfulDisk:
    """One nbdkit for one test; it outlives the machine that uses it.

    Args:
        base: The image; read only.
        folder: For socket, orders and log.
        layer: What an earlier disk has dumped.
        dump: Where `close` writes what is durable.

    Synchronization: one thread.
    """

    def __init__(self, base: Path, folder: Path, *, layer: Path | None = None, dump: Path | None = None) -> None:
        self.socket = folder / "disk.sock"
        self._orders = folder / "disk.json"
        self._now: dict[str, Any] = {"cut": 0}
        self._write()
        arguments = [f"base={base}", f"orders={self._orders}"]
        arguments += [f"layer={layer}"] if layer else []
        arguments += [f"dump={dump}"] if dump else []
        with (folder / "disk.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program(), "--foreground", "--exit-with-parent", "--unix", self.socket, "python", PLUGIN, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=_plain_environment(),
            )
        deadline, pause = time.monotonic() + START_S, threading.Event()
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise MachineGoneError(f"nbdkit does not start: {(folder / 'disk.log').read_text()}")
            pause.wait(0.005)

    def lose_power(self, how: str, seed: int) -> None:
        """Forget; to be called when the machine is off.

        Args:
            how: One of `WAYS`.
            seed: For what is left to chance.
        """
        self._now |= {"cut": self._now["cut"] + 1, "how": how, "seed": seed}
        self._write()

    def fail(self, places: list[tuple[int, int]]) -> None:
        """Answer EIO to whatever touches these bytes, from and to."""
        self._now["bad"] = places
        self._write()

    def slow(self, seconds: float) -> None:
        """Take so long for every request."""
        self._now["slow_s"] = seconds
        self._write()

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self) -> None:
        fresh = self._orders.with_suffix(".new")
        fresh.write_text(json.dumps(self._now))
        fresh.rename(self._orders)


def program() -> str:
    """nbdkit, which Debian keeps out of a plain user's path."""
    return shutil.which("nbdkit") or shutil.which("nbdkit", path="/usr/sbin:/sbin") or "nbdkit"


def has_python_plugin() -> bool:
    """Whether nbdkit can run the disk."""
    asked = subprocess.run([program(), "--dump-plugin", "python"], capture_output=True, check=False)
    return asked.returncode == 0


def _plain_environment() -> dict[str, str]:
    # The plugin runs in the Python that nbdkit was built with: another one's settings would only confuse it.
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
