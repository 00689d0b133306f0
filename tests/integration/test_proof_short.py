"""A short run of the campaign behind docs/reliability.md; `make proof` is the long one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from proof import campaign, dials, image, subjects
from proof.cuts import sweep
from proof.page import DATA, PAGE, Row, load, render, stamped
from rigs import clusters

PLAN = campaign.SHORT


@pytest.fixture(scope="module")
def processes():
    return campaign.processes(PLAN)


def careless_sweep():
    return sweep(1, careless=True, stride=20, limit=250)  # strides over the states from before the first alarm


def held(result, rows):
    assert not result.failures, "\n".join(result.failures)
    assert len(result.rows) >= rows
    assert all(row.kept and row.trials and not row.lost and not row.invented for row in result.rows), result.rows


def test_no_power_cut_in_a_recorded_trace_loses_or_invents_an_alarm():
    found = [sweep(seed, stride=PLAN.stride) for seed in (1, 2)]
    assert [one.verdict.failures for one in found] == [[], []]
    assert sum(one.verdict.trials for one in found) > 250
    went = found[1].passed
    assert min(went.laps, went.copied, went.ends, went.groups, went.gaps, went.starts - 1) > 0, went


def test_a_journal_that_did_not_sync_would_be_caught():
    assert careless_sweep().verdict.lost > 0


def test_a_bad_cut_can_be_played_again_by_its_number():
    (failure, *_) = careless_sweep().verdict.failures
    number = int(failure.split("--only ")[1].split()[0].rstrip(":"))
    assert sweep(1, careless=True, only=number).verdict.failures[0].split(" (")[0] == failure.split(" (")[0]


@pytest.mark.skipif(bool(image.available()), reason="no file system image can be mounted here")
def test_no_power_cut_of_a_real_file_system_loses_an_alarm(tmp_path):
    found = image.cut_power(subjects.JournalSubject(), tmp_path, PLAN.image_cuts, seed=1)
    assert len(found) == PLAN.image_cuts
    assert sum(cut.accepted for cut in found) > PLAN.image_cuts
    assert not [cut for cut in found if cut.lost or cut.invented]


def test_the_same_rig_sees_a_peer_lose(tmp_path):
    (kill,) = image.kill_process(subjects.PahoSubject(), tmp_path, 1, seed=1)
    assert kill.lost == kill.accepted > 0


def test_what_was_accepted_reaches_the_desk_through_kills_bad_links_and_bad_disks(processes):
    held(processes, 10)
    assert sum("DC-09" in row.fault for row in processes.rows) == 3


def test_a_receiver_that_acknowledged_what_it_does_not_have_would_be_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(dials, "BAD", (dials.acknowledge,))
    assert dials.bad_receiver(tmp_path, "bad answers", 1, seed=1).lost == 1


@pytest.mark.skipif(bool(clusters.missing("nats")), reason="the Debian package nats-server is not installed")
def test_a_node_killed_in_a_storm_of_alarms_is_a_row():
    held(campaign.node_storms(PLAN), 1)


@pytest.fixture
def pool():
    yield
    campaign._pool().shutdown()
    campaign._pool.cache_clear()


def test_fewer_cuts_than_were_promised_are_a_broken_promise(pool):
    result = campaign.cuts(replace(PLAN, seeds=1, stride=200, sectors=1, cuts_least=10_000))
    assert not result.rows[0].kept
    assert "are no proof, 10000 are asked for" in result.failures[-1]
    assert campaign.Plan().cuts_least == 10_000


@pytest.mark.parametrize("kind", campaign.FAULTS)
def test_a_bad_disk_takes_nothing_that_was_called_stored(kind):
    found = [campaign.disk_fault(kind, seed) for seed in range(PLAN.disk_trials)]
    assert [failure for one in found for failure in one.failures] == []
    assert sum(one.accepted for one in found) > 0


def test_no_clock_lowers_an_epoch_or_costs_an_alarm():
    verdict = campaign.clock_epochs(1, PLAN.clock_starts)
    assert not verdict.failures
    assert verdict.trials == PLAN.clock_starts


def test_the_whole_panel_delivers_under_any_clock():
    assert [campaign.clock_panel(seed).failures for seed in range(PLAN.clock_panels)] == [[]] * PLAN.clock_panels


def test_a_state_folder_from_an_old_backup_uses_no_epoch_again():
    for right in (True, False):
        assert sum(campaign.restored(seed, clock_right=right).epochs_reused for seed in range(PLAN.restores)) == 0


@pytest.mark.parametrize(
    ("lost", "accepted", "said"),
    [(8, 8, "100"), (9_999, 10_000, "99.9"), (996, 1000, "99.6"), (49, 100, "49"), (79, 10_000, "0.79")],
)
def test_a_share_is_a_number_that_people_write(lost, accepted, said):
    row = Row("peers", "paho: power", "", "", 8, accepted, lost, 0, "1 … 1 … 1 / 1 … 1 … 1 / 8")
    assert f"lost {said} %" in render([row])


def test_every_row_says_when_and_from_what_it_was_run():
    run = stamped(Row("link", "black hole", "kept", "here", 1, 1, 0, 0))
    first = replace(run, date="2026-11-22", commit="abcd1234")
    other = replace(first, fault="silence", date="2026-11-28", commit="dcba4321+")
    page = render([first, other])
    assert "| 2026-11-22 abcd1234 |" in page
    assert "| 2026-11-28 dcba4321+ |" in page
    assert page.count(first.machine) == 1
    assert re.fullmatch(r"([0-9a-f]{8}\+?)?", run.commit)


@pytest.mark.skipif(not DATA.exists(), reason="the campaign has not run yet")
def test_the_page_is_what_the_last_campaign_wrote():
    assert PAGE.read_text(encoding="utf-8") == render(load())
