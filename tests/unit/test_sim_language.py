"""The scenario language: what can be written, and what a person is told who wrote something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.sim import reference
from firmware.sim.actions import Hands
from firmware.sim.conditions import CHECKS, States
from firmware.sim.grammar import Rule, choose, span_s
from firmware.sim.language import BEFORE_S, Mode, ScenarioError, load, parse
from firmware.sim.runner import play
from firmware.sim.vocabulary import ACTIONS, CONDITIONS, EVENTS

ROOT = Path(__file__).parents[2]
EXPECTED = "EXPECT strobe on within 0.2\n"
GOOD = f"AT 1 press booth-button\n{EXPECTED}"


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        play(parse(text, "x.scn"))
    return list(caught.value.problems)


# ── what can be written ──


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0.2", 0.2), ("5", 5), ("5s", 5), ("250ms", 0.25), ("10m", 600), ("1h30m", 5400), ("9m50s", 590), ("2d", 172800)],
)
def test_spans_are_seconds(text, seconds):
    assert span_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "fast", "-1", "1w", "m", "1.2.3", "5 s"])
def test_other_words_are_no_spans(text):
    with pytest.raises(ValueError, match="is no span of time"):
        span_s(text)


def test_a_pattern_has_optional_parts_choices_and_options_in_any_order():
    rule = Rule("x", "do ZONE... [at RECEIVER] up|down {late | by PERSON | count COUNT}", "")
    assert rule.match("do a b down") == {"zone": "a b", "word": "down"}
    assert rule.match('do a at 110 up count 2 by "Li Wei"') == {
        "zone": "a",
        "receiver": "110",
        "word": "up",
        "count": "2",
        "person": "Li Wei",
    }
    assert rule.match("do a up late by Li") is not None
    assert rule.match("do up") is None
    assert rule.match("do a sideways") is None


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("glitch lid 5ms", "glitch", {"zone": "lid", "span": "5ms"}),
        (
            "glitch a b 5ms 3 times every 1s",
            "glitch",
            {"zone": "a b", "span": "5ms", "count": "3", "pause": "1s"},
        ),
        ("link down", "link", {"word": "down"}),
        ("link main down", "link", {"path": "main", "word": "down"}),
        ("link main slow 2", "link-slow", {"path": "main", "span": "2"}),
        ("command from 110 status", "command", {"receiver": "110", "verb": "status"}),
        (
            'command from 110 forged reset all because "it is over"',
            "command",
            {"receiver": "110", "verb": "reset", "zone": "all", "reason": "it is over", "word": "forged"},
        ),
    ],
)
def test_actions_are_told_apart(text, name, values):
    found = choose(ACTIONS, text)
    assert found is not None
    assert (found[0].name, found[1]) == (name, values)


def test_every_action_and_condition_is_obeyed_by_something():
    for rule in ACTIONS:
        assert hasattr(Hands, "_" + rule.name.replace("-", "_")), rule.pattern
    for rule in CONDITIONS:
        known = rule.name in CHECKS if rule.name in EVENTS else hasattr(States, "_" + rule.name.replace("-", "_"))
        assert known, rule.pattern


def test_times_follow_each_other():
    scenario = parse(f"BEFORE hold lid\nAT 2 press lid\nAFTER 500ms release lid\nAT 1m\n{EXPECTED}", "x.scn")
    assert [item.at_s for item in scenario.items[:4]] == [BEFORE_S, 2.0, 2.5, 60.0]


def test_a_condition_counts_from_the_action_above_it():
    scenario = parse("NEVER siren on for 5\nAT 3 press lid\nEXPECT lamp fast within 1 for 1m\n", "x.scn")
    never, _, expect = scenario.items
    assert (never.at_s, never.mode, never.within_s) == (0.0, Mode.NEVER, 5.0)
    assert (expect.at_s, expect.mode, expect.within_s, expect.hold_s) == (3.0, Mode.EXPECT, 1.0, 60.0)


def test_comments_stand_anywhere_but_in_quotes():
    scenario = parse('# one\nAT 1 console types "a # b"  # two\nEXPECT console says "#1"\n', "x.scn")
    assert scenario.items[0].values == {"text": "a # b"}
    assert scenario.items[1].values == {"text": "#1"}


def test_the_stage_is_set():
    scenario = parse(f"CONFIG two-paths\nCONFIG sounder.siren_s = 5\nMEDIA on\nSEED 9\nALLOW loss\n{GOOD}", "x.scn")
    assert (scenario.config, scenario.media, scenario.seed) == ("two-paths", True, 9)
    assert scenario.allow == {"loss"}
    assert [text for _, text in scenario.overrides] == ["sounder.siren_s = 5"]


# ── what a person is told ──


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("AT 1 pres booth-button", "unknown action 'pres'; did you mean 'press'? Expected `press ZONE...`"),
        ("AT 1 press", "'press' does not fit; expected `press ZONE...`"),
        ("AT 1 fly", "unknown action 'fly'; there are: bounce, broker,"),
        (
            "AT 1 link sideways",
            "'link sideways' does not fit; expected `link [PATH] up|down|blackhole` or ",
        ),
        ("AT soon press lid", "AT needs a time: 'soon' is no span of time"),
        ("EXPECT strobe blue", "unknown condition 'strobe'"),
        ("EXPECT rapport PA at 110", "unknown condition 'rapport'; did you mean 'report'? Expected `report CODE at"),
        ("EXPECT report PA at 110 for 5", "happens at a moment and cannot last `for` a time"),
        ("NEVER siren on within 5", "NEVER has no `within`"),
        ("expect strobe on", "keywords are written in capitals: EXPECT"),
        ("FOO 1", "unknown keyword 'FOO'; a line begins with one of CONFIG"),
        ("MEDIA maybe", "'maybe': expected on or off"),
        ("SEED x", "'x': expected a whole number"),
        ("ALLOW everything", "'everything': expected loss"),
        ("CONFIG Two Paths", "expected the name of a configuration, or a line of TOML"),
        ("BEFORE", "BEFORE what?"),
    ],
)
def test_a_mistake_names_file_line_and_what_was_expected(line, told):
    (problem,) = problems_of(f"\n{line}\n{GOOD}")
    assert problem.startswith("x.scn:2: ")
    assert told in problem


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("AT 1 press boot-button", "x.scn:1: no zone 'boot-button' in the configuration; did you mean 'booth-button'?"),
        ("AT 1 link spare down", "x.scn:1: no path 'spare' in the configuration; there are: main"),
        ("AT 1 receiver 911 away", "x.scn:1: no receiver '911' in the configuration"),
        ("AT 1 camera gate lost", "x.scn:1: no camera 'gate' in the configuration; there are: none"),
        ("AT 1 output sirene lost", "x.scn:1: no output 'sirene' in the configuration; did you mean 'siren'?"),
        ("AT 1 press all", "x.scn:1: no zone 'all' in the configuration"),
        ("CONFIG two-path", "x.scn: no configuration 'two-path'; did you mean 'two-paths'?"),
        ("CONFIG sounder.sirens_s = 3", "x.scn: sounder.sirens_s: unknown key; did you mean 'siren_s'?"),
        ("CONFIG a = = 3", "x.scn:1: 'a = = 3' is no line of TOML"),
    ],
)
def test_a_name_that_the_configuration_does_not_have_is_told_with_the_nearest(line, told):
    (problem,) = problems_of(f"{line}\n{GOOD}")
    assert told in problem


def test_all_mistakes_are_told_at_once():
    assert len(problems_of("AT 1 fly\nAT 2 swim\nEXPECT rain within 3\n")) == 3


def test_time_goes_forward_only():
    (problem,) = problems_of(f"AT 5 press lid\nAT 3 release lid\n{EXPECTED}")
    assert problem == "x.scn:2: AT 3 stands after 5 s: time only goes forward"


def test_what_is_done_before_the_start_comes_first():
    (problem,) = problems_of("AT 1 press lid\nBEFORE link down\nEXPECT strobe on within 1\n")
    assert "x.scn:2: BEFORE stands after AT" in problem


def test_a_scenario_that_cannot_fail_is_none():
    assert problems_of("AT 1 press lid\n") == ["x.scn: no EXPECT and no NEVER: this scenario cannot fail"]


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        load(tmp_path / "none.scn")
    (tmp_path / "bad.scn").write_bytes(b"AT 1 \xff")
    with pytest.raises(ScenarioError, match="is not UTF-8 at byte 5"):
        load(tmp_path / "bad.scn")
    (tmp_path / "big.scn").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ScenarioError, match="is larger than"):
        load(tmp_path / "big.scn")


def test_the_reference_page_is_made_from_the_tables():
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert page == reference.page(ROOT / "tests" / "scenario")
