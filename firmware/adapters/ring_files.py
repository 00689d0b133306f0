"""Segment files: written in place, made whole again when the world has damaged them.

All calls to the operating system go through a `Disk`, so that a test can cut the power between any two sectors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BAD_KEPT = 4
"""Files that are kept aside in one folder; the oldest makes room for a fifth."""
_BAD = ".bad-"
_CHUNK = 65536
_PAGE = 4096
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_NO_FILE = (errno.EINVAL, errno.ELOOP, errno.ENXIO)
"""What bears the name is no regular file: there is nothing in it that could be read later."""
_PAUSE_MAX = 63
"""Looks after the files between two tries to read one that cannot be read: the kernel may take seconds for each."""


def _lock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _make_folder(path: str) -> None:
    Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True)
class Disk:
    """The few calls that the journal makes to the operating system; each raises `OSError` as that does.

    Synchronization: any thread.
    """

    open: Callable[[str, int, int], int] = os.open
    close: Callable[[int], None] = os.close
    pread: Callable[[int, int, int], bytes] = os.pread
    pwrite: Callable[[int, bytes, int], int] = os.pwrite
    fsync: Callable[[int], None] = os.fsync
    fstat: Callable[[int], os.stat_result] = os.fstat
    lstat: Callable[[str], os.stat_result] = os.lstat
    link: Callable[[str, str], None] = os.link
    replace: Callable[[str, str], None] = os.replace
    unlink: Callable[[str], None] = os.unlink
    listdir: Callable[[str], list[str]] = os.listdir
    make_folder: Callable[[str], None] = _make_folder
    lock: Callable[[int], None] = _lock
    alive: Callable[[int], bool] = _alive


REAL = Disk()


def sync_folder(disk: Disk, folder: Path) -> None:
    """Make names in a folder durable."""
    fd = disk.open(str(folder), _FOLDER, 0)
    try:
        disk.fsync(fd)
    finally:
        disk.close(fd)


def create(disk: Disk, path: Path, content: bytes, *, keep: bool = False) -> str:
    """Put a file in place with its content, which is durable before it has its name.

    Args:
        disk: Where.
        path: The file's name.
        content: All its bytes.
        keep: Whether what bears the name now is kept aside.

    Returns:
        The name that the old file has now; empty when none was kept.
    """
    fresh = f"{path}.new"
    fd = disk.open(fresh, _CREATE, 0o600)
    try:
        for offset in range(0, len(content), _CHUNK):
            _write_all(disk, fd, content[offset : offset + _CHUNK], offset)
        disk.fsync(fd)
    except OSError:
        disk.close(fd)
        disk.unlink(fresh)
        raise
    disk.close(fd)
    kept = _set_aside(disk, path) if keep else ""
    disk.replace(fresh, str(path))
    sync_folder(disk, path.parent)
    return kept


def _set_aside(disk: Disk, path: Path) -> str:
    """Give a file the name `NAME.bad-N`, for whoever wants to know what happened to it."""
    bad = {name: int(name[-1]) for name in disk.listdir(str(path.parent)) if name[:-1].endswith(_BAD) and _digit(name)}
    free = [number for number in range(1, BAD_KEPT + 1) if number not in bad.values()]
    if free:
        number = free[0]
    else:
        oldest = min(bad, key=lambda name: disk.lstat(str(path.parent / name)).st_mtime_ns)
        number = bad[oldest]
        disk.unlink(str(path.parent / oldest))
    name = f"{path.name}{_BAD}{number}"
    try:
        # A second name, so that a cut of the power finds the old file or the new one under its own.
        disk.link(str(path), str(path.parent / name))
    except OSError:
        disk.replace(str(path), str(path.parent / name))
    return name


def _digit(name: str) -> bool:
    return name[-1].isascii() and name[-1].isdigit()


def _write_all(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    done = disk.pwrite(fd, data, offset)
    if done != len(data):
        raise OSError(errno.ENOSPC, f"the disk took {done} of {len(data)} bytes")


def read_file(disk: Disk, path: Path, size: int) -> bytes:
    """Up to `size` bytes of a file, opened for reading only; unreadable pages come as zeros.

    Raises:
        OSError: It cannot be opened, is no regular file, or not one page can be read.
    """
    fd = disk.open(str(path), _READ, 0)
    try:
        content, failure = _read(disk, fd, size)
    finally:
        disk.close(fd)
    if failure is not None and not any(content):
        raise failure
    return content


def _read(disk: Disk, fd: int, size: int) -> tuple[bytes, OSError | None]:
    """Up to `size` bytes, and why zeros stand for some of them."""
    if not stat.S_ISREG(disk.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "no regular file")
    parts = []
    offset = 0
    while offset < size:
        try:
            part = disk.pread(fd, size - offset, offset)
        except OSError as error:
            return _salvage(disk, fd, size), error
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts), None


def _salvage(disk: Disk, fd: int, size: int) -> bytes:
    image = bytearray(size)
    for offset in range(0, size, _PAGE):
        with contextlib.suppress(OSError):
            page = disk.pread(fd, min(_PAGE, size - offset), offset)
            image[offset : offset + len(page)] = page
    return bytes(image)


class Segment:
    """One segment file.

    Attributes:
        path: Where it lies.
        size: Bytes.
        fault: Why it cannot be written; None when it can.
        found: Whether there was a file at the first `load`.
        unread: Whether something in it could not be read: until it can, it is not written to.

    Synchronization: `read` from any thread; the rest from the journal's.
    """

    def __init__(self, disk: Disk, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.fault: str | None = "not opened yet"
        self.found = False
        self.unread = False
        self._disk = disk
        self._fd: int | None = None
        self._suspect = False
        self._guard = threading.Lock()
        self._late: bytes | None = None
        self._pause = self._wait = 0

    def load(self) -> tuple[bytes, str | None]:
        """Open the file and read it; put it right when it is missing or damaged.

        Returns:
            The content, zeros where nothing could be read, and what was wrong with a file that was there.
        """
        self.fault = "not open"
        content, why = self._look()
        if why is not None:
            # Once more: a cable that slipped for a moment is no reason to put a file of alarms aside.
            content, why = self._look()
        image = content.ljust(self.size, b"\0")
        if self.unread:
            self.fault = f"{why}; it is not overwritten, and read again later"
            return image, None
        if self.fault is not None:
            why = self._replace(image, why)
        return image, why

    def take_late(self) -> bytes | None:
        """The content, once, if it could not be read by `load` and was read by `mend`."""
        image, self._late = self._late, None
        return image

    def discard(self, why: str) -> str | None:
        """Set the file aside and begin an empty one.

        Returns:
            What happened, for a technician; None when the file had to stay, as `fault` says.
        """
        self.unread = False
        return self._replace(bytes(self.size), why)

    def _look(self) -> tuple[bytes, str | None]:
        """Content of the file that is there, and why it cannot stay there; opens it, for writing if it can."""
        content = b""
        self.unread = False
        try:
            reader = self._disk.open(str(self.path), _READ, 0)
            self.found = True
            self._adopt(reader, "not open for writing")
            content, failure = _read(self._disk, reader, self.size)
            if failure is not None:
                raise failure
        except FileNotFoundError:
            return content, None
        except OSError as error:
            self.found = True
            self.unread = error.errno not in _NO_FILE
            return content, f"{self.path.name}: {error.strerror or error}"
        if len(content) < self.size:
            return content, f"{self.path.name} has {len(content)} bytes instead of {self.size}"
        try:
            self._adopt(self._disk.open(str(self.path), _WRITE, 0))
        except OSError as error:
            return content, f"{self.path.name}: {error.strerror or error}"
        return content, None

    def _replace(self, image: bytes, why: str | None) -> str | None:
        try:
            kept = create(self._disk, self.path, image, keep=why is not None)
            self._adopt(self._disk.open(str(self.path), _WRITE, 0))
        except OSError as error:
            self.fault = f"{self.path.name}: {error.strerror or error}"
            return None
        return f"{why}; kept as {kept}" if why else None

    def _adopt(self, fd: int, fault: str | None = None) -> None:
        with self._guard:
            old, self._fd = self._fd, fd
        self.fault = fault
        self._suspect = False
        if old is not None:
            self._disk.close(old)

    def write(self, data: bytes, offset: int) -> None:
        """One synchronous write; if it fails, it is tried once more through a new descriptor.

        Raises:
            OSError: It is not known what the disk holds there now.
        """
        try:
            self._write_once(data, offset)
        except OSError:
            self._write_once(data, offset)

    def _write_once(self, data: bytes, offset: int) -> None:
        if self._suspect:
            self._reopen()
        if self._fd is None or self.fault:
            raise OSError(errno.ENODEV, self.fault or "closed")
        self._suspect = True
        _write_all(self._disk, self._fd, data, offset)
        self._suspect = False

    def _reopen(self) -> None:
        """Take a new descriptor: after a failed sync the old one may report success for pages it has dropped.

        Until there is one, the old one still serves `read`.
        """
        try:
            self._adopt(self._disk.open(str(self.path), _WRITE, 0))
        except OSError as error:
            self.fault = f"{self.path.name}: {error.strerror or error}"
            raise

    def read(self, size: int, offset: int) -> bytes:
        """Bytes as they are now; empty when they cannot be read."""
        with self._guard:
            if self._fd is None:
                return b""
            try:
                return self._disk.pread(self._fd, size, offset)
            except OSError:
                return b""

    def mend(self) -> bool:
        """Look whether the file is still there, whole and open for writing, and put right what is not.

        Nothing that can be read is ever replaced here; `fault` tells what could not be put right.

        Returns:
            Whether anything was done: what the file should hold must be looked at again.
        """
        if self.unread or self._fd is None:
            return self._load_again()
        try:
            here, there = self._disk.fstat(self._fd), self._disk.lstat(str(self.path))
        except FileNotFoundError:
            return self._put_right(self._restore)
        except OSError:
            return False
        if (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev):
            # What bears the name may be the better copy.
            return self._put_right(lambda: self._restore(whole=True))
        if there.st_size < self.size:
            return self._put_right(lambda: self._refill(there.st_size))
        return self.fault is not None and self._put_right(self._reopen)

    def _load_again(self) -> bool:
        """Try to read what could not be read, less and less often; `take_late` then has it."""
        if not self.unread:
            self.load()
            return self.fault is None
        if self._wait:
            self._wait -= 1
            return False
        content, why = self._look()
        if self.unread:
            self.fault = f"{why}; it is not overwritten, and read again later"
            self._wait = self._pause = min(2 * self._pause + 1, _PAUSE_MAX)
            return False
        self._late = content.ljust(self.size, b"\0")
        return self.fault is None

    def _put_right(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except OSError as error:
            self.fault = f"{self.path.name} cannot be put right: {error.strerror or error}"
            return False
        return True

    def _restore(self, *, whole: bool = False) -> None:
        """Make the file anew from what the open descriptor still holds; from `whole` content only, if so wanted."""
        content, failure = _read(self._disk, self._fd or -1, self.size)
        if failure is not None and whole:
            raise failure
        self._disk.make_folder(str(self.path.parent))
        create(self._disk, self.path, content.ljust(self.size, b"\0"))
        self._reopen()

    def _refill(self, offset: int) -> None:
        """Give a file that was cut its zeros back."""
        self._reopen()
        for start in range(offset, self.size, _CHUNK):
            _write_all(self._disk, self._fd or -1, bytes(min(_CHUNK, self.size - start)), start)

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        with self._guard:
            old, self._fd = self._fd, None
        self.fault = "closed"
        if old is not None:
            self._disk.close(old)
