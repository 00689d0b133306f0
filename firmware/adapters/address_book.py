"""Addresses that names had when they were last connected to, kept over a restart.

After a power cut the panel may come back before its name server does, or without it: an alarm over a path with a host
name must leave all the same. What stands here is used only when nobody resolves the name. It is a hint and no proof:
whoever must not be somebody else proves it by TLS or by signature, on this address as on any.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

from firmware.files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

FILE: Final = "addresses.json"
_FILE_MAX: Final = 16384
_ENTRIES_MAX: Final = 64


class AddressBook:
    """One address a name and port, in a file that is written when one changes.

    Args:
        file: Where it is kept; whatever is there, or not, stops nobody.

    Synchronization: any thread. The disk may take as long as it likes: it is written to on a thread of its own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known = _read(file)
        self._used: set[str] = set()
        self._written = dict(self._known)
        self._writing = False

    def of(self, host: str, port: int) -> str:
        """The address that a name had when it was last connected to, or ""."""
        with self._lock:
            self._used.add(_entry(host, port))
            return self._known.get(_entry(host, port), "")

    def keep(self, host: str, port: int, address: str) -> None:
        """A name has this address; one that could not be written down is written with the next call."""
        if not _is_address(address):
            return
        with self._lock:
            self._used.add(_entry(host, port))
            self._known[_entry(host, port)] = address
            if self._writing or self._wanted() == self._written:
                return
            self._writing = True
        threading.Thread(target=self._write, name="addresses", daemon=True).start()

    def _wanted(self) -> dict[str, str]:
        """What the paths of this run have; names that no path has any more are forgotten."""
        return {entry: address for entry, address in self._known.items() if entry in self._used}

    def _write(self) -> None:
        while True:
            with self._lock:
                wanted = self._wanted()
                if wanted == self._written:
                    self._writing = False
                    return
            try:
                replace_file(self._file, json.dumps(wanted, sort_keys=True).encode() + b"\n")
            except OSError as error:
                log.warning("addresses of names cannot be kept over a restart: %s: %s", self._file, error)
                with self._lock:
                    self._writing = False
                return
            with self._lock:
                self._written = wanted


def _read(file: Path) -> dict[str, str]:
    """What is there and is what it should be; no pipe, link or endless file holds up a start."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as opened:
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
            found = json.loads(opened.read(_FILE_MAX)) if regular else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("addresses of names are not known from before: %s: %s", file, error)
        return {}
    if not isinstance(found, dict) or len(found) > _ENTRIES_MAX:
        log.warning("addresses of names are not known from before: %s is no table of addresses", file)
        return {}
    return {entry: address for entry, address in found.items() if isinstance(address, str) and _is_address(address)}


def _is_address(text: str) -> bool:
    """Whether it is an address that means the same after a restart: one with a zone does not."""
    try:
        return not ipaddress.ip_address(text).is_link_local and "%" not in text
    except ValueError:
        return False


def _entry(host: str, port: int) -> str:
    return f"{host}:{port}"
