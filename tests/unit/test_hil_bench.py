"""The bench itself: what it refuses to judge it says, and what it measures it writes down."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import types

import pytest
from hil.table import newest, table
from hil.test_power import invented
from hil.whole import read_load

pytest_plugins = ("pytester",)

TESTS = pathlib.Path(__file__).parents[1]
CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
pytest_plugins = ("hil.plugin", "rigs.tls")
from hil.conftest import *
import pytest
from hil.table import newest, table
from hil.api import Can

class Stand:
    name, can, image = "paper", frozenset({{Can.LINK}}), "none"

@pytest.fixture(scope="session")
def stand():
    return Stand()
"""


@pytest.fixture
def suite(pytester):
    pytester.makeconftest(CONFTEST)
    return pytester


def test_a_test_is_skipped_by_the_name_of_what_the_bench_lacks(suite):
    suite.makepyfile("""
        from hil.api import Can, needs

        @needs(Can.LINK, Can.KERNEL_PANIC)
        def test_it(bench):
            pass
    """)
    result = suite.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*the paper bench has not KERNEL_PANIC (crash the kernel)*"])


def test_a_measurement_is_written_with_its_commit_and_bench_and_fails_above_its_limit(suite):
    suite.makepyfile("""
        def test_good(measure):
            measure("press to relay", 0.5, "s", limit=1.0, runs=3)

        def test_bad(measure):
            measure("press to relay", 1.5, "s", limit=1.0)
    """)
    suite.runpytest("--bench-out", "out").assert_outcomes(passed=1, failed=1)
    first, second = (json.loads(line) for line in (suite.path / "out" / "measurements.jsonl").read_text().splitlines())
    assert (first["value"], first["unit"], first["limit"], first["runs"]) == (0.5, "s", 1.0, 3)
    assert (first["bench"], first["image"], first["test"]) == ("paper", "none", "test_good")
    assert first["commit"]
    assert second["value"] == 1.5


def test_records_become_a_table_of_the_newest_figures():
    def record(value, worst=None):
        more = {} if worst is None else {"worst": worst}
        base = {"name": "press to relay", "bench": "mock", "unit": "s", "limit": 2.0, "commit": "abc"}
        return json.dumps({**base, "value": value, **more})

    rows = table(newest([record(0.5), record(0.25, 0.75)])).splitlines()
    assert rows[2:] == ["| press to relay | mock | 0.25 s | 0.75 s | 2 s | abc |"]


def test_a_machines_load_counts_neither_idling_nor_waiting_for_a_disk():
    told = "cpu  100 20 30 9000 500 4 5 6 7 0\nMemAvailable:     614400 kB\n"
    load = read_load(told)
    assert load.available_mib == 600.0
    assert load.busy_s == 1.65


def test_a_failing_test_says_the_seed_that_plays_it_again(suite):
    suite.makepyfile("""
        class Nothing:
            house = None
            def attachments(self):
                return {}
        Nothing.house = Nothing()

        def test_bad(request, seed):
            request.node.bench = Nothing()
            assert seed == 0
    """)
    result = suite.runpytest("--bench-seed", "23")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--bench-seed 23"])


SICK = """
import contextlib
import pytest
from hil.api import Setup

class House:
    def attachments(self):
        return {"wire.txt": "what passed the broker"}

class Bench:
    setup, house = Setup(reaches=False), House()
    def __init__(self, powered):
        self.powered = powered
    def begin(self):
        assert not ARMS_NOT, "the panel was not armed"
    def attachments(self):
        assert not SILENT, "the board does not answer"
        return {"journal.txt": "powered" if self.powered else "off"}

class Stand:
    name, can, image = "paper", frozenset(), "none"
    @contextlib.contextmanager
    def open(self, house, folder, setup):
        bench = Bench(powered=True)
        try:
            yield bench
        finally:
            bench.powered = False

@pytest.fixture(scope="session")
def stand():
    return Stand()

@pytest.fixture
def house():
    return House()

def test_of_the_panel(bench):
    assert not bench.powered

def test_another():
    pass
"""


@pytest.mark.parametrize(
    ("armed", "outcome"), [(True, {"failed": 1}), (False, {"errors": 1})], ids=["fails", "unarmed"]
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_failing_test_attaches_what_there_is_to_see(suite, armed, outcome, silent):
    suite.makepyfile(f"ARMS_NOT, SILENT = {not armed}, {silent}\n{SICK}")
    done = suite.runpytest_subprocess("--bench-out", "out")
    done.assert_outcomes(passed=1, **outcome)
    seen = {path.name: path.read_text() for path in (suite.path / "out" / "test_of_the_panel").iterdir()}
    assert seen["wire.txt"] == "what passed the broker"
    if silent:
        assert "the board does not answer" in seen["bench-attachments-failed.txt"]
    else:
        assert seen["journal.txt"] == "powered"


RUN = """
import threading

import pytest

pytest_plugins = ("hil.plugin",)


@pytest.fixture
def borrowed(pytestconfig):
    yield pytestconfig.rootpath
    (pytestconfig.rootpath / "given-back").touch()


def test_that_waits(borrowed):
    print("waiting", flush=True)
    threading.Event().wait(60)
"""


def test_a_run_that_is_ended_from_outside_gives_back_what_it_holds(tmp_path):
    (tmp_path / "test_run.py").write_text(RUN)
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert run.stdout is not None
    assert any("waiting" in line for line in run.stdout)
    run.terminate()
    run.communicate(timeout=60)
    assert (tmp_path / "given-back").exists()


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        pytest.param(["p/1/2", "p/3/2"], 0, id="one-press-a-run"),
        pytest.param(["p/3/2"], 0, id="a-press-that-was-cut-before-it-was-raised"),
        pytest.param(["p/1/2", "p/1/3", "p/3/2"], 1, id="twice-in-one-run-and-lost-in-another"),
        pytest.param(["p/1/2", "p/9/2"], 1, id="in-the-last-run-where-nobody-pressed"),
    ],
)
def test_an_alarm_that_nobody_pressed_hides_behind_no_press_that_was_lost(raised, wanted):
    desk = types.SimpleNamespace(
        wait_for=lambda *_: {"epoch": 9}, reports=lambda _code: [{"id": ident} for ident in raised]
    )
    assert invented(desk, 0.0) == wanted
