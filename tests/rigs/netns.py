"""Network namespaces: machines with interfaces of their own, joined by wires that can be pulled out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
OURS = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


class Machine:
    """A network namespace: what begins `inside` it, sockets, threads and processes, belongs to it."""

    def __init__(self) -> None:
        home = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
        if _libc.unshare(CLONE_NEWNET):
            os.close(home)
            pytest.skip(f"needs root: no network namespace can be made ({os.strerror(ctypes.get_errno())})")
        self.fd = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
        _enter(home)
        os.close(home)
        self.ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is here; what it begins stays here."""
        home = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
        _enter(self.fd)
        try:
            yield
        finally:
            _enter(home)
            os.close(home)

    def ip(self, *words: str) -> None:
        """Run `ip` here."""
        program = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
        if program is None:
            pytest.skip("needs the command ip (apt-get install iproute2)")
        with self.inside():
            done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"

    def address(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses, as "10.0.0.1/24", and switch it on."""
        for address in addresses:
            self.ip("address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
        self.ip("link", "set", interface, "up")

    def close(self) -> None:
        """Let go of it; its interfaces end with the last that runs here."""
        os.close(self.fd)


def wire(one: Machine, interface: str, other: Machine, far: str) -> None:
    """Join two machines by a wire with an interface at each end; setting one end down takes the link from the other."""
    one.ip("link", "add", interface, "type", "veth", "peer", "name", far, "netns", f"/proc/{os.getpid()}/fd/{other.fd}")


def _enter(fd: int) -> None:
    assert _libc.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
