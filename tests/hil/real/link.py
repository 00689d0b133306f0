"""Faults of the board's network, made by the kernel of the bench's own machine: ip, tc and nft."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

from hil.real.parts import HostError
from rigs.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from hil.real.parts import Host

TABLE = "gatebooth_bench"
BURST = "4kb"
QUEUE = "300ms"
COMMAND_S = 30.0


class LocalHost:
    """The bench's own machine."""

    def run(self, *command: str) -> None:
        """Run a command as root; `sudo` asks nobody."""
        sudo = () if os.geteuid() == 0 else ("sudo", "-n")
        try:
            done = subprocess.run([*sudo, *command], capture_output=True, text=True, timeout=COMMAND_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"{' '.join(command)}: {error}") from error
        if done.returncode:
            raise HostError(f"{' '.join((*sudo, *command))}: status {done.returncode}: {done.stderr.strip()}")


def unable(host: Host, interface: str) -> str:
    """Why this machine cannot make faults on an interface, or ""; it asks the three programs and changes nothing."""
    looks = (("ip", "link", "show", interface), ("tc", "qdisc", "show", "dev", interface), ("nft", "list", "tables"))
    for look in looks:
        try:
            host.run(*look)
        except HostError as error:
            return str(error)
    return ""


def sweep(host: Host, interface: str) -> None:
    """Undo what a run that was killed left behind; where there is nothing, or no right to, nothing happens."""
    for mend in (_no_table(), *_no_queues(interface), _up(interface)):
        with contextlib.suppress(HostError):
            host.run(*mend)


class KernelLink:
    """The cable between the bench and the board; see `hil.api.Link`.

    Args:
        host: Runs commands as root.
        interface: The bench's interface to the board.
        address: The bench's address on it; the broker is offered there.
        port: The house's broker on this machine.

    Synchronization: one thread.
    """

    def __init__(self, host: Host, interface: str, address: str, port: int) -> None:
        self._host = host
        self._interface = interface
        self._door = TcpProxy(("127.0.0.1", port), address)
        self.port = self._door.port
        self._broken = False
        self._undo = contextlib.ExitStack()

    def cut(self) -> None:
        """Take the interface down: the board sees its carrier go."""
        self._do(("ip", "link", "set", self._interface, "down"), _up(self._interface))

    def black_hole(self) -> None:
        """Drop what belongs to the broker, both ways; the shell stays."""
        rules = "".join(
            f"add chain inet {TABLE} {hook} {{ type filter hook {hook} priority 0; }}\n"
            f'add rule inet {TABLE} {hook} {way} "{self._interface}" tcp {side} {self.port} drop\n'
            for hook, way, side in (("input", "iifname", "dport"), ("output", "oifname", "sport"))
        )
        self._do(("nft", f"add table inet {TABLE}\n{rules}"), _no_table())

    def slow(self, bits_s: int) -> None:
        """Shape what goes to the board, police what comes from it."""
        dev, rate = ("dev", self._interface), f"{bits_s}bit"
        no_root, no_ingress = _no_queues(self._interface)
        self._do(
            ("tc", "qdisc", "replace", *dev, "root", "tbf", "rate", rate, "burst", BURST, "latency", QUEUE), no_root
        )
        self._do(("tc", "qdisc", "add", *dev, "handle", "ffff:", "ingress"), no_ingress)
        match, police = ("u32", "match", "u32", "0", "0"), ("police", "rate", rate, "burst", BURST, "drop")
        self._do(
            ("tc", "filter", "add", *dev, "parent", "ffff:", "protocol", "all", *match, *police, "flowid", ":1"), ()
        )

    def restore(self) -> None:
        """Undo everything, the newest first; no connection survives it, as behind a router that was away."""
        broken, self._broken = self._broken, False
        self._undo.close()
        if broken:
            self._door.cut()

    def close(self) -> None:
        """Restore, and offer the broker no more."""
        try:
            self.restore()
        finally:
            self._door.close()

    def _do(self, fault: tuple[str, ...], mend: tuple[str, ...]) -> None:
        self._host.run(*fault)
        self._broken = True
        if mend:
            self._undo.callback(self._host.run, *mend)


def _up(interface: str) -> tuple[str, ...]:
    return ("ip", "link", "set", interface, "up")


def _no_table() -> tuple[str, ...]:
    return ("nft", f"delete table inet {TABLE}")


def _no_queues(interface: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    remove = ("tc", "qdisc", "del", "dev", interface)
    return (*remove, "root"), (*remove, "ingress")
