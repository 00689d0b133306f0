"""What each broker bears: connections, memory, return after a node's death, what a PUBACK is worth.

All over TLS and from `deploy/broker/`. `python tests/bench/bench_brokers.py [--quick] [mosquitto] [nats] [rabbitmq]`;
without a name mosquitto alone, as the clusters take a minute each.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import resource
import socket
import ssl
import struct
import sys
import tempfile
import time
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, row_of
from rigs import clusters
from rigs.cluster_desk import ClusterDesk, ClusterPanel
from rigs.house import password
from rigs.tls import Authority, Certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rigs.clusters import Cluster, Node

    from firmware.core.report import ReportId

PANELS = {"mosquitto": 2000, "nats": 60, "rabbitmq": 300}
"""Connections of one broker: as many as it takes inside its share of a minute."""
KEEPALIVE_S = 600
HANDS = 8
BOUND_S = 12.0
"""After this no further panel of a broker is connected."""
ALARMS = 100


def packet(kind: int, *fields: bytes) -> bytes:
    """An MQTT 3.1.1 packet shorter than 16 KiB."""
    body = b"".join(fields)
    size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([kind]) + size + body


def text(value: str) -> bytes:
    """A string as MQTT writes it."""
    return struct.pack(">H", len(value)) + value.encode()


def panel_connection(node: Node, context: ssl.SSLContext, number: int) -> ssl.SSLSocket:
    """Connect as a panel does: TLS, a clean session, its three subscriptions with QoS 1; return when all is granted."""
    raw = socket.create_connection(("127.0.0.1", node.port), 10)
    wire = context.wrap_socket(raw, server_hostname="127.0.0.1")
    who = (text(f"bench-{number}"), text("school-17"), text(password("school-17")))
    wire.sendall(packet(0x10, text("MQTT"), b"\x04\xc2", struct.pack(">H", KEEPALIVE_S), *who))
    _expect(wire, 0x20)
    wishes = [text(f"gatebooth/v1/school-17/{what}/+") + b"\x01" for what in ("receipt", "command", "echo")]
    wire.sendall(packet(0x82, b"\x00\x01", *wishes))
    _expect(wire, 0x90)
    return wire


def _expect(wire: ssl.SSLSocket, kind: int) -> None:
    head = wire.recv(2)
    while len(head) < 2 and (more := wire.recv(1)):
        head += more
    if len(head) < 2 or head[0] != kind:
        raise ConnectionError(f"the broker answers {head!r}, expected a packet of kind {kind:#x}")
    body = wire.recv(head[1])
    if kind == 0x20 and body[1]:
        raise ConnectionError(f"refused with {body[1]}")


class Fleet:
    """Connections like those of many panels, to one node."""

    def __init__(self, ca: pathlib.Path) -> None:
        self._context = ssl.create_default_context(cafile=str(ca))
        self._wires: list[ssl.SSLSocket] = []

    def connect(self, node: Node, count: int) -> tuple[int, float]:
        """Connect so many from several threads; how many came in before the bound, and in how many seconds."""
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(HANDS) as pool:
            for wire in pool.map(lambda number: self._one(node, number, began + BOUND_S), range(count)):
                if wire is not None:
                    self._wires.append(wire)
        return len(self._wires), time.monotonic() - began

    def close(self) -> None:
        """Hang up without a word."""
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def _one(self, node: Node, number: int, until_s: float) -> ssl.SSLSocket | None:
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError):
                return panel_connection(node, self._context, number)
        return None


def memory_kib(node: Node) -> int:
    """Resident memory of a node's processes."""
    total = 0
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == node.pid:
                lines = (entry / "status").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total


