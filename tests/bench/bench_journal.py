"""The journal against SQLite (WAL, synchronous FULL): time, flushes and device bytes of one durable alarm of 1 KiB.

Run alone: `python tests/bench/bench_journal.py [--quick]`. As root both write into a file system of their own on a loop
device, so that flushes and bytes are the device's; else they are counted at the calls.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from rigs.journals import Bench, make_report

from firmware.adapters.journal import Journal
from firmware.adapters.ring_files import REAL, Disk
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store
from firmware.core.facts import NotStored, Stored
from firmware.wire.stored import pack_report
from hal.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.core.report import Report

KIB = 1024
IMAGE_MIB = 96
DRAIN = 10_000
REPORTS = 3000
DAY_MINUTES = 1440


class Counter:
    """Flushes and bytes that writing costs, from the device if there is one to ourselves."""

    def __init__(self, device: str | None) -> None:
        self._device = device
        self.calls = 0
        self.source = f"/sys/block/{device}/stat" if device else "calls counted, no loop device"

    def disk(self) -> Disk:
        def pwrite(fd: int, data: bytes, offset: int) -> int:
            self.calls += 1
            return REAL.pwrite(fd, data, offset)

        return replace(REAL, pwrite=pwrite)

    def read(self) -> tuple[int, int]:
        """Flushes and bytes so far."""
        if self._device is None:
            lines = pathlib.Path("/proc/self/io").read_text().splitlines()
            written = next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
            return self.calls, written
        fields = [int(field) for field in pathlib.Path(f"/sys/block/{self._device}/stat").read_text().split()]
        return fields[15], fields[6] * 512


@contextlib.contextmanager
def place() -> Iterator[tuple[pathlib.Path, Counter]]:
    """A folder to write into, on a file system of its own if that is allowed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        image, mount = folder / "image", folder / "mount"
        mount.mkdir()
        with image.open("wb") as file:  # written out, so that no block has to be found for it while it is measured
            for _ in range(IMAGE_MIB):
                file.write(bytes(1 << 20))
            os.fsync(file.fileno())
        try:
            # The block size of every card large enough for a panel; so small an image would get a quarter of it.
            run("mkfs.ext4", "-q", "-F", "-b", "4096", str(image))
            run("mount", "-o", "loop", str(image), str(mount))
        except (OSError, subprocess.CalledProcessError):
            image.unlink()
            yield mount, Counter(None)
            return
        try:
            source = run("findmnt", "-n", "-o", "SOURCE", str(mount))
            yield mount, Counter(pathlib.Path(source).name)
        finally:
            run("umount", str(mount))


def run(*command: str) -> str:
    path = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise FileNotFoundError(command[0])
    return subprocess.run([path, *command[1:]], check=True, capture_output=True, text=True).stdout.strip()


def one_kib(epoch: int, seq: int) -> Report:
    """An alarm that takes exactly 1 KiB as it is stored."""
    bare = len(pack_report(make_report(epoch, seq, text="x")))
    return make_report(epoch, seq, text="x" * (KIB - bare + 1))


class Ours:
    """A journal whose every alarm is stored, and finished at once so that the ring stays as a panel's usually is."""

    def __init__(self, folder: pathlib.Path, disk: Disk = REAL) -> None:
        self.clock = SystemClock()
        self.facts: list[object] = []
        self.journal, recovery = Journal.open(
            folder,
            JournalConfig(),
            self.clock,
            self.facts.append,
            random53=lambda: random.getrandbits(53),
            notify=lambda: None,
            disk=disk,
        )
        self.epoch = recovery.epoch
        self.reports = [one_kib(self.epoch, seq) for seq in range(1, REPORTS)]
        self.settle()

    def settle(self) -> None:
        while self.journal.next_deadline() <= self.clock.now().mono_s:
            self.journal.tick()

    def store(self) -> None:
        self.journal.handle(Store(self.reports.pop()))
        assert isinstance(self.facts[-1], Stored)


class Sqlite:
    """A table of blobs, as careful as SQLite can be in WAL mode."""

    def __init__(self, path: pathlib.Path) -> None:
        self.base = sqlite3.connect(path, isolation_level=None)
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("PRAGMA synchronous=FULL")
        self.base.execute("CREATE TABLE outbox (epoch INTEGER, seq INTEGER, body BLOB, PRIMARY KEY (epoch, seq))")
        self.reports = [one_kib(1, seq) for seq in range(REPORTS, 1, -1)]

    def store(self) -> None:
        report = self.reports.pop()
        self.base.execute("INSERT INTO outbox VALUES (1, ?, ?)", (report.id.seq, pack_report(report)))


