"""The panel's decisions, one sentence each."""

from __future__ import annotations

import pytest
from rigs.core import BUTTON, FOOT, Rig, rig, shown, spec

from firmware.core import effects as e
from firmware.core import facts as f
from firmware.core.codes import CODES, ReportClass
from firmware.core.effects import Pattern, Role
from firmware.core.panel import Panel
from firmware.core.path import PathSpec
from firmware.core.report import Mark, ReportId, Step
from firmware.core.zone import ZoneSpec, ZoneType
from hal.types import Level, LoopState


def pressed():
    r = rig()
    effects = r.press()
    (alarm,) = r.stored("PA", effects)
    return r, alarm, effects


# ── the way of a press ──


def test_a_press_annunciates_then_stores_and_transmits_then_captures():
    _, _, effects = pressed()
    kinds = [type(effect) for effect in effects if type(effect) in (e.Drive, e.Store, e.Transmit, e.Capture)]
    first = {kind: kinds.index(kind) for kind in kinds}
    assert first[e.Drive] < first[e.Store] < first[e.Capture]
    assert first[e.Drive] < first[e.Transmit] < first[e.Capture]


def test_an_alarm_goes_over_every_path_at_once():
    r = rig(paths=("wire", "radio"))
    sent = r.of(e.Transmit, r.press())
    assert [(s.path, s.attempt) for s in sent] == [("wire", 1), ("radio", 1)]


def test_the_report_carries_the_time_of_the_edge_not_of_the_decision():
    _, alarm, _ = pressed()
    assert alarm.raised.mono_s == pytest.approx(100.0)
    assert alarm.raised.utc_s == pytest.approx(1.8e9)


def test_the_alarm_is_its_own_incident_and_of_class_alarm():
    _, alarm, _ = pressed()
    assert alarm.incident == alarm.id
    assert alarm.cls is ReportClass.ALARM


def test_a_level_of_a_loop_that_no_zone_has_changes_nothing():
    r = rig()
    assert r.level("nowhere", LoopState.ALARM) == []


def test_every_later_press_of_a_latched_zone_is_reported_in_the_same_incident():
    r, alarm, _ = pressed()
    r.release()
    again = r.stored("PA", r.click())
    assert [report.incident for report in again] == [alarm.id]
    assert dict(again[0].detail)["presses"] == 2


def test_ten_zones_at_once_are_ten_incidents_in_order():
    zones = tuple(ZoneSpec(f"z{k}", ZoneType.PANIC, 0.030, 120.0) for k in range(10))
    r = rig(zones=zones)
    for zone in zones:
        r.level(zone.name, LoopState.ALARM)
    alarms = r.stored("PA", r.pass_time(0.05))
    assert [alarm.zone for alarm in alarms] == [zone.name for zone in zones]
    assert len({alarm.incident for alarm in alarms}) == 10


# ── latch and reset ──


def test_releasing_the_button_does_not_end_the_alarm():
    r, _, _ = pressed()
    r.release()
    r.pass_time(600)
    assert len(r.panel.ledger.open()) == 1


def test_a_reset_without_a_name_or_a_reason_is_refused():
    r, _, _ = pressed()
    r.release()
    for actor, reason in (("", "over"), ("Li", " ")):
        (reply,) = r.of(e.Reply, r.reset(actor=actor, reason=reason))
        assert not reply.ok
    assert len(r.panel.ledger.open()) == 1


def test_a_reset_is_reported_with_actor_and_reason_and_seals_the_evidence():
    r, alarm, _ = pressed()
    r.release()
    effects = r.reset(actor="Li Ming", reason="checked on site")
    (reset,) = r.stored("PR", effects)
    assert reset.incident == alarm.id
    assert dict(reset.detail) == {"actor": "Li Ming", "reason": "checked on site", "origin": "110"}
    assert r.of(e.Seal, effects) == [e.Seal(alarm.id)]
    assert r.of(e.Reply, effects)[0].ok


def test_a_reset_while_the_button_is_down_is_refused_and_says_why():
    r, _, _ = pressed()
    (reply,) = r.of(e.Reply, r.reset())
    assert not reply.ok
    assert "booth-button" in reply.text
    assert "release" in reply.text


def test_a_stuck_button_is_a_trouble_its_alarm_stays_and_may_be_reset():
    r, _, _ = pressed()
    effects = r.pass_time(121)
    (trouble,) = r.stored("PT", effects)
    assert dict(trouble.detail)["reason"] == "stuck"
    assert len(r.panel.ledger.open()) == 1
    assert r.of(e.Reply, r.reset())[0].ok
    over = r.stored("PJ", r.release())
    assert dict(over[0].detail)["reason"] == "stuck"


def test_after_a_reset_the_next_press_is_a_new_incident():
    r, alarm, _ = pressed()
    r.release()
    r.reset()
    (again,) = r.stored("PA", r.press())
    assert again.incident == again.id != alarm.id


