"""A backlog on its way out: how fast it leaves beside a mosquitto bridge and a bare client, and what alarms lose by it.

Run alone: `python tests/bench/bench_drain.py [--quick]`.

The reports lie in a real journal and are read back from disk. `path.events_hz` is set far beyond reach where the uplink
is compared: none of the others paces anything. The bridge of mosquitto 2.0 keeps no window, whatever its
`max_inflight_messages` and the far broker's receive maximum say (mosquitto issue 2301); at a round trip it therefore
runs a second time, over a link that holds it to the window.
"""

from __future__ import annotations

import pathlib
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.bench_uplink import Panel, alarm, broker_with_listener
from bench.link import link
from bench.table import Row, print_table, quantile, row_of
from rigs.broker import Mosquitto

from firmware.adapters.backlog import Wake
from firmware.adapters.journal import Journal
from firmware.config import JournalConfig, PathConfig
from firmware.core.effects import Store
from firmware.worker import Worker
from hal.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.core.report import Report, ReportId

WORK = "/var/tmp"
SIZE = 1024
COUNT = 10_000
ROUND_TRIP_S = 0.040
WINDOW = 12
"""Places of an uplink's 16 that faults and status reports may take; what the others are given too."""
READY_S = 30.0
PRESS_EVERY_S = 0.010
IDLE_PRESSES = 300
SWITCH_S = 0.001
"""As `gatebooth run` sets it."""
UNPACED_HZ = float("inf")
"""A finite pace lets no more than a burst of 8 follow each other, however quick it is."""
PACED_HZ = PathConfig(name="main", host="").events_hz


@dataclass
class Drain:
    """What one uplink did: reports a second, and the milliseconds of presses before and meanwhile."""

    hz: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


class Stock:
    """Reports in a journal on disk, which a path may have from `release` on.

    Synchronization: as `Backlog`.
    """

    def __init__(self, folder: pathlib.Path, count: int) -> None:
        self._left = count
        self._shut = True
        self.first_s = self.last_s = 0.0
        """When the first and the last was answered for."""
        self.done_event = threading.Event()
        clock = SystemClock()
        self.journal = _journal(folder, clock)
        for _ in range(count):
            self.journal.handle(Store(alarm(clock, "RR")))
        self.journal.close()
        self.journal = _journal(folder, clock)
        while self.journal.backlog.waiting < count:
            self.journal.tick()
        self._worker = Worker(self.journal, clock, lambda _: None)
        self._worker.start()

    def release(self) -> None:
        """Let them go."""
        self._shut = False

    def stop(self) -> None:
        """End the journal's thread."""
        self._worker.stop(10)

    def take(self, limit: int, *, leads: bool = True) -> list[Report]:
        """See `Backlog`."""
        return [] if self._shut else self.journal.backlog.take(limit, leads=leads)

    def done(self, ids: Iterable[ReportId]) -> None:
        """See `Backlog`."""
        known = tuple(ids)
        self.last_s = time.perf_counter()
        self.first_s = self.first_s or self.last_s
        self.journal.backlog.done(known)
        self._left -= len(known)
        if not self._left:
            self.done_event.set()

    def give_back(self) -> None:
        """See `Backlog`."""
        self.journal.backlog.give_back()

    def pass_on(self, report: ReportId, *, for_good: bool) -> None:
        """See `Backlog`; a broker takes every report."""
        raise NotImplementedError(f"{report} is not taken, for good: {for_good}")


def _journal(folder: pathlib.Path, clock: SystemClock) -> Any:
    return Journal.open(folder, JournalConfig(), clock, lambda _: None, random53=lambda: 1, notify=lambda: None)[0]


def drain(result: Drain, count: int, round_trip_s: float, events_hz: float) -> None:
    """Presses on an idle path, then a backlog with presses meanwhile; timed from the first answer to the last."""
    with (
        tempfile.TemporaryDirectory(dir=WORK) as folder,
        broker_with_listener() as broker,
        link(broker.port, round_trip_s) as port,
    ):
        stock = Stock(pathlib.Path(folder), count)
        panel = Panel(port, None, stock, events_hz=events_hz)
        pause = threading.Event()
        for _ in range(IDLE_PRESSES):
            result.idle.append(panel.press_us() / 1000)
            pause.wait(PRESS_EVERY_S)
        stock.release()
        panel.worker.put(Wake())
        while not stock.done_event.wait(PRESS_EVERY_S):
            result.busy.append(panel.press_us() / 1000)
        result.hz.append((count - 1) / (stock.last_s - stock.first_s))
        panel.worker.stop(5)
        stock.stop()


def bridge_hz(count: int, round_trip_s: float, window: int = 0) -> float:
    """A mosquitto bridge with everything queued: from the first arrival at a subscriber far away to the last."""
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = pathlib.Path(name)
        far = _broker(folder / "far")
        with link(far.port, round_trip_s, window) as port:
            times: list[float] = []
            last = _count_arrivals(far.port, times, count)
            far.freeze()  # the bridge's connection stands and nothing moves until everything waits in it
            near = _broker(
                folder / "near",
                f"max_inflight_messages {WINDOW}",
                "connection far",
                f"address 127.0.0.1:{port}",
                "remote_clientid bench",
                "cleansession false",
                "notifications false",
                "restart_timeout 1",
                "topic bench/# out 1",
            )
            _feed(near.port, count)
            far.thaw()
            assert last.wait(READY_S + 2 * count * round_trip_s / WINDOW), f"{len(times)} of {count} came"
            near.kill()
            far.kill()
    return (count - 1) / (times[-1] - times[0])


