"""Receipts on the wire: a receiver's word that it, or a person at it, has a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.facts import Receipt
from firmware.core.report import RECEIVER_STEPS, SEQ_MAX, Step
from firmware.wire.fields import INBOUND_MAX, NAME_PATTERN, Fields, WireError, parse_object
from firmware.wire.report import clean
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

PERSON_MAX = 80


def encode_receipt(receipt: Receipt, *, at_utc_ms: int, key: bytes | None) -> bytes:
    """The payload of a receipt.

    Args:
        receipt: The receiver's word.
        at_utc_ms: When, on the receiver's wall clock; for people, nothing is decided by it.
        key: The key that this receiver shares with the panel.
    """
    return seal(
        {
            "v": 1,
            "report": str(receipt.id),
            "receiver": receipt.receiver,
            "step": receipt.step.value,
            "person": clean(receipt.person, PERSON_MAX),
            "at_utc_ms": at_utc_ms,
        },
        key,
    )


def decode_receipt(
    payload: bytes, *, receiver: str, panel: str, receivers: Mapping[str, bytes | None], path: str = ""
) -> Receipt:
    """Read a receipt and check who it is from.

    Args:
        payload: What came.
        receiver: The last level of the topic it came on.
        panel: This panel.
        receivers: The configured receivers with their keys; one that has a key must sign.
        path: The path that it came over.

    Raises:
        WireError: The payload is no receipt, is from somebody else, or is about another panel's report.
    """
    found = parse_object(payload, "receipt", INBOUND_MAX)
    key = known_receiver("receipt", receiver, receivers)
    if key is not None:
        verify(found, key, "receipt")
    fields = Fields(found, "receipt")
    fields.version()
    fields.same("receiver", receiver, "as its topic says")
    ident = fields.identity("report")
    if ident.panel != panel:
        raise WireError("receipt", "report", str(ident), f"a report of this panel, {panel!r}")
    fields.integer("at_utc_ms", -SEQ_MAX, SEQ_MAX)
    step = Step(fields.choice("step", RECEIVER_STEPS))
    return Receipt(receiver, ident, step, fields.text("person", PERSON_MAX), path)


def known_receiver(what: str, name: str, receivers: Mapping[str, bytes | None]) -> bytes | None:
    """The key of the receiver that a topic names.

    Raises:
        WireError: No such receiver is configured.
    """
    if not NAME_PATTERN.fullmatch(name) or name not in receivers:
        known = ", ".join(sorted(receivers))
        raise WireError(what, "topic's receiver", name, f"one of the configured [[receiver]] names: {known}")
    return receivers[name]
