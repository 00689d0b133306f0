"""The level-hold filter: presses, glitches, storms, and edges that are handled late."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from firmware.core.debounce import STORM_HOLDS, Debounce
from hal.types import LoopState

A, N = LoopState.ALARM, LoopState.NORMAL
HOLD = 0.030


def decisions(filter_, edges, end):
    made = []
    for at, state in edges:
        while filter_.deadline() < at:
            made += filter_.due(filter_.deadline())
        made += filter_.see(state, at)
    while filter_.deadline() <= end:
        made += filter_.due(filter_.deadline())
    return made


def test_a_press_counts_from_its_edge_once_it_has_held():
    (press,) = decisions(Debounce(HOLD), [(1.0, A)], 1.031)
    assert (press.state, press.since_s, press.chatter) == (A, 1.0, False)


def test_nothing_is_decided_before_the_hold_is_over():
    assert decisions(Debounce(HOLD), [(1.0, A)], 1.0299) == []


def test_a_glitch_shorter_than_the_hold_is_no_alarm_but_is_counted():
    filter_ = Debounce(HOLD)
    assert decisions(filter_, [(1.0, A), (1.015, N)], 2.0) == []
    assert filter_.glitches == 1


def test_fifty_glitches_are_counted_and_none_is_an_alarm():
    filter_ = Debounce(HOLD)
    edges = [(1 + k / 10 + half, state) for k in range(50) for half, state in ((0.0, A), (0.015, N))]
    assert decisions(filter_, edges, 10.0) == []
    assert filter_.glitches == 50


def test_fifty_short_presses_are_all_decided():
    edges = [(1 + k / 10 + half, state) for k in range(50) for half, state in ((0.0, A), (0.060, N))]
    made = decisions(Debounce(HOLD), edges, 10.0)
    assert [d.state for d in made] == [A, N] * 50


def test_bounces_before_rest_give_one_press_from_the_last_edge():
    edges = [(1.0, A), (1.003, N), (1.006, A), (1.009, N), (1.012, A)]
    (press,) = decisions(Debounce(HOLD), edges, 2.0)
    assert press.since_s == 1.012


def test_a_contact_that_never_rests_is_an_alarm_marked_as_chatter():
    edges = [(1 + k * 0.010, A if k % 2 == 0 else N) for k in range(200)]
    made = decisions(Debounce(HOLD), edges, 3.0)
    assert made[0].state is A
    assert made[0].chatter
    assert made[0].since_s == 1.0


def test_the_storm_limit_is_a_sum_of_alarm_time_within_one_restless_episode():
    # 5 ms of alarm in every 20 ms: 90 ms are reached in the 18th cycle, never having held 30 ms.
    edges = [(1 + k * 0.020 + half, state) for k in range(30) for half, state in ((0.0, A), (0.005, N))]
    filter_ = Debounce(HOLD)
    made = decisions(filter_, edges[:34], 1.34)
    assert made == []
    made = decisions(filter_, edges[34:], 1.40)
    assert [d.chatter for d in made] == [True]


def test_both_edges_handled_late_still_make_the_press():
    filter_ = Debounce(HOLD)
    late = filter_.see(A, 1.0) + filter_.see(N, 1.060) + filter_.due(5.0)
    assert [d.state for d in late] == [A, N]


def test_a_button_held_at_boot_is_a_press():
    (press,) = decisions(Debounce(HOLD), [(0.0, A)], 0.1)
    assert press.state is A


def test_a_level_with_an_older_time_does_not_run_the_filter_backwards():
    filter_ = Debounce(HOLD)
    filter_.see(A, 1.0)
    filter_.due(1.02)
    assert filter_.see(N, 0.5) == ()
    assert filter_.due(1.06) == ()
    assert filter_.settled is N


def test_open_and_short_are_decided_like_any_level():
    made = decisions(Debounce(HOLD), [(1.0, LoopState.OPEN), (2.0, LoopState.SHORT), (3.0, N)], 4.0)
    assert [d.state for d in made] == [LoopState.OPEN, LoopState.SHORT, N]


@given(
    st.lists(st.tuples(st.floats(0.0005, 0.2), st.sampled_from([A, N])), max_size=60),
    st.floats(0.005, 0.2),
)
def test_any_alarm_that_holds_is_decided_whatever_came_before(steps, hold):
    filter_ = Debounce(hold)
    at, made = 0.0, []
    for pause, state in steps:
        at += pause
        made += decisions(filter_, [(at, state)], -math.inf)
    at += 0.01
    made += decisions(filter_, [(at, A)], at + hold + 1e-6)
    assert filter_.settled is A
    assert made == [] or made[-1].state is A


@given(st.lists(st.floats(0.0001, 0.0299), min_size=1, max_size=40))
def test_alarm_time_below_the_storm_limit_with_rests_between_is_never_an_alarm(lengths):
    filter_, at, made = Debounce(HOLD), 0.0, []
    for length in lengths:
        at += 1.0
        made += decisions(filter_, [(at, A), (at + length, N)], at + 0.5)
    assert made == []
    assert filter_.glitches == len(lengths)
    assert STORM_HOLDS * HOLD > 0.0299