def test_a_reset_of_one_zone_leaves_the_other():
    r = rig()
    r.click("booth-button")
    r.click("lid")
    r.reset(target="lid")
    assert [incident.zone for incident in r.panel.ledger.open()] == ["booth-button"]


def test_a_reset_of_an_unknown_zone_names_those_there_are():
    r, _, _ = pressed()
    (reply,) = r.of(e.Reply, r.reset(target="both-button"))
    assert not reply.ok
    assert "booth-button" in reply.text


def test_a_reset_with_nothing_open_says_so():
    (reply,) = (r := rig()).of(e.Reply, r.reset())
    assert not reply.ok


def test_an_unknown_verb_is_answered_with_those_there_are():
    r = rig()
    (reply,) = r.of(e.Reply, r.post(f.Command("c", "110", "disarm", "", "Li", "x")))
    assert not reply.ok
    assert "reset" in reply.text


# ── chatter ──


def storm(r, presses, pause=0.1):
    effects = []
    for _ in range(presses):
        effects += r.level("booth-button", LoopState.ALARM) + r.pass_time(0.06)
        effects += r.level("booth-button", LoopState.NORMAL) + r.pass_time(pause)
    return effects


def test_a_chattering_button_keeps_its_alarm_adds_a_trouble_and_counts_every_press():
    r = rig()
    effects = storm(r, 50) + r.pass_time(11)
    alarms = r.stored("PA", effects)
    assert len(alarms) < 50
    assert dict(alarms[-1].detail)["presses"] == 50
    assert dict(r.stored("PT", effects)[0].detail)["reason"] == "chatter"
    assert len(r.panel.ledger.open()) == 1


def test_chatter_is_over_after_a_quiet_minute():
    r = rig()
    storm(r, 30)
    (over,) = r.stored("PJ", r.pass_time(61))
    assert dict(over.detail)["reason"] == "chatter"


def test_twenty_presses_by_hand_in_a_minute_are_twenty_reports():
    r = rig()
    assert len(r.stored("PA", storm(r, 20))) == 20


# ── loops ──


def test_a_cut_loop_is_a_fault_and_no_alarm():
    r = rig()
    effects = r.level("booth-button", LoopState.OPEN) + r.pass_time(0.05)
    assert r.stored("PA", effects) == []
    (fault,) = r.stored("PT", effects)
    assert fault.cls is ReportClass.FAULT
    assert dict(fault.detail)["reason"] == "open"
    assert shown(effects)[Role.TROUBLE_LAMP] is Pattern.SLOW


def test_a_short_after_a_cut_ends_one_fault_and_begins_the_other():
    r = rig()
    r.level("booth-button", LoopState.OPEN)
    r.pass_time(0.05)
    effects = r.level("booth-button", LoopState.SHORT) + r.pass_time(0.05)
    assert dict(r.stored("PT", effects)[0].detail)["reason"] == "short"
    assert dict(r.stored("PJ", effects)[0].detail)["reason"] == "open"


def test_a_press_on_a_mended_loop_is_an_alarm():
    r = rig()
    r.level("booth-button", LoopState.OPEN)
    r.pass_time(0.05)
    assert len(r.stored("PA", r.press())) == 1


# ── receipts ──


def test_each_receiver_acknowledges_for_itself():
    r, alarm, _ = pressed()
    assert r.panel.ledger.pending() == 1
    r.receipt(alarm.id, "110")
    assert r.panel.ledger.pending() == 1
    r.receipt(alarm.id, "station")
    assert r.panel.ledger.pending() == 0


def test_acceptance_by_a_person_implies_receipt():
    r, alarm, _ = pressed()
    effects = r.receipt(alarm.id, "110", Step.ACCEPTED, "Wang")
    assert [(note.mark.step, note.mark.person) for note in r.of(e.Note, effects)] == [
        (Step.RECEIVED, ""),
        (Step.ACCEPTED, "Wang"),
    ]


def test_a_receipt_twice_is_kept_once():
    r, alarm, _ = pressed()
    r.receipt(alarm.id)
    assert r.of(e.Note, r.receipt(alarm.id)) == []


def test_a_receipt_for_a_report_that_never_was_changes_nothing():
    r, _, _ = pressed()
    assert r.of(e.Note, r.receipt(ReportId("p1", 1, 999))) == []


def test_the_chain_is_told_in_order_with_times_from_the_edge():
    r, alarm, _ = pressed()
    r.post(f.Stored(alarm.id))
    r.post(f.Brokered("main", alarm.id))
    r.pass_time(0.2)
    r.receipt(alarm.id)
    steps = [(p.step, p.by) for p in r.of(e.Progress) if p.id == alarm.id]
    assert steps == [
        (Step.RAISED, "panel"),
        (Step.STORED, "journal"),
        (Step.BROKERED, "main"),
        (Step.RECEIVED, "110"),
    ]
    assert r.of(e.Progress)[-1].after_s == pytest.approx(0.25, abs=1e-6)


