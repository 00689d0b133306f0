"""TCP connections out of this machine: the one place that chooses the way, calls and connects.

Every connection begins from nothing: an interface that was away, a name that has moved and a network that came back
are found by the next one.
"""

from __future__ import annotations

import collections
import errno
import fcntl
import math
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

from firmware.adapters.names import Address, Names, OutboundError, as_address
from firmware.config_paths import is_address

LIMIT_S, LIMIT_HURRIED_S = 5.0, 8.0
"""To find a far end that takes the connection, and the same while an alarm waits; to look up its name comes on top."""
AGAIN_S = 2.0
"""While an alarm waits and no address answers, each is called afresh after this long, and the calls before it stay
open. Where packets vanished, the kernel's own repetition may be four seconds away when the way is back; where they are
slow, the answer to the first call still counts. Without an alarm this would bring a whole region back in one second."""
NEXT_S = 0.25
"""One address has this long before the next is called beside it (RFC 8305, section 5)."""

_ADDRESS, _FLAGS, _UP, _RUNNING = 0x8915, 0x8913, 0x1, 0x40
"""SIOCGIFADDR, SIOCGIFFLAGS, IFF_UP, IFF_RUNNING (netdevice(7))."""
_REQUEST = struct.Struct("16sH22x")
_DEAD_END = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_KINDS = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}


@dataclass(frozen=True, slots=True)
class _Call:
    sock: socket.socket
    address: Address
    began_s: float


class Outbound:
    """The way to one host and port.

    Args:
        host: Name or address.
        port: TCP port.
        bind: Name of the network interface, or the address of this machine, by which connections leave; "" leaves the
            choice to the routing table.

    Attributes:
        took_s: How long the far end took to take the last connection: a round trip, as measured.
        notice: What is out of order though the last connection stands, or "".

    Synchronization: one thread; names are looked up on another.
    """

    def __init__(self, host: str, port: int, bind: str = "") -> None:
        self.took_s = 0.0
        self.notice = ""
        self._host = host
        self._bind = bind
        self._names = Names(host, port)
        self._running: dict[int, _Call] = {}
        self._kind = socket.AF_INET

    def connect(self, *, hurried: bool = False) -> socket.socket:
        """A connected socket that does not block.

        Args:
            hurried: Whether an alarm waits for it.

        Raises:
            OutboundError: Name, interface or address of this machine cannot be used.
            OSError: The network's own reason.
        """
        found = self._names.find()
        source = as_address(self._bind) if is_address(self._bind) else None
        if source is not None:
            found = self._of_kind(found, source[0])
        self._kind = found[0][0]
        try:
            call = self._race(found, source, hurried=hurried)
        finally:
            for loser in self._running.values():
                loser.sock.close()
            self._running.clear()
        self.took_s = time.monotonic() - call.began_s
        self.notice = self._names.notice
        self._names.remember(call.address)
        return call.sock

    # ── calling ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _race(self, found: list[Address], source: Address | None, *, hurried: bool) -> _Call:
        """Call all addresses, each a little later than the one before; the first that answers wins."""
        end_s = time.monotonic() + (LIMIT_HURRIED_S if hurried else LIMIT_S)
        waiting, failure, next_s = collections.deque(found), 0, -math.inf
        while (now_s := time.monotonic()) < end_s:
            if now_s >= next_s or not self._running:
                waiting.extend([] if waiting else dict.fromkeys(call.address for call in self._running.values()))
                if not waiting:
                    raise self._explain(failure)
                failure = self._call(waiting.popleft(), source, now_s) or failure
                next_s = now_s + (NEXT_S if waiting else AGAIN_S if hurried else math.inf)
            for call in self._settled(min(next_s, end_s) - time.monotonic()):
                del self._running[call.sock.fileno()]
                code = call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return call
                call.sock.close()
                failure = code
        raise self._explain(errno.ETIMEDOUT)

    def _call(self, address: Address, source: Address | None, now_s: float) -> int:
        """Begin a connection; why it cannot even begin, or 0."""
        family, target = address
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket's own word
            if self._bind:
                self._tie(sock, source)
            code = sock.connect_ex(target)
        except OSError:
            sock.close()
            raise
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return code
        self._running[sock.fileno()] = _Call(sock, address, now_s)
        return 0

    def _settled(self, timeout_s: float) -> list[_Call]:
        """The calls that came to an end, good or bad, in this time."""
        poll = select.poll()
        for fd in self._running:
            poll.register(fd, select.POLLOUT)
        ready = poll.poll(max(0, math.ceil(timeout_s * 1000))) if self._running else []
        return [self._running[fd] for fd, _ in ready]

    # ── the way out ────────────────────────────────────────────────────────────────────────────────────────────────

    def _tie(self, sock: socket.socket, source: Address | None) -> None:
        try:
            if source is None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._bind.encode())
            else:
                sock.bind(source[1])
        except PermissionError:
            raise self._fault(
                "this system lets only root choose an interface: take Linux 5.7 or newer, or give the service "
                "CAP_NET_RAW"
            ) from None
        except OSError as error:
            if error.errno == errno.ENODEV:
                there = ", ".join(name for _, name in socket.if_nameindex())
                what = f"no such network interface; there are {there}: correct it, or plug the modem in"
            elif error.errno == errno.EADDRNOTAVAIL:
                what = "no interface of this machine has this address: correct it, or name the interface instead"
            else:
                what = f"it cannot be used: {error.strerror}"
            raise self._fault(what) from None

    def _of_kind(self, found: list[Address], kind: socket.AddressFamily) -> list[Address]:
        fitting = [address for address in found if address[0] == kind]
        if not fitting:
            raise self._fault(f"{self._host} has no {_KINDS.get(kind, 'such')} address: correct one of them")
        return fitting

    def _explain(self, code: int) -> OSError:
        """What a failed connection fails for: the interface that it had to leave by, or the network."""
        if self._bind and not is_address(self._bind) and code in (*_DEAD_END, errno.ETIMEDOUT):
            told = _told(self._bind, _FLAGS)
            flags = 0 if told is None else _REQUEST.unpack(told)[1]
            if not flags & _UP:
                return self._fault(f"the interface is off: switch it on (ip link set {self._bind} up)")
            if not flags & _RUNNING:
                return self._fault("the interface has no link: check cable, aerial and SIM card")
            if self._kind == socket.AF_INET and _told(self._bind, _ADDRESS) is None:
                return self._fault("the interface has no IPv4 address: check DHCP, or the SIM card and its APN")
            if code in _DEAD_END:
                return self._fault(f"no way to {self._host} from there: check router and default route")
        return OSError(code, os.strerror(code))

    def _fault(self, what: str) -> OutboundError:
        return OutboundError(f"path.bind {self._bind!r}: {what}")


def _told(interface: str, what: int) -> bytes | None:
    """What the kernel tells of an interface; None when there is nothing to tell, or it is gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            return fcntl.ioctl(sock, what, _REQUEST.pack(interface.encode(), 0))
        except OSError:
            return None
