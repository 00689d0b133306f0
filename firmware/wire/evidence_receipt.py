"""Evidence receipts on the wire: a receiver has a whole file of evidence, and its hash is right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire.fields import INBOUND_MAX, Fields, WireError, parse_object
from firmware.wire.receipt import known_receiver
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.core.report import ReportId

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class EvidenceReceipt:
    """A receiver's word on one file.

    Attributes:
        receiver: Who has it.
        incident: Whose evidence.
        name: File name, as the last level of the evidence topic.
        sha256: Of the whole file, as the receiver computed it.
    """

    receiver: str
    incident: ReportId
    name: str
    sha256: str


def encode_evidence_receipt(receipt: EvidenceReceipt, *, key: bytes | None) -> bytes:
    """The payload of an evidence receipt, signed with the key that this receiver shares with the panel."""
    return seal(
        {
            "v": 1,
            "receiver": receipt.receiver,
            "incident": str(receipt.incident),
            "name": receipt.name,
            "sha256": receipt.sha256,
        },
        key,
    )


def decode_evidence_receipt(
    payload: bytes, *, receiver: str, panel: str, receivers: Mapping[str, bytes | None]
) -> EvidenceReceipt:
    """Read an evidence receipt and check who it is from.

    Args:
        payload: What came.
        receiver: The last level of the topic it came on.
        panel: This panel.
        receivers: The configured receivers with their keys; one that has a key must sign.

    Raises:
        WireError: The payload is no evidence receipt, is from somebody else, or is about another panel's incident.
    """
    found = parse_object(payload, "evidence receipt", INBOUND_MAX)
    key = known_receiver("evidence receipt", receiver, receivers)
    if key is not None:
        verify(found, key, "evidence receipt")
    fields = Fields(found, "evidence receipt")
    fields.version()
    fields.same("receiver", receiver, "as its topic says")
    incident = fields.identity("incident")
    if incident.panel != panel:
        raise WireError("evidence receipt", "incident", str(incident), f"an incident of this panel, {panel!r}")
    return EvidenceReceipt(receiver, incident, fields.text("name", 100, FILE_NAME), fields.text("sha256", 64, SHA256))
