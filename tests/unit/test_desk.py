"""The desk's logic, fed with reports as the wire reads them."""

from __future__ import annotations

import itertools

import pytest

from firmware.core.report import Report, ReportId, Step
from firmware.receiver import desk as desk_module
from firmware.receiver import events as e
from firmware.receiver.desk import Desk
from firmware.receiver.numbers import GAP_S
from firmware.wire.beat import Pulse
from firmware.wire.command import Result
from firmware.wire.health import ReceivedHealth
from firmware.wire.report import Site, Stamp, decode_report, encode_report
from hal.types import Instant

PANEL = "school-7"
SITE = Site("Number 7 School", "1 East Gate Road")
UTC_S = 1_800_000_000.0


def at(mono_s):
    """The desk's clocks; its monotonic clock is 1000 s behind the panel's."""
    return e.Moment(mono_s, round((UTC_S + mono_s) * 1000))


def panel_clock(mono_s, *, synced=True):
    return Instant(mono_s + 1000.0, UTC_S + mono_s, synced)


def alarm(
    seq=1, epoch=3, *, code="PA", root=None, mono_s=0.0, age_s=0.1, detail=(), zone="booth-button", now_epoch=None
):
    ident = ReportId(PANEL, epoch, seq)
    root_id = ident if root is None else ReportId(PANEL, epoch, root)
    report = Report(ident, code, panel_clock(mono_s - age_s), zone, root_id, detail=detail)
    return sent(report, mono_s, now_epoch or epoch)


def status(seq, epoch=3, code="RR", mono_s=0.0, detail=()):
    return sent(Report(ReportId(PANEL, epoch, seq), code, panel_clock(mono_s), detail=detail), mono_s, epoch)


def sent(report, mono_s, epoch):
    payload = encode_report(report, site=SITE, now=panel_clock(mono_s), epoch=epoch, attempt=1, key=None)
    return decode_report(payload, None)


def health(epoch=3, mono_s=0.0, *, online=True):
    clock = panel_clock(mono_s)
    stamp = Stamp(round(clock.mono_s * 1000), round(clock.utc_s * 1000), synced=True) if online else None
    return ReceivedHealth(PANEL, epoch, online, stamp, 0, 0, ())


def of(kind, acts):
    return [act for act in acts if isinstance(act, kind)]


def receipts(acts):
    return [(act.receipt.id.seq, act.receipt.step) for act in of(e.Answer, acts)]


@pytest.fixture
def desk():
    counter = itertools.count(1)
    return Desk("110", "Officer Li", lambda: f"order-{next(counter)}")


def test_an_alarm_is_answered_at_once_and_becomes_an_incident(desk):
    acts = desk.report(alarm(), at(0.0))
    assert isinstance(acts[0], e.Answer)
    assert receipts(acts) == [(1, Step.RECEIVED)]
    (taken,) = of(e.StepTaken, acts)
    assert (taken.step, taken.ms) == (Step.RECEIVED, 100)
    assert desk.newest(Step.ACCEPTED).id == ReportId(PANEL, 3, 1)


def test_a_repeated_alarm_is_answered_again_and_shown_as_a_duplicate(desk):
    desk.report(alarm(), at(0.0))
    acts = desk.report(alarm(), at(2.0))
    assert receipts(acts) == [(1, Step.RECEIVED)]
    assert [came.duplicate for came in of(e.ReportCame, acts)] == [True]
    assert of(e.StepTaken, acts) == []
    assert len(desk.incidents) == 1


def test_a_repeated_alarm_is_told_every_step_that_was_taken(desk):
    desk.report(alarm(), at(0.0))
    incident = ReportId(PANEL, 3, 1)
    desk.answer(incident, Step.ACCEPTED, at(1.0))
    desk.answer(incident, Step.DISPATCHED, at(2.0))
    acts = desk.report(alarm(), at(3.0))
    assert receipts(acts) == [(1, Step.RECEIVED), (1, Step.ACCEPTED), (1, Step.DISPATCHED)]


