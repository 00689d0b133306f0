"""Rings as somebody sees them who only reads: of another size, or beside the panel that writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from firmware.adapters.ring import Layout
from firmware.adapters.ring_files import Disk, read_file
from firmware.adapters.ring_format import Record, scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_ring(
    folder: Path, layout: Layout, disk: Disk, read: Callable[[Path, Layout, int], list[Record]] | None = None
) -> list[Record]:
    """Whole records of a ring's present lap in the order of writing; nothing is changed, and bad files are passed over.

    Args:
        folder: Where.
        layout: Geometry of the ring.
        disk: The operating system.
        read: Gives the records of one segment file, if not by reading it with `read_segment`.
    """
    records = []
    for index in range(layout.segments):
        path = folder / layout.file(index)
        records += read(path, layout, index) if read else read_segment(path, layout, index, disk)
    newest = max((record.ordinal for record in records), default=0)
    current = [record for record in records if record.ordinal > newest - layout.segments]
    return sorted(current, key=lambda record: record.serial)


def layouts(folder: Path, name: str, disk: Disk) -> list[Layout]:
    """Geometries of all rings of a name that have files in a folder.

    Raises:
        OSError: The folder cannot be listed.
    """
    pattern = re.compile(re.escape(name) + r"-([1-9]\d{0,2})x([1-9]\d{0,8})-\d{1,3}\.seg")
    matches = [match for match in map(pattern.fullmatch, disk.listdir(str(folder))) if match]
    return [Layout(name, count, size) for count, size in sorted({(int(match[1]), int(match[2])) for match in matches})]


def read_segment(path: Path, layout: Layout, index: int, disk: Disk) -> list[Record]:
    """Records of one segment file; none when it cannot be read."""
    try:
        image = read_file(disk, path, layout.size)
    except OSError:
        return []
    return scan(image, index, layout.segments).records