def timed(work: Callable[[], None]) -> float:
    """Microseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


def in_turn(first: Callable[[], None], second: Callable[[], None], rounds: int) -> tuple[list[float], list[float]]:
    """Both measured one after the other, so that whatever else the machine does hits both."""
    pairs = [(timed(first), timed(second)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def cost(counter: Counter, store: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Flushes and bytes of one store."""
    run("sync")
    before = counter.read()
    for _ in range(rounds):
        store()
    after = counter.read()
    return (after[0] - before[0]) / rounds, (after[1] - before[1]) / rounds


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    rounds = 200 if quick else 1000
    rows = []
    with place() as (folder, counter):
        ours, theirs = Ours(folder / "journal", counter.disk()), Sqlite(folder / "outbox.db")
        for _ in range(20):
            ours.store()
            theirs.store()
        flushes, size = cost(counter, ours.store, rounds // 2)
        counter.calls = 0
        their_flushes, their_size = cost(counter, theirs.store, rounds // 2)
        rows.append(Row("flushes of a stored alarm (1 KiB)", flushes, None, "", None, "1", counter.source))
        rows.append(Row("device bytes of a stored alarm", size, None, "B", size / their_size, "<= 5.2 KB", "vs SQLite"))
        if "calls" not in counter.source:
            rows.append(Row("SQLite WAL+FULL: flushes", their_flushes, None, "", None, "", ""))
        rows.append(Row("SQLite WAL+FULL: device bytes", their_size, None, "B", None, "", ""))
        finish_all(ours)
        mine, others = in_turn(ours.store, theirs.store, min(rounds, 800))
        ratio = quantile(mine, 0.5) / quantile(others, 0.5)
        rows.append(row_of("Store → Stored, 1 KiB alarm", mine, "us", ratio=ratio, note="vs SQLite, in turn"))
        rows.append(row_of("SQLite WAL+FULL insert, 1 KiB", others, "us"))
        finish_all(ours)
        ours.journal.close()
        rows.append(openings(folder / "journal", 5 if quick else 15))
        rows.append(drain(folder / "journal", DRAIN // 5 if quick else DRAIN))
        theirs.base.close()
        rows.append(idle_day(folder / "idle", counter))
    return rows


def idle_day(folder: pathlib.Path, counter: Counter) -> Row:
    """A day on which nothing happens: a status report a minute, which arrives a second later; time is the bench's."""
    counter.calls = 0
    day = Bench(counter.disk(), folder, config=JournalConfig())
    day.wait(60)
    run("sync")
    before = counter.read()
    for _ in range(DAY_MINUTES):
        day.event("RR", text="x" * 300)
        day.wait(2)
        day.journal.backlog.done([report.id for report in day.journal.backlog.take(12)])
        day.wait(58)
    after = counter.read()
    day.journal.close()
    flushes = after[0] - before[0]
    return Row("written an idle day", (after[1] - before[1]) / 1e6, None, "MB", None, "<= 8 MB", f"{flushes} flushes")


def finish_all(ours: Ours) -> None:
    assert not any(isinstance(fact, NotStored) for fact in ours.facts)
    ids = tuple(fact.id for fact in ours.facts if isinstance(fact, Stored))
    ours.journal.handle(Finish(ids))
    deadline = ours.clock.now().mono_s + 1.5
    while ours.clock.now().mono_s < deadline:
        ours.settle()
        time.sleep(0.05)
    ours.facts.clear()


def openings(folder: pathlib.Path, rounds: int) -> Row:
    """How long a start waits for a full ring of 2 MiB."""
    ours = Ours(folder)
    for _ in range(2300):
        ours.store()
        ours.journal.handle(Finish((ours.facts[-1].id,)))  # type: ignore[attr-defined]
    ours.journal.close()
    times = []
    for _ in range(rounds):
        opened: list[Ours] = []
        times.append(timed(lambda: opened.append(NoSettle(folder))) / 1000)  # noqa: B023 - called at once
        opened[0].journal.close()
    return row_of("open, alarm ring of 2 MiB full", times, "ms", limit="<= 60 ms", note="until the epoch is durable")


class NoSettle(Ours):
    """As a panel does: it goes on when `open` returns."""

    def settle(self) -> None:
        pass


def drain(folder: pathlib.Path, count: int) -> Row:
    """What the index costs when a path drains it, windows of 12, records read back from disk."""
    ours = Ours(folder)
    for seq in range(1, count + 1):
        ours.journal.handle(Store(make_report(ours.epoch, seq, "RR", text="x" * 80)))
    time.sleep(1.1)
    ours.settle()
    backlog = ours.journal.backlog
    began = time.perf_counter()
    seen = 0
    while reports := backlog.take(12):
        seen += len(reports)
        backlog.done([report.id for report in reports])
    rate = seen / (time.perf_counter() - began)
    assert seen == count
    ours.journal.close()
    return Row("backlog index alone, take + done", rate, None, "1/s", None, "> 50,000", f"{count:,} status reports")


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
