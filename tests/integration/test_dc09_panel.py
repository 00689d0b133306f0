"""The whole panel with two ways out: an MQTT broker with a desk, and an alarm receiver that speaks DC-09."""

from __future__ import annotations

import pytest
from rigs.broker import broker, make_broker  # noqa: F401 - fixtures
from rigs.dc09 import Centre
from rigs.panel import Desk, PanelProcess, panel_toml

from firmware.wire.sign import load_key

KEY = "0123456789ABCDEF"


@pytest.fixture
def centre():
    made = Centre(KEY)
    yield made
    made.close()


@pytest.fixture
def booth(tmp_path, broker, centre):  # noqa: F811
    (tmp_path / "dial.key").write_text(KEY)
    dial = f"""
[[path]]
name = "dial"
kind = "dc09"
host = "127.0.0.1"
port = {centre.port}

[path.dc09]
account = "AAA1"
receiver = "centre"
key_file = "{tmp_path}/dial.key"
key_encoding = "text"
text = "North gate booth"

[[receiver]]
name = "centre"
"""
    made = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port, receivers=1, more=dial))
    yield made
    made.stop()


@pytest.fixture
def desk(tmp_path, broker, booth):  # noqa: F811
    made = Desk("110", broker.port, key=load_key(tmp_path / "110.key"), panel_key=load_key(tmp_path / "panel.key"))
    yield made
    made.close()


def test_one_press_is_acknowledged_by_both_in_their_own_dialects(booth, desk, centre):
    booth.start()
    booth.say("press booth-button")
    seen = set()
    while not {("received", "110"), ("received", "centre")} <= seen:
        line = booth.wait(lambda line: "step" in line)
        seen.add((line["step"], line["by"]))
    assert desk.wait("PA").zone == "booth-button"
    event = centre.wait("PA")
    assert event.encrypted
    assert event.message == "01"
    assert [item.value for item in event.extended_data if item.identifier == "I"] == ["North gate booth"]


def test_a_hold_up_reaches_both_and_is_in_no_line_of_log_or_steps(booth, desk, centre):
    booth.start()
    booth.say("press foot-bar")
    assert centre.wait("HA").message == "02"
    assert desk.wait("HA").covert
    booth.click()
    booth.step("received", "centre")
    booth.stop()
    assert "foot-bar" not in booth.errors
    assert "HA" not in booth.errors


def test_what_the_centre_has_is_not_sent_to_it_again_after_a_restart(booth, centre):
    booth.start()
    booth.say("press booth-button")
    booth.step("received", "centre")
    centre.wait("PA")
    assert booth.stop() == 0
    booth.start()
    booth.say("press foot-bar")
    centre.wait("HA")  # a second PA before it would fail


def test_a_bad_key_file_is_reported_over_the_other_path_and_nothing_goes_in_clear(booth, desk, centre, tmp_path):
    (tmp_path / "dial.key").write_text("short")
    booth.start()
    booth.click()
    booth.step("received", "110")
    why = ""
    while "dc09.key_file" not in why:
        why = str(dict(desk.wait("YX").detail)["why"])
    assert "has 5 characters: an AES key has 16, 24 or 32" in why
    assert centre.events.empty()
