"""The whole panel as a process, with a real broker, real files and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from rigs.broker import broker, make_broker  # noqa: F401 - fixtures
from rigs.panel import Desk, PanelProcess, panel_toml

from firmware.wire.sign import load_key


@pytest.fixture
def booth(tmp_path, broker):  # noqa: F811
    made = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port))
    yield made
    made.stop()


@pytest.fixture
def desks(tmp_path, broker, booth):  # noqa: F811
    both = [desk(tmp_path, broker.port, name) for name in ("110", "station")]
    yield both
    for one in both:
        one.close()


def desk(folder, port, name):
    return Desk(name, port, key=load_key(folder / f"{name}.key"), panel_key=load_key(folder / "panel.key"))


def test_a_press_goes_the_whole_way_to_both_receivers(booth, desks):
    booth.start()
    booth.say("press booth-button")
    seen = {}
    while len(seen) < 5:
        line = booth.wait(lambda line: "step" in line)
        seen[(line["step"], line["by"])] = line
    assert set(seen) == {
        ("raised", "panel"),
        ("stored", "journal"),
        ("brokered", "main"),
        ("received", "110"),
        ("received", "station"),
    }
    assert len({line["id"] for line in seen.values()}) == 1
    assert [one.wait("PA").zone for one in desks] == ["booth-button"] * 2


def test_reports_are_signed_and_carry_the_site(booth, desks):
    booth.start()
    booth.click()
    report = desks[0].wait("PA")
    assert report.signed
    assert report.site.name == "No. 1 School"


def test_what_a_panel_keeps_is_for_its_own_user_alone(booth, tmp_path):
    booth.start()
    booth.click()
    booth.step("stored")
    state = tmp_path / "state"
    assert [path for path in (state, *state.rglob("*")) if path.stat().st_mode & 0o077] == []


def test_an_orderly_stop_ends_with_status_zero(booth):
    booth.start()
    assert booth.stop() == 0


def test_a_press_without_any_broker_is_stored_and_survives_a_kill(tmp_path, broker):  # noqa: F811
    broker.stop()
    booth = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port)).start()
    booth.click()
    first = booth.step("stored")
    booth.kill()
    broker.start()
    receiver = desk(tmp_path, broker.port, "110")
    booth.start()
    report = receiver.wait("PA")
    assert str(report.id) == first["id"]
    assert booth.step("received")["id"] == first["id"]
    assert booth.stop() == 0
    receiver.close()


def test_the_epoch_rises_at_every_start(booth):
    epochs = []
    for _ in range(3):
        booth.start()
        booth.say("press booth-button")
        epochs.append(int(booth.step("raised")["id"].split("/")[1]))
        booth.kill()
    assert epochs == sorted(set(epochs))


def test_a_second_panel_on_the_same_folder_ends_at_once_and_names_the_first(booth):
    booth.start()
    done = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "run", "--config", booth.config],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert f"another panel runs as process {booth.pid} on" in done.stderr
    booth.click()
    booth.step("stored")


def test_a_kill_at_any_moment_of_a_press_loses_no_stored_alarm(booth, desks):
    stored = set()
    for _ in range(5):
        booth.start()
        booth.say("press booth-button")
        stored.add(booth.step("stored")["id"])
        booth.kill()
    booth.start()
    seen = set()
    while stored - seen:
        seen.add(str(desks[0].wait("PA").id))
    assert stored <= seen


def test_a_hold_up_is_in_no_line_of_log_or_steps(booth, desks):
    booth.start()
    booth.say("press foot-bar")
    assert desks[0].wait("HA").covert
    booth.say("press booth-button")
    booth.step("received", "110")
    booth.stop()
    assert "foot-bar" not in booth.errors
    assert "HA" not in booth.errors


def test_a_bad_configuration_without_a_good_one_before_is_refused_with_every_mistake(tmp_path):
    booth = PanelProcess(tmp_path, "[panel]\nid = 5\n", env={"STATE_DIRECTORY": str(tmp_path / "none")})
    done = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "run", "--config", booth.config],
        env=os.environ | {"STATE_DIRECTORY": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2
    assert "panel.id = 5: expected text, found a whole number" in done.stderr
    assert "correct the file and start again" in done.stderr


def test_a_configuration_gone_bad_keeps_the_last_good_one_and_reports_it(booth, desks):
    booth.start()
    booth.stop()
    booth.config.write_text(booth.config.read_text() + '\n[zone.booth-button]\npin = "x"\n')
    booth.start()
    trouble = desks[0].wait("YX")
    assert dict(trouble.detail)["source"] == "configuration"
    booth.click()
    assert desks[0].wait("PA").zone == "booth-button"


def test_a_bad_file_at_a_reload_changes_nothing_and_is_reported(booth, desks):
    booth.start()
    good = booth.config.read_text()
    booth.config.write_text(good.replace('type = "panic"', 'type = "picnic"'))
    booth.signal(signal.SIGHUP)
    trouble = desks[0].wait("YX")
    assert "picnic" in dict(trouble.detail)["why"]
    booth.click()
    assert desks[0].wait("PA").zone == "booth-button"


def test_a_good_file_at_a_reload_is_taken_up_and_the_latch_stays(booth, desks):
    booth.start()
    booth.click()
    before = desks[0].wait("PA")
    booth.config.write_text(booth.config.read_text().replace("No. 1 School", "No. 2 School"))
    booth.signal(signal.SIGHUP)
    booth.wait(lambda line: line.get("armed") is True)
    booth.click()
    after = before
    while after.id.epoch == before.id.epoch:  # the first alarm comes again if its receipt was still under way
        after = desks[0].wait("PA")
    assert after.site.name == "No. 2 School"
    assert after.incident == before.incident


def test_a_missing_receiver_key_is_reported_and_its_receipts_are_not_believed(tmp_path, booth, desks):
    (tmp_path / "station.key").rename(tmp_path / "station.key.away")
    booth.start()
    booth.click()
    booth.step("received", "110")
    with pytest.raises(AssertionError):
        booth.wait(lambda line: line.get("by") == "station", 1.0)
    sources = set()
    while "receiver station key" not in sources:
        sources.add(dict(desks[0].wait("YX").detail)["source"])
