"""Where on the card the files of a folder lie: one line "FROM TO" in bytes for each piece (ioctl FS_IOC_FIEMAP)."""

import array
import fcntl
import struct
import sys
from pathlib import Path

FIEMAP = 0xC020660B
PIECES = 64
HEAD, PIECE = struct.Struct("=QQLLLL"), struct.Struct("=QQQQQLLLL")


def places(path: Path):
    """Pieces of one file."""
    room = array.array("B", HEAD.pack(0, 2**64 - 1, 1, 0, PIECES, 0) + bytes(PIECES * PIECE.size))
    with path.open("rb") as file:
        fcntl.ioctl(file, FIEMAP, room)
    for number in range(HEAD.unpack_from(room)[3]):
        _logical, physical, length, *_ = PIECE.unpack_from(room, HEAD.size + number * PIECE.size)
        yield physical, physical + length


for file in Path(sys.argv[1]).rglob("*"):
    if file.is_file():
        for begin, end in places(file):
            print(begin, end)
