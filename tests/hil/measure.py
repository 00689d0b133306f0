"""Measurement records: name, value, unit, limit, and what exactly was measured."""

from __future__ import annotations

import datetime as dt
import functools
import json
import pathlib
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from hil.api import Stand

RECORDS = "measurements.jsonl"
ROOT = pathlib.Path(__file__).parents[2]


class Measurements:
    """Records of one test, as JSON lines in the folder of `--bench-out` and as properties in JUnit's file.

    Args:
        request: Of the test.
        stand: On which bench.
    """

    def __init__(self, request: pytest.FixtureRequest, stand: Stand) -> None:
        self._node = request.node
        self._out = request.config.getoption("--bench-out")
        self._stand = stand

    def __call__(self, name: str, value: float, unit: str, limit: float | None = None, **more: float | str) -> None:
        """Keep a figure; with a limit, fail above it.

        Args:
            name: What was measured.
            value: The figure.
            unit: Its unit.
            limit: What it may be at the most. Set with room: an emulated board is slow, a shared machine is too.
            more: Further fields, as the number of samples.

        Raises:
            AssertionError: The value is above its limit.
        """
        record = {
            "name": name,
            "value": round(value, 6),
            "unit": unit,
            "limit": limit,
            **more,
            "bench": self._stand.name,
            "image": self._stand.image,
            "commit": commit(),
            "test": self._node.name,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        self._node.user_properties.append((name, f"{value:.6g} {unit}"))
        if self._out:
            folder = pathlib.Path(self._out)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / RECORDS).open("a") as records:
                records.write(json.dumps(record) + "\n")
        assert limit is None or value <= limit, f"{name}: {value:.3f} {unit} is above {limit} {unit}"


@functools.cache
def commit() -> str:
    """The commit that is tested, `-dirty` when files differ from it; "unknown" outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
