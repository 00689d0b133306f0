"""Configuration files that no reader likes: the panel starts and goes on with the last good one, and says why."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from rigs.broker import free_port
from rigs.panel import PanelProcess, panel_toml

ENDLESS = "9" * 5000
BAD = {
    "a number of 5000 digits": ("port = {port}", f"port = {ENDLESS}", "has a number in line"),
    "a hexadecimal number of 5000 digits": ("port = {port}", f"port = 0x{'f' * 5000}", "path[1].port = 0xffff"),
    "5000 lists in each other": (
        "[journal]",
        f"[alarm]\nresend_s = {'[' * 5000}\n[journal]",
        "too many levels to read",
    ),
    "a NUL in key_file": ('name = "No. 1', 'key_file = "a\\u0000b"\nname = "No. 1', "panel.key_file = 'a\\x00b'"),
    "a NUL in password_file": ("port = {port}", 'port = 1\npassword_file = "a\\u0000b"', "password_file = 'a\\x00b'"),
    "a NUL in state_dir": ('state_dir = "', 'state_dir = "\\u0000', "panel.state_dir = '\\x00"),
    "a NUL that is no escape": ('state_dir = "', 'state_dir = "\0', "is not TOML"),
    "5000 parts of a key": ("port = {port}", f"port{'.a' * 5000} = 1", "has more than 300 dots in line"),
    "a user name of 70 000 letters": ("port = {port}", f'port = 1\nusername = "{"u" * 70_000}"', "the most is 65535"),
}


@pytest.fixture
def booth(tmp_path):
    made = PanelProcess(tmp_path, panel_toml(tmp_path, free_port()), env={"STATE_DIRECTORY": str(tmp_path / "state")})
    yield made
    made.stop()


def spoilt(good, name):
    """A good file with one of the mistakes, and what is to be told of it."""
    old, new, told = BAD[name]
    if old == "port = {port}":
        old = next(line for line in good.splitlines() if line.startswith("port = "))
    if name == "a NUL in key_file":
        good = "\n".join(line for line in good.splitlines() if not line.startswith("key_file"))
    assert old in good
    return good.replace(old, new, 1), told


@pytest.mark.parametrize("name", BAD)
def test_a_panel_starts_with_the_last_good_file_and_tells_what_is_wrong(booth, name):
    booth.start()
    assert booth.stop() == 0
    bad, told = spoilt(booth.config.read_text(), name)
    booth.config.write_text(bad)
    booth.start()
    trouble = booth.wait(lambda line: line.get("trouble", {}).get("source") == "configuration")["trouble"]
    assert "running with the last good one" in trouble["why"]
    assert told in trouble["why"]
    booth.click()
    booth.step("stored")


def test_a_panel_that_is_told_to_reload_keeps_the_running_file_and_tells_each_mistake(booth):
    booth.start()
    good = booth.config.read_text()
    for name in BAD:
        bad, told = spoilt(good, name)
        booth.config.write_text(bad)
        booth.signal(signal.SIGHUP)
        trouble = booth.wait(lambda line: line.get("trouble", {}).get("why", "").startswith("kept"))["trouble"]
        assert told in trouble["why"], name
    booth.click()
    booth.step("stored")


def test_a_file_without_end_is_refused_by_its_size_and_the_last_good_one_runs(booth):
    booth.start()
    assert booth.stop() == 0
    booth.config.unlink()
    booth.config.symlink_to("/dev/zero")
    booth.start()
    assert "is larger than 262144 bytes" in booth.told("last good")
    booth.signal(signal.SIGHUP)
    assert "is larger than 262144 bytes" in booth.told("kept the running one")
    booth.click()
    booth.step("stored")


@pytest.mark.parametrize("name", BAD)
def test_check_config_ends_with_a_sentence(tmp_path, name):
    good = panel_toml(tmp_path, free_port())
    bad, told = spoilt(good, name)
    file = tmp_path / "panel.toml"
    file.write_text(bad)
    done = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "check-config", file, "--lang", "en"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert json.dumps(done.stderr).count("\\u00") == 0
