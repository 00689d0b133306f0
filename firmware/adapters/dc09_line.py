"""The TCP connection of a DC-09 path: what the actor asks of it, and the real one."""

from __future__ import annotations

import logging
import math
import select
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from firmware.adapters.names import OutboundError
from firmware.adapters.outbound import Outbound

if TYPE_CHECKING:
    from firmware.config import PathConfig

log = logging.getLogger(__name__)

USER_TIMEOUT_MS = 5000
"""Bytes that the far end has not confirmed for this long end the connection."""
CHUNK = 4096
READS_MAX = 16


class LineError(OSError):
    """No connection; the message is for the technician: what, where, what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The receiver took the connection.

    Attributes:
        lookup: What is out of order with the name server all the same, or "".
    """

    lookup: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes came, in whatever pieces the network made of them."""

    data: bytes


@dataclass(frozen=True, slots=True)
class HungUp:
    """The connection is gone; the line is closed."""

    why: str


LineEvent = Opened | Received | HungUp


class Line(Protocol):
    """One connection at a time to one receiver.

    Synchronization: one thread.
    """

    def open(self, *, hurried: bool) -> None:
        """Begin a new connection, closing the one before; `Opened` or `HungUp` follows. May block for some seconds.

        Args:
            hurried: Whether an alarm waits for it.

        Raises:
            LineError: No connection; nothing follows.
        """
        ...

    def send(self, frame: bytes) -> None:
        """Send a whole frame in one piece; never blocks or raises: a dead connection is told by `HungUp`."""
        ...

    def drive(self) -> list[LineEvent]:
        """What has come since the last call."""
        ...

    def next_deadline(self) -> float:
        """Monotonic seconds at which `drive` is wanted even if `wait` saw nothing; infinite when none is."""
        ...

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait until `fd` or the connection is readable, or the time is over."""
        ...

    def close(self) -> None:
        """End the connection; idempotent, no event follows."""
        ...


class TcpLine(Line):
    """The real connection.

    Args:
        config: The path.

    Synchronization: one thread.
    """

    def __init__(self, config: PathConfig) -> None:
        self._config = config
        self._way = Outbound(config.host, config.port, config.bind)
        self._sock: socket.socket | None = None
        self._events: list[LineEvent] = []
        self._stirred = False

    def open(self, *, hurried: bool) -> None:
        """See `Line.open`."""
        self.close()
        where = f"{self._config.host}:{self._config.port}"
        try:
            sock = self._way.connect(hurried=hurried)
        except OutboundError as error:
            raise LineError(str(error)) from None
        except TimeoutError:
            raise LineError(f"{where} does not answer; check host, port and the way there") from None
        except OSError as error:
            raise LineError(f"{where}: {error.strerror or error}; is the receiver running?") from None
        # One frame is one segment at once: there are receivers that take each piece that comes for a whole frame.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        self._sock = sock
        self._events.append(Opened(self._way.notice))

    def send(self, frame: bytes) -> None:
        """See `Line.send`."""
        if self._sock is None:
            return
        try:
            sent = self._sock.send(frame)
        except OSError as error:
            self._hang_up(error.strerror or str(error))
            return
        if sent != len(frame):
            self._hang_up("it takes no more bytes")

    def drive(self) -> list[LineEvent]:
        """See `Line.drive`."""
        if self._stirred:
            self._stirred = False
            self._read()
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float:
        """See `Line.next_deadline`."""
        return -math.inf if self._events or self._stirred else math.inf

    def wait(self, fd: int, timeout_s: float) -> None:
        """See `Line.wait`."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if self._sock is not None:
            poll.register(self._sock, select.POLLIN)
        self._stirred |= any(found != fd for found, _ in poll.poll(max(0, math.ceil(timeout_s * 1000))))

    def close(self) -> None:
        """See `Line.close`."""
        sock, self._sock = self._sock, None
        self._events.clear()
        self._stirred = False
        if sock is not None:
            sock.close()

    def _read(self) -> None:
        for _ in range(READS_MAX):
            if self._sock is None:
                return
            try:
                data = self._sock.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError as error:
                self._hang_up(error.strerror or str(error))
                return
            if not data:
                self._hang_up("the receiver hung up")
                return
            self._events.append(Received(data))
        self._stirred = True

    def _hang_up(self, why: str) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._events.append(HungUp(f"{self._config.host}:{self._config.port}: {why}"))
