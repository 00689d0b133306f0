"""A process that stores alarms as fast as it can and tells each one that was stored, until it is killed.

Run with the journal's folder; prints "S SEQ" when an alarm is stored, "F SEQ" before it finishes one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from rigs.journals import make_report

from firmware.adapters.journal import Journal
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Store
from firmware.core.facts import Stored
from hal.clock import SystemClock

WINDOW = 20


def tell(kind: str, epoch: int, seq: int) -> None:
    os.write(1, f"{kind} {epoch} {seq}\n".encode())


def main() -> None:
    def post(fact: object) -> None:
        if isinstance(fact, Stored):
            tell("S", fact.id.epoch, fact.id.seq)

    config = JournalConfig(alarm_kib=64, event_kib=64)
    clock = SystemClock()
    journal, recovery = Journal.open(Path(sys.argv[1]), config, clock, post, random53=lambda: 1, notify=lambda: None)
    tell("E", recovery.epoch, 0)
    waiting = [report.id for report in recovery.reports]
    seq = 0
    while True:
        seq += 1
        report = make_report(recovery.epoch, seq, text="x" * (seq % 200))
        tell("A", recovery.epoch, seq)
        journal.handle(Store(report))
        waiting.append(report.id)
        while len(waiting) > WINDOW:
            ended = waiting.pop(0)
            tell("F", ended.epoch, ended.seq)
            journal.handle(Finish((ended,)))
        if journal.next_deadline() <= time.monotonic():
            journal.tick()


if __name__ == "__main__":
    main()
