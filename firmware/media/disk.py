"""The disk under the evidence: room, refusals, and the word that it takes data again."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver
from firmware.files import sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.core.facts import Fact
    from hal.ports import Clock

PROBE_S = 30.0
"""While the disk refuses, it is tried again this often."""
_PROBE_BYTES = 65536
NEVER = float("inf")


class Disk:
    """One folder with a quota.

    Args:
        folder: Of all evidence.
        quota_bytes: Room for all of it.
        clock: For the next try.
        post: Takes one trouble when the disk begins to refuse, and its end.
        drop_oldest: Removes what is not needed any more; the bytes that this freed, 0 when nothing could go.

    Attributes:
        used: Bytes of evidence on it.

    Synchronization: one thread.
    """

    def __init__(
        self,
        folder: Path,
        quota_bytes: int,
        *,
        clock: Clock,
        post: Callable[[Fact], None],
        drop_oldest: Callable[[], int],
    ) -> None:
        self.used = 0
        self._folder = folder
        self._quota = quota_bytes
        self._clock = clock
        self._post = post
        self._drop_oldest = drop_oldest
        self._refused = False
        self._probe_s = NEVER

    def attempt(self, work: Callable[[], object]) -> bool:
        """Do something to the disk; an error is a trouble and no more than that."""
        try:
            work()
        except OSError as error:
            self._complain(error)
            return False
        return True

    def claim(self, size: int) -> None:
        """Make sure of room for `size` more bytes, and count them.

        Raises:
            OSError: There is none that may be freed.
        """
        while self.used + size > self._quota:
            if not self._let_go():
                raise OSError(
                    f"all {self._quota // 2**20} MiB of media.quota_mib are in use by evidence that not every receiver "
                    "has confirmed; bring the receivers back, or raise it"
                )
        self.used += size

    def tick(self) -> None:
        """Try a disk that refused."""
        if self._clock.now().mono_s < self._probe_s:
            return
        self._probe_s = NEVER
        if self.attempt(self._probe):
            self._refused = False
            self._post(TroubleOver("media"))

    def next_deadline(self) -> float:
        """Monotonic seconds of the next try; infinite while the disk is sound."""
        return self._probe_s

    def _probe(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.claim(_PROBE_BYTES)
        self.used -= _PROBE_BYTES
        probe = self._folder / ".probe"
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
            sync(probe)
        finally:
            probe.unlink(missing_ok=True)

    def _let_go(self) -> int:
        try:
            freed = self._drop_oldest()
        except OSError:
            return 0
        self.used -= freed
        return freed

    def _complain(self, error: OSError) -> None:
        freed = self._let_go() if error.errno in (errno.ENOSPC, errno.EDQUOT) else 0
        self._probe_s = self._clock.now().mono_s + (PROBE_S if not freed else 0.0)
        if self._refused:
            return
        self._refused = True
        self._post(
            Trouble(
                "media",
                f"evidence cannot be written to {self._folder}: {error.strerror or error}; stills and live sound go "
                "on from memory, clips do not: make room or repair the disk",
            )
        )
