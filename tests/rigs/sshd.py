"""A real sshd on a free loopback port, behind a proxy: a board whose shell goes away and comes back."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rigs.broker import free_port
from rigs.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_S = 20.0
SBIN = "/usr/sbin:/usr/local/sbin"


class Sshd:
    """Lets this user in with a key of its own, and nobody else.

    Args:
        folder: An empty one.

    Attributes:
        user: Who is let in.
        key: The file of its key.
        road: The proxy in front of it; `road.refuse` and `road.cut()` are a board that starts anew, `road.swallow` one
            that says nothing more.
    """

    def __init__(self, folder: Path) -> None:
        sshd = shutil.which("sshd") or shutil.which("sshd", path=SBIN)
        if sshd is None or shutil.which("ssh") is None:
            pytest.skip("needs sshd and ssh (apt-get install openssh-server openssh-client)")
        self.user = getpass.getuser()
        self.key = folder / "key"
        for name in ("key", "host-key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        port = free_port()
        configuration = folder / "sshd_config"
        configuration.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host-key\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        )
        if self.user == "root":
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # systemd makes it for the service
        self._log = (folder / "sshd.log").open("wb")
        self._process = subprocess.Popen([sshd, "-D", "-e", "-f", configuration], stderr=self._log)
        _await_port(port, self._process, folder / "sshd.log")
        self.road = TcpProxy(("127.0.0.1", port))

    def close(self) -> None:
        """End it, and every session."""
        self.road.close()
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"sshd ended: {log.read_text()}")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """One for a test."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    made = Sshd(folder)
    yield made
    made.close()