def connections(cluster: Cluster, count: int) -> Iterator[Row]:
    """Connections, memory, and the return of all at once after the death of their node."""
    fleet, node = Fleet(cluster.ca), cluster.nodes[0]
    empty = sum(memory_kib(one) for one in cluster.nodes)
    came, took_s = fleet.connect(node, count)
    full = sum(memory_kib(one) for one in cluster.nodes)
    yield Row(f"{cluster.kind}: panels connected", came, None, "", note=f"of {count} in at most {BOUND_S:.0f} s")
    yield Row(f"{cluster.kind}: connects", came / took_s, None, "1/s", note="TLS, login, 3 subscriptions QoS 1")
    yield Row(f"{cluster.kind}: memory, idle", empty / 1024, None, "MiB", note=f"{len(cluster.nodes)} nodes together")
    yield Row(f"{cluster.kind}: memory a panel", (full - empty) / max(came, 1), None, "KiB", note="all nodes together")
    node.kill()
    fleet.close()
    if len(cluster.nodes) == 1:
        cluster.restart(node)
    back, took_s = fleet.connect(cluster.nodes[-1], came)
    where = "the same, restarted" if len(cluster.nodes) == 1 else "another node"
    yield Row(f"{cluster.kind}: back after SIGKILL", back, None, "", note=f"of {came}, at {where}, without back-off")
    yield Row(f"{cluster.kind}: until all are back", took_s, None, "s", note=f"no longer than {BOUND_S:.0f} s")
    fleet.close()
    if len(cluster.nodes) > 1:
        cluster.restart(node)


def delivery(cluster: Cluster, folder: pathlib.Path) -> Iterator[Row]:
    """Alarm to receipt across nodes; what a node's death leaves of alarms confirmed for a desk that is away."""
    ClusterDesk(cluster, cluster.nodes[:1], "away").close()
    panel, desk = ClusterPanel(cluster, cluster.nodes[-1:], folder), ClusterDesk(cluster, cluster.nodes[:1], "near")
    times_ms = [_round_ms(panel) for _ in range(ALARMS)]
    yield row_of(
        f"{cluster.kind}: alarm to signed receipt", times_ms, "ms", note="desk at another node, if there is one"
    )
    panel.confirmed(panel.alarms.values())
    confirmed = set(panel.alarms)
    desk.close()
    cluster.nodes[0].kill()
    if len(cluster.nodes) == 1:
        cluster.restart(cluster.nodes[0])
    began = time.monotonic()
    returned = ClusterDesk(cluster, cluster.nodes[-1:], "away")
    left = _left(returned, confirmed)
    took_s = time.monotonic() - began
    yield Row(f"{cluster.kind}: confirmed, then SIGKILL", left, None, "", note=f"of {ALARMS}; the panel repeated none")
    if left == ALARMS:
        yield Row(f"{cluster.kind}: until a desk has them", took_s, None, "s", note="connecting included")
    returned.close()
    panel.close()
    if len(cluster.nodes) > 1:
        cluster.restart(cluster.nodes[0])


def _round_ms(panel: ClusterPanel) -> float:
    began = time.monotonic()
    alarm = panel.press()
    panel.signed(alarm)
    return (time.monotonic() - began) * 1000


def _left(desk: ClusterDesk, wanted: set[ReportId]) -> int:
    with contextlib.suppress(AssertionError):
        desk.wait(wanted, BOUND_S)
    return len(desk.seen & wanted)


def measure(kind: str, folder: pathlib.Path, certificates: Certificates, count: int) -> list[Row]:
    """All rows of one broker."""
    began = time.monotonic()
    cluster = clusters.start(kind, folder, certificates)
    try:
        ready = Row(
            f"{kind}: start to service", time.monotonic() - began, None, "s", note=f"{len(cluster.nodes)} nodes"
        )
        return [ready, *delivery(cluster, folder), *connections(cluster, count)]
    finally:
        cluster.close()


def main() -> None:
    """Measure and print."""
    quick = "--quick" in sys.argv
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asked = [kind for kind in PANELS if kind in sys.argv] or ["mosquitto"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(folder / "tls", "Bench Authority")
        pair = authority.issue("server", "IP:127.0.0.1,DNS:localhost")
        certificates = Certificates(authority.ca, authority.ca, pair, pair, pair, pair, pair, pair)
        for kind in asked:
            if package := clusters.missing(kind):
                print(f"{kind}: the Debian package {package} is not installed")
                continue
            own = folder / kind
            own.mkdir()
            print_table(measure(kind, own, certificates, PANELS[kind] // (10 if quick else 1)))


if __name__ == "__main__":
    main()
