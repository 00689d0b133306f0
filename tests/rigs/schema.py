"""Judges packets by `docs/schema`, and taps a broker so that every packet a test causes is judged."""

from __future__ import annotations

import copy
import functools
import json
import pathlib
import re
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import referencing
from paho.mqtt import client as paho
from referencing.jsonschema import DRAFT7

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import Client, MQTTMessage

SCHEMAS = pathlib.Path(__file__).parents[2] / "docs" / "schema"
KINDS = {
    r"report/(alarm|fault|status)": "report",
    r"receipt/[^/]+": "receipt",
    r"command/[^/]+": "command",
    r"result/[^/]+": "result",
    r"health": "health",
    r"beat": "beat",
    r"echo/[^/]+": "echo",
    r"evidence/\d+-\d+/[^/]+": "evidence",
    r"evidence-receipt/[^/]+": "evidence-receipt",
    r"live/\d+-\d+/audio": "live",
}


@dataclass(frozen=True)
class Packet:
    """One publication that was seen; `body` is its JSON, or the header of a binary one."""

    topic: str
    kind: str
    body: dict[str, Any]
    payload: bytes
    retain: bool
    mono_s: float


def judge(topic: str, payload: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of a packet and its JSON part.

    Raises:
        AssertionError: The topic is none of ours, or the packet breaks its schema or has a key of its own.
    """
    level = re.match(r"gatebooth/v1/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})/(.+)", topic)
    assert level, f"{topic} is no topic of a panel"
    kind = next((kind for pattern, kind in KINDS.items() if re.fullmatch(pattern, level[2])), None)
    assert kind, f"{topic} is none of the documented topics"
    body = _body(kind, payload)
    check(kind, body)
    assert body.get("panel", level[1]) == level[1], f"{topic} carries the panel {body['panel']}"
    return kind, body


def check(kind: str, body: object) -> None:
    """Judge one JSON value by the schema of a kind; keys that the schema does not name fail too."""
    errors = [
        f"{'.'.join(map(str, error.path)) or 'payload'}: {error.message}" for error in _judge(kind).iter_errors(body)
    ]
    assert not errors, f"{kind} breaks docs/schema/{kind}.json: " + "; ".join(errors[:5])


def schema(kind: str) -> dict[str, Any]:
    """A schema as it stands in the documentation."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    return found


class Tap:
    """Subscribes to everything below `gatebooth/` and keeps it, each packet judged as it comes.

    Args:
        host: Broker.
        port: Its port.
        prepare: Called with the client before it connects, for a password or TLS.

    Synchronization: `packets`, `wait` from any thread; judged on paho's.
    """

    def __init__(self, host: str, port: int, prepare: Callable[[Client], None] | None = None) -> None:
        self._seen: list[Packet] = []
        self._faults: list[str] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("gatebooth/#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        if prepare:
            prepare(self._client)
        self._client.connect(host, port, 10)
        self._client.loop_start()
        assert self._subscribed.wait(10), "the tap could not subscribe"

    def packets(self, kind: str = "") -> list[Packet]:
        """All that came, or all of one kind; fails if any packet broke its schema."""
        with self._news:
            assert not self._faults, "\n".join(self._faults)
            return [packet for packet in self._seen if not kind or packet.kind == kind]

    def wait(self, enough: Callable[[list[Packet]], bool], timeout_s: float = 10.0, kind: str = "") -> list[Packet]:
        """Wait until the packets are `enough`; returns them."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.packets(kind)
            if enough(found):
                return found
            with self._news:
                left = deadline - time.monotonic()
                assert left > 0, f"waited {timeout_s} s in vain; came: {[packet.topic for packet in found][-20:]}"
                self._news.wait(min(left, 0.5))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish, QoS 1, and wait until the broker has it."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def close(self) -> None:
        """Disconnect; fails if any packet broke its schema."""
        self._client.disconnect()
        self._client.loop_stop()
        self.packets()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        with self._news:
            try:
                kind, body = judge(message.topic, message.payload)
            except (AssertionError, ValueError, RecursionError, struct.error) as error:
                if not re.fullmatch(r"gatebooth/v1/[^/]+/(receipt|command)/[^/]+", message.topic):
                    self._faults.append(
                        f"{message.topic}: {error}"
                    )  # those two come from tests too, and are bad on purpose
            else:
                packet = Packet(message.topic, kind, body, message.payload, message.retain, time.monotonic())
                self._seen.append(packet)
            self._news.notify_all()


def _body(kind: str, payload: bytes) -> dict[str, Any]:
    if kind == "live":
        version, _, samples, number, mono_ms = struct.unpack_from(">BBHIQ", payload)
        opus = len(payload) - struct.calcsize(">BBHIQ")
        return {"v": version, "samples": samples, "number": number, "mono_ms": mono_ms, "opus": opus}
    if kind == "evidence":
        (length,) = struct.unpack_from(">I", payload)
        header: dict[str, Any] = json.loads(payload[4 : 4 + length])
        assert header["length"] == len(payload) - 4 - length, "the chunk's length is not what its header says"
        return header
    body: dict[str, Any] = json.loads(payload)
    return body


@functools.cache
def _judge(kind: str) -> jsonschema.Draft7Validator:
    registry = referencing.Registry().with_resources(
        (found["$id"], DRAFT7.create_resource(found))
        for found in (json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json"))
    )
    return jsonschema.Draft7Validator(_strict(schema(kind)), registry=registry)


def _strict(found: Any) -> Any:
    """The schema with every object closed: readers ignore keys that they do not know, writers may not invent any."""
    found = copy.copy(found)
    if isinstance(found, dict):
        found = {key: _strict(value) for key, value in found.items()}
        if found.get("type") == "object" and "properties" in found:
            found.setdefault("additionalProperties", False)
    elif isinstance(found, list):
        found = [_strict(value) for value in found]
    return found
