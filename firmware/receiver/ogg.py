"""Live sound as a file: Opus packets into an Ogg stream (RFC 3533, RFC 7845), page by page, without decoding.

The file is playable up to its last whole page at any moment, so a desk that dies keeps what it heard.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE_S = 1.0
"""Sound in one page: what a dying desk loses at most."""
RATE_HZ = 48000
"""The clock of an Ogg Opus stream, whatever the microphone's rate was (RFC 7845, section 4)."""
PRE_SKIP = 312
"""Samples a decoder throws away at first: 6.5 ms, the look-ahead of the reference encoder."""

_FIRST, _LAST = 0x02, 0x04
_LACES_MAX = 255
_HEADER = struct.Struct("<4sBBqIIIB")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def checksum(page: bytes) -> int:
    """Ogg's CRC: polynomial 0x04C11DB7, not reflected, starting at 0 (RFC 3533, section 6)."""
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value


class OpusFile:
    """One Ogg Opus file that grows while packets come.

    Args:
        out: Open for writing; stays the caller's to sync and close.
        serial: Any number; names the logical stream.

    Synchronization: one thread.
    """

    def __init__(self, out: BinaryIO, serial: int) -> None:
        self._out = out
        self._serial = serial
        self._page = 0
        self._granule = 0
        self._waiting: list[bytes] = []
        self._waiting_samples = 0
        self._put(0, _FIRST, [struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, RATE_HZ, 0, 0)])
        vendor = b"gatebooth"
        self._put(0, 0, [struct.pack("<8sI", b"OpusTags", len(vendor)) + vendor + struct.pack("<I", 0)])

    def write(self, packet: bytes, samples: int) -> None:
        """Append one packet that lasts `samples` at 48 kHz."""
        laces = sum(len(item) // 255 + 1 for item in (*self._waiting, packet))
        if laces > _LACES_MAX:
            self._flush(0)
        self._waiting.append(packet)
        self._waiting_samples += samples
        if self._waiting_samples >= PAGE_S * RATE_HZ:
            self._flush(0)

    def lose(self, packets: int, like: bytes, samples: int) -> None:
        """Stand in for packets that never came: empty frames, which a decoder conceals (RFC 6716, section 3.2.1)."""
        for _ in range(packets):
            self.write(bytes((like[0] & 0xFC,)), samples)

    def finish(self) -> None:
        """Write the last page."""
        self._flush(_LAST)

    def _flush(self, flag: int) -> None:
        self._granule += self._waiting_samples
        self._put(self._granule, flag, self._waiting)
        self._waiting, self._waiting_samples = [], 0

    def _put(self, granule: int, flag: int, packets: Iterable[bytes]) -> None:
        packets = list(packets)
        laces = bytes(lace for packet in packets for lace in (*[255] * (len(packet) // 255), len(packet) % 255))
        head = _HEADER.pack(b"OggS", 0, flag, granule, self._serial, self._page, 0, len(laces))
        page = bytearray(head + laces + b"".join(packets))
        struct.pack_into("<I", page, 22, checksum(bytes(page)))
        self._out.write(page)
        self._out.flush()
        self._page += 1
