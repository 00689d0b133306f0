"""The bench itself: what it refuses to judge it says, and what it measures it writes down."""

from __future__ import annotations

import json
import pathlib

import pytest
from hil.table import newest, table
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
