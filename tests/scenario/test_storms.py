"""Random scenarios: whatever goes wrong in whatever order, no law breaks and nothing is lost."""

from __future__ import annotations

import pytest
from rigs.storms import storm, with_hold_ups

from firmware.sim.language import parse
from firmware.sim.runner import play

ALWAYS = "NEVER warning at all says forges"
SEEDS = range(15)


def play_lines(lines):
    return play(parse("\n".join([*lines, ALWAYS]), "storm.scn"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("trouble", ["disk", "power"])
def test_no_storm_loses_an_alarm_or_breaks_a_law(trouble, seed):
    outcome = play_lines(storm(seed, "wires", "network", "people", "clock", trouble))
    assert not outcome.failures, "\n".join(outcome.failures)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_storm_with_torn_writes_breaks_a_law(seed):
    # What was torn in the middle of its write had not been promised to anybody.
    outcome = play_lines(["ALLOW loss", *storm(seed, "wires", "network", "people", "power", "torn")])
    assert not outcome.failures, "\n".join(outcome.failures)


def seen_in_the_booth(lines):
    outcome = play_lines(lines)
    assert not outcome.failures, "\n".join(outcome.failures)
    return [
        (round(event.at_s, 3), event.text) for event in outcome.events if event.kind in ("output", "console", "log")
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_booth_shows_the_same_whether_there_is_a_hold_up_or_not(seed):
    pools = {"zone": ("booth-button", "lid"), "target": ("lid", "booth-button")}
    lines = [line for line in storm(seed, "wires", "clock", "power", pools=pools) if "foot-bar" not in line]
    assert seen_in_the_booth(with_hold_ups(lines, seed)) == seen_in_the_booth(lines)
