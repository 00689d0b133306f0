"""Options and marks of the hardware bench, known to every run of pytest."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BENCHES = ("mock", "virtual", "real")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which bench, and where its records go."""
    group = parser.getgroup("bench", "the hardware bench (docs/bench.md)")
    group.addoption("--bench", choices=BENCHES, default="mock", help="which bench plays tests/hil (default: mock)")
    group.addoption("--bench-env", metavar="FILE", help="environment file of the real bench (labgrid's YAML)")
    group.addoption("--bench-cuts", type=int, default=3, metavar="N", help="how often the power is cut (default: 3)")
    group.addoption(
        "--bench-seed", type=int, metavar="N", help="draws when power cuts come and what they lose (default: the time)"
    )
    group.addoption(
        "--bench-out", metavar="DIR", help="write measurements.jsonl and what failing tests attach into this folder"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The two marks of a bench test, a seed where none was asked for, and an orderly end when somebody ends the run.

    Brokers, panels and virtual boards belong to fixtures: SIGTERM must let these give them back, as Ctrl-C does.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if config.option.bench_seed is None:
        config.option.bench_seed = int(time.time())
    config.addinivalue_line("markers", "needs(*abilities): what the bench must be able to do; see hil.api.needs")
    config.addinivalue_line("markers", "panel(setup): the panel that the test wants; see hil.api.panel")
