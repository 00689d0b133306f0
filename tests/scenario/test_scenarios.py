"""Every scenario of this folder, played by the real runner, and each packet in it held to the published schemas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rigs.schema import KINDS, judge

from firmware.sim.language import load, parse
from firmware.sim.runner import play

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.scn"))
FROM_PANEL = ("report", "result", "health", "evidence", "live")
JUDGED_MAX = 400
"""Packets of one kind and scenario that are judged: an hour of repetitions says nothing new."""


def packets_of_the_panel(outcome):
    kinds: dict[str, int] = {}
    for topic, payload in outcome.payloads:
        name = topic.split("/", 3)[3]
        kind = next((kind for pattern, kind in KINDS.items() if re.fullmatch(pattern, name)), "")
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind in ("", *FROM_PANEL) and kinds[kind] <= JUDGED_MAX:
            yield topic, payload


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_scenario_holds(file):
    outcome = play(load(file))
    assert not outcome.failures, "\n".join(outcome.failures)
    for topic, payload in packets_of_the_panel(outcome):
        judge(topic, payload)


def test_the_museum_is_large_enough_and_says_what_it_shows():
    assert len(FILES) >= 18
    for file in FILES:
        assert file.read_text(encoding="utf-8").startswith("# "), f"{file.name} begins without saying what it plays"


def test_several_scenarios_record_sound_and_pictures():
    assert sum(load(file).media for file in FILES) >= 3


FALSE = """
AT 1 press booth-button
EXPECT report PA at 110 within 1
EXPECT report TA at 110 within 2
"""


def test_a_false_expectation_fails_and_shows_line_time_and_events():
    outcome = play(parse(FALSE, "false.scn"))
    (failure,) = outcome.failures
    head, why, _, *events = failure.splitlines()
    assert head == "false.scn:4: EXPECT report TA at 110 within 2"
    assert why == "  at 3.000 s: not within 2 s at 110"
    assert 0 < len(events) <= 20
    assert any("PA booth-1/" in event for event in events)


def test_the_same_scenario_gives_the_same_run():
    scenario = load(FOLDER / "broker-restarts-in-a-storm.scn")
    first, second = play(scenario), play(scenario)
    assert [(event.at_s, event.kind) for event in first.events] == [(event.at_s, event.kind) for event in second.events]
