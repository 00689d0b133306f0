"""What reaches the media child's main thread, and how it sleeps."""

from __future__ import annotations

import collections
import math
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.media.items import Found
    from firmware.media.sources import SourceWord
    from hal.types import AudioBlock

ITEMS_MAX = 8192
"""Two minutes of one microphone and one camera; the panel replaces a child that is silent for three seconds."""


class Inbox:
    """Words from the device threads and lines for the panel.

    While no incident runs nobody is in a hurry: what comes wakes nobody and is fetched ten times a second, which halves
    the processor time of a panel at rest.

    Attributes:
        eager: Whether everything wakes the main thread.

    Synchronization: `put` from any thread; the rest from the main one.
    """

    def __init__(self) -> None:
        self.eager = False
        self._mail: collections.deque[SourceWord | AudioBlock | Found | bytes] = collections.deque(maxlen=ITEMS_MAX)
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def put(self, item: SourceWord | AudioBlock | Found | bytes, *, urgent: bool = False) -> None:
        """Hand over something; never blocks."""
        self._mail.append(item)
        if self.eager or urgent:
            os.eventfd_write(self._fd, 1)

    def take(self) -> list[SourceWord | AudioBlock | Found | bytes]:
        """All that waits, oldest first."""
        return [self._mail.popleft() for _ in range(len(self._mail))]

    def wait(self, other_fd: int, timeout_s: float, *, writable: bool) -> bool:
        """Sleep until something comes, `other_fd` is ready or the time is over; whether `other_fd` is readable."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(other_fd, select.POLLIN | (select.POLLOUT if writable else 0))
        ready = dict(poll.poll(math.ceil(max(0.0, timeout_s) * 1000)))
        if self._fd in ready:
            os.eventfd_read(self._fd)
        return bool(ready.get(other_fd, 0) & ~select.POLLOUT)
