"""What is repeated, and how often."""

from __future__ import annotations

from rigs.core import rig

from firmware.core import effects as e
from firmware.core import facts as f
from firmware.core.ledger import HASTY_REPEATS, OVER_MAX
from firmware.core.report import Mark, Step


def repeats(r, seconds):
    return len(r.of(e.Transmit, r.pass_time(seconds)))


def sent_over(effects, path):
    return sum(effect.path == path for effect in effects if isinstance(effect, e.Transmit))


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


# ── a path that carries away and brings nothing back ──

REFUSED = "path main: the broker refuses subscriptions"


def test_an_alarm_is_said_as_often_over_a_path_whose_subscriptions_were_refused():
    counts = []
    for told in (f.PathUp("main"), f.PathDown("main", REFUSED, stands=True)):
        r = rig()
        r.post(told)
        r.click()
        r.pass_time(3600)
        counts.append(sent_over(r.effects, "main"))
    assert counts[0] == counts[1] == 721


def test_over_a_connection_that_is_gone_nothing_is_repeated():
    r = rig()
    r.post(f.PathDown("main", REFUSED, stands=True))
    r.click()
    r.post(f.PathDown("main", "path main: cut"))
    assert repeats(r, 600) == 0


def test_a_deaf_path_beside_a_healthy_one_costs_the_healthy_one_nothing():
    healthy, both = rig(paths=("main", "spare")), rig(paths=("main", "spare"))
    both.post(f.PathDown("spare", REFUSED, stands=True))
    for r in (healthy, both):
        r.post(f.PathUp("main"))
        r.click()
        r.pass_time(600)
    assert sent_over(both.effects, "main") == sent_over(healthy.effects, "main") == 121
    assert sent_over(both.effects, "spare") == 121


def test_a_deaf_path_is_not_up_and_does_not_lead():
    r = rig(paths=("main", "spare"))
    r.post(f.PathUp("spare"))
    r.post(f.PathDown("main", REFUSED, stands=True))
    r.post(f.Echo("spare", "110"))
    (first, *_) = r.of(e.Lead, r.pass_time(20))
    assert (first.path, first.leading) == ("main", False)
    assert r.panel.ledger.paths_up == {"spare"}
    assert r.of(e.Lead, r.post(f.PathDown("main", REFUSED, stands=True))) == []


def test_a_path_that_hears_again_or_breaks_is_given_what_is_unacknowledged_once():
    r = rig()
    deaf = f.PathDown("main", REFUSED, stands=True)
    r.click()
    assert len(r.of(e.Transmit, r.post(deaf))) == 1
    assert r.of(e.Transmit, r.post(f.PathDown("main", f"{REFUSED}, all", stands=True))) == []
    assert len(r.of(e.Transmit, r.post(f.PathUp("main")))) == 1
    assert len(r.of(e.Transmit, r.post(deaf))) == 1
    assert len(r.of(e.Transmit, r.post(f.PathDown("main", "path main: cut")))) == 1
    assert r.of(e.Transmit, r.post(f.PathDown("main", "path main: still cut"))) == []


# ── who acknowledged over which path ──


def marks(effects):
    return [(note.mark.step, note.mark.by, note.mark.path) for note in effects if isinstance(note, e.Note)]


def on_two_paths(receivers=("110",)):
    r = rig(paths=("main", "dial"), receivers=receivers)
    (alarm,) = r.stored("PA", r.click())
    return r, alarm.id


def test_the_first_acknowledgement_counts_and_one_over_another_path_is_kept_and_changes_nothing():
    r, alarm = on_two_paths(("110", "station"))
    assert marks(r.receipt(alarm, path="main")) == [(Step.RECEIVED, "110", "main")]
    open_before, step = r.panel.ledger.pending(), r.panel.ledger.incidents[alarm].step
    r.mono_s += 1
    later = r.receipt(alarm, path="dial")
    assert marks(later) == [(Step.RECEIVED, "110", "dial")]
    assert not r.of(e.Progress, later) + r.of(e.Transmit, later) + r.of(e.Finish, later)
    assert (r.panel.ledger.pending(), r.panel.ledger.incidents[alarm].step) == (open_before, step)


def test_a_receiver_that_repeats_itself_a_thousand_times_fills_no_journal():
    r, alarm = on_two_paths()
    kept = []
    for number in range(1000):
        step = (Step.RECEIVED, Step.ACCEPTED)[number % 2]
        kept += marks(r.receipt(alarm, step=step, person=f"Li {number}", path=("main", "dial")[number // 2 % 2]))
    assert len(kept) == len(set(kept)) == 4


def test_a_person_s_word_over_another_path_is_kept_as_that_and_not_as_a_receipt_too():
    r, alarm = on_two_paths()
    first = r.receipt(alarm, step=Step.ACCEPTED, person="Li", path="main")
    assert marks(first) == [(Step.RECEIVED, "110", "main"), (Step.ACCEPTED, "110", "main")]
    (later,) = r.of(e.Note, r.receipt(alarm, step=Step.ACCEPTED, person="Li", path="dial"))
    assert (later.mark.step, later.mark.path, later.mark.person) == (Step.ACCEPTED, "dial", "Li")


def test_a_slower_path_is_kept_of_a_report_that_is_over_too_and_of_no_stranger():
    r, alarm = on_two_paths()
    r.receipt(alarm, path="main")
    (reset,) = r.stored("PR", r.reset())
    assert r.of(e.Finish, r.receipt(reset.id, path="main"))
    assert marks(r.receipt(reset.id, path="dial")) == [(Step.RECEIVED, "110", "dial")]
    assert marks(r.receipt(reset.id, path="dial")) == []
    for _ in range(OVER_MAX):
        (alarm,) = r.stored("PA", r.click())
        r.receipt(alarm.id, path="main")
        (other,) = r.stored("PR", r.reset())
        r.receipt(other.id, path="main")
    assert marks(r.receipt(reset.id, path="spare")) == [], "it is forgotten"


def test_what_was_kept_before_the_start_is_not_kept_again():
    before, alarm = on_two_paths()
    report = before.stored("PA")[0]
    kept = [Mark(alarm, Step.RECEIVED, "110", "", before.now, path) for path in ("main", "dial", "")]
    after = rig(epoch=2, paths=("main", "dial"), receivers=("110",))
    after.start([report], kept)
    assert marks(after.receipt(alarm, path="main") + after.receipt(alarm, path="dial")) == []
