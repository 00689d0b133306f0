"""Orders to outputs: patterns, ends, lost devices."""

from __future__ import annotations

import pytest

from firmware.adapters.outputs import Outputs
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
