"""One path's connection as a machine: for any order of events nothing is lost and the alarms' places stay theirs."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware.core.link import (
    ALARM_PLACES,
    ALARMS_MAX,
    MOVES,
    NOTES_MAX,
    SLOW_S,
    Alarm,
    Due,
    Event,
    Link,
    LinkError,
    Move,
    Note,
    Outgoing,
    State,
)
from firmware.core.patience import ANSWER_MAX_S, ANSWER_S, LIGHT
from firmware.core.report import Report, ReportId
from firmware.core.retry import HASTE_S, PAUSE_CAP_HURRIED_S, PAUSE_CAP_S, STABLE_S, STEP_S
from hal.types import Instant

MOMENT = Instant(0.0, 0.0, synced=False)
NO_BOUND = 65535


UNPACED = float("inf")
"""For tests in which no time passes."""


def report(seq: int, code: str = "PA") -> Report:
    return Report(ReportId("p", 1, seq), code, MOMENT)


def up(now: float = 0.0, window: int = 16, receive_maximum: int = NO_BOUND) -> Link:
    link = Link(window, events_hz=UNPACED)
    assert link.due(now) is Due.OPEN
    link.greeted(now, 0.0)
    link.opened(receive_maximum, now)
    return link


def pull_all(link: Link, now: float = 0.0) -> list[Outgoing]:
    found = []
    while (out := link.pull(now)) is not None:
        found.append(out)
    return found


def brisk(link: Link, now: float = 0.0) -> None:
    """Let the link learn that the broker answers fast, so that events use all of their places."""
    for seq in range(90_000, 90_020):
        link.feed([report(seq, "RR")])
        for out in pull_all(link, now):
            link.acked(out.token, now, accepted=True)


# ── lanes and window ───────────────────────────────────────────────────────────────────────────────────────────────


def test_alarms_go_before_notes_and_notes_before_events():
    link = up()
    link.feed([report(1, "YC")])
    link.note(Note("health", "t", b"h"))
    link.alarm(report(2), 1, 0.0)
    assert [type(out.item) for out in pull_all(link)] == [Alarm, Note, Event]


def test_alarms_are_first_in_first_out():
    link = up()
    for seq in (5, 3, 4):
        link.alarm(report(seq), 1, 0.0)
    assert [out.item.report.id.seq for out in pull_all(link)] == [5, 3, 4]


def test_events_never_take_the_alarms_places():
    link = up()
    brisk(link)
    link.feed(report(seq, "RR") for seq in range(100))
    assert len(pull_all(link)) == 16 - ALARM_PLACES
    for seq in range(200, 210):
        link.alarm(report(seq), 1, 0.0)
    assert len(pull_all(link)) == ALARM_PLACES


def test_alarms_may_take_all_places():
    link = up()
    for seq in range(100):
        link.alarm(report(seq), 1, 0.0)
    assert len(pull_all(link)) == 16


@pytest.mark.parametrize(("allowed", "others"), [(1, 1), (3, 1), (6, 2), (20, 12)])
def test_a_broker_that_allows_less_gets_less(allowed, others):
    link = up(receive_maximum=allowed)
    brisk(link)
    link.feed(report(seq, "RR") for seq in range(20))
    assert len(pull_all(link)) == others
    for seq in range(200, 220):
        link.alarm(report(seq), 1, 0.0)
    assert len(pull_all(link)) == min(allowed, 16) - others


@pytest.mark.parametrize("window", [4, 17])
def test_a_window_out_of_bounds_is_refused(window):
    with pytest.raises(ValueError, match=f"window is {window}, but must be 5 to 16"):
        Link(window)


def test_a_repeated_alarm_that_is_under_way_adds_nothing():
    link = up()
    link.alarm(report(1), 1, 0.0)
    pull_all(link)
    assert link.alarm(report(1), 2, 1.0)
    assert pull_all(link, 1.0) == []


def test_a_repeated_alarm_that_waits_keeps_its_place_with_the_newer_attempt():
    link = Link()
    link.alarm(report(1), 1, 0.0)
    link.alarm(report(2), 1, 0.0)
    link.alarm(report(1), 2, 0.0)
    link.due(0.0)
    link.opened(NO_BOUND, 0.0)
    assert [(out.item.report.id.seq, out.item.attempt) for out in pull_all(link)] == [(1, 2), (2, 1)]


def test_a_repeated_alarm_that_was_answered_goes_out_again():
    link = up()
    link.alarm(report(1), 1, 0.0)
    (out,) = pull_all(link)
    link.acked(out.token, 0.1, accepted=True)
    link.alarm(report(1), 2, 2.0)
    assert [out.item.attempt for out in pull_all(link, 2.0)] == [2]


def test_of_two_health_notes_only_the_newer_is_sent():
    link = Link()
    link.note(Note("health", "t", b"old"))
    link.note(Note("health", "t", b"new"))
    link.due(0.0)
    link.opened(NO_BOUND, 0.0)
    assert [out.item.payload for out in pull_all(link)] == [b"new"]


def test_what_waits_is_bounded():
    link = Link()
    for seq in range(ALARMS_MAX):
        assert link.alarm(report(seq), 1, 0.0)
    assert not link.alarm(report(ALARMS_MAX), 1, 0.0)
    assert link.alarm(report(7), 2, 0.0), "one that waits already is no new one"
    for number in range(NOTES_MAX + 5):
        link.note(Note(f"result {number}", "t", b""))
    link.due(0.0)
    link.opened(NO_BOUND, 0.0)
    notes = []
    while out := link.pull(0.0):
        link.acked(out.token, 0.0, accepted=True)
        notes += [out.item.key] if isinstance(out.item, Note) else []
    assert notes == [f"result {number}" for number in range(5, NOTES_MAX + 5)]


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def grown(took_s: float, item: str = "event") -> int:
    """How many events are sent at once when one report before them, alone under way, was answered so late."""
    link = up()
    if item == "event":
        link.feed([report(90, "RR")])
    else:
        link.alarm(report(90), 1, 0.0)
    (first,) = pull_all(link)
    link.acked(first.token, took_s, accepted=True)
    link.feed(report(seq, "RR") for seq in range(24))
    return len(pull_all(link, took_s))


def test_events_begin_one_at_a_time():
    link = up()
    assert link.appetite() == 24
    link.feed(report(seq, "RR") for seq in range(12))
    assert len(pull_all(link)) == 1


@pytest.mark.parametrize("item", ["event", "alarm"])
@pytest.mark.parametrize(
    ("took_s", "after"), [(0.0, 12), (0.01, 12), (0.041, 12), (0.1, 5), (0.168, 2), (0.3, 2), (0.6, 1), (2.0, 1)]
)
def test_as_many_follow_one_report_as_even_a_slow_link_would_carry_in_half_a_second(took_s, after, item):
    assert grown(took_s, item) == after


def test_a_note_is_too_short_to_teach_what_a_link_carries():
    link = up()
    link.note(Note("beat", "t", b""))
    (beat,) = pull_all(link)
    link.acked(beat.token, 0.01, accepted=True)
    link.feed(report(seq, "RR") for seq in range(12))
    assert len(pull_all(link, 0.01)) == 1


@pytest.mark.parametrize("round_trip_s", [0.04, 0.3])
@pytest.mark.parametrize("bits_s", [9_600, 64_000, 256_000])
def test_no_alarm_stands_behind_more_than_a_second_of_events_on_a_narrow_link(bits_s, round_trip_s):
    link, now, free_s, worst_s = up(), 0.0, 0.0, 0.0
    each_s = 8 * 1024 / bits_s
    answers: list[tuple[float, int]] = []
    while now < 30.0:
        link.feed(report(len(answers) + seq, "RR") for seq in range(link.appetite()))
        for out in pull_all(link, now):
            free_s = max(free_s, now) + each_s
            answers.append((free_s + round_trip_s, out.token))
        worst_s = max(worst_s, free_s - now)  # what an alarm of this moment waits for
        now, token = answers.pop(0)
        link.acked(token, now, accepted=True)
    assert worst_s <= max(SLOW_S, each_s)


def overdue_after(link, now):
    """Send an alarm into silence: how long the link waits for the answer; it is connected again afterwards."""
    link.alarm(report(int(now)), 1, now)
    pull_all(link, now)
    waited = link.next_deadline() - now
    link.due(now + waited)
    link.lost(now + waited, 0.0, overdue=True)
    link.due(now + waited)
    link.opened(NO_BOUND, now + waited)
    return waited


def answered(link, now, took_s):
    """Everything under way, and an alarm of now, are answered so late."""
    link.alarm(report(int(now)), 1, now)
    for out in pull_all(link, now):
        link.acked(out.token, now + took_s, accepted=True)


def test_a_broker_that_greets_and_never_answers_is_left_after_three_seconds_each_time():
    link = up()
    assert [overdue_after(link, 1000.0 * (k + 1)) for k in range(100)] == [ANSWER_S] * 100


def test_a_link_that_answered_late_is_given_twice_that_and_half_as_much_each_time_in_vain():
    link = up()
    answered(link, 1000.0, 2.5)
    assert overdue_after(link, 2000.0) == 5.0
    assert overdue_after(link, 3000.0) == ANSWER_S
    answered(link, 4000.0, 2.9)
    answered(link, 5000.0, 5.0)
    answered(link, 6000.0, 10.0)
    assert [overdue_after(link, 7000.0 + 100 * k) for k in range(4)] == [20.0, 10.0, 5.0, ANSWER_S]


def test_an_answer_in_good_time_ends_it_and_one_behind_a_late_one_does_not():
    link = up()
    for seq in (1, 2, 3):
        link.alarm(report(seq), 1, 0.0)
    for out in pull_all(link):  # the round trip is long: all answers come at once
        link.acked(out.token, 2.8, accepted=True)
    assert overdue_after(link, 1000.0) == pytest.approx(5.6)
    answered(link, 2000.0, 2.8)
    answered(link, 3000.0, 0.1)
    assert overdue_after(link, 4000.0) == ANSWER_S


@pytest.mark.parametrize(("step_s", "given_s"), [(1.0, ANSWER_S), (2.0, 4.0), (6.0, 12.0), (20.0, ANSWER_MAX_S)])
def test_a_greeting_that_was_slow_gives_the_answers_time_too(step_s, given_s):
    link = Link()
    link.due(0.0)
    link.greeted(0.1, 0.1)
    link.welcomed(0.1 + step_s)
    link.opened(NO_BOUND, 0.2 + step_s)
    assert overdue_after(link, 100.0) == given_s


def test_each_answer_is_a_sign_of_life_for_what_stands_behind_it():
    link = up()
    for seq in range(16):
        link.alarm(report(seq), 1, 0.0)
    out = pull_all(link)
    link.acked(out[0].token, 1.0, accepted=True)
    assert link.next_deadline() == 1.0 + ANSWER_S
    link.acked(out[2].token, 2.0, accepted=True)
    assert link.next_deadline() == 1.0 + ANSWER_S, "the second one was passed over"
    link.acked(out[1].token, 2.5, accepted=True)
    assert link.next_deadline() == 2.5 + ANSWER_S


def test_what_is_heavy_may_take_as_long_as_the_narrowest_link_needs_unless_an_alarm_stands_behind_it():
    link = up()
    link.feed([report(1, "RR")])
    (heavy,) = pull_all(link)
    link.patience.weigh(heavy.token, 5 * LIGHT)
    assert link.next_deadline() == 11.0
    link.alarm(report(2), 1, 1.0)
    pull_all(link, 1.0)
    assert link.next_deadline() == ANSWER_S


@pytest.mark.parametrize("round_trip_s", [0.04, 0.3, 1.0])
@pytest.mark.parametrize("size", [300, 1024, 4096, 16_384])
@pytest.mark.parametrize("bits_s", [9_600, 64_000])
def test_a_narrow_link_is_not_torn_down_while_it_carries(bits_s, size, round_trip_s):
    link = up()
    now, free_s, seq = 0.0, 0.0, 0
    answers: list[tuple[float, int]] = []
    while now < 600.0:
        if seq % 40 == 0:  # ten at once, now and then
            for _ in range(10):
                seq += 1
                link.alarm(report(seq), 1, now)
        link.feed(report(10_000 + seq + number, "RR") for number in range(link.appetite()))
        for out in pull_all(link, now):
            free_s = max(free_s, now) + 8 * size / bits_s
            if size > LIGHT:
                link.patience.weigh(out.token, size)
            answers.append((free_s + round_trip_s, out.token))
        seq += 1
        now, token = answers.pop(0)
        assert link.due(now) is Due.NOTHING
        link.acked(token, now, accepted=True)


def test_events_are_paced_so_that_no_receiver_has_a_queue_in_front_of_an_alarm():
    link = Link(16, events_hz=100)
    link.due(0.0)
    link.opened(NO_BOUND, 0.0)
    now, sent = 0.0, 0
    while now < 10.0:
        link.feed(report(seq, "RR") for seq in range(sent, sent + link.appetite()))
        for out in pull_all(link, now):
            sent += 1
            link.acked(out.token, now, accepted=True)
        now = max(link.next_deadline(), now + 1e-6) if link.appetite() == 0 else now
    assert sent == pytest.approx(1000, abs=12)


def test_an_alarm_and_a_note_do_not_wait_for_the_pace_of_events():
    link = Link(16, events_hz=1)
    link.due(0.0)
    link.opened(NO_BOUND, 0.0)
    for seq in range(20):
        link.feed([report(seq, "RR")])
        for out in pull_all(link, 0.0):
            link.acked(out.token, 0.0, accepted=True)
    link.alarm(report(100), 1, 0.0)
    link.note(Note("health", "t", b"x"))
    assert [type(out.item) for out in pull_all(link, 0.0)] == [Alarm, Note]


def test_events_give_way_on_a_slow_link():
    link = up()
    brisk(link)
    link.feed(report(seq, "RR") for seq in range(12))
    slow = pull_all(link)
    for out in slow:
        link.acked(out.token, 2.0, accepted=True)
    link.feed(report(seq, "RR") for seq in range(20, 32))
    assert len(slow) == 12
    assert len(pull_all(link, 2.0)) == 1


def test_a_refused_event_is_kept_and_sent_again_after_a_doubling_pause():
    link = up()
    link.feed([report(1, "RR")])
    now = 0.0
    for pause in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
        (out,) = pull_all(link, now)
        link.acked(out.token, now, accepted=False)
        assert link.next_deadline() == now + pause
        assert link.appetite() == 0
        assert link.due(now + pause - 0.1) is Due.NOTHING
        assert pull_all(link, now + pause - 0.1) == []
        now += pause
        assert link.due(now) is Due.NOTHING
    assert len(pull_all(link, now)) == 1


def test_one_event_that_is_always_refused_does_not_stop_the_others():
    link, delivered, now = up(), set(), 0.0
    link.feed([report(1, "RR"), report(2, "RR"), report(3, "YC")])
    for _ in range(6):
        link.due(now)
        for out in pull_all(link, now):
            seq = out.item.report.id.seq
            link.acked(out.token, now, accepted=seq != 1)
            delivered |= {seq} - {1}
        now += 61
    assert delivered == {2, 3}


def test_an_alarm_goes_out_while_events_pause():
    link = up()
    link.feed([report(1, "RR")])
    (out,) = pull_all(link)
    link.acked(out.token, 0.0, accepted=False)
    link.alarm(report(2), 1, 1.0)
    assert [out.item.report.id.seq for out in pull_all(link, 1.0)] == [2]


def test_no_event_is_taken_while_an_alarm_waits():
    link = up()
    for seq in range(17):
        link.alarm(report(seq), 1, 0.0)
    pull_all(link)
    assert (link.alarms_waiting, link.appetite()) == (1, 0)


def test_a_link_that_is_down_wants_no_events():
    assert Link().appetite() == 0


# ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_try_is_made_at_once():
    assert Link().due(123.0) is Due.OPEN


def test_a_greeting_that_does_not_come_is_given_up():
    link = Link()
    link.due(0.0)
    link.greeted(4.0, 0.0)
    assert link.due(4.0 + STEP_S - 0.1) is Due.NOTHING
    assert link.due(4.0 + STEP_S) is Due.CLOSE


def test_an_answer_overdue_for_three_seconds_ends_the_connection_and_the_next_is_tried_at_once():
    link = up()
    link.alarm(report(1), 1, 10.0)
    pull_all(link, 10.0)
    assert link.next_deadline() == 10.0 + ANSWER_S
    assert link.due(12.9) is Due.NOTHING
    assert link.due(13.0) is Due.CLOSE
    link.lost(13.0, 0.99, overdue=True)
    assert link.due(13.0) is Due.OPEN
    link.opened(NO_BOUND, 13.1)
    assert [out.item.report.id.seq for out in pull_all(link, 13.1)] == [1]


def test_what_was_under_way_goes_out_first_and_in_its_order():
    link = up()
    for seq in range(1, 19):
        link.alarm(report(seq), 1, 0.0)
    pull_all(link)
    link.lost(1.0, 0.0)
    link.due(1.0)
    link.opened(NO_BOUND, 1.0)
    assert [out.item.report.id.seq for out in pull_all(link, 1.0)] == list(range(1, 17))


def test_events_go_back_to_the_backlog_with_a_break():
    link = up()
    link.feed([report(1, "RR"), report(2, "RR")])
    pull_all(link)
    link.lost(1.0, 0.0)
    link.due(1.0)
    link.opened(NO_BOUND, 1.0)
    assert pull_all(link, 1.0) == []
    assert link.appetite() == 24


def test_a_loss_with_an_alarm_waiting_is_followed_by_a_try_at_once():
    link = up()
    link.alarm(report(1), 1, 5.0)
    link.lost(5.0, 0.99)
    assert link.due(5.0) is Due.OPEN


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
def test_a_loss_without_an_alarm_waits_a_random_share_of_the_whole_cap(jitter):
    link = up()
    link.lost(5.0, jitter)
    assert link.next_deadline() == 5.0 + jitter * PAUSE_CAP_S


def test_without_an_alarm_the_tries_that_follow_are_a_cap_apart_however_long_each_lasts():
    link = up()
    link.lost(5.0, 0.5)
    for number in range(4):
        began = 20.0 + number * PAUSE_CAP_S
        assert link.next_deadline() == began
        assert link.due(began) is Due.OPEN
        link.lost(began + number, 0.1)


def test_who_hurried_in_vain_after_an_overdue_answer_is_scattered_like_everybody():
    link = up()
    link.note(Note("beat", "t", b""))
    pull_all(link, 100.0)
    link.lost(103.0, 0.5, overdue=True)
    assert link.due(103.0) is Due.OPEN
    link.lost(108.0, 0.5)
    assert link.next_deadline() == 108.0 + 0.5 * PAUSE_CAP_S


def test_with_an_alarm_the_pause_doubles_to_its_cap_and_jitter_takes_any_share_of_it():
    link, now, pauses = Link(), 0.0, []
    link.alarm(report(1), 1, 0.0)
    for _ in range(12):
        assert link.due(now) is Due.OPEN
        link.lost(now, 1.0)
        pauses.append(link.next_deadline() - now)
        now = link.next_deadline()
    assert pauses == [min(PAUSE_CAP_HURRIED_S, 2.0**n) for n in range(12)]
    link.due(now)
    link.lost(now, 0.0)
    assert link.next_deadline() == now


def test_an_alarm_is_tried_for_however_often_that_failed():
    link = Link()
    link.alarm(report(1), 1, 0.0)
    for number in range(1500):
        now = 10.0 * number
        assert link.due(now) is Due.OPEN
        link.lost(now, 1.0)
    assert link.next_deadline() == now + PAUSE_CAP_HURRIED_S


def test_a_new_alarm_brings_a_far_try_forward():
    link, now = Link(), 0.0
    for _ in range(8):
        link.due(now)
        link.lost(now, 1.0)
        now = link.next_deadline()
    link.due(now)
    link.lost(now, 1.0)
    link.alarm(report(1), 1, now + 10)
    assert link.due(now + 10) is Due.OPEN


def test_alarm_after_alarm_does_not_make_a_storm_of_tries():
    link = Link()
    link.due(0.0)
    link.lost(0.0, 1.0)
    link.alarm(report(1), 1, 0.0)
    assert link.next_deadline() == HASTE_S


def test_a_connection_that_breaks_at_once_again_and_again_is_not_tried_at_once_for_an_alarm():
    link, now, pauses = up(), 0.0, []
    link.alarm(report(1), 1, 0.0)
    for _ in range(5):
        now += 0.1
        link.lost(now, 1.0)
        pauses.append(round(link.next_deadline() - now, 6))
        now = link.next_deadline()
        link.due(now)
        link.opened(NO_BOUND, now)
    assert pauses == [0.0, 2.0, 2.0, 2.0, 2.0]


def test_a_stable_connection_has_earned_a_try_at_once_again():
    link = up()
    for now in (1.0, 40.0, 80.0):
        link.lost(now, 1.0)
        link.due(now + PAUSE_CAP_S)
        link.opened(NO_BOUND, now + PAUSE_CAP_S)
    link.alarm(report(1), 1, 200.0)
    link.lost(110.0 + STABLE_S, 1.0)
    assert link.next_deadline() == 110.0 + STABLE_S


def test_a_connection_that_broke_is_scattered_anew():
    link = up()
    for now in (1.0, 100.0, 200.0):
        link.lost(now, 0.2)
        assert link.next_deadline() == now + 0.2 * PAUSE_CAP_S
        link.due(now + 10.0)
        link.opened(NO_BOUND, now + 10.0)


def test_an_answer_to_nothing_is_ignored():
    assert up().acked(99, 0.0, accepted=True) is None


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_the_table_is_the_whole_truth(state, move):
    link = Link()
    link.state = state
    after = MOVES.get((state, move))
    if after is None:
        with pytest.raises(LinkError, match=f"a link that is {state} was told {move}"):
            link._move(move, 0.0)
        assert link.state is state
    else:
        link._move(move, 0.0)
        assert link.state is after


# ── any order of events ────────────────────────────────────────────────────────────────────────────────────────────


class AnyOrder(RuleBasedStateMachine):
    """A panel, a path and a broker that do whatever they like."""

    @initialize(window=st.integers(5, 16))
    def begin(self, window):
        self.link = Link(window)
        self.window = window
        self.now = 0.0
        self.seq = 0
        self.alarms: set[ReportId] = set()
        """Given to the link and not answered for."""
        self.backlog: list[Report] = []
        self.taken: list[Report] = []
        self.flying: dict[int, Outgoing] = {}
        self.tokens: set[int] = set()
        self.last_alarm = 0

    def _next(self, code):
        self.seq += 1
        return report(self.seq, code)

    @rule()
    def press(self):
        alarm = self._next("PA")
        assert self.link.alarm(alarm, 1, self.now)
        self.alarms.add(alarm.id)

    @precondition(lambda self: self.alarms)
    @rule(data=st.data())
    def repeat(self, data):
        ident = data.draw(st.sampled_from(sorted(self.alarms)))
        assert self.link.alarm(report(ident.seq), 2, self.now)

    @rule(count=st.integers(1, 20))
    def store(self, count):
        self.backlog += [self._next("RR") for _ in range(count)]

    @rule(name=st.sampled_from(["health", "result 1", "result 2"]))
    def note(self, name):
        self.link.note(Note(name, "t", b""))

    @rule(step=st.sampled_from([0.0, 0.01, 0.4, 2.9, 3.0, 31.0, 100.0]))
    def wait(self, step):
        self.now += step

    @rule(jitter=st.floats(0, 1))
    def look(self, jitter):
        match self.link.due(self.now):
            case Due.CLOSE:
                self._lost(jitter, overdue=True)
            case Due.OPEN:
                assert self.link.state is State.OPENING
            case Due.NOTHING:
                pass

    @precondition(lambda self: self.link.state is State.OPENING)
    @rule(receive_maximum=st.integers(1, 40))
    def opened(self, receive_maximum):
        self.link.opened(receive_maximum, self.now)
        self.allowed = min(self.window, receive_maximum)

    @precondition(lambda self: self.link.state is not State.DOWN)
    @rule(jitter=st.floats(0, 1))
    def lose(self, jitter):
        self._lost(jitter, overdue=False)

    def _lost(self, jitter, *, overdue):
        self.link.lost(self.now, jitter, overdue=overdue)
        self.flying.clear()
        self.backlog = self.taken + self.backlog
        self.taken = []
        assert self.now <= self.link.next_deadline() <= self.now + PAUSE_CAP_S

    @rule()
    def pump(self):
        hungry = self.link.appetite()
        fed, self.backlog = self.backlog[:hungry], self.backlog[hungry:]
        self.link.feed(fed)
        self.taken += fed
        while (out := self.link.pull(self.now)) is not None:
            assert out.token not in self.tokens, "a token was used twice"
            self.tokens.add(out.token)
            self.flying[out.token] = out

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), accepted=st.booleans())
    def answer(self, data, accepted):
        token = data.draw(st.sampled_from(sorted(self.flying)))
        item = self.flying.pop(token).item
        assert self.link.acked(token, self.now, accepted=accepted) == item
        if isinstance(item, Alarm):
            self.alarms.discard(item.report.id)
        elif isinstance(item, Event) and accepted:
            self.taken.remove(item.report)

    @invariant()
    def the_window_and_the_alarms_places_hold(self):
        others = sum(not isinstance(out.item, Alarm) for out in self.flying.values())
        assert self.link.under_way == len(self.flying)
        if self.link.state is State.UP:
            assert len(self.flying) <= self.allowed
            assert others <= max(1, self.allowed - ALARM_PLACES)
        else:
            assert not self.flying

    @invariant()
    def no_alarm_is_lost_or_doubled(self):
        flying = [out.item.report.id for out in self.flying.values() if isinstance(out.item, Alarm)]
        waiting = list(self.link._alarms)
        assert sorted(flying + waiting) == sorted(self.alarms)

    @invariant()
    def no_event_is_lost_or_doubled(self):
        flying = [out.item.report for out in self.flying.values() if isinstance(out.item, Event)]
        held = flying + [event.report for event in self.link._events]
        assert sorted(one.id for one in held) == sorted(one.id for one in self.taken)

    @invariant()
    def an_alarm_never_waits_while_it_could_go(self):
        if self.link.state is State.UP and self.link.under_way < self.allowed and self.link.alarms_waiting:
            out = self.link.pull(self.now)
            assert out is not None
            assert isinstance(out.item, Alarm)
            self.flying[out.token] = out
            self.tokens.add(out.token)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyOrder = AnyOrder.TestCase
