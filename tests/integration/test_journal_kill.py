"""A real process on a real disk, killed at any instant: what it told as stored is there."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rigs.journals import Bench

from firmware.config import JournalConfig

KILLS = 15
ROOT = Path(__file__).parents[2]
CONFIG = JournalConfig(alarm_kib=64, event_kib=64)


def writer(folder):
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "rigs.journal_writer", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=env)


def run_until_killed(folder, lines_before):
    """Lines of one life; it is killed while it writes, some time after so many lines."""
    process = writer(folder)
    lines = []
    alive = threading.Timer(30, process.kill)
    alive.start()
    try:
        for line in process.stdout:
            lines.append(line.decode())
            if len(lines) == lines_before:
                process.send_signal(signal.SIGKILL)
    finally:
        alive.cancel()
        process.kill()
        process.wait(10)
        process.stdout.close()
    assert len(lines) >= lines_before, "the writer ended by itself"
    if not lines[-1].endswith("\n"):
        lines.pop()
    return [(kind, int(epoch), int(seq)) for kind, epoch, seq in (line.split() for line in lines)]


def test_nothing_stored_is_lost_when_the_process_is_killed_at_any_instant(tmp_path):
    rng = random.Random(8)
    told = []
    for _ in range(KILLS):
        told += run_until_killed(tmp_path, rng.randint(3, 900))
        stored = {(epoch, seq) for kind, epoch, seq in told if kind == "S"}
        asked = {(epoch, seq) for kind, epoch, seq in told if kind == "A"}
        finishing = {(epoch, seq) for kind, epoch, seq in told if kind == "F"}
        bench = Bench(folder=tmp_path, config=CONFIG)
        found = {(report.id.epoch, report.id.seq) for report in bench.recovery.reports}
        last_asked = max(seq for kind, epoch, seq in told if (kind, epoch) == ("A", told[-1][1]))
        bench.journal.close()
        assert stored - finishing <= found
        # The pipe may have lost the last lines of the one that was killed, so it may have stored one alarm more.
        assert {key for key in found - asked if key[1] <= last_asked} == set()
        assert not bench.recovery.troubles
        assert bench.recovery.epoch > max(epoch for _, epoch, _ in told)
