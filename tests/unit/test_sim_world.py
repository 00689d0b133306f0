"""The simulated world: that it can see what is wrong, and that what it simulates behaves."""

from __future__ import annotations

import pytest

from firmware import cli
from firmware.core.effects import Store
from firmware.core.report import Report, ReportId
from firmware.sim.judge import Judge
from firmware.sim.language import parse
from firmware.sim.runner import play
from firmware.sim.world import World
from hal.types import Instant, LoopState


def failures_of(text: str) -> list[str]:
    return list(play(parse(text, "x.scn")).failures)


# ── the judgement at the end ──

LOST = """
AT 1 link down
AT 2 click booth-button
EXPECT chain stored by journal within 0.2
AT 3 power cut
AT 4 journal deleted
AT 5 power on
"""


def test_an_alarm_that_nobody_got_is_told_by_its_identity():
    (failure,) = failures_of(LOST)
    assert "lost: 600 s after everything was mended there is no booth-1/1767225600/2 at 110" in failure


def test_a_loss_can_be_allowed():
    assert failures_of(f"ALLOW loss\n{LOST}") == []


@pytest.fixture
def world(tmp_path):
    made = World(parse("EXPECT troubles none\n", "x.scn"), tmp_path)
    made.machine.start()
    made.settle()
    yield made
    made.machine.stop()


def run(world, seconds):
    """Let time pass, from one event to the next."""
    end_s = world.clock.now_s + seconds
    while world.next_s() <= end_s:
        world.clock.now_s = max(world.clock.now_s, world.next_s())
        world.settle()
    world.clock.now_s = end_s
    world.settle()


def test_a_press_without_an_alarm_breaks_the_first_law(world):
    judge = Judge(world)
    world.machine._board.loops["lid"].close()  # the panel cannot see it, and the world knows of no fault
    world.machine.loops["lid"].state = LoopState.ALARM
    run(world, 0.1)
    judge.look()
    assert not any("law 1" in fault for fault in judge.verdict(allow_loss=False))
    run(world, 0.2)
    judge.look()
    assert any("law 1: lid is pressed since" in fault for fault in judge.verdict(allow_loss=False))


def test_an_identity_that_is_given_twice_is_told(world):
    one = Report(ReportId("booth-1", 1, 7), "PA", Instant(1.0, 2.0, synced=True), "lid")
    other = Report(ReportId("booth-1", 1, 7), "TA", Instant(1.0, 2.0, synced=True), "lid")
    world.machine.witness.see_effect(Store(one))
    world.machine.witness.see_effect(Store(one))
    assert not any("identity" in fault for fault in Judge(world).verdict(allow_loss=True))
    world.machine.witness.see_effect(Store(other))
    assert "the identity booth-1/1/7 was given to two reports" in Judge(world).verdict(allow_loss=True)


def test_an_adapter_that_raises_fails_the_scenario(world):
    run(world, 1)
    world.machine._crew.seats["outputs"].put("no order")
    world.machine.touch()
    run(world, 1)
    (defect,) = world.machine.defects
    assert defect.startswith("adapter outputs raised:")
    assert "outputs take Drive" in defect


def test_who_asks_for_the_same_moment_for_ever_is_found(world):
    run(world, 1)
    seat = world.machine._crew.seats["console"]
    seat.actor.next_deadline = lambda: 0.0
    world.machine.touch()
    world.settle()
    assert "wants to be woken at the same moment for ever" in world.machine.defects[0]


# ── expectations ──


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("EXPECT strobe off within 1 for 3", "it was so for 0.030 s only"),
        ("EXPECT strobe fast within 0.1 for 30", "it was so for"),
        ("EXPECT strobe on", "it is not so"),
        ("EXPECT report PA at all count 2 within 1", "counted 1 110, 1 station"),
        ("EXPECT report PA at 110 late within 1", "not within 1 s at 110"),
        ("EXPECT report PA at 110 with presses 2 within 1", "not within 1 s at 110"),
        ("EXPECT chain accepted by 110 within 5", "not within 5 s"),
        ("EXPECT troubles none within 0.1 for 2", "it was so for 1.030 s only"),
        ("NEVER siren on", "it is so"),
        ("NEVER report PA at 110", "it happened: PA booth-1/"),
        ("NEVER console says panic", "it happened: booth-button: panic alarm"),
    ],
)
def test_what_does_not_hold_is_told(line, told):
    (failure,) = failures_of(f"AT 1 click booth-button\n{line}\nAT 2 cut lid\nAT 9 command from 110 reset all\nAT 10\n")
    assert failure.startswith(f"x.scn:2: {line}\n")
    assert told in failure


def test_an_event_of_before_does_not_count():
    (failure,) = failures_of("AT 1 click lid\nAT 5\nEXPECT report TA at 110 within 5\n")
    assert "not within 5 s" in failure


# ── the command ──


@pytest.fixture
def scenario(tmp_path):
    def write(text):
        file = tmp_path / "case.scn"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def test_a_scenario_that_holds_exits_with_nothing(scenario, capsys):
    file = scenario("AT 1 click lid\nEXPECT report TA at all within 1\n")
    assert cli.main(["simulate", "--scenario", file]) == 0
    assert capsys.readouterr().out.startswith("ok      case: ")


def test_one_that_fails_exits_with_one_and_says_why(scenario, capsys):
    file = scenario("AT 1 click lid\nEXPECT report PA at all within 1\n")
    assert cli.main(["simulate", "--scenario", file, "--verbose"]) == 1
    out = capsys.readouterr().out
    assert "case.scn:2: EXPECT report PA at all within 1" in out
    assert "not within 1 s at 110 station" in out


def test_one_that_is_none_exits_with_two(scenario, capsys):
    assert cli.main(["simulate", "--scenario", scenario("AT 1 fly\n")]) == 2
    assert "case.scn:1: unknown action 'fly'" in capsys.readouterr().err


def test_json_lines_end_with_the_result(scenario, capsys):
    import json  # noqa: PLC0415 - for this test alone

    file = scenario("AT 1 click lid\nEXPECT report TA at all within 1\n")
    assert cli.main(["simulate", "--scenario", file, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["result"] == "ok"
    assert any(line.get("event") == "report" and line["data"]["code"] == "TA" for line in lines)


def test_a_folder_without_scenarios_is_no_success(tmp_path, capsys):
    assert cli.main(["simulate", "--scenario", str(tmp_path)]) == 2
    assert "no .scn file is in this folder" in capsys.readouterr().err


def test_files_can_be_kept(scenario, tmp_path):
    file = scenario("AT 1 click lid\nEXPECT report TA at all within 1\n")
    cli.main(["simulate", "--scenario", file, "--keep", str(tmp_path / "kept")])
    assert list((tmp_path / "kept" / "case" / "state" / "journal").glob("alarms*.seg"))
