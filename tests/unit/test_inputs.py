"""Edges wake, levels decide."""

from __future__ import annotations

import pytest

from firmware.adapters.inputs import DEAF_AFTER, Inputs
from firmware.core.facts import Trouble, TroubleOver
from hal.errors import DeviceLost
from hal.mock.clock import VirtualClock
from hal.types import Level, LoopState


class Loop:
    """A loop in a test's hand."""

    def __init__(self, clock, name="button"):
        self.name = name
        self.state = LoopState.NORMAL
        self.lost = False
        self._clock = clock
        self._post = None

    def read(self):
        if self.lost:
            raise DeviceLost("loop button: the GPIO driver is gone")
        return self.state

    def watch(self, post):
        self._post = post

    def edge(self, state):
        self.state = state
        self._post(Level(self.name, state, self._clock.now().mono_s))

    def close(self):
        self._post = None


@pytest.fixture
def bench():
    clock = VirtualClock()
    loop, facts = Loop(clock), []
    inputs = Inputs({"button": loop}, clock, facts.append)
    inputs.arm()
    return clock, loop, facts, inputs


def poll(clock, inputs):
    clock.advance(inputs.next_deadline() - clock.now().mono_s)
    inputs.tick()


class HastyLoop(Loop):
    """A loop on which an edge comes while it is being read."""

    def read(self):
        before = self.state
        if before is LoopState.ALARM:
            self.edge(LoopState.NORMAL)
        return before


def test_a_level_that_an_edge_overtook_while_it_was_read_is_not_posted():
    clock = VirtualClock()
    loop, facts = HastyLoop(clock), []
    inputs = Inputs({"button": loop}, clock, facts.append)
    inputs.arm()
    loop.edge(LoopState.ALARM)
    poll(clock, inputs)
    poll(clock, inputs)
    assert [fact.state for fact in facts] == [LoopState.ALARM, LoopState.NORMAL]


def test_an_edge_is_posted_at_once_and_not_again_by_re_reading(bench):
    clock, loop, facts, inputs = bench
    loop.edge(LoopState.ALARM)
    poll(clock, inputs)
    assert [fact.state for fact in facts] == [LoopState.ALARM]


def test_a_button_held_at_boot_is_seen():
    clock, facts = VirtualClock(), []
    loop = Loop(clock)
    loop.state = LoopState.ALARM
    Inputs({"button": loop}, clock, facts.append).arm()
    assert [fact.state for fact in facts] == [LoopState.ALARM]


def test_a_dropped_edge_is_found_by_re_reading(bench):
    clock, loop, facts, inputs = bench
    loop.state = LoopState.ALARM
    poll(clock, inputs)
    assert [fact.state for fact in facts] == [LoopState.ALARM]


def test_loops_are_read_ten_to_twenty_times_a_second(bench):
    clock, _, _, inputs = bench
    pause = inputs.next_deadline() - clock.now().mono_s
    assert 1 / 20 <= pause <= 1 / 10


def test_a_dead_callback_thread_is_a_trouble_until_edges_come_again(bench):
    clock, loop, facts, inputs = bench
    for k in range(DEAF_AFTER):
        loop.state = LoopState.ALARM if k % 2 == 0 else LoopState.NORMAL
        poll(clock, inputs)
    (trouble,) = [fact for fact in facts if isinstance(fact, Trouble)]
    assert trouble.source == "edges of loop button"
    assert "restart" in trouble.why
    loop.edge(LoopState.NORMAL)
    assert TroubleOver("edges of loop button") in facts


def test_a_lost_input_is_one_trouble_and_its_return_another(bench):
    clock, loop, facts, inputs = bench
    loop.lost = True
    poll(clock, inputs)
    poll(clock, inputs)
    assert facts == [Trouble("loop button", "loop button: the GPIO driver is gone")]
    loop.lost = False
    poll(clock, inputs)
    assert facts[1:] == [TroubleOver("loop button")]


def test_an_order_to_the_inputs_is_a_defect(bench):
    with pytest.raises(TypeError):
        bench[3].handle("go")
