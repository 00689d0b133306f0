"""Where the engine's work leaves the main thread: for the spool's and the uploader's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver
from firmware.media.orders import Append
from firmware.media.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact
    from firmware.media.items import Confirmed
    from firmware.media.orders import Live, LiveRuns, SpoolOrder
    from firmware.worker import Worker

PENDING_MAX = 32 * 2**20
"""Bytes on their way to a disk that does not keep up."""
HEADER_BYTES = 4096
"""Pieces up to this length are never dropped: a file without its header is no file."""


class Outlet:
    """The engine's sink: hands its orders to the spool's and the uploader's threads.

    Synchronization: `keep` and `send` from the main thread, `done` from the spool's.
    """

    def __init__(self, post: Callable[[Fact], None]) -> None:
        self.spool: Worker | None = None
        self.uploader: Worker | None = None
        self._put = 0
        self._done = 0
        self._post = post
        self._slow = False

    def keep(self, order: SpoolOrder) -> None:
        """See `Sink.keep`; whole fragments are left out when the disk is far behind."""
        if isinstance(order, Append):
            if self._put - self._done > PENDING_MAX and len(order.data) > HEADER_BYTES:
                if not self._slow:
                    why = f"the disk is {PENDING_MAX // 2**20} MiB behind; parts of clips are left out"
                    self._post(Trouble("media", why))
                self._slow = True
                return
            self._put += len(order.data)
            if self._slow and self._put == self._done + len(order.data):
                self._slow = False
                self._post(TroubleOver("media"))
        if self.spool is not None:
            self.spool.put(order)

    def send(self, order: Live | LiveRuns) -> None:
        """See `Sink.send`."""
        if self.uploader is not None:
            self.uploader.put(order)

    def confirm(self, confirmed: Confirmed) -> None:
        """A receiver has a file; from the uploader's thread."""
        if self.spool is not None:
            self.spool.put(confirmed)

    def done(self, size: int) -> None:
        """The spool obeyed an `Append`."""
        self._done += size


class CountingSpool(Spool):
    """A spool that tells how far it has come."""

    outlet: Outlet

    def handle(self, order: object) -> None:
        """See `Spool.handle`."""
        try:
            super().handle(order)
        finally:
            if isinstance(order, Append):
                self.outlet.done(len(order.data))
