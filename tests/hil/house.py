"""What stands around every panel on every bench: a real broker, the link to it, two desks, a witness of the wire."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hil.api import PATIENCE_S
from hil.desk import Desk
from hil.panel_file import RECEIVERS
from rigs.broker import Mosquitto, ServerTls, free_port
from rigs.tcp_proxy import TcpProxy

from firmware import keys
from firmware.wire import topics

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from hil.api import Setup
    from rigs.tls import Certificates

PAYLOAD_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """One message on the wire, with the time at which an eavesdropper at the broker had it."""

    at_s: float
    topic: str
    payload: bytes


class Wire:
    """An eavesdropper at the broker: subscribed to everything, answering nothing.

    Synchronization: any thread.
    """

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5  # noqa: PLC0415 - only where a bench runs

        self._seen: list[Seen] = []
        self._news = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="wire", protocol=MQTTv5)
        ready = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topics.ROOT}/#", 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S), "the broker takes no subscription"

    @property
    def seen(self) -> list[Seen]:
        """Every message so far, oldest first."""
        with self._news:
            return list(self._seen)

    def wait(
        self,
        part: str,
        after_s: float = 0.0,
        timeout_s: float = PATIENCE_S,
        wanted: Callable[[Seen], bool] | None = None,
    ) -> Seen:
        """The first message since a moment whose topic holds `part` and that `wanted` takes."""

        def found() -> list[Seen]:
            fit = (one for one in self._seen if one.at_s >= after_s and part in one.topic)
            return [one for one in fit if wanted is None or wanted(one)]

        with self._news:
            assert self._news.wait_for(found, timeout_s), f"no message on …{part}… within {timeout_s} s"
            return found()[0]

    def text(self) -> str:
        """The traffic, for a failing test."""
        return "\n".join(f"{one.at_s:.3f} {one.topic} {_shown(one.payload)}" for one in self.seen)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, message: Any) -> None:
        with self._news:
            self._seen.append(Seen(time.monotonic(), message.topic, message.payload))
            self._news.notify_all()


class ProxyLink:
    """The panel's network as a TCP proxy in front of the broker; see `hil.api.Link`.

    Synchronization: one thread.
    """

    def __init__(self, port: int) -> None:
        self._proxy = TcpProxy(("127.0.0.1", port))
        self.port = self._proxy.port

    def cut(self) -> None:
        """Reset every connection, and take no other."""
        self._proxy.refuse = True
        self._proxy.cut()

    def black_hole(self) -> None:
        """Swallow everything."""
        self._proxy.swallow = True

    def slow(self, bits_s: int) -> None:
        """Carry only so many bits a second, each way."""
        self._proxy.bits_s = bits_s

    def restore(self) -> None:
        """Be whole and quick."""
        broken = self._proxy.swallow
        self._proxy.refuse = self._proxy.swallow = False
        self._proxy.bits_s = 0
        if broken:
            self._proxy.cut()  # a router that was away has forgotten what went through it

    def close(self) -> None:
        """End it."""
        self._proxy.close()


class House:
    """Broker, link, desks and witness of one test.

    Args:
        folder: Empty, for everything.
        setup: What the test wants.
        certificates: For `setup.tls`.

    Attributes:
        keys: Folder with `panel.key`, one key for each receiver, and `ca.pem` for TLS: what is copied into the panel.
        broker: A mosquitto that can be stopped, killed, frozen and started again.
        link: Between panel and broker; a bench that has a network of its own uses that instead.
        port: Where the panel finds the broker, through `link`.
        desks: By name.
        wire: What passes the broker.

    Synchronization: one thread.
    """

    def __init__(self, folder: pathlib.Path, setup: Setup, certificates: Certificates | None = None) -> None:
        self._folder = folder
        self._undo = contextlib.ExitStack()
        self.keys = folder / "keys"
        self.keys.mkdir(parents=True)
        for name in ("panel", *RECEIVERS):
            keys.make(self.keys / f"{name}.key")
        tls = None
        if certificates is not None:
            shutil.copy(certificates.ca, self.keys / "ca.pem")
            pair = getattr(certificates, setup.broker_cert)
            tls = ServerTls(certificates.ca, pair.cert, pair.key)
        self._plain_port = free_port()
        (folder / "broker").mkdir()
        self.broker = Mosquitto(folder / "broker", (f"listener {self._plain_port} 127.0.0.1",), tls=tls)
        self._undo.callback(self.broker.stop)
        self.broker.start()
        self.link = ProxyLink(self.broker.port)
        self._undo.callback(self.link.close)
        self.port = self.link.port
        self.wire = Wire(self._plain_port)
        self._undo.callback(self.wire.close)
        self.desks = {name: self.open_desk(name) for name in RECEIVERS}
        for desk in self.desks.values():
            desk.wait_open()

    @property
    def desk(self) -> Desk:
        """The 110 desk."""
        return self.desks["110"]

    def open_desk(self, name: str) -> Desk:
        """Open a receiver; it is closed with the house."""
        desk = Desk(name, self._plain_port, self.keys, self._folder / f"desk-{name}")
        self._undo.callback(desk.close)
        return desk

    def attachments(self) -> dict[str, str]:
        """What a failing test shows of the house."""
        return {
            "wire.txt": self.wire.text(),
            "broker.log": self.broker.log(),
            **{f"desk-{name}.jsonl": desk.text() for name, desk in self.desks.items()},
        }

    def close(self) -> None:
        """End everything."""
        self._undo.close()


def _shown(payload: bytes) -> str:
    text = payload[:PAYLOAD_SHOWN].decode("utf-8", "replace")
    return text if len(payload) <= PAYLOAD_SHOWN else f"{text}… ({len(payload)} bytes)"
