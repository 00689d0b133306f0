"""What goes wrong around a panel: the message a technician reads, and a press that gets as far as it physically can."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from rigs.broker import Mosquitto, broker, free_port, make_broker  # noqa: F401 - fixtures
from rigs.panel import Desk, PanelProcess, panel_toml
from rigs.tls import Authority

from firmware.wire.sign import load_key


@pytest.fixture
def start(tmp_path):
    """Starts a panel with further lines in its file."""
    made = []

    def start_one(port, *, path="", more="", inside=()):
        panel = PanelProcess(tmp_path, panel_toml(tmp_path, port, path=path, more=more)).inside(*inside)
        made.append(panel)
        return panel.start()

    yield start_one
    for panel in made:
        panel.stop()


def delivered(tmp_path, port, panel):
    """A press reaches the desk."""
    desk = Desk("110", port, key=load_key(tmp_path / "110.key"), panel_key=load_key(tmp_path / "panel.key"))
    try:
        panel.say("press booth-button")
        panel.step("received", "110")
        return desk.wait("PA").zone == "booth-button"
    finally:
        desk.close()


def stored(panel):
    """A press is decided and stored."""
    panel.say("press booth-button")
    return panel.step("stored")["by"] == "journal"


# ── the link ──


def test_an_unreachable_broker_is_named_and_the_press_is_stored(start):
    port = free_port()
    panel = start(port)
    line = panel.told("path main")
    assert "127.0.0.1" in line
    assert str(port) in line
    assert "refuses connections" in line
    assert stored(panel)


def test_a_broker_that_is_no_host_is_named_and_the_press_is_stored(tmp_path, start):
    toml = panel_toml(tmp_path, 1883).replace('host = "127.0.0.1"', 'host = "no-such-broker.invalid"')
    panel = start(1883)
    panel.stop()
    panel.config.write_text(toml)
    panel.start()
    assert "no-such-broker.invalid" in panel.told("no-such-broker.invalid")
    assert stored(panel)


def test_a_wrong_password_is_told_as_such_and_the_press_is_stored(tmp_path, make_broker, start):  # noqa: F811
    guarded = make_broker(users={"p1": "right"})
    (tmp_path / "password").write_text("wrong\n")
    (tmp_path / "password").chmod(0o600)
    panel = start(guarded.port, path=f'username = "p1"\npassword_file = "{tmp_path}/password"')
    assert "password" in panel.told("path main").lower()
    assert stored(panel)


def test_a_missing_certificate_is_named_and_the_press_is_stored(tmp_path, broker, start):  # noqa: F811
    panel = start(broker.port, path=f'[path.tls]\nca_file = "{tmp_path}/none.pem"')
    assert f"{tmp_path}/none.pem" in panel.told("none.pem")
    assert stored(panel)


def test_a_certificate_of_another_authority_is_told_and_the_press_is_stored(tmp_path, make_broker, start):  # noqa: F811
    from rigs.broker import ServerTls  # noqa: PLC0415 - one test needs it

    right, wrong = Authority(tmp_path / "right", "right"), Authority(tmp_path / "wrong", "wrong")
    pair = right.issue("broker", san="IP:127.0.0.1")
    secured = make_broker(tls=ServerTls(right.ca, pair.cert, pair.key))
    panel = start(secured.port, path=f'[path.tls]\nca_file = "{wrong.ca}"')
    assert "certificate" in panel.told("path main").lower()
    assert stored(panel)


# ── sound and pictures ──


def test_a_microphone_that_is_not_there_is_told_and_the_alarm_is_delivered(tmp_path, broker, start):  # noqa: F811
    panel = start(broker.port, more='[microphone]\ndevice = "no such device"\n')
    trouble = panel.wait(lambda line: line.get("trouble", {}).get("source") == "microphone")["trouble"]
    assert "no such device" in trouble["why"]
    assert delivered(tmp_path, broker.port, panel)


def test_a_camera_that_nobody_answers_for_is_told_without_its_password(tmp_path, broker, start):  # noqa: F811
    url = f"rtsp://root:hunter2@127.0.0.1:{free_port()}/live"
    panel = start(broker.port, more=f'[camera.gate]\nurl = "{url}"\n')
    trouble = panel.wait(lambda line: line.get("trouble", {}).get("source") == "camera gate")["trouble"]
    assert "127.0.0.1" in trouble["why"]
    assert "hunter2" not in trouble["why"] + panel.errors
    assert delivered(tmp_path, broker.port, panel)


# ── the disk ──

UNSHARE = shutil.which("unshare")


def on_disk(state, options):
    """A prefix that gives a panel a disk of its own at `state`, in a mount namespace of its own."""
    script = f'mkdir -p "{state}" && mount -t tmpfs -o {options} tmpfs "{state}" && exec "$@"'
    prefix = (UNSHARE or "unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    able = UNSHARE and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    if not able:
        pytest.skip("mount namespaces are not allowed here (unshare --map-root-user --mount)")
    return prefix


@pytest.mark.parametrize("options", ["size=64k", "ro"], ids=["full disk", "read-only disk"])
def test_a_disk_that_takes_nothing_is_told_and_the_alarm_is_delivered(tmp_path, broker, start, options):  # noqa: F811
    panel = start(broker.port, inside=on_disk(tmp_path / "state", options))
    trouble = panel.wait(lambda line: line.get("trouble", {}).get("source") == "journal")["trouble"]
    assert str(tmp_path / "state") in trouble["why"]
    assert delivered(tmp_path, broker.port, panel)


def test_a_state_folder_that_is_a_file_is_told_and_the_alarm_is_delivered(tmp_path, broker, start):  # noqa: F811
    (tmp_path / "state").write_text("not a folder")
    panel = start(broker.port)
    trouble = panel.wait(lambda line: line.get("trouble", {}).get("source") == "journal")["trouble"]
    assert str(tmp_path / "state") in trouble["why"]
    assert delivered(tmp_path, broker.port, panel)
