"""What is uploaded next: files in chunks, until every receiver has confirmed every one.

A file is offered whole at once, and again 60 s after its last chunk while a receiver's confirmation is missing. A
receiver that answers nothing at all is *silent*: it is offered only the smallest file that it lacks, so that the others
do not travel for nothing, and all that it lacks as soon as it answers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire.media import CHUNK_BYTES

if TYPE_CHECKING:
    from firmware.core.report import ReportId
    from firmware.media.items import Item
    from firmware.wire.media import EvidenceReceipt

OFFER_S = 60.0
"""Pause between two offers of one file."""
UNHEARD_S = 15.0
"""Pause when the broker says that nobody at all is subscribed; the offer is then one chunk."""
WINDOW = 8
"""Chunks that the broker has not answered for: 128 KiB, which is 1 Mbit/s at a second's delay."""
WINDOW_LIVE = 2
"""The same while live sound runs: it waits behind 32 KiB at most, 0.13 s at 2 Mbit/s."""
NOBODY = 0x10
"""MQTT 5: "No matching subscribers"."""
_RANK = {"still": 0, "manifest": 1, "sound": 2, "clip": 3}
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to be sent: `length` bytes of `item` at `offset`."""

    item: Item
    offset: int
    length: int


@dataclass(slots=True)
class _Offer:
    item: Item
    arrival: int
    missing: set[str]
    sent: int = 0
    tries: int = 0
    offered_s: float = 0.0
    due_s: float = NEVER

    @property
    def key(self) -> tuple[bool, int, int, int, int]:
        incident = self.item.incident
        return self.tries > 0, -incident.epoch, -incident.seq, _RANK[self.item.kind], self.arrival


class Outbox:
    """Decides; knows no network and no disk.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._offers: dict[tuple[ReportId, str], _Offer] = {}
        self._arrivals = itertools.count()
        self._flying: dict[int, tuple[_Offer, int]] = {}
        self._tokens = itertools.count(1)
        self._heard_s: dict[str, float] = {}
        self._silent: set[str] = set()
        self._unheard_until_s = 0.0
        self.window = WINDOW

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, item: Item) -> None:
        """A file that some receiver lacks."""
        if item.missing:
            self._offers[item.incident, item.name] = _Offer(item, next(self._arrivals), set(item.missing))

    def drop(self, item: Item) -> None:
        """A file that cannot be read any more."""
        self._offers.pop((item.incident, item.name), None)

    def next(self, now_s: float) -> tuple[int, Piece] | None:
        """The next chunk and the token that its answer will name; None when nothing may go now."""
        if len(self._flying) >= self.window or now_s < self._unheard_until_s:
            return None
        self._wake(now_s)
        unsent = [offer for offer in self._offers.values() if offer.sent < offer.item.size]
        if not unsent:
            return None
        offer = min(unsent, key=lambda offer: offer.key)
        length = min(CHUNK_BYTES, offer.item.size - offer.sent)
        token = next(self._tokens)
        self._flying[token] = (offer, offer.sent)
        piece = Piece(offer.item, offer.sent, length)
        offer.sent += length
        offer.offered_s = now_s
        if offer.sent == offer.item.size:
            offer.due_s = now_s + OFFER_S
        return token, piece

    def answered(self, token: int, reason: int, now_s: float) -> None:
        """The broker answered for a chunk; any reason but success means that it is sent again."""
        offer, offset = self._flying.pop(token, (None, 0))
        if offer is None or not reason:
            return
        offer.sent, offer.due_s = min(offer.sent, offset), NEVER
        self._unheard_until_s = now_s + UNHEARD_S

    def receipt(self, receipt: EvidenceReceipt, now_s: float) -> bool:
        """A receiver has a file; True when that was news."""
        self._heard_s[receipt.receiver] = now_s
        if receipt.receiver in self._silent:
            self._silent.discard(receipt.receiver)
            for offer in self._offers.values():
                if receipt.receiver in offer.missing and offer.sent == offer.item.size:
                    offer.due_s = now_s
        named = self._offers.get((receipt.incident, receipt.name))
        if named is None or receipt.sha256 != named.item.sha256 or receipt.receiver not in named.missing:
            return False
        named.missing.discard(receipt.receiver)
        if not named.missing:
            del self._offers[receipt.incident, receipt.name]
        return True

    def connected(self, now_s: float) -> None:
        """A new connection: what no answer came for is sent again, what was not confirmed is offered again."""
        self._unheard_until_s = 0.0
        for offer in self._offers.values():
            if offer.sent == offer.item.size:
                offer.due_s = now_s

    def disconnected(self) -> None:
        """The connection is gone."""
        for offer, offset in self._flying.values():
            offer.sent, offer.due_s = min(offer.sent, offset), NEVER
        self._flying.clear()

    def next_deadline(self, now_s: float) -> float:
        """When `next` may have something that it has not now."""
        if len(self._flying) >= self.window:
            return NEVER
        if any(offer.sent < offer.item.size for offer in self._offers.values()):
            return max(now_s, self._unheard_until_s)
        return max(min((offer.due_s for offer in self._offers.values()), default=NEVER), self._unheard_until_s)

    def _wake(self, now_s: float) -> None:
        """Begin the offers that are due."""
        due = [offer for offer in self._offers.values() if offer.due_s <= now_s]
        for offer in due:
            waited = now_s >= offer.offered_s + OFFER_S
            quiet = {name for name in offer.missing if self._heard_s.get(name, -NEVER) < offer.offered_s}
            self._silent |= quiet if waited else set()
        for offer in due:
            if offer.missing <= self._silent and offer is not self._probe():
                offer.due_s = now_s + OFFER_S
            else:
                offer.sent, offer.due_s, offer.tries = 0, NEVER, offer.tries + 1

    def _probe(self) -> _Offer:
        lacking = [offer for offer in self._offers.values() if offer.missing <= self._silent]
        return min(lacking, key=lambda offer: (offer.item.size, offer.arrival))
