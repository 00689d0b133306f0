"""When a connection is tried again and how long a try may last."""

from __future__ import annotations

import itertools

import pytest

from firmware.core.retry import (
    HASTE_S,
    PATIENT_EVERY,
    PAUSE_CAP_HURRIED_S,
    PAUSE_CAP_S,
    STABLE_S,
    STEP_HURRIED_S,
    STEP_MAX_S,
    STEP_S,
    Retry,
)


def failed(retry, now_s, jitter=1.0, *, hurried=False, held_s=None, eager=False):
    retry.begin(now_s)
    retry.lost(now_s, jitter, held_s=held_s, hurried=hurried, eager=eager)
    return retry.next_s - now_s


def test_without_hurry_the_first_pause_is_a_random_share_and_the_next_tries_are_a_cap_apart():
    retry = Retry()
    assert failed(retry, 0.0, 0.3) == 0.3 * PAUSE_CAP_S
    retry.begin(9.0)
    retry.lost(13.0, 0.9, held_s=None, hurried=False, eager=False)
    assert retry.next_s == 9.0 + PAUSE_CAP_S


def test_with_an_alarm_a_try_follows_within_two_seconds_however_many_failed():
    retry = Retry()
    assert all(failed(retry, 10.0 * number, hurried=True) <= PAUSE_CAP_HURRIED_S for number in range(2000))


def test_only_a_stable_connection_earns_a_try_at_once():
    retry = Retry()
    assert failed(retry, 0.0, held_s=1.0, eager=True, hurried=True) == 0.0
    assert failed(retry, 10.0, held_s=STABLE_S - 0.1, eager=True, hurried=True) > 0.0
    assert failed(retry, 50.0, held_s=STABLE_S, eager=True, hurried=True) == 0.0


def test_an_alarm_brings_a_far_try_near_but_not_nearer_than_haste():
    retry = Retry()
    failed(retry, 0.0)
    retry.hurry(0.1)
    assert retry.next_s == HASTE_S
    failed(retry, 100.0)
    retry.hurry(110.0)
    assert retry.next_s == 110.0


def test_a_greeting_has_little_time_while_an_alarm_waits_and_more_without_one():
    retry = Retry()
    retry.begin(0.0)
    assert retry.step_s(hurried=True) == STEP_HURRIED_S
    assert retry.step_s(hurried=False) == STEP_S


@pytest.mark.parametrize("round_trip_s", [0.01, 0.5, 2.0, 4.0])
def test_a_slow_link_has_the_time_that_it_was_measured_to_need(round_trip_s):
    retry = Retry()
    retry.begin(0.0)
    retry.reached(round_trip_s)
    assert retry.step_s(hurried=True) >= 2 * round_trip_s + 64 * 1024 / 64000 * 2 * (round_trip_s > 1)


def test_what_the_last_greeting_took_counts_even_if_the_far_end_is_near():
    retry = Retry()
    retry.reached(0.001)
    retry.greeted(4.0)
    failed(retry, 0.0, held_s=10.0, hurried=True)
    retry.begin(10.0)
    retry.reached(0.001)
    assert retry.step_s(hurried=True) == 8.0
    retry.greeted(0.1)
    retry.begin(20.0)
    assert retry.step_s(hurried=True) == STEP_HURRIED_S


def test_a_measure_of_one_try_is_forgotten_with_it():
    retry = Retry()
    retry.begin(0.0)
    retry.reached(5.0)
    assert retry.step_s(hurried=True) == 20.0
    failed(retry, 0.0, hurried=True)
    retry.begin(1.0)
    assert retry.step_s(hurried=True) == STEP_HURRIED_S


def test_no_measure_gives_more_than_the_most():
    retry = Retry()
    retry.reached(100.0)
    assert retry.step_s(hurried=False) == STEP_MAX_S


def test_one_try_in_sixteen_has_the_full_time_where_nothing_can_be_measured():
    retry = Retry()
    given = []
    for number in range(2 * PATIENT_EVERY):
        retry.begin(10.0 * number)
        given.append(retry.step_s(hurried=True))
        failed(retry, 10.0 * number, hurried=True)
    assert [len(list(run)) for _, run in itertools.groupby(given)] == [15, 1, 15, 1]
    assert given.count(STEP_S) == 2
