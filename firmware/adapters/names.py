"""Addresses of a host's name, with a limit: a name server that never answers must not hold up an alarm."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any

from firmware.adapters.address_book import FILE, AddressBook

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

LOOKUP_S = 3.0
"""For a name of which nothing is known."""
LOOKUP_KNOWN_S = 1.0
"""For a name that was connected to before: an alarm does not wait long for a name server that it can do without."""

Address = tuple[socket.AddressFamily, Any]
"""Family and socket address."""


class OutboundError(OSError):
    """No connection, for a reason that lies on this machine; the message is for the technician."""


class _Kept:
    """The one address book of this process, as the system's resolver is one; nothing is kept until `keep_in`."""

    book: AddressBook | None = None


def keep_in(folder: Path) -> None:
    """Know names from before the start, and keep what they are from now on.

    Args:
        folder: The panel's state.
    """
    _Kept.book = AddressBook(folder / FILE)


class Names:
    """The addresses of one host.

    Those that it had when it was last connected to are known from the start, if `keep_in` was told where.

    Args:
        host: Name or address.
        port: TCP port.

    Attributes:
        notice: Why the addresses last found are those of an earlier time, or "".

    Synchronization: one thread. The system's resolver cannot be interrupted: it is asked on another, one at a time.
    """

    def __init__(self, host: str, port: int) -> None:
        self.notice = ""
        self._host = host
        self._port = port
        self._literal = as_address(host, port)
        self._found: list[Address] = []
        self._book = _Kept.book if self._literal is None else None
        self._known = self._from_before()
        self._answers: queue.SimpleQueue[list[Address] | None] = queue.SimpleQueue()
        self._asking: threading.Thread | None = None

    def find(self) -> list[Address]:
        """The addresses; those that were right before when the name server does not answer, or knows none now.

        Raises:
            OutboundError: None are known.
        """
        if self._literal is not None:
            return [self._literal]
        try:
            answer = self._ask(LOOKUP_KNOWN_S if self._known else LOOKUP_S)
        except queue.Empty:
            answer, why = None, f"no name server answers for host name {self._host!r}"
        else:
            why = f"host name {self._host!r} is not found"
        if answer:
            self._tell("")
            self._found = answer
            return answer
        if not self._known:
            raise OutboundError(f"{why}: check path.host, and the name server")
        self._tell(f"{why}: check the name server; the address from before is used, {self._known[0][1][0]}")
        return self._known

    def remember(self, address: Address) -> None:
        """This one of the addresses took the connection: it is the first to be called if they must be used again."""
        others = self._found or self._known
        self._known = [address, *(other for other in others if other != address)]
        if self._book is not None:
            kept = self._book.of(self._host, self._port)
            # Of several addresses that are right one is enough.
            stays = any((family, target[0]) == (address[0], kept) for family, target in self._found)
            self._book.keep(self._host, self._port, kept if stays else address[1][0])

    def _from_before(self) -> list[Address]:
        kept = "" if self._book is None else self._book.of(self._host, self._port)
        address = as_address(kept, self._port) if kept else None
        return [] if address is None else [address]

    def _tell(self, notice: str) -> None:
        if notice and notice != self.notice:
            log.warning("%s", notice)
        self.notice = notice

    def _ask(self, limit_s: float) -> list[Address] | None:
        if self._asking is None or not self._asking.is_alive():
            self._answers = queue.SimpleQueue()  # what came too late is of another time
            self._asking = threading.Thread(
                target=_resolve, args=(self._host, self._port, self._answers), name=f"name {self._host}", daemon=True
            )
            self._asking.start()
        answer = self._answers.get(timeout=limit_s)
        self._asking = None
        return answer


def as_address(text: str, port: int = 0) -> Address | None:
    """A written address with its zone, without asking anybody; None for a name.

    Raises:
        OSError: The zone of a link-local address is no interface of this machine.
    """
    try:
        found = socket.getaddrinfo(text, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _resolve(host: str, port: int, answers: queue.SimpleQueue[list[Address] | None]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        answers.put(None)
    else:
        answers.put([(family, target) for family, _, _, _, target in found])
