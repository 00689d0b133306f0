"""MQTT through paho, as a pipe: no thread, no queue, a fresh client for every connection.

paho is driven from the uplink's own thread: a publication is written to the socket inside `publish` unless another one
follows at once, and `wait` sleeps on the order mailbox and the socket together. Whatever a client still held dies with
its connection, so nothing is ever sent again behind the back of the one who decides.
"""

from __future__ import annotations

import logging
import math
import select
import socket
import struct
from typing import TYPE_CHECKING, Any

from firmware.adapters.mqtt_client import ConnectOptions, client_id, connect_options, explain_alert
from firmware.adapters.outbound import Outbound
from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, Pipe, PipeEvent, Ready, Subscribed, Welcomed
from firmware.core.retry import STEP_S
from firmware.wire.fields import INBOUND_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from firmware.adapters.mqtt_reports import ReportClient
    from firmware.config import PathConfig
    from hal.ports import Clock

log = logging.getLogger(__name__)

CHORES_S = 1.0
"""paho looks after the keep-alive this often."""
HUGE = 16 * 1024 * 1024
"""A broker that announces a packet longer than this is disconnected; a shorter one that is too long is thrown away."""
READS_MAX = 64
RECEIVE_MAXIMUM = 65535
"""What a broker allows that says nothing (MQTT 5, 3.2.2.3.3)."""

_PROTOCOL_ERROR, _BAD_PROTOCOL, _BAD_LOGIN, _NOT_AUTHORISED, _NO_PONG, _TAKEN_OVER = 0x82, 0x84, 0x86, 0x87, 0x8D, 0x8E
"""MQTT 5 reason codes."""
_CLOSE_WAIT = 8
"""tcp_info.tcpi_state: the far end has sent its FIN."""
_RUBBISH = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, struct.error)
"""What paho's parser raises on bytes that are no MQTT; all of them end the connection and nothing else."""