def test_without_acknowledgement_an_alarm_is_repeated_after_2_4_5_5_seconds():
    r = rig()
    r.post(f.PathUp("main"))
    r.press()
    times = []
    for _ in range(3000):
        times += [r.mono_s - 100.03 for _ in r.of(e.Transmit, r.pass_time(0.01))]
    assert times == pytest.approx([2, 6, 11, 16, 21, 26], abs=0.02)


def test_repetition_stops_when_the_last_receiver_has_it():
    r, alarm, _ = pressed()
    r.post(f.PathUp("main"))
    r.receipt(alarm.id, "110")
    r.receipt(alarm.id, "station")
    assert r.of(e.Transmit, r.pass_time(60)) == []


def test_a_path_that_comes_back_gets_everything_unacknowledged_oldest_first():
    r = rig()
    r.click("booth-button")
    r.click("lid")
    sent = r.of(e.Transmit, r.post(f.PathUp("main")))
    assert [s.report.code for s in sent] == ["PA", "TA"]
    assert {s.attempt for s in sent} == {2}


def test_an_incident_is_forgotten_only_when_reset_and_acknowledged_by_all():
    r, alarm, _ = pressed()
    r.release()
    for who in ("110", "station"):
        r.receipt(alarm.id, who)
    assert r.of(e.Finish) == []
    (reset,) = r.stored("PR", r.reset())
    r.receipt(reset.id, "110")
    assert r.of(e.Finish) == []
    (finish,) = r.of(e.Finish, r.receipt(reset.id, "station"))
    assert set(finish.ids) == {alarm.id, reset.id}


def test_nobody_subscribed_is_a_fault_of_the_path_and_not_a_receipt():
    r, alarm, _ = pressed()
    effects = r.post(f.Refused("main", alarm.id, 0x10, "nobody is subscribed"))
    assert dict(r.stored("YX", effects)[0].detail)["source"] == "path main receiver"
    assert r.of(e.Progress, effects) == []
    assert r.stored("YZ", r.post(f.Brokered("main", alarm.id)))


# ── paths and troubles ──


def echoed(**changes):
    """A panel whose first path has just been echoed over by both receivers."""
    r = rig(**changes)
    path = changes.get("paths", ("main",))[0]
    r.post(f.PathUp(path))
    for receiver in ("110", "station"):
        r.post(f.Echo(path, receiver))
    r.effects.clear()
    return r


def live(r, seconds, path="main", receivers=("110", "station"), beat=10.0):
    """Time in which every beat is echoed."""
    got = []
    for _ in range(round(seconds / beat)):
        got += r.post(f.Beat(path))
        for receiver in receivers:
            got += r.post(f.Echo(path, receiver))
        got += r.pass_time(beat)
    return got


def test_a_path_over_which_nobody_echoes_is_lost_within_twenty_seconds_though_it_is_connected():
    r = echoed()
    live(r, 60)
    died = r.mono_s
    effects = r.post(f.Beat("main")) + r.pass_time(10)
    assert len(r.stored("YC", effects)) == 1
    assert r.mono_s - died <= 20
    assert len(r.stored("YK", r.post(f.Echo("main", "110")))) == 1


def test_a_connection_that_stays_away_is_a_loss_and_one_that_is_back_in_time_is_a_flap():
    r = echoed()
    r.post(f.PathDown("main", "reset by peer"))
    r.pass_time(3)
    r.post(f.PathUp("main"))
    r.post(f.Echo("main", "110"))
    assert r.stored("YC", live(r, 60)) == []
    r.post(f.PathDown("main", "refused"))
    assert len(r.stored("YC", r.pass_time(20))) == 1


def test_a_broker_that_ended_the_connection_itself_has_nineteen_seconds_to_be_back():
    r = echoed()
    live(r, 60)
    r.post(f.PathDown("main", "closed", closed=True))
    assert r.stored("YC", r.pass_time(18)) == []
    r.post(f.PathUp("main"))
    r.post(f.Echo("main", "110"))
    assert r.stored("YK") == []
    r.post(f.PathDown("main", "closed", closed=True))
    assert len(r.stored("YC", r.pass_time(20))) == 1


def test_the_path_lamp_is_lit_only_while_a_receiver_echoes():
    r = rig()
    assert Role.PATH_LAMP not in shown(r.post(f.PathUp("main")))
    assert shown(r.post(f.Echo("main", "110")))[Role.PATH_LAMP] is Pattern.STEADY
    r.post(f.Beat("main"))
    assert shown(r.pass_time(10))[Role.PATH_LAMP] is Pattern.OFF


def test_one_silent_receiver_beside_a_living_one_is_a_trouble_of_its_own():
    r = echoed()
    effects = live(r, 60, receivers=("110",))
    (trouble,) = r.stored("YX", effects)
    assert dict(trouble.detail)["source"] == "receiver station"
    assert r.stored("YC", effects) == []
    assert len(r.stored("YZ", r.post(f.Echo("main", "station")))) == 1


SLOW = PathSpec("dial", 90.0, "110")


