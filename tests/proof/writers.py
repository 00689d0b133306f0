"""Writers and readers of stores, each in a process of its own so that a cut takes nothing but them.

`python -m proof.writers KIND FOLDER` writes for ever: "A ID" before a message, "S ID" once it is called stored, "F ID"
before it is taken back. `python -m proof.writers KIND FOLDER found` tells what a new start finds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigs.journals import Bench, make_report

from firmware.adapters.journal import Journal
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store
from firmware.core.facts import Stored
from hal.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

PAD = 1024
OPEN_MAX = 400
"""Alarms that the journal's writer leaves unfinished: a fifth of its ring, so that old ones are carried along."""
RING = JournalConfig()


def _sqlite_ack(folder: Path) -> Any:
    from persistqueue import SQLiteAckQueue  # noqa: PLC0415 - one peer at a time

    return SQLiteAckQueue(str(folder), auto_commit=True, multithreading=True)


def _file(folder: Path) -> Any:
    from persistqueue import Queue  # noqa: PLC0415

    return Queue(str(folder / "queue"), autosave=True)


def _lite(folder: Path) -> Any:
    from litequeue import LiteQueue  # noqa: PLC0415

    return LiteQueue(str(folder / "queue.db"))


def _paho(_: Path) -> Any:
    from paho.mqtt.client import CallbackAPIVersion, Client  # noqa: PLC0415

    return Client(CallbackAPIVersion.VERSION2, client_id="button")


OPEN: dict[str, Callable[[Path], Any]] = {"sqlite-ack": _sqlite_ack, "file": _file, "lite": _lite, "paho": _paho}


def put_of(kind: str, store: Any) -> Callable[[str], Any]:
    """What stores one message and returns when the store calls it stored."""
    if kind == "paho":
        # Without a link it answers NO_CONN and queues: the queue is what its users build on.
        return lambda text: store.publish("alarm/1", text, qos=1)
    put: Callable[[str], Any] = store.put
    return put


def found(kind: str, folder: Path) -> set[str]:
    """Identities that a new start finds."""
    if kind == "journal":
        return _found_in_journal(folder)
    store = OPEN[kind](folder)
    if kind == "lite":
        return {data.strip() for (data,) in store.conn.execute(f"SELECT data FROM {store.table}")}
    return {store.get(block=False).strip() for _ in range(store.qsize())}


def _found_in_journal(folder: Path) -> set[str]:
    bench = Bench(folder=folder, config=RING)
    assert not bench.recovery.troubles, bench.recovery.troubles
    return {f"{report.id.epoch}/{report.id.seq}" for report in bench.recovery.reports}


def tell(kind: str, ident: str) -> None:
    """One line, whole and at once."""
    os.write(1, f"{kind} {ident}\n".encode())


def write(kind: str, folder: Path) -> None:
    """Store for ever."""
    put = put_of(kind, OPEN[kind](folder))
    number = 0
    while True:
        number += 1
        tell("A", str(number))
        put(str(number).ljust(PAD))
        tell("S", str(number))


def write_journal(folder: Path) -> None:
    """Store alarms for ever; the oldest of too many is finished."""

    def post(fact: object) -> None:
        if isinstance(fact, Stored):
            tell("S", f"{fact.id.epoch}/{fact.id.seq}")

    journal, recovery = Journal.open(folder, RING, SystemClock(), post, random53=lambda: 1, notify=lambda: None)
    waiting = [report.id for report in recovery.reports]
    number = 0
    while True:
        number += 1
        report = make_report(recovery.epoch, number, text=str(number).ljust(PAD))
        tell("A", f"{report.id.epoch}/{report.id.seq}")
        journal.handle(Store(report))
        waiting.append(report.id)
        if len(waiting) > OPEN_MAX:
            ended = waiting.pop(number % 3)
            tell("F", f"{ended.epoch}/{ended.seq}")
            journal.handle(Finish((ended,)))
        if journal.next_deadline() <= time.monotonic():
            journal.tick()


def main() -> None:
    """See the module."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if len(sys.argv) > 3:
        print("\n".join(found(kind, folder)))
    elif kind == "journal":
        write_journal(folder)
    else:
        write(kind, folder)


if __name__ == "__main__":
    main()
