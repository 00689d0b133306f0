"""Two thousand real connections through the death of their broker: how many come back in the worst second, and when.

Run alone: `python tests/bench/bench_fleet.py [--quick]`; `--quick` takes 200 panels.
"""

from __future__ import annotations

import logging
import pathlib
import random
import resource
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.table import Row, print_table
from rigs.broker import Mosquitto
from rigs.uplink import RigClock

from firmware.fleet.fleet import Fleet
from firmware.fleet.tally import share

PANELS = 2000
QUICK = 200
PRESSED = 10
"""Alarms raised while the broker is dead."""
DEAD_S = 2.0
PATIENCE_S = 40.0


def run_until(fleet: Fleet, reached) -> None:
    """Turn until something is reached, or patience is over."""
    clock = RigClock()
    end_s = clock.now().mono_s + PATIENCE_S
    while not reached() and clock.now().mono_s < end_s:
        fleet.turn()
    assert reached(), f"{fleet.up} of {len(fleet.booths)} panels are up, {fleet.pending} alarms pending"


def run_for(fleet: Fleet, span_s: float) -> None:
    """Turn for a while."""
    clock = RigClock()
    end_s = clock.now().mono_s + span_s
    while clock.now().mono_s < end_s:
        fleet.turn()


def measure(panels: int) -> list[Row]:
    """Kill the broker under a fleet and count."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(pathlib.Path(folder), ["max_connections -1"]).start()
        fleet = Fleet(
            panels,
            broker.host,
            broker.port,
            receiver="110",
            answers=True,
            clock=RigClock(),
            random01=random.Random(1).random,
        )
        try:
            run_until(fleet, lambda: fleet.complete)
            broker.kill()
            run_until(fleet, lambda: fleet.up == 0)
            for booth in fleet.booths[:PRESSED]:
                booth.press()
            run_for(fleet, DEAD_S)
            broker.start()
            run_until(fleet, lambda: fleet.complete and not fleet.pending)
        finally:
            fleet.close()
            broker.stop()
    tally = fleet.tally()
    assert tally is not None
    percent = 100 * tally.peak / panels
    cpu_s = resource.getrusage(resource.RUSAGE_SELF)
    return [
        Row("connections back in the worst second, percent", percent, None, "%", None, "≤ 5", f"{panels} panels"),
        Row("connections back after", share(tally.back, 0.5), share(tally.back, 0.99), "s", None, "p99 ≤ 30"),
        Row("pending alarms through after", share(tally.through, 0.5), share(tally.through, 1.0), "s", None, "≤ 3"),
        Row("memory of all panels", cpu_s.ru_maxrss / 1024, None, "MiB", None, "", "with Python and the libraries"),
        Row("processor for the whole run", cpu_s.ru_utime + cpu_s.ru_stime, None, "s"),
    ]


def main() -> None:
    """Measure and print."""
    logging.getLogger("firmware").setLevel(logging.ERROR)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    print_table(measure(QUICK if "--quick" in sys.argv else PANELS))


if __name__ == "__main__":
    main()