def silent(r, effects):
    return [dict(told.detail)["source"] for told in r.stored("YX", effects)]


def test_a_receiver_is_silent_only_after_three_beats_of_the_quickest_way_to_it():
    r = echoed(paths=("main", SLOW))
    r.post(f.Echo("dial", "110"))
    lost = r.post(f.Beat("main")) + r.pass_time(80)  # the wire is dead: 90 s are the pace of what is left to 110
    assert [dict(report.detail)["path"] for report in r.stored("YC", lost)] == ["main"]
    assert silent(r, lost) == ["receiver station"]
    assert silent(r, r.post(f.Echo("dial", "110")) + r.pass_time(269)) == []
    (told,) = r.stored("YX", r.pass_time(1.5))
    assert dict(told.detail)["why"].startswith("receiver 110 has been silent for 270 s")


def test_a_quicker_way_that_comes_back_makes_the_patience_short_again():
    r = echoed(paths=("main", SLOW), receivers=("110", "station"))
    r.post(f.Beat("main"))
    r.pass_time(10)
    r.post(f.Echo("dial", "110"))
    effects = r.post(f.Echo("main", "station")) + live(r, 40, receivers=("station",))
    assert silent(r, effects) == ["receiver 110"]


def test_the_backup_leads_when_the_primary_is_lost_and_rests_when_it_is_back():
    r = echoed(paths=("wire", "radio"))
    r.post(f.PathUp("radio"))
    r.post(f.Echo("radio", "110"))
    r.post(f.Beat("wire"))
    leads = r.of(e.Lead, r.pass_time(10))
    assert leads == [e.Lead("wire", leading=False), e.Lead("radio", leading=True)]
    assert r.of(e.Lead, r.post(f.Echo("wire", "110"))) == [
        e.Lead("wire", leading=True),
        e.Lead("radio", leading=False),
    ]


def test_the_first_path_leads_from_the_start():
    r = Rig(Panel(spec(paths=("wire", "radio")), 1))
    assert r.of(e.Lead, r.start()) == [e.Lead("wire", leading=True), e.Lead("radio", leading=False)]


def test_a_path_that_never_came_up_is_reported():
    r = rig()
    assert len(r.stored("YC", r.pass_time(20))) == 1


def test_a_standing_trouble_is_reported_once_and_its_end_once():
    r = rig()
    assert len(r.stored("YX", r.post(f.Trouble("microphone", "gone")))) == 1
    assert r.stored("YX", r.post(f.Trouble("microphone", "gone"))) == []
    assert len(r.stored("YZ", r.post(f.TroubleOver("microphone")))) == 1
    assert r.stored("YZ", r.post(f.TroubleOver("microphone"))) == []


def test_a_journal_that_cannot_store_is_a_trouble_and_the_alarm_still_goes():
    r, alarm, effects = pressed()
    assert r.of(e.Transmit, effects)
    (trouble,) = r.stored("YX", r.post(f.NotStored(alarm.id, "disk full")))
    assert dict(trouble.detail) == {"source": "journal", "why": "disk full"}


def test_dropped_reports_are_told_in_band():
    r = rig()
    effects = r.post(f.ReportsDropped(ReportId("p1", 1, 3), ReportId("p1", 1, 9), 7))
    assert dict(r.stored("JO", effects)[0].detail) == {"first": "p1/1/3", "last": "p1/1/9", "count": 7}


def test_the_manifest_is_a_report_of_its_incident():
    r, alarm, _ = pressed()
    effects = r.post(f.EvidenceSealed(alarm.id, 5, 1000, "ab" * 32, complete=True))
    (sealed,) = r.stored("LE", effects)
    assert sealed.incident == alarm.id
    assert dict(sealed.detail)["manifest_sha256"] == "ab" * 32


@pytest.mark.parametrize(("loop", "covert"), [("booth-button", False), ("foot-bar", True)])
def test_the_manifest_of_an_incident_that_is_over_is_as_covert_as_its_alarm(loop, covert):
    r = rig()
    alarm = next(effect.report for effect in r.press(loop) if isinstance(effect, e.Transmit))
    r.release(loop)
    r.reset()
    for report in [effect.report for effect in r.of(e.Store) if effect.report.incident == alarm.id]:
        r.receipt(report.id, "110")
        r.receipt(report.id, "station")
    assert alarm.id not in r.panel.ledger.incidents
    (sealed,) = r.stored("LE", r.post(f.EvidenceSealed(alarm.id, 5, 1000, "ab" * 32, complete=True)))
    assert sealed.covert is covert


def test_a_path_that_breaks_is_given_all_unacknowledged_alarms_so_that_it_hurries_back():
    r = rig()
    r.post(f.PathUp("main"))
    alarm = next(effect.report for effect in r.press() if isinstance(effect, e.Transmit))
    r.post(f.Brokered("main", alarm.id))
    r.receipt(alarm.id, "110")
    (again,) = r.of(e.Transmit, r.post(f.PathDown("main", "gone")))
    assert again.report.id == alarm.id
    assert r.of(e.Transmit, r.post(f.PathDown("main", "still gone"))) == []


