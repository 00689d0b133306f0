"""Health on the wire: retained, so that whoever asks is told at once whether a panel is there and well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.core.report import SEQ_MAX
from firmware.wire.fields import NAME_PATTERN, PANEL_PATTERN, UNPRINTABLE, Fields, WireError, parse_object
from firmware.wire.report import Stamp, clean, read_stamp
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from firmware.core.effects import Health
    from hal.types import Instant

HEALTH_MAX = 64 * 1024
TROUBLES_MAX = 64
TROUBLE_TEXT_MAX = 200
ZONES_MAX = 256
_COUNT_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class ReceivedHealth:
    """A panel's health as a receiver has read it.

    Attributes:
        panel: Whose.
        epoch: Its present epoch: what a command must name.
        online: False in the last will, and when the panel was stopped in order.
        at: The panel's clocks when it was written; None when not online.
        open_incidents: Latched incidents.
        pending_alarms: Alarm reports that some receiver has not acknowledged.
        troubles: What is out of order.
        glitches: Zones that saw interference, and how often since the panel's start.
    """

    panel: str
    epoch: int
    online: bool
    at: Stamp | None
    open_incidents: int
    pending_alarms: int
    troubles: tuple[str, ...]
    glitches: tuple[tuple[str, int], ...] = ()


def encode_health(health: Health, *, panel: str, epoch: int, now: Instant, key: bytes | None) -> bytes:
    """The payload of a panel that is there."""
    return seal(
        {
            "v": 1,
            "panel": panel,
            "epoch": epoch,
            "online": True,
            "mono_ms": round(now.mono_s * 1000),
            "utc_ms": round(now.utc_s * 1000),
            "synced": now.synced,
            "open_incidents": health.open_incidents,
            "pending_alarms": health.pending_alarms,
            "troubles": [clean(trouble, TROUBLE_TEXT_MAX) for trouble in health.troubles[:TROUBLES_MAX]],
            "glitches": {zone: min(count, _COUNT_MAX) for zone, count in health.glitches[:ZONES_MAX]},
        },
        key,
    )


def encode_gone(*, panel: str, epoch: int, key: bytes | None) -> bytes:
    """The payload of the last will, and of an orderly stop."""
    return seal({"v": 1, "panel": panel, "epoch": epoch, "online": False}, key)


def decode_health(payload: bytes, key: bytes | None) -> ReceivedHealth:
    """Read a panel's health.

    Raises:
        WireError: The payload is no health, or its signature is missing or wrong.
    """
    found = parse_object(payload, "health", HEALTH_MAX)
    if key is not None:
        verify(found, key, "health")
    fields = Fields(found, "health")
    fields.version()
    online = fields.flag("online")
    return ReceivedHealth(
        panel=fields.text("panel", 64, PANEL_PATTERN),
        epoch=fields.integer("epoch", 0, SEQ_MAX),
        online=online,
        at=read_stamp(fields) if online else None,
        open_incidents=fields.integer("open_incidents", 0, _COUNT_MAX) if online else 0,
        pending_alarms=fields.integer("pending_alarms", 0, _COUNT_MAX) if online else 0,
        troubles=_read_troubles(found.get("troubles")) if online else (),
        glitches=_read_glitches(fields.nested("glitches")) if online and fields.has("glitches") else (),
    )


def _read_glitches(found: Fields) -> tuple[tuple[str, int], ...]:
    zones = [zone for zone, _ in found.items()]
    if len(zones) > ZONES_MAX or not all(NAME_PATTERN.fullmatch(zone) for zone in zones):
        raise WireError("health", "glitches", zones, f"counts of at most {ZONES_MAX} zones by name")
    return tuple((zone, found.integer(zone, 0, _COUNT_MAX)) for zone in zones)


def _read_troubles(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or len(found) > TROUBLES_MAX:
        raise WireError("health", "troubles", found, f"an array of at most {TROUBLES_MAX} texts")
    for text in found:
        if not isinstance(text, str) or len(text) > TROUBLE_TEXT_MAX or UNPRINTABLE.search(text):
            raise WireError("health", "troubles", text, f"printable text of at most {TROUBLE_TEXT_MAX} characters")
    return tuple(found)
