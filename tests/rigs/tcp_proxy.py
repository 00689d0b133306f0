"""A TCP proxy that can delay, cut, swallow and trickle: the links of the field, on loopback."""

from __future__ import annotations

import heapq
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

CHUNK = 65536
SLOW_CHUNK = 1024
SLOW_QUEUE_S = 0.3
"""What a slow link holds in its own memory, as a modem does; the rest waits at the sender."""
SLOW_PAUSE_S = 0.005


@dataclass(order=True)
class _Parcel:
    due_s: float
    number: int
    target: socket.socket = field(compare=False)
    data: bytes = field(compare=False)


class TcpProxy:
    """Listens on a free port and carries every connection to one target.

    Args:
        target: Host and port.
        host: Where to listen.

    Synchronization: all public methods from any thread.
    """

    def __init__(self, target: tuple[str, int], host: str = "127.0.0.1") -> None:
        self._target = target
        self._listener = socket.create_server((host, 0))
        self.host, self.port = host, self._listener.getsockname()[1]
        self.delay_s = 0.0
        """Of every byte, each way."""
        self.swallow = False
        """Take everything and carry nothing: the link that looks alive. A connection that swallowed a byte stays dead,
        as behind a router that has forgotten it."""
        self.refuse = False
        """Reset whoever connects."""
        self.bits_s = 0
        """Carry only so many bits a second, each way; 0: all."""
        self.chunk = CHUNK
        """Bytes carried at once; 1 makes a trickle."""
        self.connections = 0
        """How many were ever made."""
        self._peer: dict[socket.socket, socket.socket] = {}
        self._dead: set[socket.socket] = set()
        self._parcels: list[_Parcel] = []
        self._number = 0
        self._near: set[socket.socket] = set()
        self._served: dict[object, int] = {}
        self._free_s = {True: 0.0, False: 0.0}
        self._lock = threading.Lock()
        self._cut = False
        self._closing = False
        self._selector = selectors.SelectSelector()  # the others round a pause up to whole milliseconds
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="tcp proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset all connections; new ones are taken."""
        self._cut = True

    def close(self) -> None:
        """Cut, and listen no more."""
        self._closing = True
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closing:
            # Whoever has waited longest comes first: a narrow link is shared, and not taken by one connection.
            for key, _ in sorted(self._selector.select(self._pause_s()), key=lambda one: self._turn(one[0].fileobj)):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._accept()
                elif sock in self._peer:
                    self._carry(sock)
            self._deliver()
            if self._cut:
                self._cut = False
                self._drop_all()
        self._drop_all()
        self._listener.close()
        self._selector.close()

    def _turn(self, sock: object) -> int:
        return self._served.get(sock, 0)

    def _pause_s(self) -> float:
        if not self._parcels:
            return 0.02
        if self.bits_s:  # sockets that may not be read yet would wake the selector at once
            time.sleep(SLOW_PAUSE_S)
        return min(0.02, max(0.0, self._parcels[0].due_s - time.monotonic()))

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self.refuse:
            _reset(near)
            return
        try:
            far = socket.create_connection(self._target, 5)
        except OSError:
            near.close()
            return
        self.connections += 1
        self._near.add(near)
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peer[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _carry(self, sock: socket.socket) -> None:
        upwards = sock in self._near
        if self.bits_s and self._free_s[upwards] > time.monotonic() + SLOW_QUEUE_S:
            return
        try:
            data = sock.recv(min(self.chunk, SLOW_CHUNK if self.bits_s else CHUNK))
        except OSError:
            data = b""
        if not data:
            self._drop(sock)
        elif self.swallow or sock in self._dead:
            self._dead |= {sock, self._peer[sock]}
        else:
            self._depart(data, self._peer[sock], upwards=upwards)
            self._served[sock] = self._number

    def _depart(self, data: bytes, target: socket.socket, *, upwards: bool) -> None:
        self._number += 1
        sent_s = time.monotonic()
        if self.bits_s:
            sent_s = self._free_s[upwards] = max(sent_s, self._free_s[upwards]) + 8 * len(data) / self.bits_s
        heapq.heappush(self._parcels, _Parcel(sent_s + self.delay_s, self._number, target, data))

    def _deliver(self) -> None:
        while self._parcels and self._parcels[0].due_s <= time.monotonic():
            parcel = heapq.heappop(self._parcels)
            if parcel.target in self._peer:
                self._arrive(parcel.data, parcel.target)

    def _arrive(self, data: bytes, target: socket.socket) -> None:
        try:
            target.sendall(data)
        except OSError:
            self._drop(target)

    def _drop(self, sock: socket.socket) -> None:
        other = self._peer.pop(sock, None)
        self._dead -= {sock, other}
        for end in (sock, other):
            if end is not None:
                self._peer.pop(end, None)
                self._served.pop(end, None)
                self._near.discard(end)
                self._selector.unregister(end)
                _reset(end)

    def _drop_all(self) -> None:
        for sock in list(self._peer):
            if sock in self._peer:
                self._drop(sock)
        self._parcels.clear()


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
