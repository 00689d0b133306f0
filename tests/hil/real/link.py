"""Faults of the board's network, made by the kernel of the bench's own machine: ip, tc and nft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rigs.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from hil.real.parts import Host

TABLE = "gatebooth_bench"
BURST = "4kb"
QUEUE = "300ms"


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
        self._undo: list[tuple[str, ...]] = []

    def cut(self) -> None:
        """Take the interface down: the board sees its carrier go."""
        self._do(("ip", "link", "set", self._interface, "down"), ("ip", "link", "set", self._interface, "up"))

    def black_hole(self) -> None:
        """Drop what belongs to the broker, both ways; the shell stays."""
        rules = "".join(
            f"add chain inet {TABLE} {hook} {{ type filter hook {hook} priority 0; }}\n"
            f'add rule inet {TABLE} {hook} {way} "{self._interface}" tcp {side} {self.port} drop\n'
            for hook, way, side in (("input", "iifname", "dport"), ("output", "oifname", "sport"))
        )
        self._do(("nft", f"add table inet {TABLE}\n{rules}"), ("nft", f"delete table inet {TABLE}"))

    def slow(self, bits_s: int) -> None:
        """Shape what goes to the board, police what comes from it."""
        dev, rate = ("dev", self._interface), f"{bits_s}bit"
        self._do(
            ("tc", "qdisc", "replace", *dev, "root", "tbf", "rate", rate, "burst", BURST, "latency", QUEUE),
            ("tc", "qdisc", "del", *dev, "root"),
        )
        self._do(("tc", "qdisc", "add", *dev, "handle", "ffff:", "ingress"), ("tc", "qdisc", "del", *dev, "ingress"))
        match, police = ("u32", "match", "u32", "0", "0"), ("police", "rate", rate, "burst", BURST, "drop")
        self._do(
            ("tc", "filter", "add", *dev, "parent", "ffff:", "protocol", "all", *match, *police, "flowid", ":1"), ()
        )

    def restore(self) -> None:
        """Undo everything, the newest first; no connection survives it, as behind a router that was away."""
        broken = bool(self._undo)
        while self._undo:
            self._host.run(*self._undo.pop())
        if broken:
            self._door.cut()

    def close(self) -> None:
        """Restore, and offer the broker no more."""
        self.restore()
        self._door.close()

    def _do(self, fault: tuple[str, ...], mend: tuple[str, ...]) -> None:
        self._host.run(*fault)
        if mend:
            self._undo.append(mend)
