"""The whole panel measured from outside: press to PUBACK and to acknowledgement, start, memory, idle CPU.

Run alone: `python tests/bench/bench_panel.py [--quick]`.
"""

from __future__ import annotations

import contextlib
import math
import pathlib
import queue
import random
import secrets
import sys
import tempfile
import threading
import time
import typing
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from firmware.adapters.journal import Journal
from firmware.adapters.media_link import MediaLink
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from rigs.broker import Mosquitto, ServerTls
from rigs.panel import Desk, PanelProcess, panel_toml, write_keys
from rigs.tls import Authority

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.app import App, Parts, board_spec
from firmware.config import Config, JournalConfig, PanelConfig, PathConfig, ReceiverConfig, TlsConfig, ZoneConfig
from firmware.core.effects import Progress, Store
from firmware.core.report import Report, ReportId, Step
from firmware.core.zone import ZoneType
from firmware.media.spec import MediaSpec
from firmware.wire.sign import load_key
from firmware.worker import Threads
from hal.board import open_board
from hal.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLD_S = 0.030
BACKLOG = 10_000
REPORT_BYTES = 850
"""Size of a signed alarm report on the wire, to within a tenth."""


class Booth:
    """The real application with threads in this process, on the simulated board, with many buttons."""

    def __init__(
        self, folder: pathlib.Path, port: int, zones: int, *, tls: TlsConfig | None = None, media: bool = False
    ) -> None:
        self.folder = folder
        self.config = Config(
            panel=PanelConfig("p1", folder / "state", "mock", key_file=folder / "panel.key"),
            zone={f"z{k}": ZoneConfig(k, ZoneType.PANIC) for k in range(zones)},
            path=(PathConfig("main", "127.0.0.1", port=port, tls=tls),),
            receiver=(ReceiverConfig("110", folder / "110.key"),),
            **(_sources() if media else {}),
        )
        self.steps: queue.Queue[tuple[float, Progress]] = queue.Queue()
        clock = SystemClock()
        self.board = open_board(board_spec(self.config), clock=clock)
        self.clock = clock
        parts = Parts(
            board=self.board,
            clock=clock,
            crew=lambda post: Threads(clock, post),
            pipe=lambda path: MqttPipe(path, "p1", clock),
            media=self._link if media else None,
            random01=random.random,
            random53=lambda: secrets.randbits(53),
            watch=self._watch,
        )
        self.app = App(self.config, parts)
        self._owner = threading.Thread(target=self.app.owner.run, daemon=True)

    def __enter__(self) -> typing.Self:
        self.app.arm()
        self._owner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.app.inbox.close()
        self._owner.join(10)
        self.app.stop()

    def press(self, zone: int) -> float:
        """Press; the monotonic time of the edge."""
        edge_s = self.clock.now().mono_s
        self.board.loops[f"z{zone}"].press()
        return edge_s

    def until(self, step: Step, zone: str) -> float:
        """Await a step of a zone; when the panel learnt of it."""
        while True:
            at_s, progress = self.steps.get(timeout=30)
            if progress.step is step and progress.zone == zone:
                return at_s

    def _link(self, epoch, post):
        link = MediaLink(MediaSpec.of(self.config, epoch), clock=self.clock, post=post)
        return link, link.wait

    def _watch(self, effect) -> None:
        if isinstance(effect, Progress):
            self.steps.put((self.clock.now().mono_s, effect))


def _sources() -> dict:
    from firmware.config import CameraConfig, MediaConfig, MicrophoneConfig  # noqa: PLC0415 - only with media

    return {
        "camera": {"gate": CameraConfig("test:")},
        "microphone": MicrophoneConfig("test:"),
        "media": MediaConfig(clip_s=3.0, stills_s=60.0),
    }


@contextlib.contextmanager
def bench(*, tls: bool = False) -> Iterator[tuple[pathlib.Path, Mosquitto, TlsConfig | None, dict | None]]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        write_keys(folder, "panel", "110", "station")
        panel_tls = desk_tls = server = None
        if tls:
            authority = Authority(folder / "ca", "bench")
            pair = authority.issue("broker", san="IP:127.0.0.1")
            server = ServerTls(authority.ca, pair.cert, pair.key)
            panel_tls = TlsConfig(authority.ca)
            desk_tls = {"ca_certs": str(authority.ca)}
        (folder / "broker").mkdir()
        broker = Mosquitto(folder / "broker", ["max_queued_messages 0"], tls=server).start()
        try:
            yield folder, broker, panel_tls, desk_tls
        finally:
            broker.stop()


