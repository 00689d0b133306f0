"""Who complains of what: a trouble is over when nobody complains of it any more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from firmware.core.facts import Trouble, TroubleOver

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.core.facts import Fact


class Ledger:
    """Joins the troubles of several parts under one source.

    Args:
        post: Takes facts.
        knows_all: Whether every trouble began here. The end of one that never stood is then dropped; otherwise it is
            passed on, for it may have begun in another process.

    Synchronization: any thread.
    """

    def __init__(self, post: Callable[[Fact], None], *, knows_all: bool) -> None:
        self._post = post
        self._knows_all = knows_all
        self._standing: dict[str, dict[str, Trouble]] = {}
        self._lock = threading.Lock()

    def of(self, part: str) -> Callable[[Fact], None]:
        """A `post` for one part."""
        return lambda fact: self._take(part, fact)

    def stands(self, part: str, source: str) -> bool:
        """Whether a part complains of something."""
        with self._lock:
            return part in self._standing.get(source, {})

    def _take(self, part: str, fact: Fact) -> None:
        with self._lock:
            match fact:
                case Trouble(source):
                    standing = self._standing.setdefault(source, {})
                    if fact != standing.get(part):
                        standing[part] = fact
                        self._post(fact)
                case TroubleOver(source):
                    standing = self._standing.get(source, {})
                    known = standing.pop(part, None)
                    if known is not None or not self._knows_all:
                        self._post(next(iter(standing.values()), fact))
                case _:
                    self._post(fact)
