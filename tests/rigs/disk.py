"""A disk in memory whose power can be cut between any two sectors, and whose every call can be made to fail."""

from __future__ import annotations

import errno
import os
import random
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from firmware.adapters.ring_files import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECTOR = 512


class Node:
    """A file: what a reader sees, what is on the medium, and the writes in between."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes]] = []


def _put(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset + len(data):
        image.extend(bytes(offset + len(data) - len(image)))
    image[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    """A write in the pieces that a medium takes whole or not at all."""
    start = offset
    while start < offset + len(data):
        end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
        yield start, data[start - offset : end - offset]
        start = end


class MemoryDisk:
    """The `Disk` of a machine with one flat, journalling file system.

    Attributes:
        trace: Everything that changed it, in order; a test may `note` things in between.
        fault: Asked before every call with its name and the path; an errno makes the call fail.
        syncs: How many flushes the medium has seen.
        born: Steps of the trace that only set up what an earlier disk held.
    """

    def __init__(self) -> None:
        self.trace: list[tuple] = []
        self.fault: Callable[[str, str], int] | None = None
        self.syncs = 0
        self.born = 0
        self.names: dict[str, int] = {}
        self._nodes: dict[int, Node] = {}
        self._durable_names: dict[str, int] = {}
        self._pending_names: list[tuple[str, int | None]] = []
        self._open: dict[int, tuple[int | None, str, int]] = {}
        self._next_fd = 100

    def calls(self) -> Disk:
        """What the journal is given."""
        return Disk(
            open=self._open_file,
            close=self._close,
            pread=self._pread,
            pwrite=self._pwrite,
            fsync=self._fsync,
            fstat=self._fstat,
            lstat=self._lstat,
            link=self._link,
            replace=self._replace,
            unlink=self._unlink,
            listdir=self._listdir,
            make_folder=lambda path: self._ask("make_folder", path),
            lock=lambda fd: self._ask("lock", self._open[fd][1]),
        )

    # ---- the test's side

    def note(self, what: object) -> None:
        """Put something into the trace."""
        self.trace.append(("note", what))

    def content(self, path: str) -> bytearray:
        """A file's bytes, to be looked at or changed behind everybody's back."""
        node = self._nodes[self.names[path]]
        node.durable = node.data
        return node.data

    def restarted(self) -> MemoryDisk:
        """The disk as it is now, changes behind everybody's back included, with nothing under way."""
        return self._crashed(random.Random(0))

    def cut(self, rng: random.Random, steps: int | None = None) -> MemoryDisk:
        """The disk after a cut of the power, in the middle of step `steps` of the trace (none: after the last)."""
        disk = MemoryDisk()
        count = len(self.trace) if steps is None else steps
        for op in self.trace[:count]:
            disk._apply(op)
        if count < len(self.trace) and self.trace[count][0] == "write":
            disk._apply((*self.trace[count][:4], False))
        return disk._crashed(rng)

    def _crashed(self, rng: random.Random) -> MemoryDisk:
        after = MemoryDisk()
        for change in self._pending_names[: rng.randint(0, len(self._pending_names))]:
            self._set_name(self._durable_names, *change)
        for number, node in self._nodes.items():
            for offset, data in node.pending:
                for piece in _sectors(offset, data):
                    if rng.random() < 0.5:
                        _put(node.durable, *piece)
            copy = Node()
            copy.data, copy.durable = bytearray(node.durable), bytearray(node.durable)
            after._nodes[number] = copy
        after.names = dict(self._durable_names)
        after._durable_names = dict(self._durable_names)
        after._start_from(self)
        return after

    def _start_from(self, other: MemoryDisk) -> None:
        """Let a later `cut` begin with what is here now."""
        self.trace = [("write", number, 0, bytes(node.data), True) for number, node in self._nodes.items() if node.data]
        self.trace += [("name", path, number) for path, number in self.names.items()]
        self.trace.append(("folder",))
        self.born = len(self.trace)
        self._next_fd = other._next_fd

    # ---- changes

    def _do(self, *op: object) -> None:
        self.trace.append(op)
        self._apply(op)

    def _apply(self, op: tuple) -> None:
        match op:
            case ("write", int(number), int(offset), bytes(data), bool(synchronous)):
                node = self._nodes.setdefault(number, Node())
                _put(node.data, offset, data)
                if synchronous:
                    _put(node.durable, offset, data)
                    self.syncs += 1
                else:
                    node.pending.append((offset, data))
            case ("sync", int(number)):
                node = self._nodes.setdefault(number, Node())
                node.durable, node.pending = bytearray(node.data), []
                self.syncs += 1
            case ("name", str(path), number):
                self._set_name(self.names, path, number)
                self._pending_names.append((path, number))
            case ("folder",):
                self._durable_names = dict(self.names)
                self._pending_names = []
                self.syncs += 1

    def _set_name(self, names: dict[str, int], path: str, number: int | None) -> None:
        if number is None:
            names.pop(path, None)
        else:
            names[path] = number
            self._nodes.setdefault(number, Node())

    # ---- the calls

    def _ask(self, call: str, path: str) -> None:
        number = self.fault(call, path) if self.fault else 0
        if number:
            raise OSError(number, os.strerror(number), path)

    def _open_file(self, path: str, flags: int, mode: int) -> int:
        writes = flags & (os.O_RDWR | os.O_WRONLY)
        self._ask("open_write" if writes else "open", path)
        number: int | None = None
        if not flags & os.O_DIRECTORY:
            number = self.names.get(path)
            if number is None and not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            if number is None or flags & os.O_TRUNC:
                number = max(self._nodes, default=0) + 1
                self._do("name", path, number)
        self._next_fd += 1
        self._open[self._next_fd] = (number, path, flags)
        return self._next_fd

    def _close(self, fd: int) -> None:
        del self._open[fd]

    def _pread(self, fd: int, size: int, offset: int) -> bytes:
        number, path, _ = self._open[fd]
        self._ask("pread", path)
        return bytes(self._nodes[number].data[offset : offset + size])

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        number, path, flags = self._open[fd]
        self._ask("pwrite", path)
        self._do("write", number, offset, bytes(data), bool(flags & os.O_DSYNC))
        return len(data)

    def _fsync(self, fd: int) -> None:
        number, path, _ = self._open[fd]
        self._ask("fsync", path)
        self._do(*(("folder",) if number is None else ("sync", number)))

    def _stat(self, number: int) -> SimpleNamespace:
        size = len(self._nodes[number].data)
        return SimpleNamespace(st_ino=number, st_dev=1, st_size=size, st_mode=stat.S_IFREG | 0o600, st_mtime_ns=number)

    def _fstat(self, fd: int) -> SimpleNamespace:
        return self._stat(self._open[fd][0])

    def _lstat(self, path: str) -> SimpleNamespace:
        self._ask("lstat", path)
        return self._stat(self._at(path))

    def _at(self, path: str) -> int:
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.names[path]

    def _link(self, old: str, new: str) -> None:
        self._ask("link", old)
        self._do("name", new, self._at(old))

    def _replace(self, old: str, new: str) -> None:
        self._ask("replace", old)
        number = self._at(old)
        self._do("name", new, number)
        self._do("name", old, None)

    def _unlink(self, path: str) -> None:
        self._ask("unlink", path)
        self._at(path)
        self._do("name", path, None)

    def _listdir(self, path: str) -> list[str]:
        self._ask("listdir", path)
        return sorted(name[len(path) + 1 :] for name in self.names if name.startswith(f"{path}/"))


@pytest.fixture
def disk() -> MemoryDisk:
    """A disk with nothing on it."""
    return MemoryDisk()


def read_only(call: str, path: str) -> int:
    """A fault: the file system is mounted read-only."""
    changes = {"open_write", "pwrite", "fsync", "link", "replace", "unlink"}
    return errno.EROFS if call in changes else 0


def full(call: str, path: str) -> int:
    """A fault: there is no room for a new file; what exists can be written in place."""
    return errno.ENOSPC if call == "pwrite" and path.endswith(".new") else 0


def dead(call: str, path: str) -> int:
    """A fault: the medium answers nothing any more."""
    return errno.EIO if call in {"open_write", "pwrite", "fsync", "pread"} else 0