def ear(port: int) -> Client:
    """Somebody who listens to the peer: without one the broker has less to do, and says "nobody"."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="ear", protocol=MQTTv5)
    ready = threading.Event()
    client.on_connect = lambda *_: client.subscribe("bench/#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(10)
    return client


def raw_client(port: int) -> tuple[Client, queue.Queue[float]]:
    """The peer: paho with its own thread, as everybody uses it."""
    done: queue.Queue[float] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2, client_id="raw", protocol=MQTTv5)
    client.on_publish = lambda *_: done.put(time.monotonic())
    ready = threading.Event()
    client.on_connect = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(10)
    return client, done


def measure_puback(presses: int) -> list[Row]:
    """Press (debounced) → PUBACK, durable, beside raw paho publish → PUBACK of the same size, in turn."""
    ours, raw = [], []
    with bench() as (folder, broker, _, _):
        desk = Desk("110", broker.port, key=load_key(folder / "110.key"))
        with Booth(folder, broker.port, presses) as booth:
            client, done = raw_client(broker.port)
            listener = ear(broker.port)
            booth.press(0)
            booth.until(Step.BROKERED, "z0")
            for zone in range(1, presses):
                decided_s = booth.press(zone) + HOLD_S
                ours.append((booth.until(Step.BROKERED, f"z{zone}") - decided_s) * 1000)
                booth.until(Step.RECEIVED, f"z{zone}")
                payload = secrets.token_bytes(REPORT_BYTES)
                began = time.monotonic()
                client.publish("bench/raw", payload, qos=1)
                raw.append((done.get(timeout=10) - began) * 1000)
            client.loop_stop()
            listener.loop_stop()
        desk.close()
    ratio = quantile(ours, 0.5) / quantile(raw, 0.5)
    return [
        row_of("raw paho publish → PUBACK, QoS 1", raw, "ms", note="same broker, in turn with the row below"),
        row_of("press (debounced) → PUBACK, durable", ours, "ms", ratio=ratio, limit="≤ 1.5 x raw, p50",
               note="from the end of the 30 ms hold; wake-up, decision, signature and fact back included"),
    ]  # fmt: skip


def fill(folder: pathlib.Path, count: int) -> None:
    """Status reports that wait in the journal from an outage before."""
    clock = SystemClock()
    journal, recovery = Journal.open(
        folder / "state" / "journal", JournalConfig(), clock, lambda _: None, random53=lambda: 1, notify=lambda: None
    )
    now = clock.now()
    for seq in range(1, count + 1):
        report = Report(
            ReportId("p1", recovery.epoch, seq), "YZ", now, detail=(("source", "bench"), ("n", seq), ("pad", "x" * 400))
        )
        journal.handle(Store(report))
    journal.tick()
    journal.close()


def measure_storm(rounds: int, presses: int) -> list[Row]:
    """Press → the receiver's acknowledgement over TLS while 10 000 status reports drain and evidence uploads."""
    took = []
    for _ in range(rounds):
        with bench(tls=True) as (folder, broker, tls, desk_tls):
            fill(folder, BACKLOG)
            desk = Desk("110", broker.port, key=load_key(folder / "110.key"), tls=desk_tls)
            with Booth(folder, broker.port, presses + 1, tls=tls, media=True) as booth:
                booth.press(presses)
                booth.until(Step.RECEIVED, f"z{presses}")
                pause = threading.Event()
                for zone in range(presses):
                    decided_s = booth.press(zone) + HOLD_S
                    took.append((booth.until(Step.RECEIVED, f"z{zone}") - decided_s) * 1000)
                    pause.wait(0.02)
            desk.close()
    return [
        row_of("press → receiver's acknowledgement, TLS, 10 000 reports draining, evidence uploading", took, "ms",
               limit="p99 ≤ 100 ms", note=f"{len(took)} presses in {rounds} storms; camera 720p15 and microphone"),
    ]  # fmt: skip


def measure_start(runs: int) -> list[Row]:
    """Process start → inputs armed, the interpreter's own start included, on a journal that exists."""
    took = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        panel = PanelProcess(folder, panel_toml(folder, 1))
        for run in range(runs + 1):
            panel.start()
            if run:
                took.append(panel.armed_s * 1000)
            panel.stop()
    return [
        row_of(
            "process start → inputs armed",
            took,
            "ms",
            limit="≤ 300 ms",
            note="simulated board; from fork, Python's start included",
        )
    ]


def measure_idle(seconds: float) -> list[Row]:
    """Memory and CPU of an idle panel with one 720p15 camera and one microphone."""
    more = '[camera.gate]\nurl = "test:"\n[microphone]\ndevice = "test:"\n'
    with bench() as (folder, broker, _, _):
        panel = PanelProcess(folder, panel_toml(folder, broker.port, more=more)).start()
        threading.Event().wait(40)  # the pre-roll is full after 30 s: only then is memory what it stays
        family = tree(panel.pid)
        before, began = sum(cpu_s(pid) for pid in family), time.monotonic()
        threading.Event().wait(seconds)
        used = (sum(cpu_s(pid) for pid in family) - before) / (time.monotonic() - began)
        own, whole = pss_mb(panel.pid), sum(pss_mb(pid) for pid in family)
        panel.stop()
    return [
        Row("memory of the panel process (PSS)", own, None, "MB", limit="≤ 40 MB"),
        Row("memory of all processes (PSS)", whole, None, "MB", limit="≤ 130 MB", note=f"{len(family)} processes"),
        Row("idle CPU of all processes", used * 100, None, "% of a core", limit="≤ 5 %", note=f"over {seconds:.0f} s"),
    ]  # fmt: skip


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    below = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [inner for child in below for inner in tree(int(child))]


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def pss_mb(pid: int) -> float:
    """Proportional set size in MB (10^6 bytes)."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / 1e6


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    share = 0.2 if quick else 1.0
    return [
        *measure_puback(math.ceil(300 * share)),
        *measure_storm(math.ceil(4 * share), 40),
        *measure_start(math.ceil(20 * share)),
        *measure_idle(5 if quick else 30),
    ]


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
