"""Pins that cannot be opened, at the start or any more: asked for again, watched and driven as soon as they can be."""

from __future__ import annotations

import pytest
from rigs.lgpio_chip import LgpioChip
from rigs.pins import busy_factory

from firmware.adapters.inputs import ASK_MAX_S, DEAF_AFTER, POLL_HZ, Inputs
from firmware.adapters.outputs import CHECK_S, Outputs
from firmware.adapters.reopening import RETRY_S
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
    chip.vanish()
    clock = VirtualClock()
    board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, work_dir=work_dir), clock=clock)
    booth = Rig(board, clock)
    assert sorted(fact.source for fact in booth.facts) == ["loop booth-button", "loop lid", "output siren"]
    chip.come_back()
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


# A chip that vanishes after the start, and comes back.


class MockChip:
    """The simulated board's."""

    def __init__(self):
        self.clock = VirtualClock()
        self.board = open_board(BoardSpec("mock", LOOPS, OUTPUTS), clock=self.clock)
        self._parts = (*self.board.loops.values(), *self.board.outputs.values())

    def vanish(self):
        for part in self._parts:
            part.lose()

    def come_back(self):
        for part in self._parts:
            part.find()

    def press(self):
        self.board.loops["booth-button"].press()

    def release(self):
        self.board.loops["booth-button"].release()

    def close(self):
        self.board.close()


class RealChip:
    """lgpio's."""

    def __init__(self, mocker, work_dir):
        self.chip = LgpioChip(mocker, work_dir)
        self.vanish, self.come_back = self.chip.vanish, self.chip.come_back
        self.clock = VirtualClock()
        self.board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, work_dir=work_dir), clock=self.clock)

    def press(self):
        self.chip.drive(BUTTON, high=False)

    def release(self):
        self.chip.drive(BUTTON, high=True)

    def close(self):
        self.board.close()
        self.chip.close()


@pytest.fixture
def lgpio(mocker, tmp_path_factory):
    made = RealChip(mocker, tmp_path_factory.getbasetemp())
    yield made
    made.close()


@pytest.fixture(params=["mock", "lgpio"])
def chip(request):
    if request.param == "lgpio":
        yield request.getfixturevalue("lgpio")
        return
    made = MockChip()
    yield made
    made.close()


def of(booth, kind):
    return [fact.source for fact in booth.facts if isinstance(fact, kind)]


def test_a_chip_that_vanishes_is_told_and_its_return_too_and_neither_is_an_alarm(chip):
    booth = Rig(chip.board, chip.clock)
    booth.run(1)
    chip.vanish()
    booth.run(CHECK_S)
    assert sorted(of(booth, Trouble)) == ["loop booth-button", "loop lid", "output siren"]
    assert booth.inputs.lost == ("booth-button", "lid")
    booth.run(60)
    assert len(booth.facts) == 3
    chip.come_back()
    booth.run(RETRY_S[-1] + 1 / POLL_HZ)
    assert sorted(of(booth, TroubleOver)) == ["loop booth-button", "loop lid", "output siren"]
    assert booth.inputs.lost == ()
    booth.run(10)
    assert len(booth.facts) == 6


def test_a_loop_whose_chip_returned_is_woken_by_edges(chip):
    booth = Rig(chip.board, chip.clock)
    chip.vanish()
    booth.run(1)
    chip.come_back()
    booth.run(RETRY_S[-1])
    chip.press()
    chip.release()
    assert booth.told("booth-button") == [LoopState.ALARM, LoopState.NORMAL]


def test_a_button_that_is_held_when_its_chip_returns_is_seen_in_the_moment_of_the_opening(chip):
    booth = Rig(chip.board, chip.clock)
    chip.vanish()
    booth.run(1)
    chip.press()
    booth.run(1)
    assert booth.told("booth-button") == []
    chip.come_back()
    end_s = chip.clock.now().mono_s + ASK_MAX_S + 1 / POLL_HZ
    while "loop booth-button" not in of(booth, TroubleOver) and chip.clock.now().mono_s < end_s:
        booth.run(1 / POLL_HZ)
    assert booth.told("booth-button") == [LoopState.ALARM]


