"""Orders to outputs: patterns, ends, lost devices."""

from __future__ import annotations

import itertools

import pytest

from firmware.adapters.outputs import CHECK_S, Outputs
from firmware.adapters.reopening import RETRY_S
from firmware.core.effects import PATTERNS, Drive, Pattern, Role
from firmware.core.facts import Trouble, TroubleOver
from hal.errors import DeviceLost
from hal.mock.clock import VirtualClock


class Relay:
    """A relay in a test's hand."""

    def __init__(self, name):
        self.name = name
        self.on = False
        self.lost = False
        self.sets = 0

    def set(self, *, on):
        if self.lost:
            raise DeviceLost(f"output {self.name}: no answer")
        self.on = on
        self.sets += 1

    def get(self):
        if self.lost:
            raise DeviceLost(f"output {self.name}: no answer")
        return self.on


@pytest.fixture
def bench():
    clock, facts = VirtualClock(), []
    relays = {"bell": Relay("bell"), "light": Relay("light")}
    outputs = Outputs(relays, {"bell": Role.SIREN, "light": Role.STROBE}, clock, facts.append)
    outputs.tick()
    return clock, relays, facts, outputs


def run(clock, outputs, seconds, relay):
    """Run in virtual time; the seconds for which the relay was on."""
    end, lit = clock.now().mono_s + seconds, 0.0
    while (now := clock.now().mono_s) < end:
        step = min(outputs.next_deadline(), end) - now
        lit += step * relay.on
        clock.advance(step)
        outputs.tick()
    return lit


def order(clock, role, pattern, seconds):
    return Drive(role, pattern, clock.now().mono_s + seconds)


def test_an_order_reaches_its_role_and_no_other(bench):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 5))
    assert relays["bell"].on
    assert not relays["light"].on


def test_an_order_ends_by_itself(bench):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 5))
    assert run(clock, outputs, 20, relays["bell"]) == pytest.approx(5)
    assert not relays["bell"].on


@pytest.mark.parametrize("pattern", [Pattern.SLOW, Pattern.FAST, Pattern.DOUBLE])
def test_a_pattern_has_its_rhythm(bench, pattern):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.STROBE, pattern, 100))
    beats = PATTERNS[pattern]
    share = sum(beats[::2]) / sum(beats)
    assert run(clock, outputs, 10 * sum(beats), relays["light"]) == pytest.approx(10 * sum(beats) * share)


def test_a_renewal_does_not_disturb_the_rhythm(bench):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.STROBE, Pattern.SLOW, 30))
    run(clock, outputs, 0.3, relays["light"])
    sets = relays["light"].sets
    outputs.handle(order(clock, Role.STROBE, Pattern.SLOW, 30))
    assert relays["light"].sets == sets
    assert run(clock, outputs, 0.7, relays["light"]) == pytest.approx(0.2)


def test_off_is_off_at_once(bench):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 30))
    outputs.handle(order(clock, Role.SIREN, Pattern.OFF, 30))
    assert not relays["bell"].on


def test_a_lost_output_is_told_once_tried_again_and_told_when_back(bench):
    clock, relays, facts, outputs = bench
    relays["bell"].lost = True
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    run(clock, outputs, 12, relays["bell"])
    assert facts == [Trouble("output bell", "output bell: no answer")]
    relays["bell"].lost = False
    run(clock, outputs, 6, relays["bell"])
    assert relays["bell"].on
    assert facts[1:] == [TroubleOver("output bell")]


def test_a_lost_output_does_not_stop_another(bench):
    clock, relays, _, outputs = bench
    relays["bell"].lost = True
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    outputs.handle(order(clock, Role.STROBE, Pattern.STEADY, 60))
    assert relays["light"].on


def test_closing_switches_everything_off(bench):
    clock, relays, _, outputs = bench
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    outputs.close()
    assert not relays["bell"].on


def test_an_order_of_another_kind_is_a_defect(bench):
    with pytest.raises(TypeError):
        bench[3].handle("on")


def test_an_output_that_is_not_there_at_the_start_is_told_before_any_order():
    clock, facts = VirtualClock(), []
    bell = Relay("bell")
    bell.lost = True
    outputs = Outputs({"bell": bell}, {"bell": Role.SIREN}, clock, facts.append)
    assert outputs.next_deadline() <= clock.now().mono_s
    outputs.tick()
    assert facts == [Trouble("output bell", "output bell: no answer")]
    bell.lost = False
    run(clock, outputs, 1, bell)
    assert facts[1:] == [TroubleOver("output bell")]
    assert not bell.on


def test_a_lost_output_is_tried_less_and_less_often_whatever_the_others_do(bench):
    clock, relays, _, outputs = bench
    relays["bell"].lost = True
    tries = []
    refuse = relays["bell"].set
    relays["bell"].set = lambda *, on: (tries.append(clock.now().mono_s), refuse(on=on))
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    outputs.handle(order(clock, Role.STROBE, Pattern.FAST, 60))
    run(clock, outputs, 14, relays["bell"])
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps == pytest.approx([*RETRY_S, RETRY_S[-1]])


def test_a_new_order_does_not_wait_for_the_next_try(bench):
    clock, relays, _, outputs = bench
    relays["bell"].lost = True
    outputs.handle(order(clock, Role.SIREN, Pattern.SLOW, 60))
    run(clock, outputs, 9, relays["bell"])
    relays["bell"].lost = False
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    assert relays["bell"].on


def test_the_trouble_of_a_lost_output_ends_also_when_nothing_is_ordered_any_more(bench):
    clock, relays, facts, outputs = bench
    relays["bell"].lost = True
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 1))
    run(clock, outputs, 3, relays["bell"])
    relays["bell"].lost = False
    run(clock, outputs, 6, relays["bell"])
    assert facts[1:] == [TroubleOver("output bell")]


def test_an_output_that_forgot_its_order_is_driven_anew_within_a_second(bench):
    clock, relays, facts, outputs = bench
    outputs.handle(order(clock, Role.SIREN, Pattern.STEADY, 60))
    relays["bell"].on = False
    run(clock, outputs, CHECK_S, relays["bell"])
    assert relays["bell"].on
    assert facts == []


def test_an_output_that_nobody_drives_is_missed_within_a_second(bench):
    clock, relays, facts, outputs = bench
    relays["light"].lost = True
    run(clock, outputs, CHECK_S, relays["light"])
    assert facts == [Trouble("output light", "output light: no answer")]