def test_a_path_that_breaks_is_given_nothing_that_every_receiver_has():
    r = rig()
    r.post(f.PathUp("main"))
    alarm = next(effect.report for effect in r.press() if isinstance(effect, e.Transmit))
    r.receipt(alarm.id, "110")
    r.receipt(alarm.id, "station")
    assert r.of(e.Transmit, r.post(f.PathDown("main", "gone"))) == []


# ── what the booth shows ──


def test_strobe_siren_and_lamp_begin_with_the_alarm():
    _, _, effects = pressed()
    lit = shown(effects)
    assert lit[Role.STROBE] is Pattern.FAST
    assert lit[Role.SIREN] is Pattern.STEADY
    assert lit[Role.LAMP] is Pattern.FAST


def test_the_siren_falls_silent_at_the_bell_cut_off_and_the_strobe_stays():
    r, _, _ = pressed()
    lit = shown(r.pass_time(181))
    assert lit[Role.SIREN] is Pattern.OFF
    assert lit.get(Role.STROBE, Pattern.FAST) is Pattern.FAST


def test_bell_off_silences_the_siren_and_nothing_else():
    r, _, _ = pressed()
    lit = shown(r.post(f.Command("c", "console", "bell-off", "", "Li", "")))
    assert lit == {Role.SIREN: Pattern.OFF}


def test_the_lamp_follows_the_chain():
    r, alarm, _ = pressed()
    r.post(f.Stored(alarm.id))
    assert shown(r.post(f.Brokered("main", alarm.id)))[Role.LAMP] is Pattern.SLOW
    assert shown(r.receipt(alarm.id))[Role.LAMP] is Pattern.DOUBLE
    assert shown(r.receipt(alarm.id, step=Step.ACCEPTED))[Role.LAMP] is Pattern.STEADY


def test_a_reset_darkens_everything():
    r, _, _ = pressed()
    r.release()
    lit = shown(r.reset())
    assert lit[Role.SIREN] is lit[Role.STROBE] is lit[Role.LAMP] is Pattern.OFF


def test_every_order_has_an_end_and_lasting_ones_are_renewed_before_it():
    r, _, _ = pressed()
    ends = {}
    for _ in range(100):
        for drive in r.of(e.Drive, r.pass_time(1)):
            assert drive.until_s < r.mono_s + 60
            ends[drive.role] = drive.until_s
        if r.mono_s > 115:
            assert ends[Role.STROBE] > r.mono_s


# ── silence ──


def test_a_hold_up_shows_and_says_nothing_at_the_booth():
    r = rig()
    effects = r.click("foot-bar") + r.pass_time(300)
    assert len(r.stored("HA", effects)) == 1
    assert r.of(e.Progress, effects) == []
    assert all("foot" not in line.text for line in r.of(e.Say, effects))
    lit = shown(effects)
    assert Role.STROBE not in lit
    assert Role.SIREN not in lit
    assert Role.LAMP not in lit


@pytest.mark.parametrize("trouble", ["stuck", "refused", "not stored"])
def test_no_trouble_that_a_hold_up_causes_lights_the_lamp(trouble):
    r = echoed()
    effects = r.press("foot-bar")
    (alarm,) = r.stored("HA", effects)
    r.effects.clear()
    if trouble == "stuck":
        live(r, 130)
    elif trouble == "refused":
        r.post(f.Refused("main", alarm.id, 0x10, "nobody"))
    else:
        r.post(f.NotStored(alarm.id, "disk full"))
    assert r.of(e.Say) == []
    assert Role.TROUBLE_LAMP not in shown(r.effects)
    assert any(store.report.covert for store in r.of(e.Store))


def test_the_console_neither_shows_nor_resets_a_hold_up_and_the_desk_does():
    r = rig()
    r.click("foot-bar")
    (reply,) = r.of(e.Reply, r.post(f.Command("c", "console", "status", "", "", "")))
    assert "open alarms 0; unacknowledged 0" in reply.text
    (reply,) = r.of(e.Reply, r.reset(origin="console"))
    assert not reply.ok
    assert len(r.panel.ledger.open()) == 1
    (reply,) = r.of(e.Reply, r.reset(origin="110"))
    assert reply.ok


def test_edges_that_a_hold_up_button_lost_are_not_told_to_the_booth():
    r = rig()
    effects = r.post(f.Trouble("edges of loop foot-bar", "three presses")) + r.post(
        f.TroubleOver("edges of loop foot-bar")
    )
    assert [report.covert for code in ("YX", "YZ") for report in r.stored(code, effects)] == [True, True]
    assert r.of(e.Say, effects) == []
    assert Role.TROUBLE_LAMP not in shown(effects)
    (told,) = r.stored("YX", r.post(f.Trouble("edges of loop booth-button", "three presses")))
    assert not told.covert


