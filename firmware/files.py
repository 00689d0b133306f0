"""Files that must be whole or as before, whatever happens in between.

The journal reaches its rings through `firmware.adapters.ring_files`, where a test can make every call fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that a power cut leaves the old or the new one: same folder, sync, rename, sync of the folder.

    Raises:
        OSError: The old file is as it was.
    """
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    sync(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however few the disk takes at a time.

    Raises:
        OSError: The disk failed or is full.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(path: Path) -> None:
    """Have a file's data, or a folder's names, on the disk when this returns; a file system that cannot does nothing.

    Raises:
        OSError: The disk failed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(PermissionError, IsADirectoryError):
            os.fsync(fd)
    finally:
        os.close(fd)


def hash_file(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of what is really on the disk.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return os.fstat(file.fileno()).st_size, sha256
