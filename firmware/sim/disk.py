"""The panel's disk under the journal: the real one, with faults and power cuts on demand."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NoReturn, ParamSpec

from firmware.adapters.ring_files import REAL, Disk

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

P = ParamSpec("P")

SECTOR = 512
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class PowerLost(BaseException):
    """The power went in the middle of a write; nobody but the runner may catch it."""


class SimDisk:
    """Hands every call on to the real disk, or does what the scenario asked for.

    All that the journal promises is written synchronously, so a cut between two steps of virtual time takes nothing
    from the files; a cut in the middle of a write leaves some sectors old and some new.

    Args:
        random: Which sectors a torn write still reached.

    Attributes:
        mode: "ok", "full", "readonly", "eio" (nothing can be written) or "dead" (nor read).
        cut_next: The next write is torn, and the power is gone.

    Synchronization: one thread.
    """

    def __init__(self, random: random.Random) -> None:
        self.mode = "ok"
        self.cut_next = False
        self._random = random
        self._open: set[int] = set()

    def disk(self) -> Disk:
        """The calls, for the journal."""
        return Disk(
            open=self._open_file,
            close=self._close,
            pread=self._pread,
            pwrite=self._pwrite,
            fsync=self._fsync,
            link=self._changes(REAL.link),
            replace=self._changes(REAL.replace),
            unlink=self._changes(REAL.unlink),
        )

    def drop(self) -> None:
        """The process is gone: its descriptors and locks are, too."""
        for fd in self._open:
            os.close(fd)
        self._open.clear()
        self.cut_next = False

    def _open_file(self, path: str, flags: int, mode: int) -> int:
        if self.mode == "readonly" and flags & _WRITING:
            _refuse(errno.EROFS)
        fd = os.open(path, flags, mode)
        self._open.add(fd)
        return fd

    def _close(self, fd: int) -> None:
        self._open.discard(fd)
        os.close(fd)

    def _pread(self, fd: int, size: int, offset: int) -> bytes:
        if self.mode == "dead":
            _refuse(errno.EIO)
        return os.pread(fd, size, offset)

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self.cut_next:
            self._tear(fd, data, offset)
        self._check()
        if self.mode == "full" and offset + len(data) > os.fstat(fd).st_size:
            _refuse(errno.ENOSPC)  # what was allocated before can be written all the same
        return os.pwrite(fd, data, offset)

    def _fsync(self, fd: int) -> None:
        self._check()
        os.fsync(fd)

    def _changes(self, call: Callable[P, None]) -> Callable[P, None]:
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            self._check()
            call(*args, **kwargs)

        return checked

    def _check(self) -> None:
        if self.mode == "readonly":
            _refuse(errno.EROFS)
        if self.mode in ("eio", "dead"):
            _refuse(errno.EIO)

    def _tear(self, fd: int, data: bytes, offset: int) -> NoReturn:
        start = offset - offset % SECTOR
        while start < offset + len(data):
            low, high = max(start, offset), min(start + SECTOR, offset + len(data))
            if self._random.random() < 1 / 2:
                os.pwrite(fd, data[low - offset : high - offset], low)
            start += SECTOR
        raise PowerLost


def _refuse(code: int) -> NoReturn:
    raise OSError(code, os.strerror(code))