def test_a_siren_that_sounds_when_its_chip_vanishes_sounds_again_although_nobody_orders_it_anew(chip):
    booth = Rig(chip.board, chip.clock)
    booth.outputs.handle(Drive(Role.SIREN, Pattern.STEADY, chip.clock.now().mono_s + 600))
    chip.vanish()
    booth.run(CHECK_S)
    with pytest.raises(DeviceLost):
        chip.board.outputs["siren"].get()
    chip.come_back()
    booth.run(RETRY_S[-1])
    assert chip.board.outputs["siren"].get()


def test_a_chip_that_was_away_for_an_instant_is_opened_at_the_next_reading(chip):
    booth = Rig(chip.board, chip.clock)
    booth.run(1)
    chip.vanish()
    booth.run(2 / POLL_HZ)
    chip.come_back()
    booth.run(RETRY_S[0] + 1 / POLL_HZ)
    assert of(booth, Trouble)[:2] == ["loop booth-button", "loop lid"]
    assert of(booth, TroubleOver)[:2] == ["loop booth-button", "loop lid"]


def test_the_corpse_of_a_chip_is_given_back_at_once_or_the_kernel_numbers_the_returning_one_anew(lgpio):
    booth = Rig(lgpio.board, lgpio.clock)
    assert lgpio.chip.held
    lgpio.vanish()
    booth.run(3 / POLL_HZ)
    assert not lgpio.chip.held


def test_a_chip_that_returns_under_another_number_is_found_where_it_sits(lgpio):
    # A kernel before 6.9 never gives the number of a chip away whose lines were in use when it went.
    booth = Rig(lgpio.board, lgpio.clock)
    lgpio.vanish()
    booth.run(1)
    lgpio.chip.come_back(number=3)
    booth.run(RETRY_S[-1])
    lgpio.press()
    lgpio.release()
    assert booth.inputs.lost == ()
    assert booth.told("booth-button") == [LoopState.ALARM, LoopState.NORMAL]


def test_whoever_still_holds_the_old_chip_does_not_read_the_new_ones_lines(lgpio):
    # lgpio gives the new chip the old one's number, and claims what is read unclaimed: without a pull-up, a press.
    lgpio.vanish()
    with pytest.raises(DeviceLost, match="the GPIO chip is gone"):
        lgpio.board.outputs["siren"].set(on=True)
    lgpio.come_back()
    lgpio.board.outputs["siren"].set(on=True)
    with pytest.raises(DeviceLost, match="loop booth-button on pin GPIO17 cannot be read: the GPIO chip is gone"):
        lgpio.board.loops["booth-button"].read()
    lgpio.board.loops["booth-button"].watch(lambda _level: None)
    assert lgpio.board.loops["booth-button"].read() is LoopState.NORMAL


def test_a_line_that_fails_on_a_chip_that_is_there_is_not_given_back(lgpio):
    # Giving one line back can leave lgpio deaf for all others.
    booth = Rig(lgpio.board, lgpio.clock)
    device = lgpio.board.loops["lid"]._place.part()
    lgpio.chip.error = "bad read"
    booth.run(20)
    lgpio.chip.error = ""
    booth.run(1)
    assert lgpio.board.loops["lid"]._place.part() is device
    assert sorted(of(booth, TroubleOver)) == ["loop booth-button", "loop lid"]


def test_levels_are_re_read_fifteen_times_a_second_when_lgpio_is_deaf_after_the_return(lgpio):
    booth = Rig(lgpio.board, lgpio.clock)
    lgpio.vanish()
    booth.run(1)
    lgpio.come_back()
    lgpio.chip.deaf = True
    booth.run(RETRY_S[-1])
    for _ in range(DEAF_AFTER):
        lgpio.press()
        booth.run(1 / POLL_HZ)
        lgpio.release()
        booth.run(1 / POLL_HZ)
    assert booth.told("booth-button") == [LoopState.ALARM, LoopState.NORMAL] * DEAF_AFTER
    assert of(booth, Trouble)[-1] == "edges of loop booth-button"
