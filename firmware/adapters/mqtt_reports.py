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

CHUNK = 4096
"""Bytes of one read: also how many answers, at most, are heard at once before anything else is looked at."""
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
        self._no_properties = b"\0" if self._protocol == MQTTv5 else b""
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
        size = 2 + len(name) + 2 + len(self._no_properties) + len(payload)
        self._gathered += b"%c%b%b%b%b%b%b" % (
            _PUBLISH_QOS_1 | retain,
            _variable(size),
            len(name).to_bytes(2, "big"),
            name,
            mid.to_bytes(2, "big"),
            self._no_properties,
            payload,
        )
        if not more:
            out, self._gathered = self._gathered, bytearray()
            self._packet_queue(_PUBLISH_QOS_1, out, mid, 1)
        return mid

    @property
    def has_unread(self) -> bool:
        """Whether bytes have left the socket that nobody has looked at."""
        return self._at < len(self._buffer)

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads of the socket: between two packets it never sees the PUBACKs that lie there whole."""
        if not self.has_unread:
            self._buffer, self._at = super()._sock_recv(CHUNK), 0
        if not self._in_packet["command"] and self._take_answers() and not self.has_unread:
            raise BlockingIOError
        start, self._at = self._at, self._at + bufsize
        return self._buffer[start : self._at]

    def _take_answers(self) -> bool:
        """Whether there were any."""
        buffer, before = self._buffer, self._at
        while (start := self._at + 2) <= len(buffer) and buffer[start - 2] == _PUBACK and buffer[start - 1] < _MORE:
            end = start + buffer[start - 1]
            if not start + _MID <= end <= len(buffer):
                break
            self._at = end
            self._answered(buffer[start:end])
        return self._at > before

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


def _variable(number: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    if number < _MORE:
        return bytes((number,))
    return bytes((number % _MORE | _MORE,)) + _variable(number // _MORE)
