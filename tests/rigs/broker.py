"""A real mosquitto on a free loopback port, which can be killed, frozen, thawed and started again on the same port."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Sequence

READY_S = 10.0
_given: set[int] = set()


@dataclass(frozen=True)
class ServerTls:
    """Files of a broker that speaks TLS; with `require_client` it asks every client for a certificate."""

    ca_file: pathlib.Path
    cert_file: pathlib.Path
    key_file: pathlib.Path
    require_client: bool = False


class Mosquitto:
    """One broker process.

    Args:
        folder: An empty folder of its own, for configuration, log and passwords.
        lines: Further lines of mosquitto.conf, before the listener.
        listener: Further lines of the listener's part.
        users: Names and passwords; without any, everybody may come in.
        tls: Files for TLS.
        host: Where it listens.
        port: On which port; 0 takes a free one of 127.0.0.1.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        lines: Sequence[str] = (),
        *,
        listener: Sequence[str] = (),
        users: dict[str, str] | None = None,
        tls: ServerTls | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port or free_port()
        self._folder = folder
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(self._compose(lines, listener, users, tls)) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        """Start, and return when the port answers."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        assert program, "mosquitto is not installed (apt-get install mosquitto)"
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        assert answers(self.host, self.port, READY_S, lambda: self.running), self.log()
        return self

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End in order; a frozen broker is thawed first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Leave its sockets open and its port answering, and do nothing more: the half-open link of the field."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def reload(self) -> None:
        """Read passwords and access list again; nobody is disconnected."""
        self._signal(signal.SIGHUP)

    def restart(self) -> None:
        """Start again on the same port."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What the broker has written."""
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self.running:
            self._signal(number)
            if number != signal.SIGKILL:
                self._signal(signal.SIGCONT)
        self._process.wait(READY_S)
        self._process = None

    def _compose(
        self,
        lines: Sequence[str],
        listener: Sequence[str],
        users: dict[str, str] | None,
        tls: ServerTls | None,
    ) -> Iterator[str]:
        yield from ("persistence false", "log_type error", "log_type warning", "log_type notice", "log_timestamp false")
        if os.geteuid() == 0:
            yield "user root"  # else it drops to a user who may not read the files of a test's folder
        yield f"allow_anonymous {'false' if users else 'true'}"
        if users:
            yield f"password_file {_password_file(self._folder, users)}"
        yield from lines
        yield from (f"listener {self.port} {self.host}", "set_tcp_nodelay true", *listener)
        if tls is not None:
            yield from (f"cafile {tls.ca_file}", f"certfile {tls.cert_file}", f"keyfile {tls.key_file}")
            yield f"require_certificate {'true' if tls.require_client else 'false'}"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, given once a process.

    It lies below those that systems give to outgoing connections, so that a broker finds it free after its restart too.
    """
    while True:
        port = random.randrange(20000, 32000)
        if port not in _given:
            _given.add(port)
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port


def answers(host: str, port: int, timeout_s: float, alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether a TCP port takes a connection in time; gives up at once when `alive` says that its owner died."""
    deadline, pause = time.monotonic() + timeout_s, threading.Event()
    while time.monotonic() < deadline and alive():
        try:
            with socket.create_connection((host, port), timeout_s):
                return True
        except ConnectionRefusedError:
            pause.wait(0.01)
    return False


def _password_file(folder: pathlib.Path, users: dict[str, str]) -> pathlib.Path:
    path = folder / "passwords"
    path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    path.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def broker(tmp_path: pathlib.Path) -> Iterator[Mosquitto]:
    """A broker open to everybody, running."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Mosquitto(folder).start()
    yield running
    running.stop()


@pytest.fixture
def make_broker(tmp_path: pathlib.Path) -> Iterator[Callable[..., Mosquitto]]:
    """Makes running brokers from `Mosquitto`'s arguments without the folder; all are stopped at the end."""
    made: list[Mosquitto] = []

    def make(*lines: str, **arguments: object) -> Mosquitto:
        folder = tmp_path / f"broker{len(made)}"
        folder.mkdir()
        made.append(Mosquitto(folder, lines, **arguments).start())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for running in made:
        running.stop()
