"""A panel whose output nobody reads, and whose orders come at awkward moments: presses go through all the same."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from rigs.broker import broker, make_broker  # noqa: F401 - fixtures
from rigs.panel import PATIENCE_S, SOURCES, Desk, PanelProcess, panel_toml, write_keys

from firmware.wire.sign import load_key


@pytest.fixture
def desk(tmp_path, broker):  # noqa: F811
    write_keys(tmp_path, "panel", "110", "station")
    made = Desk("110", broker.port, key=load_key(tmp_path / "110.key"), panel_key=load_key(tmp_path / "panel.key"))
    yield made
    made.close()


@pytest.fixture
def unread(tmp_path, broker):  # noqa: F811
    """A panel that is started with pipes of which nobody reads a byte; gives the process."""
    (tmp_path / "panel.toml").write_text(panel_toml(tmp_path, broker.port, receivers=1))
    started = []

    def start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "firmware.cli", "run", "--config", tmp_path / "panel.toml"),
                *("--json-steps", "--control-stdin"),
            ],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            pipesize=4096,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


def tell(process, text):
    process.stdin.write(text.encode())
    process.stdin.flush()


def press_and_release(process, desk):
    tell(process, "press booth-button\n")
    seen = desk.wait("PA")
    tell(process, "release booth-button\n")
    desk.wait("PH")
    return seen


def test_presses_go_through_while_nobody_reads_the_steps(unread, desk):
    process = unread(stdout=subprocess.PIPE)
    for _ in range(12):  # some five steps of a hundred bytes each: more than the pipe holds
        press_and_release(process, desk)


def test_presses_go_through_when_whoever_read_the_steps_is_gone(unread, desk):
    process = unread(stdout=subprocess.PIPE)
    press_and_release(process, desk)
    process.stdout.close()
    for _ in range(3):
        press_and_release(process, desk)


def test_a_log_that_nobody_reads_keeps_the_panel_neither_from_a_reload_nor_from_its_end(unread, desk):
    process = unread(stderr=subprocess.PIPE)
    tell(process, ("rubbish " * 12 + "\n") * 100)
    before = press_and_release(process, desk)
    process.send_signal(signal.SIGHUP)
    desk.wait("RR")
    after = press_and_release(process, desk)
    assert after.id.epoch > before.id.epoch
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_a_reload_that_comes_while_the_panel_starts_waits_for_its_turn(unread, desk):
    process = unread()
    give_up_s = time.monotonic() + PATIENCE_S
    while not blocks_hangups(process.pid):
        assert time.monotonic() < give_up_s
    process.send_signal(signal.SIGHUP)
    epochs = [desk.wait("RR").id.epoch for _ in range(2)]
    assert epochs[0] < epochs[1]
    press_and_release(process, desk)


def blocks_hangups(pid):
    """Whether it has done its first thing: to hold a hang-up back, or to take it."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, mask = line.partition(":")
            if name in ("SigBlk", "SigCgt") and int(mask, 16) & 1 << signal.SIGHUP - 1:
                return True
    return False


def test_a_press_while_the_panel_stops_for_a_reload_is_reported(tmp_path, broker, desk):  # noqa: F811
    booth = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port, receivers=1, more=SOURCES)).start()
    os.kill(media_child(booth.pid), signal.SIGSTOP)  # it is waited for, some seconds, before the panel begins anew
    booth.signal(signal.SIGHUP)
    booth.told("stopping")
    booth.say("press booth-button")
    assert desk.wait("PA").zone == "booth-button"
    booth.say("release booth-button")
    booth.wait(lambda line: line.get("armed") is True)
    booth.stop()


def test_an_end_that_comes_while_the_panel_stops_for_a_reload_is_an_end(tmp_path, broker, desk):  # noqa: F811
    booth = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port, receivers=1, more=SOURCES)).start()
    os.kill(media_child(booth.pid), signal.SIGSTOP)
    booth.signal(signal.SIGHUP)
    booth.told("stopping")
    assert booth.stop() == 0


def media_child(pid):
    """The process that a panel started for its camera and microphone, once it works with threads of its own."""
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s:
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                if len(list(pathlib.Path(f"/proc/{child}/task").iterdir())) > 3:
                    return int(child)
    raise AssertionError("no media child")