def test_faults_and_status_are_shown_once_and_not_answered(desk):
    assert of(e.Answer, desk.report(status(1), at(0.0))) == []
    assert desk.report(status(1), at(0.1)) == []


def test_a_second_press_belongs_to_the_first_incident(desk):
    desk.report(alarm(1), at(0.0))
    acts = desk.report(alarm(2, root=1), at(1.0))
    assert receipts(acts) == [(2, Step.RECEIVED)]
    assert len(desk.incidents) == 1


def test_a_person_accepts_and_the_milliseconds_count_from_the_press(desk):
    desk.report(alarm(age_s=0.1), at(0.0))
    acts = desk.answer(ReportId(PANEL, 3, 1), Step.ACCEPTED, at(2.5), "Officer Wang")
    assert receipts(acts) == [(1, Step.ACCEPTED)]
    assert of(e.Answer, acts)[0].receipt.person == "Officer Wang"
    assert of(e.StepTaken, acts)[0].ms == 2600


def test_accepting_twice_tells_the_panel_twice_and_counts_once(desk):
    desk.report(alarm(), at(0.0))
    incident = ReportId(PANEL, 3, 1)
    desk.answer(incident, Step.ACCEPTED, at(1.0))
    acts = desk.answer(incident, Step.ACCEPTED, at(5.0))
    assert receipts(acts) == [(1, Step.ACCEPTED)]
    assert of(e.StepTaken, acts) == []


def test_a_step_for_an_unknown_incident_is_refused(desk):
    with pytest.raises(ValueError, match="no incident"):
        desk.answer(ReportId(PANEL, 9, 9), Step.ACCEPTED, at(0.0))


def test_a_step_that_is_not_the_receivers_is_refused(desk):
    desk.report(alarm(), at(0.0))
    with pytest.raises(ValueError, match="stored"):
        desk.answer(ReportId(PANEL, 3, 1), Step.STORED, at(0.0))


def test_the_newest_unanswered_incident_comes_first(desk):
    desk.report(alarm(1), at(0.0))
    desk.report(alarm(2), at(1.0))
    assert desk.newest(Step.ACCEPTED).id.seq == 2
    desk.answer(ReportId(PANEL, 3, 2), Step.ACCEPTED, at(2.0))
    assert desk.newest(Step.ACCEPTED).id.seq == 1


def test_a_reset_is_answered_and_closes_its_incident(desk):
    desk.report(alarm(1), at(0.0))
    acts = desk.report(alarm(2, code="PR", root=1), at(5.0))
    assert receipts(acts) == [(2, Step.RECEIVED)]
    assert desk.newest(Step.ACCEPTED) is None


def test_an_alarm_that_comes_after_its_own_reset_does_not_open_it_again(desk):
    desk.report(alarm(2, code="PR", root=1), at(0.0))
    acts = desk.report(alarm(1), at(1.0))
    assert receipts(acts) == [(1, Step.RECEIVED)]
    assert desk.newest(Step.ACCEPTED) is None


def test_a_desk_that_accepts_by_itself_does_so_after_its_time():
    desk = Desk("station", "auto", lambda: "x", auto_accept_s=3.0)
    desk.report(alarm(), at(10.0))
    assert desk.next_deadline() == 13.0
    assert desk.due(at(12.9)) == []
    assert receipts(desk.due(at(13.0))) == [(1, Step.ACCEPTED)]
    assert desk.due(at(14.0)) == []


def test_an_alarm_of_unknown_age_has_no_milliseconds(desk):
    old = alarm(1, epoch=2, now_epoch=3)
    old = sent(Report(old.id, "PA", panel_clock(-100.0, synced=False), "booth-button", old.id), 0.0, 3)
    acts = desk.report(old, at(0.0))
    assert of(e.StepTaken, acts)[0].ms is None
    assert of(e.ReportCame, acts)[0].report.late


def test_a_report_that_lay_at_the_broker_shows_how_long(desk):
    acts = desk.report(alarm(mono_s=0.0), at(30.0))
    assert of(e.ReportCame, acts)[0].delayed_ms == 30_000


