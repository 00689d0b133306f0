"""The uplink against the raw client: order → PUBACK, with and without TLS.

Run alone: `python tests/bench/bench_uplink.py [--quick]`.
"""

from __future__ import annotations

import contextlib
import pathlib
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from rigs.broker import Mosquitto, ServerTls
from rigs.tls import Authority
from rigs.uplink import EPOCH, PANEL, PANEL_KEY, RECEIVERS, SITE, RigClock

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.adapters.uplink import Uplink
from firmware.config import PathConfig, TlsConfig
from firmware.core.codes import ReportClass
from firmware.core.effects import Transmit
from firmware.core.facts import Brokered, PathUp
from firmware.core.report import Report, ReportId
from firmware.wire import topics
from firmware.wire.report import encode_report
from firmware.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.adapters.backlog import Backlog
    from firmware.core.facts import Fact

SIZE = 1024
"""Bytes of a report, as the raw client sends too."""
BREATH_S = 0.001
"""Between two measurements, so that none counts what the one before left to tidy up."""
SILENCE_S = 0.035
"""Before a press is decided its level has held for 30 ms, and processors and caches have turned to other things."""
NUMBERS = iter(range(1, 10**9))


def alarm(clock: RigClock, code: str = "PA") -> Report:
    """A report of about `SIZE` bytes on the wire."""
    ident = ReportId(PANEL, EPOCH, next(NUMBERS))
    return Report(ident, code, clock.now(), "booth-button", ident, detail=(("note", "x" * 360),))


def encode(report: Report, clock: RigClock) -> bytes:
    """As the uplink does it."""
    return encode_report(report, site=SITE, now=clock.now(), epoch=EPOCH, attempt=1, key=PANEL_KEY)


class Panel:
    """An uplink on its thread; every fact comes with the time at which it was posted."""

    def __init__(
        self, port: int, tls: TlsConfig | None, backlog: Backlog | None = None, events_hz: float = 100_000.0
    ) -> None:
        self.clock = RigClock()
        self.facts: queue.SimpleQueue[tuple[float, Fact]] = queue.SimpleQueue()
        config = PathConfig(name="bench", host="127.0.0.1", port=port, tls=tls, events_hz=events_hz)
        self.uplink = Uplink(
            config,
            panel_id=PANEL,
            epoch=EPOCH,
            site=SITE,
            panel_key=PANEL_KEY,
            receivers=RECEIVERS,
            backlog=backlog,
            pipe=MqttPipe(config, PANEL, self.clock),
            clock=self.clock,
            post=lambda fact: self.facts.put((time.perf_counter(), fact)),
            random01=random.random,
        )
        self.worker = Worker(self.uplink, self.clock, self.uplink._post, self.uplink.wait)
        self.worker.start()
        self._until(PathUp("bench"))

    def press_us(self) -> float:
        """Microseconds from the order to the PUBACK's fact."""
        report = alarm(self.clock)
        began = time.perf_counter()
        self.worker.put(Transmit("bench", report, 1))
        return (self._until(Brokered("bench", report.id)) - began) * 1e6

    def _until(self, wanted: Fact) -> float:
        """When a fact was posted; others are read past."""
        while True:
            at_s, fact = self.facts.get(timeout=10)
            if fact == wanted:
                return at_s


class RawClient:
    """paho as most programs use it: its own thread, publish, callback."""

    def __init__(self, port: int, tls: TlsConfig | None) -> None:
        self._answers: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        if tls is not None:
            self._client.tls_set(str(tls.ca_file))
        connected = threading.Event()
        self._client.on_connect = lambda *_: connected.set()
        self._client.on_publish = lambda *_: self._answers.put(time.perf_counter())
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert connected.wait(10)

    def publish_us(self, topic: str, payload: bytes) -> float:
        """Microseconds from `publish` to the callback."""
        began = time.perf_counter()
        self._client.publish(topic, payload, 1)
        return (self._answers.get(timeout=10) - began) * 1e6

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def broker_with_listener(tls: ServerTls | None = None) -> Iterator[Mosquitto]:
    """A broker, and somebody in another process who is subscribed."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(pathlib.Path(folder), ["max_queued_messages 0"], tls=tls).start()
        listener = _listen(broker, tls, pathlib.Path(folder))
        try:
            yield broker
        finally:
            listener.terminate()
            listener.wait(10)
            broker.stop()


def measure_latency(
    count: int, tls: TlsConfig | None, server: ServerTls | None, silence_s: float = BREATH_S
) -> list[Row]:
    """Order → PUBACK of the uplink and of the raw client, in turn; each after `silence_s`, as a press comes."""
    with broker_with_listener(server) as broker:
        panel, raw = Panel(broker.port, tls), RawClient(broker.port, tls)
        topic = topics.report(PANEL, ReportClass.ALARM)
        payload = encode(alarm(panel.clock), panel.clock)
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(count + 50):
            pair = [(ours, panel.press_us), (theirs, lambda: raw.publish_us(topic, payload))]
            for values, measure_us in pair if number % 2 else reversed(pair):
                time.sleep(silence_s)
                values.append(measure_us())
        raw.close()
        panel.worker.stop(5)
    ours, theirs = ours[50:], theirs[50:]
    kind = f"{'TLS' if tls else 'TCP'}, after {silence_s * 1000:.0f} ms of silence"
    ratio = quantile(ours, 0.5) / quantile(theirs, 0.5)
    note = f"{count} each in turn, {len(payload)} B, signed by ours, loopback mosquitto"
    return [
        row_of(f"raw client: publish → PUBACK, {kind}", theirs, "us", note=note),
        row_of(f"uplink: order → PUBACK, {kind}", ours, "us", ratio=ratio, limit="≤ 1.5x", note=note),
    ]


def measure_encode(count: int) -> Row:
    """What a signed report costs to write."""
    clock = RigClock()
    report = alarm(clock)
    values = []
    for _ in range(count):
        began = time.perf_counter()
        encode(report, clock)
        values.append((time.perf_counter() - began) * 1e6)
    return row_of("wire: encode and sign a report", values, "us", limit="≤ 40 us", note=f"{SIZE} B")


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    count = 200 if quick else 2000
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(pathlib.Path(folder) / "ca", "Bench Authority")
        pair = authority.issue("server", "IP:127.0.0.1")
        server = ServerTls(authority.ca, pair.cert, pair.key)
        return [
            measure_encode(5000),
            *measure_latency(count, None, None),
            *measure_latency(count // 10, None, None, SILENCE_S),
            *measure_latency(count, TlsConfig(authority.ca), server),
        ]


def _listen(broker: Mosquitto, tls: ServerTls | None, folder: pathlib.Path) -> subprocess.Popen[bytes]:
    """A subscriber that costs the two cores little; returned when it has heard something."""
    program = shutil.which("mosquitto_sub")
    assert program, "mosquitto_sub is not installed (apt-get install mosquitto-clients)"
    there = ["-h", "127.0.0.1", "-p", str(broker.port)]  # the name in the certificate, too
    command = [program, *there, "-t", "gatebooth/#", "-F", "%t"]
    encryption = ["--cafile", str(tls.ca_file)] if tls else []
    heard = folder / "heard"
    with heard.open("wb") as file:
        listener = subprocess.Popen([*command, *encryption], stdout=file)
    pause = threading.Event()
    while not heard.stat().st_size:
        word = [program.replace("_sub", "_pub"), *there, *encryption, "-t", "gatebooth/x", "-n"]
        subprocess.run(word, check=True)
        pause.wait(0.05)
    return listener


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
