"""systemd for one process: starts it, hears its notifications, ends it when it pets no more, starts it again."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RESTART_S = 1.0
"""`RestartSec` of deploy/gatebooth.service."""
WATCHDOG_S = 10.0
"""`WatchdogSec` of the same file."""
LOOK_S = 0.05
STOP_S = 15.0


class Supervisor:
    """`Type=notify`, `Restart=always`, `WatchdogSec`, `WatchdogSignal=SIGKILL`.

    Args:
        spawn: Starts the process in a session of its own, with this environment on top of its own.

    Attributes:
        bites: How often a process was ended because it did not pet.
        armed_s: Monotonic time of each READY.

    Synchronization: public methods from one thread.
    """

    def __init__(self, spawn: Callable[[dict[str, str]], subprocess.Popen[bytes]]) -> None:
        self.bites = 0
        self.armed_s: list[float] = []
        self._spawn = spawn
        self._news = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._heard_s = 0.0
        self._ready = False
        self._closing = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = f"@gatebooth-bench-{secrets.token_hex(8)}"
        self._socket.bind("\0" + self._address[1:])
        self._socket.settimeout(LOOK_S)
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process that lives now."""
        with self._news:
            assert self._process is not None, "the panel does not run"
            return self._process.pid

    def start(self) -> float:
        """Have it run from now on; the moment."""
        with self._news:
            self._wanted = True
            began_s = time.monotonic()
            if self._process is None:
                self._begin()
            return began_s

    def wait_armed(self, after_s: float, timeout_s: float) -> float:
        """Await a READY that came after a moment."""

        def armed() -> list[float]:
            return [at_s for at_s in self.armed_s if at_s > after_s]

        with self._news:
            assert self._news.wait_for(armed, timeout_s), f"the panel was not armed within {timeout_s} s"
            return armed()[0]

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def cut(self) -> None:
        """End all of its processes at once, and start it no more."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop supervising."""
        self.stop()
        self._closing = True
        self._thread.join()
        self._socket.close()

    def _end(self, number: int) -> None:
        with self._news:
            self._wanted = False
            process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
            os.kill(process.pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        self._bury(process)

    def _begin(self) -> None:
        self._ready, self._heard_s = False, time.monotonic()
        self._process = self._spawn({"NOTIFY_SOCKET": self._address})

    def _run(self) -> None:
        gone_s: float | None = None
        while not self._closing:
            self._hear()
            with self._news:
                process = self._process
                if process is None:
                    gone_s = None
                elif process.poll() is not None:
                    gone_s = gone_s or time.monotonic()
                    if time.monotonic() - gone_s >= RESTART_S:
                        self._bury(process)
                        gone_s = None
                        self._begin()
                elif self._ready and time.monotonic() - self._heard_s > WATCHDOG_S:
                    self.bites += 1
                    self._bury(process)

    def _hear(self) -> None:
        try:
            message = self._socket.recv(4096)
        except TimeoutError:
            return
        with self._news:
            self._heard_s = time.monotonic()
            if message == b"READY=1":
                self._ready = True
                self.armed_s.append(self._heard_s)
                self._news.notify_all()

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)
