"""The dialer of a DC-09 path, in pure time: numbers, tries, answers, link tests, pauses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware.core.calls import Answer, Call, Seal, Verdict, Word
from firmware.core.dial_numbers import NUMBER_MAX, Numbers
from firmware.core.dial_phases import TURNS, Phase, Turn
from firmware.core.dialer import REFUSED_S, TRIES_MAX, Dialer
from firmware.core.link import ALARMS_MAX, Due, LinkError
from firmware.core.report import Report, ReportId
from firmware.core.retry import PAUSE_CAP_HURRIED_S, PAUSE_CAP_S, STABLE_S, STEP_S
from hal.types import Instant

INTERVAL_S, ANSWER_S = 10.0, 3.0
UTC_S = 1_700_000_000.0


def report(seq, code="PA", *, covert=False):
    return Report(ReportId("p", 1, seq), code, Instant(0.0, UTC_S, synced=True), "button", covert=covert)


def at(now_s):
    return Instant(now_s, UTC_S + now_s, synced=True)


def ack(number):
    return Answer(Word.ACK, number)


def new(run=0, place=0.0, **kwargs):
    return Dialer(INTERVAL_S, ANSWER_S, Numbers(run, place), **kwargs)


def dialled(now_s=0.0, **kwargs):
    """A dialer with an open connection on which nothing was said."""
    dialer = new(**kwargs)
    assert dialer.due(now_s) is Due.OPEN
    dialer.opened(now_s)
    return dialer


def proven(now_s=0.0, **kwargs):
    """A dialer whose receiver has answered the first link test."""
    dialer = dialled(now_s, **kwargs)
    assert dialer.pull(now_s).report is None
    assert dialer.answer(ack(0), at(now_s)).verdict is Verdict.TAKEN
    return dialer


def silent(dialer, now_s, jitter=0.0, *, loses=True):
    """The receiver says nothing to what is under way; the time of the next try."""
    now_s += ANSWER_S
    assert dialer.due(now_s) is Due.CLOSE
    assert dialer.lost(now_s, jitter, overdue=True) is loses
    again_s = max(now_s, dialer.next_deadline())
    assert dialer.due(again_s) is Due.OPEN
    dialer.opened(again_s)
    return again_s


# ── numbers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_connection_is_proven_by_a_link_test_with_number_zero():
    dialer = dialled()
    call = dialer.pull(0.0)
    assert (call.number, call.report, call.attempt) == (0, None, 1)
    assert not dialer.up
    dialer.answer(ack(0), at(0.1))
    assert dialer.up


def test_an_alarm_goes_before_the_link_test():
    dialer = new()
    dialer.alarm(report(1), 0.0)
    dialer.due(0.0)
    dialer.opened(0.0)
    assert dialer.pull(0.0).report == report(1)
    dialer.answer(ack(1), at(0.1))
    assert dialer.up
    assert dialer.pull(0.2) is None, "an answered alarm proves the path as well as a link test"


def test_numbers_run_from_1_to_9999_and_never_to_0():
    dialer = proven()
    seen = []
    for seq in range(1, NUMBER_MAX + 3):
        dialer.alarm(report(seq), 0.0)
        call = dialer.pull(0.0)
        seen.append(call.number)
        dialer.answer(ack(call.number), at(0.0))
    assert seen[:3] == [1, 2, 3]
    assert seen[NUMBER_MAX - 1 :] == [NUMBER_MAX, 1, 2]
    assert 0 not in seen


def test_the_runs_of_one_panel_begin_at_numbers_far_apart():
    firsts = []
    for epoch in range(1, NUMBER_MAX + 1):
        dialer = proven(run=epoch)
        dialer.alarm(report(1), 0.0)
        firsts.append(dialer.pull(0.0).number)
    assert sorted(firsts) == list(range(1, NUMBER_MAX + 1))
    assert min(abs(one - two) for one, two in itertools.pairwise(firsts)) > 100


@pytest.mark.parametrize("run", [0, 1, 12345])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_paths_of_one_panel_begin_at_numbers_far_apart(run, count):
    firsts = sorted(Numbers(run, place / count).next() for place in range(count))
    apart = [two - one for one, two in itertools.pairwise([*firsts, firsts[0] + NUMBER_MAX])]
    assert min(apart) >= NUMBER_MAX // count - 1


def test_one_frame_is_under_way_at_a_time():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.alarm(report(2), 1.0)
    assert dialer.pull(1.0).report == report(1)
    assert dialer.pull(1.0) is None
    dialer.answer(ack(1), at(1.1))
    assert dialer.pull(1.1).report == report(2)


def test_an_alarm_that_waits_was_answered_or_was_refused_is_not_taken_twice():
    dialer = proven()
    for seq, word in ((1, Word.ACK), (2, Word.DUH)):
        dialer.alarm(report(seq), 0.0)
        dialer.alarm(report(seq), 0.0)
        assert dialer.waiting == 1
        dialer.answer(Answer(word, dialer.pull(0.0).number), at(0.0))
        assert dialer.alarm(report(seq), 0.0)
        assert dialer.pull(0.0) is None


def test_no_more_alarms_are_taken_than_memory_is_meant_for():
    dialer = new()
    assert all(dialer.alarm(report(seq), 0.0) for seq in range(1, ALARMS_MAX + 1))
    assert not dialer.alarm(report(ALARMS_MAX + 1), 0.0)


def test_an_alarm_that_the_receiver_has_from_another_path_is_not_sent():
    dialer = new()
    dialer.alarm(report(1), 0.0)
    dialer.settle(report(1).id)
    dialer.alarm(report(1), 0.0)
    dialer.due(0.0)
    dialer.opened(0.0)
    assert dialer.pull(0.0).report is None


# ── tries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_silence_is_answered_by_a_new_connection_and_the_same_number_three_times():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.alarm(report(2), 1.0)
    calls, now_s = [dialer.pull(1.0)], 1.0
    while len(calls) < TRIES_MAX:
        now_s = silent(dialer, now_s)
        calls.append(dialer.pull(now_s))
    assert [(call.number, call.attempt) for call in calls] == [(1, 1), (1, 2), (1, 3)]
    now_s = silent(dialer, now_s)
    fresh = dialer.pull(now_s)
    assert (fresh.number, fresh.report, fresh.attempt) == (2, report(2), 1), "the others first"
    assert dialer.waiting == 2


def test_a_dead_connection_is_noticed_within_the_time_of_one_answer_and_tried_anew_at_once():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.next_deadline() == 1.0 + ANSWER_S
    assert dialer.due(1.0 + ANSWER_S - 0.01) is Due.NOTHING
    assert silent(dialer, 1.0, jitter=1.0) == 1.0 + ANSWER_S


def test_a_number_given_up_makes_the_connection_rest_with_full_jitter():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    for _ in range(TRIES_MAX):
        dialer.pull(1.0)
        dialer.rubbish()
    assert dialer.pull(1.0) is None
    assert dialer.due(1.0) is Due.CLOSE
    assert dialer.lost(1.0, 0.5, overdue=True)
    assert dialer.next_deadline() == 1.5


def test_rubbish_is_answered_by_the_same_frame_at_once():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    first = dialer.pull(1.0)
    assert dialer.rubbish().verdict is Verdict.AGAIN
    again = dialer.pull(1.0)
    assert (again.number, again.attempt) == (first.number, 2)


def test_rubbish_while_nothing_is_under_way_changes_nothing():
    dialer = proven()
    assert dialer.rubbish().verdict is Verdict.STRAY
    assert dialer.pull(1.0) is None


def test_a_link_test_that_is_not_answered_gives_way_to_an_alarm():
    dialer = proven()
    assert dialer.pull(INTERVAL_S).report is None
    dialer.alarm(report(1), INTERVAL_S + 1)
    now_s = silent(dialer, INTERVAL_S)
    assert dialer.pull(now_s).report == report(1)


def test_an_alarm_outranks_an_event_that_was_interrupted():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    assert dialer.pull(1.0).report == report(1, "YC")
    dialer.alarm(report(2), 1.5)
    now_s = silent(dialer, 1.0, loses=False)
    assert dialer.pull(now_s).report == report(2)
    assert dialer.answer(ack(2), at(now_s)).refused is None
    assert dialer.pull(now_s) == Call(1, report(1, "YC"), 2), "the tries before the alarm count"


# ── faults and status ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", [Word.ACK, Word.DUH])
def test_an_alarm_before_the_link_test_gives_an_event_no_fourth_try(word):
    dialer = proven()
    dialer.feed([report(1, "YC")])
    for _ in range(TRIES_MAX):
        dialer.pull(1.0)
        dialer.rubbish()
    dialer.alarm(report(2), 1.0)
    assert dialer.pull(1.0).report == report(2)
    refused = dialer.answer(Answer(word, 2), at(1.0)).refused or answered_test(dialer, 1.0).refused
    assert refused == report(1, "YC")


def answered_test(dialer, now_s):
    """A link test is next and is answered."""
    call = dialer.pull(now_s)
    assert (call.number, call.report) == (0, None)
    return dialer.answer(ack(0), at(now_s))


def refusing(dialer, now_s=1.0):
    """The receiver does not answer for the event under way in all its tries, and is there."""
    for _ in range(TRIES_MAX):
        call = dialer.pull(now_s)
        now_s = silent(dialer, now_s, loses=False)
        outcome = answered_test(dialer, now_s)
    return call, outcome, now_s


def test_an_event_that_is_met_with_silence_goes_three_times_under_one_number_each_after_a_link_test():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    calls, now_s = [], 1.0
    for left in (2, 1, 0):
        calls.append(dialer.pull(now_s))
        now_s = silent(dialer, now_s, jitter=1.0, loses=False)
        outcome = answered_test(dialer, now_s)
        assert outcome.refused == (None if left else report(1, "YC"))
    assert [(call.number, call.attempt) for call in calls] == [(1, 1), (1, 2), (1, 3)]
    assert now_s == 1.0 + TRIES_MAX * ANSWER_S, "the next connection comes at once"
    assert dialer.up
    assert dialer.appetite() == 1
    dialer.feed([report(2, "YK")])
    assert dialer.pull(now_s) == Call(2, report(2, "YK"), 1)


@pytest.mark.parametrize("nak", [True, False])
def test_an_event_that_gets_three_bad_answers_is_refused_by_a_receiver_that_answers_a_link_test(nak):
    dialer = proven()
    dialer.feed([report(1, "YC")])
    for attempt in range(1, TRIES_MAX + 1):
        assert dialer.pull(1.0) == Call(1, report(1, "YC"), attempt)
        assert (dialer.answer(Answer(Word.NAK), at(1.0)) if nak else dialer.rubbish()).verdict is Verdict.AGAIN
    assert dialer.due(1.0) is Due.NOTHING
    assert answered_test(dialer, 1.0).refused == report(1, "YC")
    assert not dialer.holds_event


def test_where_the_link_test_fails_too_the_path_is_lost_and_the_event_keeps_its_number_and_count():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    assert dialer.pull(1.0) == Call(1, report(1, "YC"), 1)
    now_s = silent(dialer, 1.0, loses=False)
    assert dialer.pull(now_s).report is None
    now_s = silent(dialer, now_s, loses=True)
    assert not dialer.up
    assert dialer.holds_event
    assert answered_test(dialer, now_s).refused is None
    assert dialer.pull(now_s) == Call(1, report(1, "YC"), 2)


def test_a_connection_that_does_not_come_about_after_the_silence_loses_the_path():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    dialer.pull(1.0)
    assert not dialer.lost(1.0 + ANSWER_S, 1.0, overdue=True)
    assert dialer.due(1.0 + ANSWER_S) is Due.OPEN
    assert dialer.lost(1.0 + ANSWER_S, 1.0)


def test_what_another_path_carries_now_is_forgotten_unless_it_is_under_way():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    dialer.pull(1.0)
    assert not dialer.forget_events()
    now_s = silent(dialer, 1.0, loses=False)
    assert dialer.forget_events()
    assert not dialer.holds_event
    answered_test(dialer, now_s)
    assert dialer.pull(now_s) is None


@pytest.mark.parametrize("parked", [True, False])
def test_a_late_acknowledgement_of_an_event_counts(parked):
    dialer = proven()
    dialer.feed([report(1, "YC")])
    if parked:
        for _ in range(TRIES_MAX):
            dialer.pull(1.0)
            dialer.rubbish()
        now_s = 1.0
        assert dialer.pull(now_s).report is None
    else:
        _, _, now_s = refusing(dialer)
    assert dialer.answer(ack(1), at(now_s)).report == report(1, "YC")
    assert not dialer.holds_event


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_acknowledgement_names_its_report():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    outcome = dialer.answer(ack(1), at(1.1))
    assert (outcome.verdict, outcome.report) == (Verdict.TAKEN, report(1))


def test_an_answer_with_content_is_an_acknowledgement():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.answer(Answer(Word.RSP, 1), at(1.1)).verdict is Verdict.TAKEN


@pytest.mark.parametrize("number", [0, 2, 9999, None])
def test_an_acknowledgement_of_another_number_is_not_taken_for_this_one(number):
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.answer(ack(number), at(1.1)).verdict is Verdict.STRAY
    assert dialer.waiting == 1


def test_a_second_acknowledgement_of_the_last_number_does_not_count_for_the_next():
    dialer = proven()
    for seq in (1, 2):
        dialer.alarm(report(seq), 1.0)
    dialer.pull(1.0)
    dialer.rubbish()
    dialer.pull(1.0)
    dialer.answer(ack(1), at(1.1))
    dialer.pull(1.1)
    assert dialer.answer(ack(1), at(1.2)).verdict is Verdict.STRAY
    assert dialer.answer(ack(2), at(1.3)).report == report(2)


def test_a_late_acknowledgement_of_a_number_given_up_still_counts_for_its_report():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    now_s = 1.0
    for _ in range(TRIES_MAX):
        assert dialer.pull(now_s).number == 1
        now_s = silent(dialer, now_s)
    assert dialer.pull(now_s).number == 2
    outcome = dialer.answer(ack(1), at(now_s))
    assert (outcome.verdict, outcome.report) == (Verdict.TAKEN, report(1))
    assert dialer.waiting == 0
    assert dialer.answer(ack(1), at(now_s)).verdict is Verdict.STRAY


def test_what_the_receiver_does_not_understand_is_not_sent_again_at_once():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    outcome = dialer.answer(Answer(Word.DUH, 1), at(1.1))
    assert (outcome.verdict, outcome.report) == (Verdict.UNKNOWN, report(1))
    assert dialer.up
    assert dialer.alarm(report(1), 1.2)
    assert dialer.pull(1.2) is None
    assert dialer.waiting == 0


def unsigned(word, number):
    return Answer(word, number, seal=Seal.MISSING)


def test_what_anybody_could_have_written_ends_the_try_and_proves_nothing():
    dialer = dialled()
    for word in (Word.DUH, Word.NAK, Word.DUH):
        dialer.pull(0.0)
        assert dialer.answer(unsigned(word, 0), at(0.0)).verdict is Verdict.AGAIN
    assert not dialer.up
    assert dialer.due(0.0) is Due.CLOSE


def test_an_acknowledgement_behind_a_forged_complaint_still_counts():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.answer(unsigned(Word.DUH, 1), at(1.0)).verdict is Verdict.AGAIN
    assert dialer.pull(1.0) == Call(1, report(1), 2)
    assert dialer.answer(ack(1), at(1.0)).report == report(1)


def test_an_alarm_that_is_perhaps_not_understood_rests_after_three_tries_and_a_link_test_goes():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    for left in (2, 1, 0):
        dialer.pull(1.0)
        outcome = dialer.answer(unsigned(Word.DUH, 1), at(1.0))
        assert outcome.verdict is (Verdict.AGAIN if left else Verdict.UNKNOWN)
    assert outcome.report == report(1)
    assert dialer.waiting == 0
    answered_test(dialer, 1.0)
    assert dialer.alarm(report(1), 1.0 + REFUSED_S)
    assert dialer.waiting == 1


def test_an_event_that_is_perhaps_not_understood_is_refused_after_three_tries_and_a_link_test():
    dialer = proven()
    dialer.feed([report(1, "YC")])
    for _ in range(TRIES_MAX):
        dialer.pull(1.0)
        assert dialer.answer(unsigned(Word.DUH, 1), at(1.0)).verdict is Verdict.AGAIN
    assert dialer.answer(unsigned(Word.DUH, 1), at(1.0)).verdict is Verdict.STRAY
    assert answered_test(dialer, 1.0).refused == report(1, "YC")


# ── the time of encrypted answers ──────────────────────────────────────────────────────────────────────────────────


def sealed(number, utc_s, word=Word.ACK):
    return Answer(word, number, utc_s, Seal.WHOLE)


@pytest.mark.parametrize("word", [Word.ACK, Word.RSP, Word.DUH])
@pytest.mark.parametrize(
    ("off_s", "good"), [(-41, False), (-40, True), (0, True), (40, True), (41, False), (-1e8, False)]
)
def test_an_encrypted_answer_counts_while_its_time_is_about_that_of_the_stamp(word, off_s, good):
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    outcome = dialer.answer(sealed(1, UTC_S + 1.0 + off_s, word), at(1.0))
    assert outcome.off_s == (0.0 if good else off_s)
    assert (outcome.verdict is Verdict.AGAIN) is not good
    assert dialer.waiting == (not good)
    assert good or dialer.pull(1.0).attempt == 2


def test_the_time_of_a_nak_moves_that_window_and_a_nak_itself_may_tell_any_time():
    dialer = dialled()
    dialer.pull(0.0)
    assert dialer.answer(sealed(0, UTC_S - 1e8, Word.NAK), at(0.0)).off_s == 0.0
    dialer.pull(0.0)
    assert dialer.answer(sealed(0, UTC_S, Word.ACK), at(0.1)).off_s == pytest.approx(1e8 - 0.1)
    dialer.pull(0.1)
    assert dialer.answer(sealed(0, UTC_S - 1e8, Word.ACK), at(0.2)).verdict is Verdict.TAKEN


def test_while_no_time_is_known_an_answer_is_no_older_than_the_last_one_and_what_has_passed_since():
    dialer = dialled()

    def answered_at(now_s, utc_s):
        assert dialer.pull(now_s).report is None
        return dialer.answer(sealed(0, utc_s), Instant(now_s, now_s, synced=False)).off_s

    assert answered_at(0.0, UTC_S) == 0.0, "the first, by a clock that began in 1970"
    assert answered_at(INTERVAL_S, UTC_S + 10) == 0.0
    assert answered_at(1000.0, UTC_S + 1000 - 39) == 0.0
    assert answered_at(2000.0, UTC_S + 1000) == pytest.approx(-1000 + 39)
    assert answered_at(2000.0, UTC_S + 2000 + 1e6) == 0.0, "nobody can record what is still to come"


def test_a_clear_path_s_time_is_nobody_s_proof():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.answer(Answer(Word.ACK, 1, 0.0), at(1.0)).verdict is Verdict.TAKEN


def test_an_alarm_that_was_not_understood_is_offered_again_until_there_is_a_receipt():
    dialer = proven()
    now_s = 1.0
    for number in (1, 2):
        assert dialer.alarm(report(1), now_s)
        assert dialer.pull(now_s).number == number
        dialer.answer(Answer(Word.DUH, number), at(now_s))
        now_s += REFUSED_S
    dialer.alarm(report(1), now_s)
    dialer.pull(now_s)
    assert dialer.answer(ack(3), at(now_s)).verdict is Verdict.TAKEN
    dialer.alarm(report(1), now_s + 10 * REFUSED_S)
    assert dialer.waiting == 0


def test_an_alarm_that_was_not_understood_and_came_over_another_path_is_not_offered_again():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    dialer.answer(Answer(Word.DUH, 1), at(1.1))
    dialer.settle(report(1).id)
    dialer.alarm(report(1), 1.1 + REFUSED_S)
    assert dialer.waiting == 0


def test_a_complaint_about_another_number_changes_nothing():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert dialer.answer(Answer(Word.DUH, 7), at(1.1)).verdict is Verdict.STRAY
    assert dialer.waiting == 1


def test_the_time_of_a_nak_corrects_the_stamp_and_the_try_does_not_count():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    theirs = UTC_S + 315_360_000
    assert dialer.answer(Answer(Word.NAK, 0, theirs), at(1.1)).verdict is Verdict.AGAIN
    again = dialer.pull(1.1)
    assert (again.number, again.attempt) == (1, 1)
    assert dialer.stamp(at(3.1)) == pytest.approx(theirs + 2.0)


def test_a_corrected_stamp_follows_the_monotonic_clock_whatever_the_wall_clock_does():
    dialer = proven()
    dialer.pull(INTERVAL_S)
    dialer.answer(Answer(Word.NAK, 0, 5_000_000.0), at(INTERVAL_S))
    assert dialer.stamp(Instant(INTERVAL_S + 1, 0.0, synced=False)) == pytest.approx(5_000_001.0)


def test_a_nak_that_is_not_about_the_time_counts_as_a_try():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    for attempt in range(1, TRIES_MAX + 1):
        assert dialer.pull(1.0).attempt == attempt
        dialer.answer(Answer(Word.NAK, None, None), at(1.0))
    assert dialer.due(1.0) is Due.CLOSE


def test_a_frame_is_doubted_when_a_nak_is_not_about_its_time_and_the_next_one_is_not():
    dialer = proven()
    for seq in (1, 2):
        dialer.alarm(report(seq), 1.0)
    dialer.pull(1.0)
    dialer.answer(Answer(Word.NAK, 0, UTC_S + 100), at(1.0))
    assert not dialer.doubted
    dialer.pull(1.0)
    dialer.answer(Answer(Word.NAK, 0, UTC_S + 100), at(1.0))
    assert dialer.doubted
    dialer.pull(1.0)
    dialer.answer(ack(1), at(1.0))
    dialer.pull(1.0)
    assert not dialer.doubted


def test_a_receiver_whose_own_time_jumps_excuses_one_try_only():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    attempts = []
    for turn in range(TRIES_MAX + 1):
        attempts.append(dialer.pull(1.0).attempt)
        dialer.answer(Answer(Word.NAK, 0, 1_000_000.0 * turn), at(1.0))
    assert attempts == [1, 1, 2, 3]
    assert dialer.due(1.0) is Due.CLOSE


# ── supervision ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_link_test_follows_each_interval_and_any_frame_begins_it_anew():
    dialer = proven()
    assert dialer.next_deadline() == INTERVAL_S
    dialer.alarm(report(1), 6.0)
    dialer.pull(6.0)
    dialer.answer(ack(1), at(6.1))
    assert dialer.next_deadline() == 6.0 + INTERVAL_S
    assert dialer.pull(INTERVAL_S) is None
    assert dialer.pull(6.0 + INTERVAL_S).report is None


def test_a_receiver_that_hangs_up_after_its_answer_does_not_lose_the_path():
    dialer = proven()
    assert not dialer.lost(0.5, 1.0)
    assert dialer.up
    assert dialer.due(1.0) is Due.NOTHING
    assert dialer.next_deadline() == INTERVAL_S
    dialer.alarm(report(1), 2.0)
    assert dialer.due(2.0) is Due.OPEN


def test_a_frame_that_crosses_with_the_end_of_the_connection_goes_again_at_once():
    dialer = proven()
    dialer.alarm(report(1), 1.0)
    dialer.pull(1.0)
    assert not dialer.lost(1.01, 1.0)
    assert dialer.due(1.01) is Due.OPEN
    dialer.opened(1.01)
    again = dialer.pull(1.01)
    assert (again.number, again.attempt) == (1, 2)
    assert dialer.lost(1.02, 1.0), "a new connection without any answer is no crossing"


def test_a_receiver_that_hangs_up_after_a_nak_is_called_again_at_once():
    dialer = dialled()
    dialer.alarm(report(1), 0.0)
    dialer.pull(0.0)
    dialer.answer(Answer(Word.NAK, 0, 1_000_000.0), at(0.1))
    assert not dialer.lost(0.1, 1.0)
    assert dialer.due(0.1) is Due.OPEN
    dialer.opened(0.1)
    assert (dialer.pull(0.1).number, dialer.pull(0.1)) == (1, None)


def test_a_receiver_that_hangs_up_instead_of_answering_loses_the_path():
    dialer = proven()
    assert not dialer.lost(0.1, 0.0)
    assert dialer.due(INTERVAL_S) is Due.OPEN
    dialer.opened(INTERVAL_S)
    dialer.pull(INTERVAL_S)
    assert dialer.lost(INTERVAL_S + 0.1, 0.0)
    assert not dialer.up


def test_tries_are_scattered_and_then_a_cap_apart_and_near_while_an_alarm_waits():
    dialer, now_s = new(), 0.0
    pauses = []
    for turn in range(8):
        if turn == 4:
            dialer.alarm(report(1), now_s)
            now_s = max(now_s, dialer.next_deadline())
        assert dialer.due(now_s) is Due.OPEN
        dialer.lost(now_s, 0.5)
        pauses.append(dialer.next_deadline() - now_s)
        now_s = dialer.next_deadline()
    assert pauses[:4] == [0.5 * PAUSE_CAP_S, PAUSE_CAP_S, PAUSE_CAP_S, PAUSE_CAP_S]
    assert pauses[4:] == [0.5 * PAUSE_CAP_HURRIED_S] * 4


def test_the_longest_pause_is_the_path_s_own():
    dialer = new(idle_cap_s=16.0)
    dialer.due(0.0)
    dialer.lost(0.0, 0.5)
    assert dialer.next_deadline() == 8.0


def test_a_new_alarm_brings_the_next_try_forward():
    dialer, now_s = new(), 0.0
    for _ in range(6):
        dialer.due(now_s)
        dialer.lost(now_s, 1.0)
        now_s = dialer.next_deadline()
    dialer.due(now_s)
    dialer.lost(now_s, 1.0)
    assert dialer.due(now_s + 1.0) is Due.NOTHING
    dialer.alarm(report(1), now_s + 1.0)
    assert dialer.due(now_s + 1.0) is Due.OPEN


@pytest.mark.parametrize(("held_s", "pause_s"), [(STABLE_S, 0.0), (STABLE_S - 0.1, 2.0)])
def test_only_a_path_that_held_earns_a_fresh_start_of_the_pauses(held_s, pause_s):
    dialer = new()
    dialer.due(0.0)
    dialer.lost(0.0, 0.0)
    dialer.due(1.0)
    dialer.opened(1.0)
    dialer.pull(1.0)
    dialer.answer(ack(0), at(1.0))
    now_s = 1.0 + held_s
    dialer.alarm(report(1), now_s)
    dialer.pull(now_s)
    dialer.lost(now_s, 1.0, overdue=True)
    assert dialer.next_deadline() - now_s == pytest.approx(pause_s)


def test_a_connection_that_does_not_come_about_is_given_up():
    dialer = new()
    assert dialer.due(0.0) is Due.OPEN
    assert dialer.next_deadline() == STEP_S
    assert dialer.due(STEP_S) is Due.CLOSE


def test_events_are_wanted_one_at_a_time_on_a_proven_path_without_alarms():
    dialer = dialled()
    assert dialer.appetite() == 0
    dialer.pull(0.0)
    dialer.answer(ack(0), at(0.0))
    assert dialer.appetite() == 1
    dialer.feed([report(1, "YC")])
    assert dialer.appetite() == 0
    dialer.pull(0.0)
    dialer.answer(ack(1), at(0.0))
    assert dialer.appetite() == 1
    dialer.alarm(report(2), 0.0)
    assert dialer.appetite() == 0


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("turn", Turn)
def test_a_turn_that_the_table_lacks_raises_and_changes_nothing(phase, turn):
    dialer = new()
    dialer.phase = phase
    if (phase, turn) in TURNS:
        dialer._turn(turn, 1.0)
        assert dialer.phase is TURNS[phase, turn]
    else:
        with pytest.raises(LinkError):
            dialer._turn(turn, 1.0)
        assert dialer.phase is phase


class AnyReceiver(RuleBasedStateMachine):
    """Whatever a receiver and a network do: one frame, three tries, no report lost or counted that was not sent."""

    def __init__(self):
        super().__init__()
        self.dialer = new()
        self.now_s = 0.0
        self.seq = 0
        self.taken = set()
        self.refused = set()
        self.sent = {}
        self.tries = {}

    def pump(self):
        call = self.dialer.pull(self.now_s)
        if call is not None and call.report is not None:
            assert call.report.id not in self.taken | self.refused, "answered for, and sent again"
            last = self.sent.get(call.number)
            self.tries[call.number] = self.tries.get(call.number, 0) + 1 if last == call.report.id else 1
            assert self.tries[call.number] <= TRIES_MAX + 1, "one try may be excused, no more"
            self.sent[call.number] = call.report.id
        assert self.dialer.pull(self.now_s) is None

    def obey(self, outcome):
        if outcome.report is not None:
            assert outcome.report.id in self.sent.values()
            (self.taken if outcome.verdict is Verdict.TAKEN else self.refused).add(outcome.report.id)
        if outcome.refused is not None:
            self.refused.add(outcome.refused.id)
        self.pump()

    @rule()
    def take_an_event(self):
        if self.dialer.appetite():
            self.seq += 1
            self.dialer.feed([report(self.seq, "YC")])
            self.pump()

    @rule()
    def press(self):
        self.seq += 1
        assert self.dialer.alarm(report(self.seq), self.now_s)
        self.pump()

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 10.0, 40.0]), jitter=st.floats(0, 1))
    def wait(self, seconds, jitter):
        self.now_s += seconds
        match self.dialer.due(self.now_s):
            case Due.OPEN:
                pass
            case Due.CLOSE:
                self.dialer.lost(self.now_s, jitter, overdue=True)
        self.pump()

    @precondition(lambda self: self.dialer.phase is Phase.OPENING)
    @rule()
    def connect(self):
        self.dialer.opened(self.now_s)
        self.pump()

    @precondition(lambda self: self.dialer.phase is not Phase.CLOSED)
    @rule(jitter=st.floats(0, 1))
    def hang_up(self, jitter):
        self.dialer.lost(self.now_s, jitter)

    @precondition(lambda self: self.dialer.phase is Phase.OPEN)
    @rule(word=st.sampled_from(Word), number=st.integers(0, 12), utc_s=st.sampled_from([None, 0.0, UTC_S, 2e9]))
    def say(self, word, number, utc_s):
        self.obey(self.dialer.answer(Answer(word, number, utc_s), at(self.now_s)))

    @precondition(lambda self: self.dialer.phase is Phase.OPEN)
    @rule(number=st.integers(0, 12))
    def forge(self, number):
        was = self.dialer.up
        self.obey(self.dialer.answer(unsigned(Word.DUH, number), at(self.now_s)))
        assert self.dialer.up is was

    @precondition(lambda self: self.dialer.phase is Phase.OPEN)
    @rule()
    def rubbish(self):
        self.obey(self.dialer.rubbish())

    @invariant()
    def every_alarm_waits_or_was_answered_for(self):
        assert self.seq == self.dialer.waiting + self.dialer.holds_event + len(self.taken | self.refused)


AnyReceiver.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyReceiver = AnyReceiver.TestCase