def test_a_loss_is_told_after_its_time(desk):
    desk.report(status(1), at(0.0))
    desk.report(status(4), at(0.0))
    assert desk.due(at(GAP_S - 1)) == []
    assert of(e.Lost, desk.due(at(GAP_S))) == [e.Lost(PANEL, 3, 2, 3)]


def test_a_loss_that_the_panel_announced_is_not_told(desk):
    desk.report(status(1), at(0.0))
    run = (("first", f"{PANEL}/3/2"), ("last", f"{PANEL}/3/5"), ("count", 4))
    desk.report(status(6, code="JO", detail=run), at(0.0))
    assert desk.due(at(GAP_S)) == []


def test_a_malformed_announcement_explains_nothing(desk):
    desk.report(status(1), at(0.0))
    desk.report(status(6, code="JO", detail=(("first", "rubbish"), ("last", 7))), at(0.0))
    assert of(e.Lost, desk.due(at(GAP_S))) == [e.Lost(PANEL, 3, 2, 5)]


def test_an_order_expires_on_the_panels_own_clock(desk):
    desk.health(health(mono_s=0.0), at(0.0), retained=False)
    (order,) = desk.order("reset", PANEL, target="booth-button", reason="false alarm", now=at(10.0))
    assert order.epoch == 3
    assert order.not_after_mono_ms == 1_010_000 + desk_module.ORDER_VALID_MS
    assert order.command.actor == "Officer Li"


def test_the_freshest_word_on_the_panels_clock_counts(desk):
    desk.health(health(mono_s=0.0), at(20.0), retained=True)
    desk.report(alarm(mono_s=25.0), at(25.0))
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(25.0))
    assert order.not_after_mono_ms == 1_025_000 + desk_module.ORDER_VALID_MS


def test_no_order_goes_out_while_the_panels_clock_is_unknown(desk):
    acts = desk.order("reset", PANEL, target="", reason="drill", now=at(0.0))
    assert of(e.Order, acts) == []
    assert "clock is not known" in of(e.Warned, acts)[0].text


def test_a_panel_that_restarted_is_ordered_under_its_new_epoch(desk):
    desk.health(health(epoch=3, mono_s=500.0), at(500.0), retained=False)
    desk.report(status(1, epoch=4, mono_s=0.0), at(600.0))
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(600.0))
    assert (order.epoch, order.not_after_mono_ms) == (4, 1_000_000 + desk_module.ORDER_VALID_MS)


def test_an_epoch_that_falls_back_is_a_warning_and_is_believed_when_the_other_is_silent(desk):
    desk.health(health(epoch=5), at(0.0), retained=False)
    beats(desk, (5, 9))
    later_s = desk_module.EPOCH_QUIET_S + 1.0
    acts = desk.health(health(epoch=4, mono_s=later_s), at(later_s), retained=False)
    assert "fell back from 5 to 4" in of(e.Warned, acts)[0].text
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(later_s))
    assert order.epoch == 4
    assert of(e.Pulsed, beats(desk, (4, 1)))


def test_recordings_of_an_earlier_epoch_divert_no_order_from_a_panel_that_lives(desk):
    desk.health(health(epoch=5), at(0.0), retained=False)
    for _ in range(50):
        acts = desk.health(health(epoch=4), at(1.0), retained=False)
    assert "recording" in of(e.Warned, acts)[0].text
    assert of(e.HealthCame, acts) == []
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(1.0))
    assert order.epoch == 5


def test_recordings_of_the_present_epoch_let_no_order_expire(desk):
    old = health(mono_s=0.0)
    desk.health(health(mono_s=5000.0), at(5000.0), retained=False)
    for _ in range(50):
        desk.health(old, at(5001.0), retained=False)
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(5001.0))
    assert order.not_after_mono_ms == 6_001_000 + desk_module.ORDER_VALID_MS


