"""The board's own clocks."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

from hal.types import Instant

_KEEP_S: Final = 5.0
"""How long an answer about synchronization is believed; daemons discipline the clock in steps of minutes."""
_TIME_ERROR: Final = 5
"""adjtimex(2): the kernel's clock is not synchronized (STA_UNSYNC or a clock error)."""
_TIMEX_ROOM: Final = 512
"""Bytes handed to adjtimex; struct timex is 208 at most, and with `modes` zero the call only reads."""
TIMESYNC_FILE: Final = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it at each synchronization since boot."""

_libc = ctypes.CDLL(None, use_errno=True)


def kernel_synced() -> bool:
    """Whether the kernel says that a time daemon disciplines its clock.

    False too where the call is forbidden, as in some containers.
    """
    room = ctypes.create_string_buffer(_TIMEX_ROOM)
    return 0 <= int(_libc.adjtimex(room)) < _TIME_ERROR


class SystemClock:
    """Monotonic time and wall clock of this machine.

    Synchronization: any thread; two threads may both renew the answer about synchronization, which is harmless.
    """

    def __init__(self) -> None:
        self._synced = False
        self._asked_s = -_KEEP_S

    def now(self) -> Instant:
        """The present moment; asks about synchronization at most once in 5 s."""
        mono_s = time.monotonic()
        if mono_s - self._asked_s >= _KEEP_S:
            self._asked_s = mono_s
            self._synced = kernel_synced() or TIMESYNC_FILE.exists()
        return Instant(mono_s, time.time(), self._synced)
