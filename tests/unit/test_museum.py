"""Every entry of the museum has its report, and its replay where there is something to replay."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hil.mock_bench.stand import MockStand
from hil.virtual.stand import VirtualStand

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "field-failures.md").read_text(encoding="utf-8")
PLANNED = {
    "Talk echoes and howls",
    "Talk has one direction, or none",
    "Recognition hears too much, or nothing",
    "LTE does not come back",
    "An update cannot reach the boot files",
    "Alarms are not shown at the police's side",
    "Somebody leans on the button",
}
"""Failures of functions that do not exist yet. Whoever builds one takes it out here and gives the entry its replay."""


@dataclass(frozen=True)
class Entry:
    """One failure."""

    number: int
    title: str
    text: str

    @property
    def replays(self) -> list[str]:
        """Its commands."""
        return [line for block in re.findall(r"```\n(.*?)```", self.text, re.DOTALL) for line in block.splitlines()]

    @property
    def planned(self) -> bool:
        """Whether it says so."""
        return "- **Planned:**" in self.text


def entries():
    parts = re.split(r"^### (\d+)\. (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return [
        Entry(int(number), title, text) for number, title, text in zip(*(parts[i::3] for i in range(3)), strict=True)
    ]


ENTRIES = entries()
by_number = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.number} {entry.title}")


def test_the_entries_are_numbered_and_more_than_the_eighteen_known_failures():
    assert [entry.number for entry in ENTRIES] == list(range(1, len(ENTRIES) + 1))
    assert len(ENTRIES) >= 18


@by_number
def test_the_entry_says_where_it_comes_from_and_what_both_panels_do(entry):
    for word in ("- **Report:** ", "- **A naïve panel** ", "- **Ours** "):
        assert word in entry.text


@by_number
def test_the_entry_has_a_replay_or_is_planned(entry):
    assert entry.planned is (entry.title in PLANNED)
    assert entry.planned is not bool(entry.replays)


@by_number
def test_every_replay_is_a_scenario_a_test_or_the_proof(entry):
    for line in entry.replays:
        match line.split():
            case ["gatebooth", "simulate", "--scenario", file]:
                assert (ROOT / file).is_file(), line
            case ["make", "proof"]:
                assert "\nproof:" in (ROOT / "Makefile").read_text()
            case ["pytest", _] | ["pytest", _, "--bench", "virtual"]:
                pass  # all at once, below
            case _:
                raise AssertionError(f"no replay that is known: {line}")


def test_every_test_that_replays_a_failure_is_collected():
    nodes = sorted({line.split()[1] for entry in ENTRIES for line in entry.replays if line.startswith("pytest ")})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", *nodes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    collected = done.stdout.splitlines()
    assert not [node for node in nodes if not any(line.startswith(node) for line in collected)]


def test_no_replay_is_skipped_by_the_bench_that_it_names():
    for entry in ENTRIES:
        for line in entry.replays:
            words = line.split()
            if words[0] == "pytest" and words[1].startswith("tests/hil/") and "::" in words[1]:
                can = VirtualStand.can if "virtual" in words else MockStand.can
                assert needs_of(words[1]) <= can, f"entry {entry.number}: {line}"


def needs_of(node):
    """What a test of the bench needs."""
    file, name = node.split("::")
    test = getattr(importlib.import_module("hil." + Path(file).stem), name.split("[")[0])
    return {ability for mark in getattr(test, "pytestmark", ()) if mark.name == "needs" for ability in mark.args}
