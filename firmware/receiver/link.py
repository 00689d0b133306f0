"""The desk's connection to a broker: paho as a pipe, stepped by the thread that owns it.

What is published stays here until the broker has acknowledged it and goes out again on every new connection. Each
connection has a fresh paho client, so that nothing of an earlier one can come back to life.
"""

from __future__ import annotations

import collections
import random
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware.mqtt import SturdyClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 15
SESSION_S = 7 * 24 * 3600
"""How long the broker keeps alarms for a desk that is away."""
CONNACK_S = 5.0
RETRY_S = 5.0
"""Longest pause between two attempts; the pauses are random, so that a hall full of desks does not knock as one."""
UNSENT_MAX = 1000
"""Publications kept for a broker that is away; the oldest goes first, and the panel asks again anyway."""
BRIEF_S = 2.0
"""A connection that did not last longer, and had brief ones before it, is thrown out by somebody."""
BRIEF_MAX = 3
PACKET_MAX = 512 * 1024
"""Largest packet that a broker may hand over (MQTT 5, 3.1.2.11.4): twice the largest report."""
_PASSWORD, _RIGHTS, _VERSION = frozenset({0x86, 0x8C}), frozenset({0x87, 0x8A}), frozenset({0x84})
_FAILURE, _TAKEN_OVER = 0x80, 0x8E
"""MQTT 5 reason codes."""


class LinkRefused(RuntimeError):  # noqa: N818 - the broker's answer, not a defect
    """The broker will not have this desk, and trying again cannot help; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Where and how to connect."""

    host: str
    port: int
    client_id: str
    protocol: str = "5"
    persistent: bool = True
    username: str = ""
    password: str = ""
    ca: Path | None = None
    cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """One publication, QoS 1."""

    topic: str
    payload: bytes


