"""Pins that cannot be opened when the panel starts: asked for again, watched and driven as soon as they can be."""

from __future__ import annotations

import pytest
from rigs.lgpio_chip import LgpioChip
from rigs.pins import busy_factory

from firmware.adapters.inputs import Inputs
from firmware.adapters.outputs import Outputs
from firmware.core.effects import Drive, Pattern, Role
from firmware.core.facts import Trouble, TroubleOver
from hal.board import BoardSpec, LoopSpec, OutputSpec, open_board
from hal.errors import DeviceLost
from hal.mock.clock import VirtualClock
from hal.types import Level, LoopState

LOOPS = (LoopSpec("booth-button", 17), LoopSpec("lid", 27))
OUTPUTS = (OutputSpec("siren", 22),)
BUTTON, LID, SIREN = 17, 27, 22


class Rig:
    """Both actors over a board in virtual time."""

    def __init__(self, board, clock):
        self.board, self.clock, self.facts = board, clock, []
        self.inputs = Inputs(board.loops, clock, self.facts.append)
        self.outputs = Outputs(board.outputs, {"siren": Role.SIREN}, clock, self.facts.append)
        self.inputs.arm()
        self.outputs.tick()

    def run(self, seconds):
        end_s = self.clock.now().mono_s + seconds
        while (now_s := self.clock.now().mono_s) < end_s:
            self.clock.advance(min(self.inputs.next_deadline(), self.outputs.next_deadline(), end_s) - now_s)
            for actor in (self.inputs, self.outputs):
                if actor.next_deadline() <= self.clock.now().mono_s:
                    actor.tick()

    def told(self, loop):
        return [fact.state for fact in self.facts if isinstance(fact, Level) and fact.loop == loop]


@pytest.fixture
def rig():
    factory, held = busy_factory(BUTTON, SIREN)
    clock = VirtualClock()
    board = open_board(BoardSpec("pi", LOOPS, OUTPUTS), clock=clock, factory=factory)
    yield Rig(board, clock), factory, held
    board.close()


def test_a_button_that_is_held_when_its_pin_opens_a_second_late_is_an_alarm(rig):
    booth, factory, held = rig
    assert [fact.source for fact in booth.facts] == ["loop booth-button", "output siren"]
    assert "GPIO17 cannot be opened: [Errno 16] Device or resource busy" in booth.facts[0].why
    booth.run(1.0)
    assert booth.inputs.lost == ("booth-button",)
    held.clear()
    held_pin = factory.pin(BUTTON)
    held_pin.pull = "up"
    held_pin.ground(closed=True)
    booth.run(2.0)
    assert booth.told("booth-button") == [LoopState.ALARM]
    assert TroubleOver("loop booth-button") in booth.facts
    assert booth.inputs.lost == ()


def test_a_loop_that_was_opened_late_is_woken_by_edges(rig):
    booth, factory, held = rig
    held.clear()
    booth.run(0.6)
    factory.pin(BUTTON).ground(closed=True)
    factory.pin(BUTTON).ground(closed=False)
    assert booth.told("booth-button") == [LoopState.ALARM, LoopState.NORMAL]


def test_a_loop_that_works_is_watched_all_the_while(rig):
    booth, factory, held = rig
    pin = factory.pin(LID)
    booth.run(4.0)
    held.clear()
    booth.run(6.0)
    assert factory.pin(LID) is pin
    pin.ground(closed=True)
    assert booth.told("lid") == [LoopState.ALARM]


def test_a_siren_that_opens_while_the_alarm_is_on_begins_to_sound(rig):
    booth, factory, held = rig
    booth.outputs.handle(Drive(Role.SIREN, Pattern.STEADY, booth.clock.now().mono_s + 60))
    booth.run(2.0)
    held.clear()
    booth.run(5.0)
    assert factory.pin(SIREN).state == 1
    assert TroubleOver("output siren") in booth.facts
    booth.run(60.0)
    assert factory.pin(SIREN).state == 0


def test_a_board_that_closes_with_a_pin_still_missing_opens_it_no_more(rig):
    booth, _, held = rig
    booth.board.close()
    held.clear()
    with pytest.raises(DeviceLost, match="loop booth-button is closed"):
        booth.board.loops["booth-button"].watch(booth.facts.append)
    with pytest.raises(DeviceLost, match="output siren is closed"):
        booth.board.outputs["siren"].set(on=True)


def test_a_chip_that_appears_after_the_start_gives_all_its_pins(mocker, tmp_path_factory):
    work_dir = tmp_path_factory.getbasetemp()
    chip = LgpioChip(mocker, work_dir)
    opened = mocker.patch("gpiozero.pins.lgpio.lgpio.gpiochip_open", side_effect=OSError("no such chip"))
    clock = VirtualClock()
    board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, work_dir=work_dir), clock=clock)
    booth = Rig(board, clock)
    assert sorted(fact.source for fact in booth.facts) == ["loop booth-button", "loop lid", "output siren"]
    opened.side_effect, opened.return_value = None, 0
    booth.run(1.0)
    assert booth.inputs.lost == ()
    chip.drive(BUTTON, high=False)
    assert booth.told("booth-button") == [LoopState.ALARM]
    board.outputs["siren"].set(on=True)
    assert board.outputs["siren"].get()
    board.close()
    chip.close()


def test_edges_that_a_busy_line_refuses_are_asked_for_again_and_its_level_is_read_meanwhile(mocker, tmp_path_factory):
    work_dir = tmp_path_factory.getbasetemp()
    chip = LgpioChip(mocker, work_dir)
    alert = mocker.patch("gpiozero.pins.lgpio.lgpio.gpio_claim_alert", wraps=chip.claim_alert)
    alert.side_effect = OSError("GPIO busy")
    clock = VirtualClock()
    board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, work_dir=work_dir), clock=clock)
    booth = Rig(board, clock)
    troubles = [fact for fact in booth.facts if isinstance(fact, Trouble)]
    assert [fact.source for fact in troubles] == ["edges of loop booth-button", "edges of loop lid"]
    chip.drive(BUTTON, high=False)
    booth.run(0.1)
    assert booth.told("booth-button") == [LoopState.ALARM]
    alert.side_effect = None
    booth.run(1.0)
    assert TroubleOver("edges of loop booth-button") in booth.facts
    chip.drive(BUTTON, high=True)
    assert booth.told("booth-button") == [LoopState.ALARM, LoopState.NORMAL]
    board.close()
    chip.close()
