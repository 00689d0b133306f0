"""A link with a round trip, in a process of its own: whoever is measured shares its interpreter with nobody.

`python -m bench.link PORT DELAY_S WINDOW` carries connections to a port of 127.0.0.1 and prints its own; with a window
other than 0 it lets no more than so many MQTT publications of a client be unanswered.
"""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from rigs.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_PUBLISH, _PUBACK = 3, 4
"""Packet types (MQTT 5, 2.1.2)."""


@contextlib.contextmanager
def link(port: int, round_trip_s: float, window: int = 0) -> Iterator[int]:
    """The port of a link to a port of this host; without round trip and window the port itself."""
    if not round_trip_s and not window:
        yield port
        return
    command = [sys.executable, "-m", "bench.link", str(port), str(round_trip_s / 2), str(window)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


class WindowLink(TcpProxy):
    """Holds a client to a window that it does not keep by itself.

    Args:
        target: Host and port.
        window: Publications without an answer.

    Synchronization: as `TcpProxy`.
    """

    def __init__(self, target: tuple[str, int], window: int) -> None:
        self._free = window
        self._held: collections.deque[tuple[bytes, socket.socket]] = collections.deque()
        self._begun: dict[socket.socket, bytes] = {}
        super().__init__(target)

    def _depart(self, data: bytes, target: socket.socket, *, upwards: bool) -> None:
        if upwards:
            self._held.extend((packet, target) for packet in self._packets(data, target))
            self._let_go()
        else:
            super()._depart(data, target, upwards=upwards)

    def _arrive(self, data: bytes, target: socket.socket) -> None:
        super()._arrive(data, target)
        if target in self._near:
            self._free += sum(packet[0] >> 4 == _PUBACK for packet in self._packets(data, target))
            self._let_go()

    def _let_go(self) -> None:
        together: list[bytes] = []
        while self._held and (self._free or self._held[0][0][0] >> 4 != _PUBLISH):
            packet, target = self._held.popleft()
            self._free -= packet[0] >> 4 == _PUBLISH
            together.append(packet)
        if together:
            super()._depart(b"".join(together), target, upwards=True)

    def _packets(self, data: bytes, target: socket.socket) -> Iterator[bytes]:
        """The whole MQTT packets; what has only begun is kept for the next time."""
        data = self._begun.pop(target, b"") + data
        while (size := _size(data)) is not None and size <= len(data):
            yield data[:size]
            data = data[size:]
        self._begun[target] = data


def _size(data: bytes) -> int | None:
    """Bytes of the first packet, or None while that is not known."""
    left = 0
    for place, byte in enumerate(data[1:5]):
        left |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return 2 + place + left
    return None


def _main(port: str, delay_s: str, window: str) -> None:
    target = ("127.0.0.1", int(port))
    proxy = WindowLink(target, int(window)) if int(window) else TcpProxy(target)
    proxy.delay_s = float(delay_s)
    print(proxy.port, flush=True)
    sys.stdin.read()
    proxy.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
