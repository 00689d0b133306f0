"""The journal beside those who do the same: storing 1 KiB, and an idle day on the card.

Run alone: `python tests/bench/bench_peers.py [--quick]`. What each of them loses at a cut: docs/reliability.md.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time
from importlib import util
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from proof.writers import OPEN, PAD, put_of
from rigs.disk import MemoryDisk
from rigs.journals import Bench, make_report

from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store

if TYPE_CHECKING:
    from collections.abc import Callable

WORK = "/var/tmp"
ROUNDS = 5
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
    steps: list[Callable[[], list[Row]]] = [
        lambda: measure_store(300 if quick else 2000),
        measure_day,
    ]
    return [row for step in steps for row in step()]


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