def paho_hz(count: int, round_trip_s: float) -> float:
    """The client alone, which keeps its window as long as it was connected when the messages came."""
    with broker_with_listener() as broker, link(broker.port, round_trip_s) as port:
        client = _client("raw", port, window=WINDOW)
        began = time.perf_counter()
        sent = [client.publish("bench/1", bytes(SIZE), qos=1) for _ in range(count)]
        for message in sent:
            message.wait_for_publish(READY_S + 4 * count * round_trip_s / WINDOW)
        took = time.perf_counter() - began
        client.loop_stop()
    return count / took


def _broker(folder: pathlib.Path, *lines: str) -> Mosquitto:
    folder.mkdir()
    return Mosquitto(folder, ["max_queued_messages 0", *lines]).start()


def _count_arrivals(port: int, times: list[float], count: int) -> threading.Event:
    last, ready = threading.Event(), threading.Event()

    def came(*_: object) -> None:
        times.append(time.perf_counter())
        if len(times) == count:
            last.set()

    desk = _client("desk", port)
    desk.on_message = came
    desk.on_subscribe = lambda *_: ready.set()
    desk.subscribe("bench/#", qos=0)
    assert ready.wait(READY_S)
    return last


def _feed(port: int, count: int) -> None:
    source = _client("source", port)
    sent = [source.publish("bench/1", bytes(SIZE), qos=1) for _ in range(count)]
    for message in sent:
        message.wait_for_publish(READY_S)
    source.loop_stop()


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


def measure_far(count: int) -> list[Row]:
    """Over a link with a round trip, where the window is what counts."""
    where = f"{ROUND_TRIP_S * 1000:.0f} ms round trip"
    ours = Drain()
    drain(ours, count, ROUND_TRIP_S, UNPACED_HZ)
    free, held = (bridge_hz(count, ROUND_TRIP_S, window) for window in (0, WINDOW))
    raw = paho_hz(count // 4, ROUND_TRIP_S)
    got, bound = ours.hz[0], WINDOW / ROUND_TRIP_S
    share = f"{count} reports, {100 * got / bound:.1f} % of window ÷ round trip"
    return [
        Row(f"mosquitto bridge: drain, {where}", free, None, "1/s",
            note=f"max_inflight_messages {WINDOW}, but it had {free * ROUND_TRIP_S:.0f} under way"),
        Row(f"the same, held to {WINDOW} by the link", held, None, "1/s", note=f"{100 * held / bound:.1f} %"),
        Row(f"raw paho: drain while connected, {where}", raw, None, "1/s", note=f"max_inflight_messages {WINDOW}"),
        Row(f"uplink: drain, {where}", got, None, "1/s", got / held, "≥ 95 % of window ÷ round trip, ≥ 1 x bridge held",
            share),
        *_press_rows(ours, where),
    ]  # fmt: skip


def measure_near(count: int, rounds: int) -> list[Row]:
    """Over loopback, where each one's own work is what counts; in turn."""
    ours, free, raw = Drain(), [], []
    for _ in range(rounds):
        drain(ours, count, 0.0, UNPACED_HZ)
        free.append(bridge_hz(count, 0.0))
        raw.append(paho_hz(count, 0.0))
    got, theirs = statistics.median(ours.hz), statistics.median(free)
    bare = statistics.median(raw)
    return [
        Row("mosquitto bridge: drain, loopback", theirs, None, "1/s", note=f"median of {rounds}; keeps no window"),
        Row("raw paho: drain while connected, loopback", bare, None, "1/s", note=f"window {WINDOW}"),
        Row("uplink: drain, loopback", got, None, "1/s", got / theirs, "≥ 0.5 x bridge",
            f"{count} reports from disk, signed, window {WINDOW}; {got / bare:.2f} x paho"),
        *_press_rows(ours, "loopback, not paced"),
    ]  # fmt: skip


def measure_paced(count: int) -> list[Row]:
    """The same as a panel does it when nobody sets anything."""
    ours = Drain()
    drain(ours, count, 0.0, PACED_HZ)
    where = f"loopback, events_hz {PACED_HZ:.0f} as by default"
    return [Row(f"uplink: drain, {where}", ours.hz[0], None, "1/s"), *_press_rows(ours, where)]


def _press_rows(found: Drain, where: str) -> list[Row]:
    ratio = quantile(found.busy, 0.99) / quantile(found.idle, 0.99)
    return [
        row_of(f"alarm → PUBACK, idle, {where}", found.idle, "ms", note=f"{len(found.idle)} presses"),
        row_of(f"alarm → PUBACK during the drain, {where}", found.busy, "ms", ratio=ratio, limit="p99 ≤ 2 x idle",
               note=f"{len(found.busy)} presses; the ratio is that of the p99"),
    ]  # fmt: skip


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    sys.setswitchinterval(SWITCH_S)
    count = COUNT // 5 if quick else COUNT
    steps: list[Callable[[], list[Row]]] = [
        lambda: measure_near(COUNT, 2 if quick else 7),
        lambda: measure_paced(count),
        lambda: measure_far(count),
    ]
    return [row for step in steps for row in step()]


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
