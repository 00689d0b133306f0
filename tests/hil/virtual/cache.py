"""The cache of images: what nobody uses any more is deleted, what somebody uses never."""

from __future__ import annotations

import fcntl
import json
import shutil
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_KEEP: Final = 2
"""Images of older states of the project that stay in the cache."""


def hold(image: Path) -> IO[str]:
    """Use an image: until the file is closed, at the latest by the end of the process, nobody deletes it.

    Args:
        image: Its folder. The caller holds the cache's own lock, or somebody could delete it in between.
    """
    use = _mark(image).open("w")
    fcntl.flock(use, fcntl.LOCK_SH)
    return use


def tidy(cache: Path, base: Path) -> None:
    """Delete what is neither new nor in use.

    Args:
        cache: The folder; the caller holds its lock.
        base: The base that was built or found last.
    """
    images = sorted(cache.glob("image-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    images = [path for place, path in enumerate(images) if place < _KEEP or not _deleted(path)]
    wanted = {base.name, *(f"base-{json.loads((path / 'manifest.json').read_text())['base']}" for path in images)}
    for path in cache.glob("base-*"):
        if path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def _deleted(image: Path) -> bool:
    """Delete an image unless somebody uses it."""
    with _mark(image).open("w") as use:
        try:
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(image, ignore_errors=True)
        _mark(image).unlink()
        return True


def _mark(image: Path) -> Path:
    return image.with_name(f"use-of-{image.name}")
