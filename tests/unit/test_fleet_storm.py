"""A region-wide outage in virtual time: everyone is back, no second has too many, and every alarm gets through."""

import ast
import importlib
import math
import pathlib
import random

import pytest

from firmware.core.retry import PAUSE_CAP_HURRIED_S, PAUSE_CAP_S
from firmware.fleet.storm import CONNECT_TIMEOUT_S, Gate, Plan, play
from firmware.fleet.tally import Tally, peak, plot, plot_waiting, share, table

PANELS = 2000
LIMIT = PANELS // 20
ROUND_TRIPS_S = 0.2
OUTAGES_S = (0.5, 5.0, 29.0, 31.0, 90.0)


def storm(seed=1, **changes):
    plan = {"panels": PANELS, "outage_s": 90.0, "presses": 10} | changes
    return play(Plan(**plan), random.Random(seed).random)


@pytest.mark.parametrize("outage_s", OUTAGES_S)
@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_broker_s_death_no_second_brings_back_more_than_one_panel_in_twenty(outage_s, seed):
    tally = storm(seed, outage_s=outage_s)
    assert len(tally.back) == tally.lost == PANELS
    assert tally.peak <= LIMIT
    assert share(tally.back, 0.99) <= PAUSE_CAP_S
    assert max(tally.back) <= PAUSE_CAP_S + ROUND_TRIPS_S


@pytest.mark.parametrize("outage_s", [0.2, 2.0])
def test_spread_over_sixteen_seconds_nobody_tells_a_loss_for_a_restart_and_the_worst_second_has_one_in_twelve(outage_s):
    tally = storm(outage_s=outage_s, scatter_s=16.0)
    assert (len(tally.back), tally.told) == (PANELS, 0)
    assert LIMIT < tally.peak <= PANELS // 12


def test_spread_over_half_a_minute_two_in_five_tell_a_loss_for_a_restart():
    assert 0.35 * PANELS < storm(outage_s=1.0).told < 0.45 * PANELS
    assert storm(silent=True).told is None


@pytest.mark.parametrize("outage_s", OUTAGES_S)
def test_alarms_do_not_wait_for_the_fleet(outage_s):
    tally = storm(outage_s=outage_s, presses=20)
    assert tally.pending == 0
    assert len(tally.through) == 20
    assert max(tally.through) <= PAUSE_CAP_HURRIED_S + ROUND_TRIPS_S


def test_where_packets_vanish_everyone_is_back_too():
    tally = storm(silent=True, presses=20)
    assert len(tally.back) == tally.lost == PANELS
    assert tally.pending == 0
    assert max(tally.back) <= PAUSE_CAP_S + ROUND_TRIPS_S
    assert max(tally.through) <= CONNECT_TIMEOUT_S + PAUSE_CAP_HURRIED_S + ROUND_TRIPS_S


def test_a_silence_shorter_than_a_heartbeat_is_noticed_by_some_only():
    tally = storm(silent=True, outage_s=2.0, presses=0)
    assert 0 < tally.lost < PANELS
    assert len(tally.back) == tally.lost


def test_brokers_that_take_few_a_second_take_everyone_in_the_end():
    tally = storm(panels=1000, connect_rate=5.0, brokers=2, presses=5)
    assert len(tally.back) == tally.lost == 1000
    assert tally.pending == 0
    assert tally.peak <= 2 * (5 + 5)
    assert len(tally.tries) > len(tally.back)


def test_the_same_seed_gives_the_same_storm_and_another_one_gives_another():
    assert storm(7, panels=50) == storm(7, panels=50)
    assert storm(7, panels=50) != storm(8, panels=50)


def test_a_door_lets_in_its_rate_and_one_second_s_worth_at_once():
    gate = Gate(10.0)
    assert sum(gate.admit(0.0) for _ in range(50)) == 10
    assert not gate.admit(0.05)
    assert sum(gate.admit(1.0) for _ in range(50)) == 10
    assert all(Gate(math.inf).admit(0.0) for _ in range(50))


# ── what a storm comes to ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_worst_second_may_begin_anywhere():
    assert peak([0.9, 1.1, 1.5, 1.8, 3.0]) == 4
    assert peak([0.0, 1.0, 2.0]) == 1
    assert peak([]) == 0


def test_a_share_is_the_time_by_which_that_part_is_over():
    times = [float(number) for number in range(100, 0, -1)]
    assert (share(times, 0.5), share(times, 0.99), share(times, 1.0), share([], 0.5)) == (50.0, 99.0, 100.0, -1.0)


def test_the_plot_has_one_bar_a_second_and_counts_everybody():
    lines = plot((0.1, 0.2, 2.5), limit=10)
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2"]
    assert [line.split()[-1] for line in lines[1:]] == ["2", "0", "1"]
    assert len(plot((500.0,), limit=10)) <= 42
    assert plot((), limit=10) == ["no connection came back"]


def test_the_plot_of_waiting_alarms_ends_with_the_last_receipt():
    lines = plot_waiting((0.4, 1.5, 2.2))
    assert "2.2 s" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert [line.split()[-1] for line in lines[1:]] == ["3", "2", "1", "0"]
    assert len(plot_waiting((500.0,))) <= 42
    assert plot_waiting(()) == ["no alarm waited"]


def test_the_table_leaves_out_what_was_not_counted():
    tally = Tally(panels=2, lost=2, back=(1.0, 2.0), through=(), pending=0, tries=())
    assert len(table(tally)) == len(tally.figures())
    assert "tries" not in "".join(table(tally))


@pytest.mark.parametrize("name", ["storm", "tally", "booth", "responder"])
def test_the_thinking_parts_of_the_fleet_are_pure(name):
    source = importlib.import_module(f"firmware.fleet.{name}").__file__
    tree = ast.parse(pathlib.Path(source).read_text(encoding="utf-8"))
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not used & {"time", "threading", "socket", "select", "random", "os", "logging"}
