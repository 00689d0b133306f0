"""The epoch: a number that rises at every start of the panel and is never used twice.

It is kept in the alarm ring and, a second time, in a file with two slots that are written in turn, so that one bad file
or one torn sector does not lower it.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from firmware.adapters.ring_files import Segment
from firmware.core.report import SEQ_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.adapters.ring_files import Disk

EPOCH_FILE = "epoch.slots"
_SLOT = struct.Struct("<I4sQ")
_MAGIC = b"GBep"
_STRIDE = 4096
"""One page a slot: a torn write cannot reach the other."""

PLAUSIBLE_FROM_S = 1_767_225_600
"""2026-01-01T00:00Z: a wall clock before this was never set."""
PLAUSIBLE_TO_S = 4_102_444_800
"""2100-01-01T00:00Z."""
RANDOM_FROM = 2**40
"""Above every epoch that comes from a clock or from counting on from one."""
_RANDOM_SPAN = 2**48
_NEXT_SPAN = 2**40
"""Of a panel that is in the random region already: thousands of such starts fit in."""
_AHEAD_MAX_S = 86_400
"""As far as quick starts, and what a damaged ring may hide, can bring an epoch before the clock."""
_STEP_SPAN = 2**32
"""Of a step without a clock: two starts from one backup meet with a chance of one in four thousand million, and there
is room for four million steps."""
_TAIL_MARGIN = 1000
"""Epochs that a damaged end of the ring may have hidden."""


class Slots(NamedTuple):
    """What the file says: the highest epoch (0: none), and whether nothing in it is damaged."""

    epoch: int
    sound: bool


class EpochFile:
    """The second copy of the epoch.

    Attributes:
        findings: What was wrong with the file, for a technician.

    Synchronization: the journal's thread.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.findings: list[str] = []
        self._segment = Segment(disk, folder / EPOCH_FILE, 2 * _STRIDE)
        self._older = 0
        self._written = 0

    @property
    def fault(self) -> str | None:
        """Why the file cannot be written; None when it can."""
        return self._segment.fault

    def load(self) -> Slots:
        """Open the file and read it; makes it when it is missing."""
        image, why = self._segment.load()
        if why:
            self.findings.append(why)
        first, second = _slot(image, 0), _slot(image, _STRIDE)
        if first is None and second is None:
            self.findings.append(f"{EPOCH_FILE}: both slots are damaged")
        # One alone is what a cut of the power leaves of the write that it came into.
        self._older = 0 if (first or 0) <= (second or 0) else 1
        epoch = max(first or 0, second or 0)
        return Slots(epoch, sound=epoch > 0 and first is not None and second is not None)

    def write(self, epoch: int) -> None:
        """Make an epoch durable, in the slot that does not hold the last one.

        Raises:
            OSError: It is not.
        """
        body = _SLOT.pack(0, _MAGIC, epoch)[4:]
        data = zlib.crc32(body).to_bytes(4, "little") + body
        offset = self._older * _STRIDE
        if self._segment.unread:  # the epoch was chosen without it: it holds nothing more that is wanted
            why = self._segment.discard(f"{EPOCH_FILE} cannot be read")
            self.findings += [why] if why else []
        self._segment.write(data, offset)
        self._older = 1 - self._older
        self._written = epoch

    def take_findings(self) -> list[str]:
        """What was wrong with the file, each thing once."""
        found, self.findings = self.findings, []
        return found

    def check(self) -> None:
        """Look after the file; made anew, it gets the epoch again."""
        if self._segment.mend() and self._written:
            try:
                self.write(self._written)
            except OSError as error:
                self.findings.append(f"{EPOCH_FILE}: {error.strerror or error}")

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        self._segment.close()


def _slot(image: bytes, offset: int) -> int | None:
    """A slot's epoch: 0 when it was never written, None when it is damaged."""
    crc, magic, epoch = _SLOT.unpack_from(image, offset)
    if not any(image[offset : offset + _SLOT.size]):
        return 0
    if magic != _MAGIC or crc != zlib.crc32(image[offset + 4 : offset + _SLOT.size]) or epoch > SEQ_MAX:
        return None
    return int(epoch)


def next_epoch(last: int, clock_s: float, random53: Callable[[], int], *, slots_sound: bool, ring_sound: bool) -> int:
    """The epoch after `last`, the highest one that could be read.

    A state folder put back from a backup has forgotten the starts after it, and cannot know. A clock that is right
    lifts the epoch above theirs, which were never ahead of it by more than a few. Without one, every start takes a step
    of its own length at random, so that those after the backup hit upon no epoch of those before. It never lowers one.

    Args:
        last: 0 when there was none.
        clock_s: Seconds since 1970 if a time source stands behind them, else 0: a board without a battery wakes at
            the hour at which it was saved, time and again.
        random53: A number from 0 to 2**53-1.
        slots_sound: Whether both slots could be read.
        ring_sound: Whether nothing is missing in the ring before its end.
    """
    clock = int(clock_s) if PLAUSIBLE_FROM_S <= clock_s < PLAUSIBLE_TO_S else 0
    certain = last > 0 and (slots_sound or ring_sound)
    if not (certain or clock):
        return random_epoch(last, random53)
    least = last + 1 + (_TAIL_MARGIN if certain and not slots_sound else 0)
    if not clock or last > clock + _AHEAD_MAX_S:
        least += random53() % _STEP_SPAN
    return min(max(least, clock), SEQ_MAX)


def random_epoch(last: int, random53: Callable[[], int]) -> int:
    """An epoch that no other start will hit upon, though nothing of this one can be written down."""
    base = max(last, RANDOM_FROM)
    span = max(1, min(_RANDOM_SPAN if last < RANDOM_FROM else _NEXT_SPAN, (SEQ_MAX - base) // 2))
    return min(base + 1 + random53() % span, SEQ_MAX)
