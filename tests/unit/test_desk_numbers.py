"""The bookkeeping of numbers: nothing new is ever taken for a duplicate, and losses are seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.receiver import numbers
from firmware.receiver.numbers import GAP_S, Numbers


def fed(*sequence, complete=True, now_s=0.0):
    book = Numbers(complete=complete)
    for seq in sequence:
        assert book.see(seq, now_s)
    return book


def test_a_number_is_new_once():
    book = fed(1, 2, 3)
    assert not book.see(2, 0.0)


def test_a_number_from_a_hole_is_new_once():
    book = fed(1, 10)
    assert book.see(5, 0.0)
    assert not book.see(5, 0.0)
    assert book.see(6, 0.0)


def test_a_hole_is_told_once_and_only_after_its_time():
    book = fed(1, 5)
    assert book.overdue(GAP_S - 0.1) == []
    assert book.overdue(GAP_S) == [(2, 4)]
    assert book.overdue(GAP_S * 9) == []


@given(st.floats(0.0, 1e7))
def test_at_the_deadline_that_it_names_a_hole_is_told(now_s):
    book = fed(1, 5, now_s=now_s)
    assert book.overdue(book.next_deadline()) == [(2, 4)]
    assert book.next_deadline() == float("inf")


def test_a_filled_hole_is_never_told():
    book = fed(1, 4, 2, 3)
    assert book.overdue(GAP_S) == []
    assert book.next_deadline() == float("inf")


def test_a_hole_that_the_panel_announced_is_not_told_but_the_rest_is():
    book = fed(1, 20)
    book.announce(5, 10)
    assert book.overdue(GAP_S) == [(2, 4), (11, 19)]


def test_an_announced_number_that_comes_after_all_is_new():
    book = fed(1, 20)
    book.announce(5, 10)
    assert book.see(7, 0.0)


def test_numbers_from_before_the_desk_began_are_no_loss_and_still_new():
    book = fed(50, complete=False)
    assert book.overdue(GAP_S) == []
    assert book.see(3, 0.0)
    assert not book.see(3, 0.0)


def test_a_panel_that_restarts_under_the_desks_eyes_owes_all_numbers_from_one():
    assert fed(3).overdue(GAP_S) == [(1, 2)]


def test_awaited_counts_what_is_missing():
    assert fed(1, 5, 3).awaited() == 2


@given(st.lists(st.integers(0, 60), max_size=120), st.booleans())
def test_every_number_is_new_exactly_once_in_any_order(sequence, complete):
    book = Numbers(complete=complete)
    came = set()
    for seq in sequence:
        assert book.see(seq, 0.0) == (seq not in came)
        came.add(seq)


@given(st.lists(st.integers(0, 300), max_size=200))
def test_without_room_a_number_may_come_twice_but_is_never_withheld(sequence):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "HOLES_MAX", 3)
        book = Numbers(complete=True)
        came = set()
        for seq in sequence:
            assert book.see(seq, 0.0) or seq in came
            came.add(seq)
            assert len(book._holes) <= 3


def test_a_flood_of_far_numbers_keeps_memory_bounded():
    book = Numbers(complete=False)
    for seq in range(0, 2_000_000, 200):
        book.see(seq, 0.0)
    assert len(book._holes) <= numbers.HOLES_MAX