def test_a_hold_up_that_a_broker_takes_ends_no_trouble_that_shows():
    r, alarm, _ = pressed()
    r.post(f.Refused("main", alarm.id, 0x10, "nobody"))
    (silent,) = r.stored("HA", r.click("foot-bar"))
    effects = r.post(f.Brokered("main", silent.id))
    assert (r.stored("YZ", effects), r.of(e.Say, effects)) == ([], [])
    assert r.stored("YZ", r.post(f.Brokered("main", alarm.id)))


def test_a_trouble_that_a_hold_up_found_is_shown_once_anything_else_finds_it():
    r = rig()
    (silent,) = r.stored("HA", r.click("foot-bar"))
    r.post(f.NotStored(silent.id, "disk full"))
    (loud,) = r.stored("PA", r.press())
    effects = r.post(f.NotStored(loud.id, "disk full"))
    assert [report.covert for report in r.stored("YX", effects)] == [False]
    assert shown(effects)[Role.TROUBLE_LAMP] is Pattern.SLOW
    assert r.post(f.NotStored(loud.id, "disk full")) == []


def test_a_cut_hold_up_wire_is_shown_like_any_fault():
    r = rig()
    effects = r.level("foot-bar", LoopState.OPEN) + r.pass_time(0.05)
    assert shown(effects)[Role.TROUBLE_LAMP] is Pattern.SLOW


# ── after a power cut ──


def restarted(reports, marks=(), epoch=2):
    r = Rig(Panel(spec(), epoch), mono_s=5.0)
    r.start(reports, marks)
    return r


def test_the_latch_survives_a_power_cut_with_light_sound_capture_and_transmission():
    _, alarm, _ = pressed()
    r = restarted([alarm])
    assert [incident.id for incident in r.panel.ledger.open()] == [alarm.id]
    assert shown(r.effects)[Role.STROBE] is Pattern.FAST
    assert shown(r.effects)[Role.SIREN] is Pattern.STEADY
    assert [t.report for t in r.of(e.Transmit)] == [alarm]
    assert [c.incident for c in r.of(e.Capture)] == [alarm.id]


def test_what_was_acknowledged_before_the_cut_is_not_sent_again():
    old, alarm, _ = pressed()
    marks = [Mark(alarm.id, Step.RECEIVED, who, "", old.now) for who in ("110", "station")]
    r = restarted([alarm], marks)
    assert r.of(e.Transmit) == []
    assert len(r.panel.ledger.open()) == 1


def test_a_reset_before_the_cut_stays_a_reset():
    old, alarm, _ = pressed()
    old.release()
    (reset,) = old.stored("PR", old.reset())
    r = restarted([alarm, reset])
    assert r.panel.ledger.open() == []
    assert {t.report.code for t in r.of(e.Transmit)} == {"PA", "PR"}


def test_an_incident_whose_first_report_was_lost_can_be_reset():
    old, _, _ = pressed()
    old.release()
    (again,) = old.stored("PA", old.click())
    r = restarted([again])
    assert r.of(e.Reply, r.reset())[0].ok


def test_a_covert_alarm_restored_is_not_told_to_the_booth():
    old = rig()
    (alarm,) = old.stored("HA", old.click("foot-bar"))
    r = restarted([alarm])
    assert r.of(e.Say) == []
    assert dict(r.stored("RR")[0].detail)["restored"] == 0
    assert Role.STROBE not in {d.role for d in r.of(e.Drive) if d.pattern is not Pattern.OFF}


def test_an_alarm_that_the_journal_could_read_only_later_is_latched_sounded_and_sent_then():
    old, alarm, _ = pressed()
    mark = Mark(alarm.id, Step.RECEIVED, "110", "", old.now)
    r = restarted([])
    assert shown(r.effects).get(Role.STROBE, Pattern.OFF) is Pattern.OFF
    effects = r.post(f.Recovered((alarm,), (mark,)))
    assert shown(effects)[Role.STROBE] is Pattern.FAST
    assert shown(effects)[Role.SIREN] is Pattern.STEADY
    assert [t.report for t in r.of(e.Transmit, effects)] == [alarm]
    assert r.of(e.Note, effects) == [e.Note(mark)]
    assert r.of(e.Reply, r.reset())[0].ok


def test_an_alarm_read_later_leaves_what_is_pressed_meanwhile_as_it_is():
    _, alarm, _ = pressed()
    r = restarted([])
    (young,) = r.stored("PA", r.click())
    effects = r.post(f.Recovered((alarm,), ()))
    assert [t.report for t in r.of(e.Transmit, effects)] == [alarm]
    assert r.panel.zones["booth-button"].incident == young.id
    assert {incident.id for incident in r.panel.ledger.open()} == {alarm.id, young.id}
    r.reset()
    assert r.panel.zones["booth-button"].incident is None
    assert all(incident.closed for incident in r.panel.ledger.incidents.values())


