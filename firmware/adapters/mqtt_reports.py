"""paho's client with a short way for what a path carries most: publications out, PUBACKs in.

paho makes a message object, a reason code and a list of properties for each of them, reads every byte of a header with
a call of its own and writes one packet a call: half of what a report costs. Here publications are written together and
the socket is read in large pieces. Connecting, subscribing, keep-alive and incoming publications stay paho's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from paho.mqtt.client import MQTTv5
from paho.mqtt.enums import MQTTErrorCode

from firmware.mqtt import SturdyClient

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 64 * 1024
"""Bytes of one read."""
_PUBLISH_QOS_1, _PUBACK = 0x32, 0x40
"""First bytes (MQTT 5, 2.1.2)."""
_MORE = 0x80
"""Bit of a variable byte integer: it goes on (MQTT 5, 1.5.5)."""
_MID, _REASON = 2, 3
"""Bytes of a PUBACK behind its fixed header: with the packet identity, with the reason too (MQTT 5, 3.4.2)."""


class ReportClient(SturdyClient):
    """A client that is driven by its owner and keeps no account of what it published with `send`.

    Attributes:
        on_answer: Called with packet identity and reason code of every PUBACK, inside `loop_read`.

    Synchronization: one thread, which also calls `loop_read`, `loop_write` and `loop_misc`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.on_answer: Callable[[int, int], None] | None = None
        self._gathered = bytearray()
        self._buffer = b""
        self._at = 0

    def send(self, topic: str, payload: bytes, *, retain: bool, more: bool) -> int:
        """Publish with QoS 1.

        Args:
            topic: Where; ours are valid, which paho would check.
            payload: What.
            retain: Whether the broker keeps it.
            more: Wait with writing until the next call.

        Returns:
            The packet identity that `on_answer` will be called with.
        """
        mid, name = self._mid_generate(), topic.encode()
        tail = mid.to_bytes(2, "big") + (b"\0" if self._protocol == MQTTv5 else b"")
        out = self._gathered
        out.append(_PUBLISH_QOS_1 | retain)
        self._pack_remaining_length(out, 2 + len(name) + len(tail) + len(payload))
        out += len(name).to_bytes(2, "big")
        out += name
        out += tail
        out += payload
        if not more:
            self._gathered = bytearray()
            self._packet_queue(_PUBLISH_QOS_1, out, mid, 1)
        return mid

    @property
    def has_unread(self) -> bool:
        """Whether bytes have left the socket that nobody has looked at."""
        return self._at < len(self._buffer)

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._at >= len(self._buffer):
            self._buffer, self._at = super()._sock_recv(CHUNK), 0
        start, self._at = self._at, self._at + bufsize
        return self._buffer[start : self._at]

    def _packet_read(self) -> MQTTErrorCode:
        """A PUBACK that lies there whole is taken at once; all else goes paho's way."""
        at, buffer = self._at, self._buffer
        if at + 1 < len(buffer) and buffer[at] == _PUBACK and not self._in_packet["command"]:
            start, end = at + 2, at + 2 + buffer[at + 1]
            if start + _MID <= end <= len(buffer) and buffer[at + 1] < _MORE:
                self._at = end
                self._answered(buffer[start:end])
                return MQTTErrorCode.MQTT_ERR_SUCCESS
        return super()._packet_read()

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if cmd != "PUBACK" or len(packet) < _MID:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._answered(packet)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _answered(self, packet: bytes | bytearray) -> None:
        if self.on_answer is not None:
            reason = packet[_REASON - 1] if len(packet) >= _REASON else 0
            self.on_answer(int.from_bytes(packet[:_MID], "big"), reason)
