"""The whole panel measured from outside: press to PUBACK and to acknowledgement, start, memory, idle CPU.

Run alone: `python tests/bench/bench_panel.py [--quick]`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import queue
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import typing
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from rigs.broker import Mosquitto, ServerTls
from rigs.panel import SOURCES, Desk, PanelProcess, panel_toml, write_keys
from rigs.tls import Authority

from firmware.adapters.journal import Journal
from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.adapters.ring_files import REAL
from firmware.app import App, Parts, board_spec
from firmware.config import Config, JournalConfig, PanelConfig, PathConfig, ReceiverConfig, TlsConfig, ZoneConfig
from firmware.core.effects import Progress, Store
from firmware.core.facts import Receipt
from firmware.core.report import Report, ReportId, Step
from firmware.core.zone import ZoneType
from firmware.wire.sign import load_key
from firmware.worker import Threads
from hal.board import open_board
from hal.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.adapters.ring_files import Disk

HOLD_S = 0.030
BACKLOG = 10_000
ZONES = 50
NOBODY = 0x10
STORM_ZONES = 20
SLOW_DISK_S = 0.050
SWITCH_S = 0.001
"""As `gatebooth run` sets it."""
STORM_MEDIA = "[media]\nclip_s = 2.0\npre_roll_s = 5.0\n"
REPORT_BYTES = 850
"""Size of a signed alarm report on the wire, to within a tenth."""


class Booth:
    """The real application with threads in this process, on the simulated board, with many buttons."""

    def __init__(self, folder: pathlib.Path, port: int, zones: int, disk: Disk = REAL) -> None:
        self.folder = folder
        self.config = Config(
            panel=PanelConfig("p1", folder / "state", "mock", key_file=folder / "panel.key"),
            zone={f"z{k}": ZoneConfig(k, ZoneType.PANIC) for k in range(zones)},
            path=(PathConfig("main", "127.0.0.1", port=port),),
            receiver=(ReceiverConfig("110", folder / "110.key"),),
        )
        self.steps: queue.Queue[tuple[float, Progress]] = queue.Queue()
        clock = SystemClock()
        self.board = open_board(board_spec(self.config, folder), clock=clock)
        self.clock = clock
        parts = Parts(
            board=self.board,
            clock=clock,
            crew=lambda post: Threads(clock, post),
            pipe=lambda path: MqttPipe(path, "p1", clock),
            media=None,
            random01=random.random,
            random53=lambda: secrets.randbits(53),
            watch=self._watch,
            disk=disk,
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

    def until(self, step: Step, zone: str, *others: Step) -> tuple[float, ReportId]:
        """Await a step of a zone, or one of others; when the panel learnt of it, and of which report."""
        while True:
            at_s, progress = self.steps.get(timeout=30)
            if progress.step in (step, *others) and progress.zone == zone:
                return at_s, progress.id

    def _watch(self, effect) -> None:
        if isinstance(effect, Progress):
            self.steps.put((self.clock.now().mono_s, effect))


class SlowDisk:
    """The real disk, whose synchronous writes last as long as an SD card's from `slow_s` on.

    Synchronization: any thread.
    """

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.calls = dataclasses.replace(REAL, pwrite=self._pwrite)

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        time.sleep(self.slow_s)
        return os.pwrite(fd, data, offset)


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


@contextlib.contextmanager
def listener(port: int) -> Iterator[None]:
    """A light subscriber to everything: without one the broker has less to do, and says "nobody"."""
    program = shutil.which("mosquitto_sub")
    assert program, "mosquitto_sub is not installed (apt-get install mosquitto-clients)"
    process = subprocess.Popen([program, "-p", str(port), "-t", "#", "-q", "1"], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def raw_client(port: int) -> tuple[Client, queue.Queue[float]]:
    """The peer: paho with its own thread, as everybody uses it; returned when the listener hears it."""
    done: queue.Queue[float] = queue.Queue()
    heard = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id="raw", protocol=MQTTv5)

    def answered(_client, _data, _mid, reason, _properties) -> None:
        done.put(time.monotonic())
        if reason.value != NOBODY:
            heard.set()

    client.on_publish = answered
    client.connect("127.0.0.1", port)
    client.loop_start()
    for _ in range(100):
        client.publish("bench/raw", b"", qos=1)
        done.get(timeout=10)
        if heard.wait(0.1):
            return client, done
    raise AssertionError("nobody listens")


def measure_puback(presses: int) -> list[Row]:
    """Press (debounced) → PUBACK, durable, beside raw paho publish → PUBACK of the same size, in turn."""
    sys.setswitchinterval(SWITCH_S)
    held, decided, raw = [], [], []
    silence = threading.Event()
    while len(raw) < presses:
        with bench() as (folder, broker, _, _), listener(broker.port), Booth(folder, broker.port, ZONES) as booth:
            client, done = raw_client(broker.port)
            for zone in range(ZONES):
                hold_over_s = booth.press(zone) + HOLD_S
                decided_s, report = booth.until(Step.RAISED, f"z{zone}")
                answered_s, _ = booth.until(Step.BROKERED, f"z{zone}")
                booth.app.inbox.post(Receipt("110", report, Step.RECEIVED, ""))
                booth.until(Step.RECEIVED, f"z{zone}")
                if zone:  # the first waits for the connection
                    held.append((answered_s - hold_over_s) * 1000)
                    decided.append((answered_s - decided_s) * 1000)
                    silence.wait(HOLD_S)  # the peer, too, is asked after the silence of a hold
                    began = time.monotonic()
                    client.publish("bench/raw", secrets.token_bytes(REPORT_BYTES), qos=1)
                    raw.append((done.get(timeout=10) - began) * 1000)
            client.loop_stop()
    peer = quantile(raw, 0.5)
    return [
        row_of("raw paho publish → PUBACK, QoS 1", raw, "ms", note="same broker, in turn with the rows below"),
        row_of("press decided → PUBACK, durable", decided, "ms", ratio=quantile(decided, 0.5) / peer,
               limit="≤ 1.5 x raw, p50", note="hand-over, signature, TCP and fact back, disk side by side"),
        row_of("end of the 30 ms hold → PUBACK, durable", held, "ms", ratio=quantile(held, 0.5) / peer,
               note="with the timer's wake-up and the decision"),
    ]  # fmt: skip


def measure_accepted() -> list[Row]:
    """Press (debounced) → accepted, which is stored or answered by the broker: slow disk, dead link, both."""
    sys.setswitchinterval(SWITCH_S)
    alive, dead = _accepted(SLOW_DISK_S, link=True), _accepted(SLOW_DISK_S, link=False)
    quick, writes = _accepted(0.0, link=False), _write_ms()
    disk = f"{SLOW_DISK_S * 1000:.0f} ms disk"
    over = quantile(dead, 0.5) - SLOW_DISK_S * 1000
    rest = quantile(quick, 0.5) - quantile(writes, 0.5)
    return [
        row_of(f"press decided → accepted, {disk}, link alive", alive, "ms", limit="≤ 5 ms",
               note="the PUBACK is first"),
        row_of(f"press decided → accepted, {disk}, link dead", dead, "ms", limit="one synchronous write",
               note=f"the write's own {SLOW_DISK_S * 1000:.0f} ms and {over:.2f} ms"),
        row_of("one synchronous write of 1 KiB, this disk", writes, "ms", note="O_DSYNC into a preallocated file"),
        row_of("press decided → accepted, this disk, link dead", quick, "ms",
               note=f"the write and {rest:.2f} ms: hand-over, packing, fact back"),
    ]  # fmt: skip


def _accepted(slow_s: float, *, link: bool) -> list[float]:
    took = []
    disk = SlowDisk()
    with (
        bench() as (folder, broker, _, _),
        listener(broker.port),
        Booth(folder, broker.port, ZONES, disk.calls) as booth,
    ):
        for zone in range(ZONES):
            if zone == 1 and not link:
                broker.kill()
            booth.press(zone)
            decided_s, report = booth.until(Step.RAISED, f"z{zone}")
            accepted_s, _ = booth.until(Step.STORED, f"z{zone}", Step.BROKERED)
            if zone:  # the first waits for the connection
                took.append((accepted_s - decided_s) * 1000)
            if link:
                booth.app.inbox.post(Receipt("110", report, Step.RECEIVED, ""))
            time.sleep(2 * SLOW_DISK_S)  # the disk has done with it
            disk.slow_s = slow_s
    return took


def _write_ms() -> list[float]:
    took = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = pathlib.Path(folder) / "ring"
        path.write_bytes(bytes(1 << 20))
        os.sync()
        fd = os.open(path, os.O_WRONLY | os.O_DSYNC)
        for number in range(200):
            time.sleep(HOLD_S)
            began = time.monotonic()
            os.pwrite(fd, bytes(1024), number * 1024)
            took.append((time.monotonic() - began) * 1000)
        os.close(fd)
    return took


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


def measure_storm(rounds: int) -> list[Row]:
    """Press → the receiver's acknowledgement over TLS while 10 000 status reports drain and evidence uploads."""
    took, left = [], []
    zones = "".join(f'[zone.z{k}]\npin = {k}\ntype = "panic"\n' for k in range(28, 28 + STORM_ZONES))
    for _ in range(rounds):
        with bench(tls=True) as (folder, broker, tls, desk_tls):
            fill(folder, BACKLOG)
            desk = Desk("110", broker.port, key=load_key(folder / "110.key"), tls=desk_tls, strict=False)
            toml = panel_toml(
                folder, broker.port, path=f'[path.tls]\nca_file = "{tls.ca_file}"', more=SOURCES + STORM_MEDIA + zones,
                receivers=1, journal="",
            )  # fmt: skip
            panel = PanelProcess(folder, toml).start()
            panel.say("press booth-button")  # opens the capture: from here evidence uploads
            panel.step("received", "110")
            for zone in range(28, 28 + STORM_ZONES):
                panel.say(f"press z{zone}")
                took.append(panel.step("received", "110")["ms"])
            left.append(BACKLOG - desk.count("YZ"))
            panel.stop()
            desk.close()
    return [
        row_of("press → receiver's acknowledgement, TLS, 10 000 reports draining, evidence uploading", took, "ms",
               limit="p99 ≤ 100 ms",
               note=f"{len(took)} presses, 30 ms hold included; {min(left)}-{max(left)} reports left at the end"),
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
    """A process and all below it, whichever of its threads started them."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid] + [inner for child in below for inner in tree(child)]


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
        *measure_puback(math.ceil(400 * share)),
        *measure_accepted(),
        *measure_storm(math.ceil(6 * share)),
        *measure_start(math.ceil(20 * share)),
        *measure_idle(5 if quick else 30),
    ]


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