def test_a_panels_clock_that_runs_slower_is_followed(desk):
    desk.health(health(mono_s=0.0), at(0.0), retained=False)
    later_s = desk_module.CLOCK_FRESH_S + 1.0
    desk.health(health(mono_s=later_s - 0.5), at(later_s), retained=False)
    (order,) = desk.order("reset", PANEL, target="", reason="drill", now=at(later_s))
    assert order.not_after_mono_ms == round((later_s + 999.5) * 1000) + desk_module.ORDER_VALID_MS


@pytest.mark.parametrize(("online", "retained"), [(False, False), (False, True), (True, True)])
def test_what_an_earlier_run_left_behind_is_no_warning(desk, online, retained):
    desk.health(health(epoch=5), at(0.0), retained=False)
    assert desk.health(health(epoch=4, online=online), at(1.0), retained=retained) == []
    assert desk.panels[PANEL].health.epoch == 5


def test_two_contents_under_one_identity_are_a_warning_and_still_answered(desk):
    desk.report(alarm(zone="booth-button"), at(0.0))
    acts = desk.report(alarm(zone="other-button"), at(0.0))
    assert "two different reports" in of(e.Warned, acts)[0].text
    assert receipts(acts) == [(1, Step.RECEIVED)]


def test_a_result_is_passed_on(desk):
    result = Result(PANEL, "order-1", ok=True, text="reset: booth-button")
    assert desk.result(result) == [e.ResultCame(result)]


def test_evidence_is_counted_in_its_incident(desk):
    desk.report(alarm(), at(0.0))
    desk.evidence(ReportId(PANEL, 3, 1))
    desk.evidence(ReportId(PANEL, 3, 1))
    desk.evidence(ReportId(PANEL, 9, 9))
    desk.seal(ReportId(PANEL, 3, 1))
    desk.seal(ReportId(PANEL, 9, 9))
    incident = desk.incidents[ReportId(PANEL, 3, 1)]
    assert (incident.files, incident.sealed) == (2, True)


def test_ten_thousand_incidents_keep_memory_bounded_and_the_open_ones_last(desk):
    desk.report(alarm(1), at(0.0))
    for seq in range(2, 10_001):
        desk.report(alarm(seq), at(0.0))
        desk.incidents[ReportId(PANEL, 3, seq)].reset = True
    assert len(desk.incidents) == desk_module.INCIDENTS_MAX
    assert ReportId(PANEL, 3, 1) in desk.incidents


def test_a_flood_of_panels_and_epochs_keeps_memory_bounded(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "PANELS_MAX", 50)
    for number in range(500):
        ident = ReportId(f"panel-{number}", number, 1)
        desk.report(sent(Report(ident, "RR", panel_clock(0.0)), 0.0, number), at(0.0))
    for epoch in range(500):
        desk.report(status(1, epoch=epoch), at(0.0))
    assert len(desk.panels) == 50
    assert len(desk.panels[PANEL].epochs) == desk_module.EPOCHS_MAX


# ── heartbeats ──


def beats(desk, *pulses):
    return [act for epoch, count in pulses for act in desk.beat(Pulse(PANEL, epoch, "main", count, 1000), at(0.0))]


def test_a_heartbeat_is_echoed_once_with_its_own_numbers(desk):
    (act,) = beats(desk, (3, 1), (3, 1))
    assert act == e.Pulsed(Pulse(PANEL, 3, "main", 1, 1000))


def test_a_heartbeat_of_a_later_epoch_begins_anew(desk):
    assert all(isinstance(act, e.Pulsed) for act in beats(desk, (3, 900), (4, 1)))


@pytest.mark.parametrize("old", [(3, 1), (2, 99)], ids=["an older count", "an older epoch"])
def test_an_older_heartbeat_is_a_recording_or_another_panel_and_is_not_echoed(desk, old):
    *_, act = beats(desk, (3, 2), old)
    assert isinstance(act, e.Warned)
    assert "another panel in its place" in act.text


def test_paths_count_for_themselves(desk):
    acts = desk.beat(Pulse(PANEL, 3, "wire", 50, 0), at(0.0)) + desk.beat(Pulse(PANEL, 3, "radio", 1, 0), at(0.0))
    assert [type(act) for act in acts] == [e.Pulsed, e.Pulsed]
