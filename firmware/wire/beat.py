"""Heartbeats and their echoes: the proof that a receiver, and not only a broker, is at the other end of a path.

A beat is signed by the panel and counts upwards within its epoch, so that a receiver notices another panel in its place
and a recording. An echo names the beat that it answers and is signed by the receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.report import SEQ_MAX
from firmware.wire.fields import INBOUND_MAX, NAME_PATTERN, PANEL_PATTERN, Fields, parse_object
from firmware.wire.receipt import known_receiver
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Pulse:
    """One beat.

    Attributes:
        panel: Whose.
        epoch: Its present epoch.
        path: The path that it goes over.
        count: Rises by one with every beat of this path and epoch.
        mono_ms: The panel's monotonic clock.
    """

    panel: str
    epoch: int
    path: str
    count: int
    mono_ms: int


def encode_beat(pulse: Pulse, *, key: bytes | None) -> bytes:
    """The payload of a beat; `key` is the panel's."""
    return seal(_base(pulse) | {"mono_ms": pulse.mono_ms}, key)


def decode_beat(payload: bytes, key: bytes | None) -> Pulse:
    """Read a beat.

    Raises:
        WireError: It is none, or its signature is missing or wrong.
    """
    found = parse_object(payload, "beat", INBOUND_MAX)
    if key is not None:
        verify(found, key, "beat")
    return _read(Fields(found, "beat"))


def encode_echo(pulse: Pulse, *, receiver: str, key: bytes | None) -> bytes:
    """The payload of an echo of a beat; `key` is shared by receiver and panel."""
    return seal(_base(pulse) | {"mono_ms": pulse.mono_ms, "receiver": receiver}, key)


def decode_echo(payload: bytes, *, receiver: str, panel: str, receivers: Mapping[str, bytes | None]) -> Pulse:
    """Read an echo and check who it is from; whether it answers a beat of ours is the caller's to know.

    Args:
        payload: What came.
        receiver: The last level of the topic it came on.
        panel: This panel.
        receivers: The configured receivers with their keys; one that has a key must sign.

    Raises:
        WireError: It is none, is from somebody else, or answers another panel.
    """
    found = parse_object(payload, "echo", INBOUND_MAX)
    key = known_receiver("echo", receiver, receivers)
    if key is not None:
        verify(found, key, "echo")
    fields = Fields(found, "echo")
    fields.same("receiver", receiver, "as its topic says")
    fields.same("panel", panel, "this panel")
    return _read(fields)


def _base(pulse: Pulse) -> dict[str, object]:
    return {"v": 1, "panel": pulse.panel, "epoch": pulse.epoch, "path": pulse.path, "count": pulse.count}


def _read(fields: Fields) -> Pulse:
    fields.version()
    return Pulse(
        panel=fields.text("panel", 64, PANEL_PATTERN),
        epoch=fields.integer("epoch", 0, SEQ_MAX),
        path=fields.text("path", 32, NAME_PATTERN),
        count=fields.integer("count", 1, SEQ_MAX),
        mono_ms=fields.integer("mono_ms", 0, SEQ_MAX),
    )
