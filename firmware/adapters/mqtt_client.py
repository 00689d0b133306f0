"""How this panel connects to a broker: names, passwords, certificates, and what to tell a technician when it fails.

Both connections of a path come through here, that of the reports and that of the media child. paho and ssl are imported
when the first connection is made, not when the process starts.
"""

# ruff: noqa: PLC0415 - paho and ssl are imported with the first connection: a panel must arm its inputs first

from __future__ import annotations

import datetime as dt
import logging
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firmware.adapters.names import OutboundError
from firmware.adapters.pipe import PipeError
from firmware.core.retry import STEP_S, TRIPS
from firmware.wire.fields import INBOUND_MAX

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from paho.mqtt.client import Client
    from paho.mqtt.properties import Properties

    from firmware.adapters.mqtt_reports import ReportClient
    from firmware.adapters.outbound import Outbound
    from firmware.config import PathConfig, TlsConfig
    from firmware.mqtt import SturdyClient
    from hal.types import Instant

log = logging.getLogger(__name__)

TCP_USER_TIMEOUT_MS = 5000
"""Unanswered bytes end the connection after this long, in the kernel (tcp(7))."""
PACKET_MAX = INBOUND_MAX + 1024
"""Largest packet that a broker may send us (MQTT 5, 3.1.2.11.4)."""

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name."""
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_CA = (2, 18, 19, 20, 21)
_WRONG_HOST = (62, 64)
"""Verification results of OpenSSL (x509_vfy.h)."""
_PASSWORD_MAX = 4096


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """Everything that one connection needs; made anew for each, so that a renewed file is taken up.

    Attributes:
        path: Name of the path, for messages.
        host: Broker's name or address.
        port: Broker's port.
        protocol: "5" or "3.1.1".
        username: May be empty.
        password: May be empty.
        tls: Encryption, or None.
        keepalive_s: MQTT keep-alive.

    Synchronization: none needed; immutable.
    """

    path: str
    host: str
    port: int
    protocol: str
    username: str
    password: str = field(repr=False)
    tls: TlsConfig | None
    keepalive_s: int

    def client(self, client_id: str) -> ReportClient:
        """A fresh paho client, not connected, without a thread; it queues nothing of its own.

        Raises:
            PipeError: A certificate cannot be used.
        """
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        from firmware.adapters.mqtt_reports import ReportClient

        five = self.protocol == "5"
        made = ReportClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else True,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        made.max_inflight_messages_set(0)
        made.on_socket_open = _tune
        if self.username:
            made.username_pw_set(self.username, self.password or None)
        return made

    def connect(
        self, client: SturdyClient, now: Instant, way: Outbound, *, hurried: bool = False, step_s: float = STEP_S
    ) -> str:
        """Connect a fresh client by a way to this host; blocks up to some seconds.

        A certificate that only the date speaks against is taken while the wall clock is not synchronised: no alarm may
        depend on the wall clock being right.

        Returns:
            "" or what the technician should know though the connection stands.

        Raises:
            PipeError: No connection; the message says why and what to do.
        """
        import ssl

        client.dial = lambda: (way.connect(hurried=hurried), max(step_s, TRIPS * way.took_s))
        try:
            if self.tls is None:
                self._connect(client)
                return ""
            context = self.tls_context()
            client.tls_set_context(context)
            try:
                self._connect(client)
            except ssl.SSLCertVerificationError as error:
                if now.synced or error.verify_code not in (_NOT_YET_VALID, _EXPIRED):
                    raise
                context.verify_flags |= _NO_CHECK_TIME
                self._connect(client)
                return f"the dates of the broker's certificate were not checked: {_clock(now)} and is not synchronised"
        except OSError as error:
            raise PipeError(self.explain(error, now)) from error
        return ""

    def tls_context(self) -> ssl.SSLContext:
        """A context that trusts the configured authority alone and shows this panel's certificate.

        Raises:
            PipeError: A file is missing or is not what it should be; the message names it and its key.
        """
        import ssl

        assert self.tls is not None  # noqa: S101 - asked for with encryption only
        for name in ("ca_file", "cert_file", "key_file"):
            self._readable(f"path.tls.{name}", getattr(self.tls, name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.tls.ca_file)
        except ssl.SSLError:
            raise PipeError(self._say(f"path.tls.ca_file {self.tls.ca_file} holds no PEM certificate")) from None
        if self.tls.cert_file is not None:
            self._load_own(context, self.tls.cert_file, self.tls.key_file)
        return context

    def explain(self, error: OSError, now: Instant) -> str:
        """Why a connection failed, for the technician."""
        import ssl

        if isinstance(error, PipeError):
            return str(error)
        if isinstance(error, OutboundError):
            return self._say(str(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._say(self._explain_certificate(error, now))
        if isinstance(error, ssl.SSLError):
            return self._say(explain_alert(str(error)))
        return self._say(self._explain_network(error))

    def _explain_network(self, error: OSError) -> str:
        where = f"{self.host}:{self.port}"
        match error:
            case ConnectionRefusedError():
                return f"{where} refuses connections: no broker listens there; check path.port"
            case TimeoutError():
                return f"{where} does not answer in time: unreachable; check the network"
            case ConnectionError():
                return f"{where} ends the connection at once: another service, or TLS on one side only?"
            case _:
                return f"{where} is unreachable: {error.strerror or error}; check cable and network"

    def _connect(self, client: Client) -> None:
        if self.protocol == "5":
            client.connect(
                self.host, self.port, keepalive=self.keepalive_s, clean_start=True, properties=_connect_properties()
            )
        else:
            client.connect(self.host, self.port, keepalive=self.keepalive_s)

    def _explain_certificate(self, error: ssl.SSLCertVerificationError, now: Instant) -> str:
        code = error.verify_code
        if code == _NOT_YET_VALID:
            return f"TLS: the broker's certificate is not valid yet; {_clock(now)}: set it, or renew the certificate"
        if code == _EXPIRED:
            return f"TLS: the broker's certificate has expired; {_clock(now)}: renew the certificate, or set the clock"
        if code in _UNKNOWN_CA:
            ca_file = self.tls.ca_file if self.tls else ""
            return f"TLS: the broker's certificate is not signed by the authority in path.tls.ca_file {ca_file}"
        if code in _WRONG_HOST:
            return f"TLS: the broker's certificate is not for {self.host!r}: check path.host, or renew the certificate"
        return f"TLS: the broker's certificate is not good: {error.verify_message}"

    def _load_own(self, context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
        import ssl

        try:
            context.load_cert_chain(cert_file, key_file, password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                what = f"path.tls.key_file {key_file} is not the key of path.tls.cert_file {cert_file}"
            else:
                what = f"path.tls.cert_file {cert_file} and key_file {key_file} are not a PEM certificate and its key"
            raise PipeError(self._say(what)) from None

    def _readable(self, name: str, path: Path | None) -> None:
        if path is None:
            return
        try:
            path.open("rb").close()
        except FileNotFoundError:
            raise PipeError(self._say(f"{name} {path} is not there: copy the file, or correct the path")) from None
        except OSError as error:
            raise PipeError(self._say(f"{name} {path} cannot be read: {error.strerror}")) from None

    def _say(self, text: str) -> str:
        return f"path {self.path}: {text}"


def connect_options(config: PathConfig) -> ConnectOptions:
    """What a connection of a path needs.

    Raises:
        PipeError: The password file cannot be read.
    """
    return ConnectOptions(
        path=config.name,
        host=config.host,
        port=config.port,
        protocol=config.protocol,
        username=config.username,
        password=_password(config),
        tls=config.tls,
        keepalive_s=config.keepalive_s,
    )


def client_id(panel: str, part: str) -> str:
    """The MQTT client identity of one of a panel's connections.

    Args:
        panel: The panel.
        part: The path's name; two connections with one identity would throw each other out of the broker.
    """
    return f"gatebooth-{panel}-{part}"


def explain_alert(text: str) -> str:
    """What a TLS error says, for the technician; `text` is OpenSSL's."""
    lower = text.lower().replace("_", " ")
    if "certificate required" in lower or "peer did not return a certificate" in lower:
        return "TLS: the broker wants a certificate of this panel: set path.tls.cert_file and key_file"
    if "alert unknown ca" in lower or "alert bad certificate" in lower or "alert decrypt error" in lower:
        return "TLS: the broker does not know the authority that signed path.tls.cert_file"
    if "alert certificate expired" in lower:
        return "TLS: the broker says that path.tls.cert_file has expired"
    if "wrong version number" in lower or "record layer failure" in lower:
        return "TLS: the broker speaks no TLS on this port: check path.port"
    if "eof occurred" in lower:
        return "TLS: the broker ended the connection: it may want a certificate of this panel (path.tls.cert_file)"
    return f"TLS: {text}"


def _password(config: PathConfig) -> str:
    if config.password_file is None:
        return ""
    try:
        with config.password_file.open(encoding="utf-8") as file:
            return file.read(_PASSWORD_MAX).rstrip("\r\n")
    except FileNotFoundError:
        raise PipeError(
            f"path {config.name}: path.password_file {config.password_file} is not there: make it, or correct the path"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise PipeError(
            f"path {config.name}: path.password_file {config.password_file} cannot be read: {why}"
        ) from None


def _connect_properties() -> Properties:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = PACKET_MAX
    properties.ReceiveMaximum = 20
    return properties


def _tune(_client: Client, _userdata: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
    except (OSError, struct.error):
        log.debug("this kernel has no TCP_USER_TIMEOUT")


def _clock(now: Instant) -> str:
    try:
        told = dt.datetime.fromtimestamp(now.utc_s, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        told = f"{now.utc_s:.0f} s since 1970"
    return f"the panel's clock says {told}"