class MqttPipe(Pipe):
    """One path's way to its broker.

    Args:
        config: The path.
        panel: This panel, for the client identity.
        clock: For certificates' dates and the keep-alive.

    Synchronization: one thread.
    """

    def __init__(self, config: PathConfig, panel: str, clock: Clock) -> None:
        self._config = config
        self._client_id = client_id(panel, config.name)
        self._clock = clock
        self._way = Outbound(config.host, config.port, config.bind)
        self._client: ReportClient | None = None
        self._options: ConnectOptions | None = None
        self._poll = select.poll()
        self._fd = -1
        self._events: list[PipeEvent] = []
        self._tokens: dict[int, int] = {}
        self._subscribe: tuple[str, ...] = ()
        self._ready = False
        self._receive_maximum = RECEIVE_MAXIMUM
        self._notice = ""
        self._last_error = ""
        self._closed = False
        self._stirred = False
        self._chores_s = 0.0

    def open(
        self, subscribe: tuple[str, ...], will: Letter | None, *, hurried: bool = False, step_s: float = STEP_S
    ) -> float:
        """See `Pipe.open`."""
        self.close()
        now = self._clock.now()
        self._options = connect_options(self._config)
        client = self._options.client(self._client_id)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._attach(client)
        self._subscribe = subscribe
        self._ready, self._last_error, self._receive_maximum = False, "", RECEIVE_MAXIMUM
        self._closed = False
        self._notice = self._options.connect(client, now, self._way, hurried=hurried, step_s=step_s)
        self._client = client
        sock = client.socket()
        self._fd = -1 if sock is None else sock.fileno()
        self._stirred = True
        self._chores_s = now.mono_s + CHORES_S
        return max(self._way.took_s, client.tls_took_s)

    def ask(self) -> None:
        """See `Pipe.ask`."""
        if self._client is not None and self._ready and self._subscribe:
            self._ask(self._client)

    def publish(self, token: int, letter: Letter, *, more: bool = False) -> None:
        """See `Pipe.publish`."""
        if self._client is not None:
            self._tokens[self._client.send(letter.topic, letter.payload, retain=letter.retain, more=more)] = token

    def drive(self) -> list[PipeEvent]:
        """See `Pipe.drive`."""
        client = self._client
        if client is not None:
            try:
                self._drive(client)
            except _RUBBISH as error:
                log.debug("path %s: %s: %s", self._config.name, type(error).__name__, error)
                self._fail(self._explain_break(_PROTOCOL_ERROR))
        events, self._events = self._events, []
        if events and isinstance(events[-1], Lost):
            self._drop(orderly=False)
        return events

    def next_deadline(self) -> float:
        """See `Pipe.next_deadline`."""
        if self._events or self._stirred:
            return -math.inf
        return math.inf if self._client is None else self._chores_s

    def wait(self, fd: int, timeout_s: float) -> None:
        """See `Pipe.wait`."""
        self._poll.register(fd, select.POLLIN)
        client = self._client
        if client is not None and self._fd >= 0:
            self._poll.register(self._fd, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        ready = self._poll.poll(max(0, math.ceil(timeout_s * 1000)))
        if any(found == self._fd for found, _ in ready):
            self.stir()

    @property
    def fd(self) -> int:
        """The socket, for who waits for many pipes at once; -1 without one."""
        return self._fd

    @property
    def wants_write(self) -> bool:
        """Whether something waits until the socket takes more."""
        return self._client is not None and self._client.want_write()

    def stir(self) -> None:
        """The socket is readable: the next `drive` reads."""
        self._stirred = True

    def close(self, *, orderly: bool = False) -> None:
        """See `Pipe.close`."""
        self._drop(orderly=orderly)
        self._events.clear()

    # ── driving paho ───────────────────────────────────────────────────────────────────────────────────────────────

    def _drive(self, client: ReportClient) -> None:
        if self._stirred:
            self._stirred = False
            self._read(client)
        if client.want_write():
            client.loop_write()
        now_s = self._clock.now().mono_s
        if now_s >= self._chores_s:
            self._chores_s = now_s + CHORES_S
            client.loop_misc()

    def _read(self, client: ReportClient) -> None:
        for _ in range(READS_MAX):
            failed = client.loop_read()
            sock = client.socket()
            if failed or sock is None:
                self._fail("")
                return
            announced = client._in_packet["remaining_length"]  # noqa: SLF001 - told nowhere else before memory is full
            if announced > HUGE:
                self._fail(f"the broker announced a packet of {announced} bytes; none may have over {HUGE}")
                return
            if not client.has_unread and not _more(sock):
                return
        self._stirred = True

    def _attach(self, client: ReportClient) -> None:
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_answer = self._on_answer
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log
        client.on_socket_close = self._on_socket_close

    def _drop(self, *, orderly: bool) -> None:
        client, self._client = self._client, None
        self._fd, self._stirred = -1, False
        self._tokens.clear()
        self._poll = select.poll()
        if client is None:
            return
        for name in ("connect", "subscribe", "answer", "message", "disconnect", "log", "socket_close"):
            setattr(client, f"on_{name}", None)
        sock = client.socket()
        if orderly and sock is not None:
            client.disconnect()
        if sock is not None:
            sock.close()

    def _fail(self, why: str) -> None:
        if self._events and isinstance(self._events[-1], Lost):
            return
        self._events.append(Lost(f"path {self._config.name}: {why or self._broken()}", closed=self._closed))

    def _explain_break(self, code: int) -> str:
        where = f"{self._config.host}:{self._config.port}"
        if code == _PROTOCOL_ERROR:
            return (
                f"{where} sends what is no MQTT {self._config.protocol}: another service, or a broker of the other "
                f"version (path.protocol)?"
            )
        if code == _NO_PONG:
            return f"{where} answers no keep-alive for {self._config.keepalive_s} s"
        return ""

    def _broken(self) -> str:
        where = f"{self._config.host}:{self._config.port}"
        if self._config.tls is not None and self._last_error:
            return explain_alert(self._last_error)
        if not self._ready:
            return (
                f"{where} ended the connection before it answered: it may want TLS, another MQTT version than "
                f"path.protocol {self._config.protocol}, or this panel's certificate"
            )
        return f"connection to {where} lost"

    # ── what paho calls, inside `loop_read` ────────────────────────────────────────────────────────────────────────

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fail(_explain_refusal(reason, self._config))
            return
        self._receive_maximum = getattr(properties, "ReceiveMaximum", RECEIVE_MAXIMUM)
        if self._subscribe:
            self._events.append(Welcomed())
            self._ask(client)
        else:
            self._settle(client, "")

    def _ask(self, client: Client) -> None:
        client.subscribe([(topic, _how(self._config.protocol)) for topic in self._subscribe])

    def _on_subscribe(
        self, client: Client, _userdata: Any, _mid: int, reasons: Sequence[ReasonCode], _properties: Any
    ) -> None:
        answers = dict(zip(self._subscribe, reasons, strict=False))
        refused = {topic: str(reason) for topic, reason in answers.items() if reason.is_failure}
        complaint = ""
        if refused or len(reasons) != len(self._subscribe):
            complaint = explain_deafness(self._config, refused)
            self._subscribe = tuple(refused) or self._subscribe
        else:
            self._subscribe = ()
        if self._ready:
            self._events.append(Subscribed(complaint))
        else:
            self._settle(client, complaint)

    def _settle(self, client: Client, complaint: str) -> None:
        self._ready, self._last_error = True, ""
        client.on_log = None  # it costs a formatted line a packet
        self._events.append(Ready(self._receive_maximum, complaint, self._notice, self._way.notice))

    def _on_answer(self, mid: int, reason: int) -> None:
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._events.append(Answered(token, reason, _name_of(reason) if reason else ""))

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        size = len(message.payload)
        why = ""
        if size > INBOUND_MAX:
            why = f"{size} bytes, but at most {INBOUND_MAX} are read"
        elif message.retain:
            why = "retained, but receipts and commands are for the present only"
        self._events.append(Incoming(topic, b"" if why else bytes(message.payload), why))

    def _on_disconnect(
        self, _client: Client, _userdata: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            self._fail(self._explain_break(reason.value))
        elif reason.value == _TAKEN_OVER:
            self._fail(f"another client came to the broker as {self._client_id!r}: is there a second panel of this id?")
        else:
            self._fail(f"the broker ended the connection: {reason}")

    def _on_socket_close(self, _client: Client, _userdata: Any, sock: Any) -> None:
        """See who ended it; ask a TLS connection that the broker refused for the alert, which no write has read."""
        self._closed = _ended_by_far_end(sock)
        if self._ready or self._config.tls is None:
            return
        try:
            sock.recv(1)
        except (OSError, ValueError) as error:
            if "alert" in str(error).lower():
                self._last_error = str(error)

    def _on_log(self, _client: Client, _userdata: Any, _level: int, text: str) -> None:
        if text.startswith("failed to receive on socket"):
            self._last_error = text.partition(": ")[2]


def _name_of(reason: int) -> str:
    from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - with the first connection
    from paho.mqtt.reasoncodes import ReasonCode  # noqa: PLC0415 - with the first connection

    return str(ReasonCode(PacketTypes.PUBACK, identifier=reason))


def _how(protocol: str) -> Any:
    from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: PLC0415 - with the first connection

    return SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND) if protocol == "5" else 1


def explain_deafness(config: PathConfig, refused: Mapping[str, str]) -> str:
    """What a path says whose subscriptions were refused, by topic with the reason; none is named where none was."""
    which = ", ".join(f"{topic} ({reason})" for topic, reason in refused.items()) or "no answer"
    user = f"user {config.username!r}" if config.username else "this panel"
    return (
        f"path {config.name}: the broker refuses subscriptions: {which}; "
        f"reports go out, but no receipt or command comes in: let {user} read them"
    )


def _explain_refusal(reason: ReasonCode, config: PathConfig) -> str:
    match reason.value:
        case code if code in (_BAD_LOGIN, _NOT_AUTHORISED):
            secret = (
                f"the password in {config.password_file}"
                if config.password_file
                else "no password (path.password_file)"
            )
            named = f"user {config.username!r} with {secret}" if config.username else "no user name (path.username)"
            return f"the broker refuses this panel, {reason}: it came as {named}"
        case code if code == _BAD_PROTOCOL:
            return f"the broker does not speak MQTT {config.protocol}: set path.protocol to the other version"
        case _:
            return f"the broker refuses this panel: {reason}"


def _ended_by_far_end(sock: Any) -> bool:
    """Whether the far end said that it ends the connection: its last word was heard just now."""
    try:
        return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE_WAIT)
    except (OSError, ValueError):
        return False


def _more(sock: Any) -> bool:
    """Whether more can be read at once: a goodbye is to be read before anything is written to a dead socket."""
    if hasattr(sock, "pending") and sock.pending():
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