def test_a_silent_alarm_read_later_shows_nothing_at_the_booth():
    old = rig()
    (alarm,) = old.stored("HA", old.click("foot-bar"))
    r = restarted([])
    effects = r.post(f.Recovered((alarm,), ()))
    assert r.of(e.Say, effects) == []
    assert set(shown(effects).values()) <= {Pattern.OFF}
    assert [t.report for t in r.of(e.Transmit, effects)] == [alarm]


def test_a_press_after_the_cut_on_a_latched_zone_joins_its_incident():
    _, alarm, _ = pressed()
    r = restarted([alarm])
    (again,) = r.stored("PA", r.press())
    assert again.incident == alarm.id
    assert again.id.epoch == 2
    assert dict(again.detail)["presses"] == 2


def test_a_zone_that_is_no_longer_configured_can_still_be_reset():
    _, alarm, _ = pressed()
    r = Rig(Panel(spec(zones=(FOOT,)), 2))
    r.start([alarm])
    assert r.of(e.Reply, r.reset(target=BUTTON.name))[0].ok


# ── health and codes ──


def test_health_follows_changes_within_a_second_and_repeats_every_half_minute():
    r = rig()
    r.pass_time(1)
    r.press()
    (health,) = r.of(e.Health, r.pass_time(1))
    assert (health.open_incidents, health.pending_alarms) == (1, 1)
    again = r.of(e.Health, r.pass_time(61))
    assert len(again) >= 2


def test_a_glitch_whose_two_edges_come_late_is_no_alarm():
    r = rig()
    for number in range(5):
        r.post(Level("booth-button", LoopState.ALARM, r.mono_s - 0.050))
        r.post(Level("booth-button", LoopState.NORMAL, r.mono_s - 0.035))
        r.pass_time(0.2 + number)
    assert r.stored("PA") == []
    assert r.panel.zones["booth-button"].debounce.glitches == 5


def test_a_press_whose_edge_comes_late_is_an_alarm_at_once():
    r = rig()
    r.post(Level("booth-button", LoopState.ALARM, r.mono_s - 0.050))
    r.pass_time(0.004)
    (alarm,) = r.stored("PA")
    assert alarm.raised.mono_s == pytest.approx(99.950)


def test_glitches_are_counted_in_the_health_and_are_no_alarm():
    r = rig()
    r.pass_time(1)
    for _ in range(3):
        r.level("booth-button", LoopState.ALARM)
        r.pass_time(0.015)
        r.release()
    assert r.stored("PA") == []
    assert r.of(e.Health, r.pass_time(30))[-1].glitches == (("booth-button", 3),)


def test_an_idle_panel_asks_to_be_woken_seldom():
    r = echoed()
    r.pass_time(120)
    wakes = 0
    end = r.mono_s + 60
    while r.panel.next_deadline() <= end:
        r.mono_s = r.panel.next_deadline()
        r.post(f.Tick())
        wakes += 1
    assert wakes <= 12


def test_every_code_has_words_in_both_languages():
    for code in CODES.values():
        assert code.en
        assert any("\u4e00" <= character <= "\u9fff" for character in code.zh)


def test_facts_from_the_future_are_taken_as_now():
    r = rig()
    r.post(Level("booth-button", LoopState.ALARM, r.mono_s + 1000))
    (alarm,) = r.stored("PA", r.pass_time(0.05))
    assert alarm.raised.mono_s == pytest.approx(100.0)


# ── found by breaking the code on purpose ──


def test_a_repetition_goes_over_the_paths_that_are_up_alone():
    r = rig(paths=("wire", "radio"))
    r.post(f.PathUp("radio"))
    r.press()
    assert [sent.path for sent in r.of(e.Transmit, r.pass_time(2.5))] == ["radio"]


@pytest.mark.parametrize(("steps", "sounds"), [((), True), ((Step.RECEIVED,), True), ((Step.ACCEPTED,), False)])
def test_after_a_power_cut_the_siren_sounds_again_until_a_person_has_accepted(steps, sounds):
    before = rig()
    before.press()
    (alarm,) = before.stored("PA")
    r = Rig(Panel(spec(), 8))
    effects = r.start([alarm], [Mark(alarm.id, step, "110", "", before.now) for step in steps])
    assert (shown(effects)[Role.SIREN] is Pattern.STEADY) == sounds
    assert shown(effects)[Role.STROBE] is Pattern.FAST


def after_a_cut(before):
    """The panel after a power cut, with the alarms and marks that the journal had."""
    marks = [note.mark for note in before.of(e.Note)]
    r = Rig(Panel(spec(), before.panel.ledger.open()[0].id.epoch + 1))
    return r, r.start(before.stored("PA") + before.stored("HA"), marks)


def siren(effects):
    return shown(effects).get(Role.SIREN)


def bell_off(r):
    return r.post(f.Command("c", "console", "bell-off", "", "Li", ""))


