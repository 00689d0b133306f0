"""What is repeated, and how often."""

from __future__ import annotations

from rigs.core import rig

from firmware.core import effects as e
from firmware.core import facts as f
from firmware.core.ledger import HASTY_REPEATS


def repeats(r, seconds):
    return len(r.of(e.Transmit, r.pass_time(seconds)))


def alarmed():
    r = rig()
    r.post(f.PathUp("main"))
    (alarm,) = r.stored("PA", r.click())
    return r, alarm


def test_an_alarm_that_nobody_has_is_repeated_every_five_seconds_for_ever():
    r, _ = alarmed()
    r.pass_time(3600)
    assert repeats(r, 100) == 20


def test_an_alarm_that_one_receiver_has_is_repeated_for_the_other_one_more_patiently_after_a_minute():
    r, alarm = alarmed()
    r.receipt(alarm.id, "110")
    assert repeats(r, 56) == HASTY_REPEATS
    r.pass_time(60)
    assert repeats(r, 300) == 10


def test_a_path_that_comes_back_gets_it_at_once_however_patient_the_panel_has_become():
    r, alarm = alarmed()
    r.receipt(alarm.id, "110")
    r.pass_time(3600)
    r.post(f.PathDown("main", "cut"))
    assert [sent.report.id for sent in r.of(e.Transmit, r.post(f.PathUp("main")))] == [alarm.id]


def test_a_receiver_that_was_away_is_told_at_once_what_it_missed_and_only_that():
    r = rig()
    r.post(f.PathUp("main"))
    r.post(f.Echo("main", "110"))
    (first,) = r.stored("PA", r.click())
    r.receipt(first.id, "110")
    (second,) = r.stored("TA", r.click("lid"))
    for receiver in ("110", "station"):
        r.receipt(second.id, receiver)
    for _ in range(6):
        r.post(f.Beat("main"))
        r.post(f.Echo("main", "110"))
        r.pass_time(10)
    back = r.post(f.Echo("main", "station"))
    assert [sent.report.id for sent in r.of(e.Transmit, back)] == [first.id]
