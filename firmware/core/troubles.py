"""What is out of order: told once when it begins and once when it is over, listed for whoever asks in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.effects import Effect, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.core.maker import Maker
    from firmware.core.report import Scalar
    from hal.types import Instant

TEXT_MAX = 300


@dataclass(frozen=True, slots=True)
class Standing:
    """One trouble that stands: why, and whether it belongs to a silent alarm."""

    why: str
    covert: bool


class Troubles:
    """All troubles that stand, by source, in the order in which they began.

    Synchronization: one thread.
    """

    def __init__(self, make: Maker) -> None:
        self._make = make
        self._standing: dict[str, Standing] = {}

    def __contains__(self, source: object) -> bool:
        return source in self._standing

    def __iter__(self) -> Iterator[str]:
        return iter(self._standing)

    def __len__(self) -> int:
        return len(self._standing)

    @property
    def visible(self) -> list[tuple[str, str]]:
        """Source and reason of those that the booth may know of."""
        return [(source, standing.why) for source, standing in self._standing.items() if not standing.covert]

    def note(self, source: str, why: str, *, covert: bool = False) -> None:
        """A trouble stands that has a report of its own."""
        self._standing[source] = Standing(why, covert)

    def forget(self, source: str) -> bool:
        """A trouble with a report of its own is over; whether it was covert."""
        standing = self._standing.pop(source, None)
        return standing is not None and standing.covert

    def begin(
        self,
        source: str,
        why: str,
        now: Instant,
        *,
        covert: bool = False,
        loud: bool = False,
        detail: tuple[tuple[str, Scalar], ...] = (),
    ) -> list[Effect]:
        """Report a trouble; one that stands already changes nothing.

        Args:
            source: What is out of order.
            why: And why.
            now: Both clocks.
            covert: A silent alarm found it.
            loud: An alarm that everybody sees found it: it shows from now on even if a silent one found it first.
            detail: Further facts.
        """
        known = self._standing.get(source)
        if known is not None and not (loud and known.covert):
            return []
        self.note(source, why, covert=covert)
        facts: tuple[tuple[str, Scalar], ...] = (("source", source), ("why", why[:TEXT_MAX]), *detail)
        report = self._make.report("YX", now, covert=covert, detail=facts)
        return [Store(report), *([] if covert else [self._make.say("trouble", source=source, why=why)])]

    def end(self, source: str, now: Instant, *, covert: bool = False) -> list[Effect]:
        """Report that a trouble is over; one that does not stand changes nothing.

        Args:
            source: Which.
            now: Both clocks.
            covert: A silent alarm shows that it is over: one that the booth sees then stands until something else does.
        """
        known = self._standing.get(source)
        if known is None or (covert and not known.covert):
            return []
        covert = self.forget(source)
        report = self._make.report("YZ", now, covert=covert, detail=(("source", source),))
        return [Store(report), *([] if covert else [self._make.say("trouble-over", source=source)])]
