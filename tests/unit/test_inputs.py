"""Edges wake, levels decide."""

from __future__ import annotations

import pytest

from firmware.adapters.inputs import ASK_MAX_S, DEAF_AFTER, POLL_HZ, Inputs
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


class ShyLoop(Loop):
    """A loop that cannot be opened before `there`."""

    there = False
    asked = 0

    def read(self):
        if not self.there:
            raise DeviceLost("loop button on pin GPIO17 cannot be opened: GPIO busy")
        return super().read()

    def watch(self, post):
        self.asked += 1
        self.read()
        super().watch(post)


@pytest.fixture
def shy():
    clock, facts, changes = VirtualClock(), [], []
    loop = ShyLoop(clock)
    loops = {"button": loop, "lid": Loop(clock, "lid")}
    inputs = Inputs(loops, clock, facts.append, lambda: changes.append(inputs.lost))
    inputs.arm()
    return clock, loop, facts, inputs, changes


def test_a_loop_that_is_not_there_is_told_once_and_asked_for_once_a_second(shy):
    clock, loop, facts, inputs, _ = shy
    asked = []
    while clock.now().mono_s < 20:
        before = loop.asked
        poll(clock, inputs)
        if loop.asked > before:
            asked.append(clock.now().mono_s)
    gaps = [later - earlier for earlier, later in zip([0.0, *asked], asked, strict=False)]
    assert gaps == pytest.approx([0.5] + [ASK_MAX_S] * (len(gaps) - 1), abs=1.5 / POLL_HZ)
    assert facts == [Trouble("loop button", "loop button on pin GPIO17 cannot be opened: GPIO busy")]


def test_a_button_that_is_held_when_its_loop_comes_is_seen_at_once_and_its_edges_after(shy):
    clock, loop, facts, inputs, _ = shy
    loop.there, loop.state = True, LoopState.ALARM
    while clock.now().mono_s < 0.6:
        poll(clock, inputs)
    loop.edge(LoopState.NORMAL)
    assert facts[1] == TroubleOver("loop button")
    assert [fact.state for fact in facts[2:]] == [LoopState.ALARM, LoopState.NORMAL]


def test_who_is_not_guarded_is_known_from_the_start_and_told_when_it_changes(shy):
    clock, loop, _, inputs, changes = shy
    assert (inputs.lost, changes) == (("button",), [])
    loop.there = True
    while clock.now().mono_s < 2:
        poll(clock, inputs)
    assert changes == [()]


def test_a_readable_loop_without_edges_is_asked_for_them_until_they_come(mocker):
    clock, facts = VirtualClock(), []
    watch = mocker.Mock(side_effect=DeviceLost("gives no edges"))
    late = Loop(clock)
    late.watch = watch
    inputs = Inputs({"button": late}, clock, facts.append)
    inputs.arm()
    for k in range(2 * DEAF_AFTER):
        late.state = LoopState.NORMAL if k % 2 else LoopState.ALARM
        poll(clock, inputs)
    troubles = [fact for fact in facts if isinstance(fact, Trouble)]
    assert troubles == [Trouble("edges of loop button", "gives no edges")]
    watch.side_effect = None
    while clock.now().mono_s < 1:
        poll(clock, inputs)
    assert facts[-1] == TroubleOver("edges of loop button")


def test_a_loop_that_is_lost_after_the_start_is_asked_for_at_once_and_then_once_a_second(shy):
    clock, loop, _, inputs, changes = shy
    loop.there = True
    while clock.now().mono_s < 2:
        poll(clock, inputs)
    loop.there = False
    lost_s, asked = clock.now().mono_s, []
    while clock.now().mono_s < lost_s + 20:
        before = loop.asked
        poll(clock, inputs)
        if loop.asked > before:
            asked.append(clock.now().mono_s)
    gaps = [later - earlier for earlier, later in zip([lost_s, *asked], asked, strict=False)]
    assert gaps == pytest.approx([1.5 / POLL_HZ, 0.5] + [ASK_MAX_S] * (len(gaps) - 2), abs=1.5 / POLL_HZ)
    loop.there = True
    while inputs.lost:
        poll(clock, inputs)
    assert changes == [(), ("button",), ()]
