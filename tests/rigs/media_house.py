"""A media child for real: the link in its worker, a broker, and desks that assemble evidence and confirm it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rigs.schema import judge

from firmware.adapters.media_link import MediaLink, OsChild
from firmware.config import CameraConfig, MediaConfig, MicrophoneConfig, PathConfig, ReceiverConfig
from firmware.core.effects import Capture, Seal
from firmware.core.report import ReportId
from firmware.media.spec import MediaSpec, NamedCamera
from firmware.wire import media, topics
from firmware.worker import Worker
from hal.clock import SystemClock

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

PANEL = "booth-1"
INCIDENT = ReportId(PANEL, 3, 17)
PATIENCE_S = 15.0


class Watched:
    """A list that can be waited on."""

    def __init__(self):
        self.items = []
        self._changed = threading.Condition()

    def add(self, item):
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def clear(self):
        with self._changed:
            self.items.clear()

    def until(self, found: Callable, timeout_s: float = PATIENCE_S):
        """The first item for which `found` holds; fails the test when none comes in time."""
        with self._changed:
            known = self._changed.wait_for(lambda: [item for item in self.items if found(item)], timeout_s)
            assert known, f"did not come within {timeout_s} s; there is {self.items[-20:]}"
            return known[0]

    def count(self, found: Callable) -> int:
        with self._changed:
            return sum(1 for item in self.items if found(item))


class Desk:
    """A receiver that takes everything and, while `confirming`, answers."""

    def __init__(self, port, name="110", *, key=None, panel_key=None, tls=None):
        self.name, self.key, self.panel_key = name, key, panel_key
        self.confirming = True
        self.files: dict[str, bytes] = {}
        self.growing: dict[tuple[str, str], bytearray] = {}
        self.kept = Watched()
        self.live = Watched()
        self.chunks = Watched()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"desk-{name}", protocol=paho.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe(
            [(f"{topics.ROOT}/+/evidence/#", 1), (f"{topics.ROOT}/+/live/#", 0)]
        )
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _client, _data, message: self._take(message.topic, message.payload)
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.connect("127.0.0.1", port, keepalive=30)
        self.client.loop_start()
        assert ready.wait(PATIENCE_S)

    def _take(self, topic, payload):
        judge(topic, payload)
        if "/live/" in topic:
            self.live.add((time.monotonic(), topic, media.decode_live(payload)))
            return
        chunk = media.decode_chunk(payload, self.panel_key)
        assert topic == topics.evidence(chunk.incident, chunk.name)
        self.chunks.add((chunk.name, chunk.offset, len(chunk.data)))
        if self._key(chunk) not in self.files and not self._whole(chunk):
            return
        assert hashlib.sha256(self.files[self._key(chunk)]).hexdigest() == chunk.sha256
        if self.confirming:
            receipt = media.EvidenceReceipt(chunk.incident, chunk.name, chunk.sha256, self.name)
            answer = media.encode_evidence_receipt(receipt, self.key)
            self.client.publish(topics.evidence_receipt(chunk.incident.panel, self.name), answer, qos=1)

    def _key(self, chunk):
        return chunk.name if chunk.incident == INCIDENT else f"{chunk.incident.seq}/{chunk.name}"

    def _whole(self, chunk):
        data = self.growing.setdefault((self._key(chunk), chunk.sha256), bytearray())
        if chunk.offset <= len(data):
            data[chunk.offset :] = chunk.data
        if len(data) < chunk.size:
            return False
        self.files[self._key(chunk)] = bytes(data)
        self.kept.add((time.monotonic(), chunk.kind, chunk.name))
        return True

    def manifest(self) -> media.Manifest:
        self.kept.until(lambda row: row[1] == "manifest")
        return media.decode_manifest(self.files[media.MANIFEST_NAME], self.panel_key)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def spec(port: int, spool: pathlib.Path, **changes) -> MediaSpec:
    """A panel with the test camera and the test microphone."""
    settings = {
        "cameras": (NamedCamera("gate", CameraConfig(url="test:", width=320, height=240, rate_hz=15)),),
        "microphone": MicrophoneConfig(device="test:"),
        "receivers": (ReceiverConfig(name="110"),),
        "media": MediaConfig(pre_roll_s=4.0, stills_s=10.0, clip_s=3.0, capture_s=60.0, quota_mib=64),
        "key_file": None,
    } | changes
    settings = {"path": PathConfig(name="primary", host="127.0.0.1", port=port)} | settings
    return MediaSpec(panel=PANEL, epoch=3, spool=spool, **settings)


class House:
    """The panel's side: a link in its worker thread."""

    def __init__(self, settings: MediaSpec, spawn=OsChild):
        self.facts = Watched()
        self.children = Watched()
        self.clock = SystemClock()
        self._spawn = spawn
        self.link = MediaLink(settings, clock=self.clock, post=self.facts.add, spawn=self._birth)
        self.worker = Worker(self.link, self.clock, self.facts.add, self.link.wait)
        self.worker.start()

    def _birth(self):
        child = self._spawn()
        self.children.add((time.monotonic(), child))
        return child

    def capture(self, incident=INCIDENT, seconds=60.0, *, covert=False):
        self.worker.put(Capture(incident, covert, self.clock.now().mono_s + seconds))

    def seal(self, incident=INCIDENT):
        self.worker.put(Seal(incident))

    @property
    def pid(self) -> int:
        return self.children.items[-1][1].pid

    def until(self, fact_class, timeout_s: float = PATIENCE_S, /, **fields):
        """The first fact of a class whose fields are these."""

        def found(fact):
            return isinstance(fact, fact_class) and all(getattr(fact, name) == fields[name] for name in fields)

        return self.facts.until(found, timeout_s)

    def close(self):
        self.worker.stop(10.0)


@contextlib.contextmanager
def house(settings: MediaSpec):
    made = House(settings)
    try:
        yield made
    finally:
        made.close()
