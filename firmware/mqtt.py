"""paho's client, hardened: nothing that a stranger puts around a publication may end the connection.

A broker passes the properties of a publication on as its sender wrote them. paho reads them more strictly than brokers
do, takes one that it dislikes for a broken broker, and disconnects without acknowledging; a broker that keeps a session
then sends the same again, for ever. None of the properties means anything to panel or desk: they are cut off unread.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import paho.mqtt.client as paho

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from paho.mqtt.enums import MQTTErrorCode

_QOS = 0x06
_MORE, _LENGTH_BYTES = 0x80, 4
"""A variable byte integer: the bit that says that it goes on, and its longest form (MQTT 5, 1.5.5)."""


class SturdyClient(paho.Client):
    """A client that reads topic and payload of a publication, and nothing else of it.

    Attributes:
        dial: Makes the TCP connection, and says how long TLS may take on it; without it paho does both.
        tls_took_s: How long TLS took on the last connection.

    Synchronization: as paho's.
    """

    dial: Callable[[], tuple[socket.socket, float]] | None = None
    tls_took_s = 0.0

    def _create_socket_connection(self) -> socket.socket:
        if self.dial is None:
            return super()._create_socket_connection()
        sock, self._connect_timeout = self.dial()
        return sock

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        began_s = time.monotonic()
        try:
            return super()._ssl_wrap_socket(tcp_sock)
        finally:
            self.tls_took_s = time.monotonic() - began_s

    def _handle_publish(self) -> MQTTErrorCode:
        if self._protocol == paho.MQTTv5:
            packet = self._in_packet["packet"]
            self._in_packet["packet"] = without_properties(packet, with_mid=bool(self._in_packet["command"] & _QOS))
        return super()._handle_publish()


def without_properties(packet: bytearray, *, with_mid: bool) -> bytearray:
    """What follows the fixed header of an MQTT 5 PUBLISH, with an empty list of properties instead of its own.

    Args:
        packet: Topic, packet identity, properties, payload (MQTT 5, 3.3.2).
        with_mid: Whether it has a packet identity: QoS 1 and 2.

    Returns:
        The packet itself when its lengths do not fit together: that is no stranger's doing.
    """
    at = 2 + int.from_bytes(packet[:2], "big") + (2 if with_mid else 0)
    size = 0
    for place in range(_LENGTH_BYTES):
        byte = packet[at + place : at + place + 1]
        if not byte:
            return packet
        size |= (byte[0] & ~_MORE) << 7 * place
        if not byte[0] & _MORE:
            end = at + place + 1 + size
            return packet if end > len(packet) else packet[:at] + b"\0" + packet[end:]
    return packet