class Link:
    """One connection at a time, made again for ever once it has been made.

    Args:
        config: Where and how.
        subscribe: Topic filters with their QoS.
        on_letter: Called with topic, payload and whether the broker had retained it.
        on_change: Called with whether the link is up, and why not.

    Synchronization: one thread; the calls come from inside `step`.
    """

    def __init__(
        self,
        config: LinkConfig,
        subscribe: tuple[tuple[str, int], ...],
        on_letter: Callable[[str, bytes, bool], None],
        on_change: Callable[[bool, str], None],
    ) -> None:
        self.up = False
        self._config = config
        self._subscribe = subscribe
        self._on_letter = on_letter
        self._on_change = on_change
        self._client: mqtt.Client | None = None
        self._unsent: collections.OrderedDict[int, Letter] = collections.OrderedDict()
        self._mids: dict[int, int] = {}
        self._next_token = 0
        self._was_up = False
        self._failures = 0
        self._retry_s = 0.0
        self._connack_s = 0.0
        self._told = ""
        self._gone = ""
        self._where = f"{config.host}:{config.port}"
        self._now_s = self._up_s = 0.0
        self._brief = 0

    def publish(self, letter: Letter) -> None:
        """Send now, or as soon as the link is up."""
        token = self._next_token
        self._next_token += 1
        self._unsent[token] = letter
        if len(self._unsent) > UNSENT_MAX:
            self._unsent.popitem(last=False)
        if self.up:
            self._send(token, letter)

    def sockets(self) -> tuple[list[int], list[int]]:
        """Descriptors to wait on: for reading, for writing."""
        sock = self._client.socket() if self._client else None
        if self._client is None or sock is None:
            return [], []
        return [sock.fileno()], [sock.fileno()] if self._client.want_write() else []

    def next_deadline(self, now_s: float) -> float:
        """Monotonic time at which `step` is wanted although no socket is ready."""
        if self._client is None:
            return self._retry_s
        sock = self._client.socket()
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return now_s
        return now_s + 1.0  # paho's keep-alive has to be looked after

    def step(self, now_s: float) -> None:
        """Do what is due; may block for some seconds while it connects.

        Raises:
            LinkRefused: The very first connection was refused for a reason that only a person can mend.
        """
        if self._client is None:
            if now_s >= self._retry_s:
                self._connect(now_s)
            return
        client = self._client
        self._now_s = now_s
        client.loop_read()
        if client.want_write():
            client.loop_write()
        client.loop_misc()
        if not self.up and not self._gone and now_s >= self._connack_s:
            self._gone = f"{self._where} takes the connection and says nothing: is it an MQTT broker?"
        if self._gone:
            self._drop(self._gone, now_s)

    def close(self) -> None:
        """Say goodbye; idempotent. A persistent session stays at the broker."""
        client, self._client = self._client, None
        if client is not None and self.up:
            client.disconnect()
            client.loop_write()
        self.up = False

    def _connect(self, now_s: float) -> None:
        try:
            client = self._new_client()
            self._gone = ""
            self._connack_s = now_s + CONNACK_S
            self._client = client
            if self._config.protocol == "5":
                client.connect(
                    self._config.host,
                    self._config.port,
                    KEEPALIVE_S,
                    clean_start=not self._config.persistent,
                    properties=_properties(SESSION_S if self._config.persistent else 0),
                )
            else:
                client.connect(self._config.host, self._config.port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            why = f"the broker's certificate is not good: {error.verify_message}; check --ca {self._config.ca}, the "
            self._refuse(f"{why}host name and this machine's clock", now_s)
        except (OSError, ValueError) as error:
            self._drop(self._words(error), now_s)

    def _new_client(self) -> mqtt.Client:
        config = self._config
        five = config.protocol == "5"
        client = SturdyClient(
            CallbackAPIVersion.VERSION2,
            client_id=config.client_id,
            clean_session=None if five else not config.persistent,
            protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        if config.username:
            client.username_pw_set(config.username, config.password)
        if config.ca is not None:
            client.tls_set(
                str(config.ca),
                str(config.cert) if config.cert else None,
                str(config.tls_key) if config.tls_key else None,
            )
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _p: Any) -> None:
        if reason.is_failure:
            self._gone = f"refused: {reason}"
            if not self._was_up:
                self._advise(reason)
            return
        client.subscribe(list(self._subscribe))

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        refused = {
            name: reason.value
            for (name, _), reason in zip(self._subscribe, reasons, strict=False)
            if reason.value >= _FAILURE
        }
        if refused:
            self._gone = f"the broker does not let this desk read {next(iter(refused))}: correct its access list"
            # MQTT 3.1.1 has one number for "never" and "not now": a cluster that elects a leader says it too.
            if not self._was_up and _RIGHTS & set(refused.values()):
                raise LinkRefused(self._gone)
            return
        self.up = self._was_up = True
        self._up_s = self._now_s
        self._mids.clear()
        self._on_change(True, "")  # noqa: FBT003 - the callback's one meaning
        for token, letter in tuple(self._unsent.items()):
            self._send(token, letter)

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        token = self._mids.pop(mid, None)
        if token is None:
            return
        letter = self._unsent.pop(token, None)
        if reason.is_failure and letter is not None:
            self._on_change(True, f"the broker refuses {letter.topic}: {reason}; correct its access list")  # noqa: FBT003

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # no topic of ours
        self._on_letter(topic, bytes(message.payload), bool(message.retain))

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, flags: mqtt.DisconnectFlags, reason: ReasonCode, _p: Any
    ) -> None:
        if self._gone:
            return
        if flags.is_disconnect_packet_from_server and reason.value == _TAKEN_OVER:
            self._gone = self._rival()
        elif flags.is_disconnect_packet_from_server:
            self._gone = f"{self._where} ends the connection: {reason}"
        else:
            self._gone = f"connection to {self._where} lost"

    def _send(self, token: int, letter: Letter) -> None:
        if self._client is not None:
            info = self._client.publish(letter.topic, letter.payload, qos=1)
            self._mids[info.mid] = token

    def _advise(self, reason: ReasonCode) -> None:
        if reason.value in _PASSWORD or reason.value in _RIGHTS:
            who = f"user {self._config.username!r}" if self._config.username else "a desk without user name"
            raise LinkRefused(f"the broker refuses {who}: {reason}; check --username and --password-file")
        if reason.value in _VERSION:
            other = "3.1.1" if self._config.protocol == "5" else "5"
            raise LinkRefused(f"the broker does not speak MQTT {self._config.protocol}; try --mqtt {other}")

    def _refuse(self, why: str, now_s: float) -> None:
        if not self._was_up:
            raise LinkRefused(why)
        self._drop(why, now_s)

    def _words(self, error: Exception) -> str:
        match error:
            case socket.gaierror():
                return f"host name {self._config.host!r} is not found: check --broker, and the name server"
            case ConnectionRefusedError():
                return f"{self._where} refuses connections: no broker listens there; check the port in --broker"
            case TimeoutError():
                return f"{self._where} does not answer: check --broker and the network"
            case _:
                return f"{self._where}: {error or type(error).__name__}"

    def _rival(self) -> str:
        return (
            f"another desk came to {self._where} as {self._config.client_id!r}: give each desk its own name with --as"
        )

    def _drop(self, why: str, now_s: float) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.on_disconnect = None
            client.loop_misc()
            _close(client)
        was_up, self.up = self.up, False
        if was_up and now_s - self._up_s < BRIEF_S:
            self._brief += 1
        elif was_up:
            self._brief = self._failures = 0
        # Some brokers throw the older of two clients of one name out without a word.
        why = self._rival() if self._brief >= BRIEF_MAX else why
        self._failures += 1
        longest_s = min(RETRY_S, 0.25 * 2 ** min(self._failures, 6))
        self._retry_s = now_s + random.uniform(0.1, longest_s)  # noqa: S311 - spreads desks, hides nothing
        if was_up or why != self._told:
            self._told = why
            self._on_change(False, why)  # noqa: FBT003


def _properties(seconds: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = seconds
    properties.MaximumPacketSize = PACKET_MAX
    return properties


def _no_delay(_client: mqtt.Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(client: mqtt.Client) -> None:
    sock = client.socket()
    if sock is not None:
        sock.close()