def test_a_siren_that_was_silenced_or_came_to_its_end_stays_silent_after_a_power_cut():
    for silence, by in ((bell_off, "console"), (lambda r: r.pass_time(181), "panel")):
        before = rig()
        before.click()
        silence(before)
        (mark,) = [note.mark for note in before.of(e.Note) if note.mark.step is Step.SILENCED]
        assert mark.by == by
        r, effects = after_a_cut(before)
        assert siren(effects) is not Pattern.STEADY
        assert shown(effects)[Role.STROBE] is Pattern.FAST
        assert siren(r.pass_time(60)) is not Pattern.STEADY
        assert siren(r.press()) is Pattern.STEADY


def test_a_press_after_the_silence_sounds_again_and_so_it_does_after_a_power_cut():
    before = rig()
    before.click()
    bell_off(before)
    assert siren(before.press()) is Pattern.STEADY
    _, effects = after_a_cut(before)
    assert siren(effects) is Pattern.STEADY
    assert siren(before.pass_time(181)) is Pattern.OFF


def test_a_button_that_is_still_held_when_the_panel_comes_back_does_not_break_the_silence():
    before = rig()
    before.press()
    bell_off(before)
    r, _ = after_a_cut(before)
    assert r.stored("PA", r.press())  # it is told, as every button that is held at the start
    assert siren(r.effects) is not Pattern.STEADY
    r.release()
    assert siren(r.press()) is Pattern.STEADY


def test_a_silent_alarm_has_no_siren_to_be_silenced():
    r = rig()
    r.press("foot-bar")
    bell_off(r)
    r.pass_time(200)
    assert r.of(e.Note) == []


def test_where_there_is_no_siren_nothing_is_kept_of_its_silence():
    r = rig(siren_s=0.0)
    assert siren(r.click()) is not Pattern.STEADY
    r.pass_time(10)
    assert r.of(e.Note) == []


def test_evidence_of_an_incident_that_nobody_knows_is_shown_to_nobody():
    r = rig()
    (told,) = r.stored("LE", r.post(f.EvidenceSealed(ReportId("p1", 1, 99), 3, 900, "ab" * 32, complete=True)))
    assert told.covert


# ── a panel that was given another name ──


def test_alarms_of_another_name_are_let_go_and_told_for_no_receiver_would_take_them():
    before = rig(panel="workshop")
    before.press()
    kept = before.stored("PA")
    r = Rig(Panel(spec(), 8))
    effects = r.start(kept)
    assert r.of(e.Finish, effects) == [e.Finish((kept[0].id,))]
    (told,) = r.stored("YX", effects)
    assert "1 alarm report(s) of panel workshop" in dict(told.detail)["why"]
    assert (r.panel.ledger.open(), r.panel.ledger.pending(), list(r.panel.troubles)) == ([], 0, [])
    assert r.of(e.Transmit, effects) == r.of(e.Capture, effects) == []
    r.press()
    assert r.panel.ledger.open()[0].id == ReportId("p1", 8, 3)


# ── what a technician is told who comes later ──


def status(r, origin="console"):
    (reply,) = r.of(e.Reply, r.post(f.Command("c9", origin, "status", "", "", "")))
    return reply.text


def test_the_console_tells_who_the_panel_is_and_why_each_trouble_stands():
    r = rig(version="1.2")
    r.post(f.Trouble("journal", "the disk is full: make room"))
    r.post(f.PathDown("main", "path main: 127.0.0.1:1883 refuses connections"))
    r.pass_time(20.0)
    panel, state, *why = status(r).splitlines()
    assert panel == "panel p1/1; version 1.2; clock set"
    assert state.startswith("open alarms 0; unacknowledged 0; paths up: none; troubles: journal; path main")
    assert why[:2] == ["- journal: the disk is full: make room", "- path main: 127.0.0.1:1883 refuses connections"]


def test_a_path_that_nobody_answers_on_says_so():
    r = rig()
    r.post(f.PathUp("main"))
    r.pass_time(20.0)
    assert "- path main: no receiver answers" in status(r).splitlines()


def test_a_stuck_button_is_told_with_its_limit_to_who_asks_later():
    r = rig()
    r.press()
    r.pass_time(121.0)
    assert "- zone booth-button stuck: button held longer than 120 s" in status(r).splitlines()


def test_the_desk_is_told_in_one_line_for_it_had_a_report():
    r = rig()
    r.post(f.Trouble("journal", "the disk is full: make room"))
    assert status(r, "110") == "open alarms 0; unacknowledged 0; paths up: none; troubles: journal"


def test_the_console_is_not_told_of_a_trouble_that_a_silent_alarm_causes():
    r = rig()
    r.press("foot-bar")
    r.pass_time(130.0)
    assert "zone foot-bar stuck" in r.panel.troubles
    assert "foot-bar" not in status(r)
    assert "zone foot-bar stuck" in status(r, "110")


def test_a_path_that_is_down_is_named_once_in_its_line():
    r = rig()
    r.post(f.PathUp("main"))
    (told,) = r.of(e.Say, r.post(f.PathDown("main", "path main: connection to broker:1883 lost")))
    assert told.text == "path main is down: connection to broker:1883 lost"
