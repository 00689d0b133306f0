"""The journal beside those who do the same: storing 1 KiB.

Run alone: `python tests/bench/bench_peers.py [--quick]`. What each of them loses at a cut: docs/reliability.md.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time
from importlib import util

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table, quantile, row_of
from proof.writers import OPEN, PAD, put_of
from rigs.journals import Bench, make_report

from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store

WORK = "/var/tmp"
ROUNDS = 5


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


def measure(*, quick: bool = False) -> list[Row]:
    """All rows."""
    return measure_store(300 if quick else 2000)


if __name__ == "__main__":
    print_table(measure(quick="--quick" in sys.argv))
