"""The journal and the uplink beside those who do the same: storing 1 KiB, draining a backlog, an idle day on the card.

Run alone: `python tests/bench/bench_peers.py [--quick]`. What each of them loses at a cut: docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
import threading
import time
from importlib import util
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.bench_uplink import Panel, alarm, broker_with_listener
from bench.table import Row, print_table, quantile, row_of
from proof.writers import OPEN, PAD, put_of
from rigs.broker import Mosquitto
from rigs.disk import MemoryDisk
from rigs.journals import Bench, make_report
from rigs.tcp_proxy import TcpProxy
from rigs.uplink import ListBacklog

from firmware.adapters.backlog import Wake
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORK = "/var/tmp"
ROUND_TRIP_S = 0.040
WINDOW = 12
"""Places of an uplink's 16 that faults and status reports may take; what the bridge is given too."""
ROUNDS = 5
READY_S = 30.0
DAY_S = 86_400
SECTOR = 512
PAGE = 4096


# ---- storing


def measure_store(count: int) -> list[Row]:
    """One message of 1 KiB, until its store calls it stored; the stores take turns."""
    names = {
        "sqlite-ack": ("persist-queue SQLiteAckQueue: put", "persistqueue", "loses nothing at a power cut"),
        "file": ("persist-queue file Queue: put", "persistqueue", "loses some"),
        "lite": ("litequeue: put", "litequeue", "loses some"),
    }
    there = [kind for kind, (_, module, _) in names.items() if util.find_spec(module)]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {kind: [] for kind in there}
    for _ in range(ROUNDS):
        ours += _journal_us(count // ROUNDS)
        for kind in there:
            theirs[kind] += _peer_us(kind, count // ROUNDS)
    half = quantile(ours, 0.5)
    rows = [row_of("journal: alarm → stored", ours, "us", note=f"{PAD} B text; loses nothing at a power cut")]
    for kind in there:
        name, _, note = names[kind]
        rows.append(row_of(name, theirs[kind], "us", ratio=quantile(theirs[kind], 0.5) / half, note=note))
    return rows


def _journal_us(count: int) -> list[float]:
    took = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        bench = Bench(folder=pathlib.Path(folder), config=JournalConfig())
        bench.settle()
        for number in range(1, count + 1):
            report = make_report(bench.recovery.epoch, number, text="x" * PAD)
            began = time.perf_counter()
            bench.journal.handle(Store(report))
            took.append((time.perf_counter() - began) * 1e6)
            bench.journal.handle(Finish((report.id,)))
            if number % 20 == 0:
                bench.wait(1.1)
        bench.journal.close()
    return took


def _peer_us(kind: str, count: int) -> list[float]:
    took = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        put = put_of(kind, OPEN[kind](pathlib.Path(folder)))
        for number in range(count):
            text = str(number).ljust(PAD)
            began = time.perf_counter()
            put(text)
            took.append((time.perf_counter() - began) * 1e6)
    return took


# ---- draining


def measure_drain(count: int, round_trip_s: float) -> list[Row]:
    """A backlog of 1 KiB reports over one link: the uplink's, then a mosquitto bridge's with the same window."""
    ours, idle, busy = _uplink(count, round_trip_s)
    theirs, raw = _bridge_hz(count, round_trip_s), _paho_hz(count, round_trip_s)
    link = f"{round_trip_s * 1000:.0f} ms round trip" if round_trip_s else "loopback"
    bound = WINDOW / round_trip_s if round_trip_s else None
    share = f", {100 * ours / bound:.0f} % of window ÷ round trip" if bound else ""
    limit = "≥ 95 % of window ÷ round trip" if round_trip_s else "≥ 0.5 x bridge"
    note = f"{count} reports, window {WINDOW}{share}; {ours / raw:.2f} x paho"
    wide = f", but it had {theirs * round_trip_s:.0f} under way" if round_trip_s else ""
    return [
        Row(f"mosquitto bridge: drain, {link}", theirs, None, "1/s", note=f"max_inflight_messages {WINDOW}{wide}"),
        Row(f"raw paho: drain while connected, {link}", raw, None, "1/s", note=f"max_inflight_messages {WINDOW}"),
        Row(f"uplink: drain, {link}", ours, None, "1/s", ours / theirs, limit, note),
        row_of(f"alarm → PUBACK, idle, {link}", idle, "ms"),
        row_of(
            f"alarm → PUBACK during the drain, {link}",
            busy,
            "ms",
            ratio=quantile(busy, 0.99) / quantile(idle, 0.99),
            limit="p99 ≤ 2 x idle",
            note="the ratio is that of the p99",
        ),
    ]


def _uplink(count: int, round_trip_s: float) -> tuple[float, list[float], list[float]]:
    with broker_with_listener() as broker, _link(broker.port, round_trip_s) as link:
        backlog = ListBacklog()
        panel = Panel(link.port, None, backlog)
        done = _counted(backlog, count)
        idle = [panel.press_us() / 1000 for _ in range(200)]
        backlog.add([alarm(panel.clock, "RR") for _ in range(count)])
        began = time.perf_counter()
        panel.worker.put(Wake())
        busy = []
        while not done.is_set():
            busy.append(panel.press_us() / 1000)
            done.wait(0.05)  # presses come one by one: the drain, not they, is to fill the link
        took = time.perf_counter() - began
        panel.worker.stop(5)
    return count / took, idle, busy


def _counted(backlog: ListBacklog, count: int) -> threading.Event:
    finish, left, done = backlog.done, [count], threading.Event()

    def count_down(ids: Any) -> None:
        finish(ids)
        left[0] -= len(ids)
        if not left[0]:
            done.set()

    backlog.done = count_down  # type: ignore[method-assign]
    return done


@contextlib.contextmanager
def _link(port: int, round_trip_s: float) -> Iterator[TcpProxy]:
    proxy = TcpProxy(("127.0.0.1", port))
    proxy.delay_s = round_trip_s / 2
    try:
        yield proxy
    finally:
        proxy.close()


def _bridge_hz(count: int, round_trip_s: float) -> float:
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = pathlib.Path(name)
        far = _broker(folder / "far")
        with _link(far.port, round_trip_s) as link:
            link.swallow = True  # the link is down until everything waits in the bridge
            near = _broker(
                folder / "near",
                f"max_inflight_messages {WINDOW}",
                "connection far",
                f"address 127.0.0.1:{link.port}",
                "remote_clientid bench",
                "cleansession false",
                "notifications false",
                "restart_timeout 1",
                "topic bench/# out 1",
            )
            try:
                return _drained_hz(near, far, link, count)
            finally:
                near.kill()
                far.kill()


def _broker(folder: pathlib.Path, *lines: str) -> Mosquitto:
    folder.mkdir()
    return Mosquitto(folder, ["max_queued_messages 0", *lines]).start()


def _drained_hz(near: Mosquitto, far: Mosquitto, link: TcpProxy, count: int) -> float:
    times: list[float] = []
    last = threading.Event()

    def came(*_: object) -> None:
        times.append(time.perf_counter())
        if len(times) == count:
            last.set()

    desk = _client("desk", far.port)
    desk.on_message = came
    ready = threading.Event()
    desk.on_subscribe = lambda *_: ready.set()
    desk.subscribe("bench/#", qos=1)
    assert ready.wait(READY_S)
    source = _client("source", near.port)
    sent = [source.publish("bench/1", bytes(PAD), qos=1) for _ in range(count)]
    for message in sent:
        message.wait_for_publish(READY_S)
    link.swallow = False
    link.cut()
    assert last.wait(READY_S + 2 * count * ROUND_TRIP_S / WINDOW), f"{len(times)} of {count} came"
    for client in (desk, source):
        client.loop_stop()
    return (count - 1) / (times[-1] - times[0])


def _client(name: str, port: int, window: int = 20) -> Any:
    from paho.mqtt.client import CallbackAPIVersion, Client  # noqa: PLC0415 - beside its only use

    connected = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.max_inflight_messages_set(window)
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert connected.wait(READY_S)
    return client


def _paho_hz(count: int, round_trip_s: float) -> float:
    """The client alone, which keeps its window as long as it was connected when the messages came."""
    with broker_with_listener() as broker, _link(broker.port, round_trip_s) as link:
        client = _client("raw", link.port, window=WINDOW)
        began = time.perf_counter()
        sent = [client.publish("bench/1", bytes(PAD), qos=1) for _ in range(count)]
        for message in sent:
            message.wait_for_publish(READY_S + 2 * count * round_trip_s / WINDOW)
        took = time.perf_counter() - began
        client.loop_stop()
    return count / took


# ---- an idle day


def measure_day() -> list[Row]:
    """What a day of one status report a minute, sent and acknowledged, writes to the card."""
    disk = MemoryDisk()
    bench = Bench(disk.calls(), config=JournalConfig())
    bench.settle()
    start = len(disk.trace)
    for _ in range(DAY_S // 60):
        bench.event("RR", text="x" * 300)
        bench.wait(2)
        bench.journal.backlog.done([report.id for report in bench.journal.backlog.take(9)])
        bench.wait(58)
    writes = [(op[2], len(op[3])) for op in disk.trace[start:] if op[0] == "write"]
    return [
        _day("sectors of 512 B", writes, SECTOR, ""),
        _day("pages of 4 KiB", writes, PAGE, "≤ 8 MB"),
    ]


def _day(unit: str, writes: list[tuple[int, int]], size: int, limit: str) -> Row:
    pieces = sum((offset + length - 1) // size - offset // size + 1 for offset, length in writes)
    note = f"{len(writes)} synchronous writes, counted in {unit}; the file system's own not counted"
    return Row(f"journal: written on an idle day, {unit}", pieces * size / 1e6, None, "MB", limit=limit, note=note)


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    count = 1000 if quick else 10_000
    steps: list[Callable[[], list[Row]]] = [
        lambda: measure_store(300 if quick else 2000),
        lambda: measure_drain(count, ROUND_TRIP_S),
        lambda: measure_drain(10_000, 0.0),
        measure_day,
    ]
    return [row for step in steps for row in step()]


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
