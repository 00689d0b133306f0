"""Named deadlines."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from firmware.core.timers import Timers


def test_the_earliest_comes_first_and_each_once():
    timers = Timers()
    timers.set("b", 2.0)
    timers.set("a", 1.0)
    assert timers.next() == 1.0
    assert [timers.pop(9), timers.pop(9), timers.pop(9)] == ["a", "b", None]


def test_a_moved_deadline_is_not_served_at_its_old_time():
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", 5.0)
    assert timers.pop(1.0) is None
    assert timers.pop(5.0) == "a"


def test_a_deadline_moved_away_and_back_is_served_once():
    timers = Timers()
    for due in (1.0, 5.0, 1.0):
        timers.set("a", due)
    assert [timers.pop(9), timers.pop(9)] == ["a", None]


def test_infinity_clears():
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", math.inf)
    assert timers.next() == math.inf
    assert not timers.has("a")


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=60))
def test_it_behaves_like_a_dictionary_of_deadlines(steps):
    timers, model = Timers(), {}
    for key, due in steps:
        if due is None:
            timers.clear(key)
            model.pop(key, None)
        else:
            timers.set(key, float(due))
            model[key] = float(due)
        assert timers.next() == min(model.values(), default=math.inf)
    served = {}
    while (key := timers.pop(100)) is not None:
        assert key not in served
        served[key] = True
    assert set(served) == set(model)
