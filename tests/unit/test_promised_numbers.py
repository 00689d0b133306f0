"""What was promised in figures, held to the figures: a constant that is changed by mistake must not change its test."""

from __future__ import annotations

import pytest

from firmware.adapters.heart import Heart
from firmware.core.link import Alarm, Due, Event, Link, Note
from firmware.core.path import PathSpec, PathState, Supervision
from firmware.core.report import Report, ReportId
from firmware.core.retry import Retry
from hal.types import Instant

MOMENT = Instant(0.0, 0.0, synced=False)


def report(seq, code="PA"):
    return Report(ReportId("p", 1, seq), code, MOMENT)


def opened(window=16):
    link = Link(window, events_hz=float("inf"))
    assert link.due(0.0) is Due.OPEN
    link.greeted(0.0, 0.0)
    link.opened(65535, 0.0)
    return link


def pulled(link):
    found = []
    while (out := link.pull(0.0)) is not None:
        found.append(out.item)
    return found


# ── supervision: a beat every 10 s, every 15 min on a backup; a loss told within 20 s ──────────────────────────────


@pytest.mark.parametrize(("leads", "pace_s"), [(True, 10.0), (False, 15 * 60.0)])
def test_the_leader_is_proven_every_ten_seconds_and_a_backup_every_fifteen_minutes(leads, pace_s):
    assert PathSpec("wire").pace_s(leads=leads) == pace_s
    heart = Heart("p1", 1, "wire", None)
    heart.beat(Instant(1000.0, 0.0, synced=False), leads=leads)
    assert heart.due_s == 1000.0 + pace_s


def test_the_death_of_a_leading_path_is_told_within_twenty_seconds_and_not_before_a_beat_is_nine_seconds_old():
    paths = Supervision((PathSpec("wire"),))
    paths.start(0.0)
    paths.echo("wire")
    paths.beat("wire", 110.0)  # it died just after the beat at 100
    assert paths.late(118.9) == []
    assert paths.late(119.0) == ["wire"]
    assert paths.state("wire") is PathState.LOST


# ── connections: a fresh start after 30 s, pauses of 30 s, of 2 s with an alarm, 3 s for an answer ─────────────────


@pytest.mark.parametrize(("held_s", "pause_s"), [(5.0, 2.0), (29.9, 2.0), (30.0, 0.0)])
def test_only_what_held_for_thirty_seconds_has_earned_a_try_at_once(held_s, pause_s):
    retry = Retry()
    for now_s in (0.0, 10.0, 20.0):
        retry.begin(now_s)
        retry.lost(now_s, 1.0, held_s=None, hurried=True, eager=True)
    retry.begin(30.0)
    retry.lost(100.0, 1.0, held_s=held_s, hurried=True, eager=True)
    assert retry.next_s == 100.0 + pause_s


@pytest.mark.parametrize(("hurried", "longest_s"), [(False, 30.0), (True, 2.0)])
def test_no_pause_is_longer_than_thirty_seconds_or_two_with_an_alarm(hurried, longest_s):
    retry, pauses = Retry(), []
    for now_s in range(0, 1000, 100):
        retry.begin(now_s)
        retry.lost(now_s, 1.0, held_s=None, hurried=hurried, eager=False)
        pauses.append(retry.next_s - now_s)
    assert max(pauses) == longest_s


def test_an_alarm_without_an_answer_for_three_seconds_ends_the_connection():
    link = opened()
    link.alarm(report(1), 1, 0.0)
    assert len(pulled(link)) == 1
    assert link.due(2.9) is Due.NOTHING
    assert link.due(3.0) is Due.CLOSE


# ── 4 of 16 places are the alarms' ─────────────────────────────────────────────────────────────────────────────────


def test_neither_notes_nor_events_nor_both_take_the_four_places_of_the_alarms():
    link = opened()
    for number in range(20):
        link.note(Note(f"result {number}", "t", b""))
    link.feed(report(seq, "RR") for seq in range(100, 200))
    assert [type(item) for item in pulled(link)] == [Note] * 12
    for seq in range(1, 6):
        link.alarm(report(seq), 1, 0.0)
    assert [type(item) for item in pulled(link)] == [Alarm] * 4


def test_a_note_finds_no_place_where_events_have_taken_the_twelve():
    link = opened()
    for seq in range(100, 140):  # the link learns that the broker is brisk
        link.feed([report(seq, "RR")])
        link.acked(link.pull(0.0).token, 0.0, accepted=True)
    link.feed(report(seq, "RR") for seq in range(200, 300))
    assert [type(item) for item in pulled(link)] == [Event] * 12
    link.note(Note("health", "t", b""))
    assert pulled(link) == []
