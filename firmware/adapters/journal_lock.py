"""One panel a folder: whoever writes into the journal holds a lock, and its number stands in the lock's file."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.adapters.ring_files import Disk

LOCK_FILE = "lock"
_PID_SIZE = 20


class JournalInUseError(Exception):
    """Another panel runs on the same state folder; the text names its process and what to do."""


class FolderLock:
    """The lock on a journal's folder; the kernel takes it off when its holder dies, however that happens.

    Attributes:
        fault: Why it is not held although the folder is there; None when it is, or when there is no folder to lock.
        holder: Process that holds it instead; 0 when that is not known, or no longer alive.

    Synchronization: the journal's thread.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.fault: str | None = None
        self.holder = 0
        self._folder = folder
        self._disk = disk
        self._fd: int | None = None

    def take(self) -> bool:
        """False when another process has the folder: two panels would overwrite each other's alarms."""
        self.fault, self.holder = None, 0
        if self._fd is not None:
            return True
        try:
            fd = self._disk.open(str(self._folder / LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return True
        try:
            self._disk.lock(fd)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                self.holder = self._read_holder(fd)
                self.fault = f"another process has the journal in {self._folder}; stop it"
            self._disk.close(fd)
            return self.fault is None
        with contextlib.suppress(OSError):  # it only tells who it is
            self._disk.pwrite(fd, f"{os.getpid()}\n".encode().ljust(_PID_SIZE), 0)
        self._fd = fd
        return True

    def _read_holder(self, fd: int) -> int:
        try:
            text = self._disk.pread(fd, _PID_SIZE, 0)
            pid = int(text)
        except (OSError, ValueError):
            return 0
        return pid if pid > 0 and self._disk.alive(pid) else 0

    def refuse_a_second_panel(self) -> None:
        """Let nobody arm beside a panel that is alive: both would raise the same alarm, under two identities.

        Raises:
            JournalInUseError: `take` found one.
        """
        if self.holder:
            raise JournalInUseError(
                f"another panel runs as process {self.holder} on {self._folder}; stop it, or give this one a"
                " panel.state_dir of its own"
            )

    def close(self) -> None:
        """Let go; idempotent."""
        if self._fd is not None:
            self._disk.close(self._fd)
        self._fd = None
