"""`gatebooth demo` as anybody starts it, without a terminal."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from firmware.demo.story import CHAIN

LIMIT_S = 90.0


@pytest.fixture
def play(tmp_path):
    """Starts a demonstration whose temporary files are ours to look at."""
    (tmp_path / "tmp").mkdir()
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "firmware.cli", "demo", "--json", "--keep", str(tmp_path / "kept"), *arguments]
        started.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines_of(process):
    out, errors = process.communicate(timeout=LIMIT_S)
    return [json.loads(line) for line in out.splitlines()], errors


def left_behind(folder):
    """Processes that still use the folder of a demonstration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words)
    return found


@pytest.mark.slow
def test_one_press_travels_to_two_desks_and_its_evidence_is_kept(play, tmp_path):
    process = play()
    lines, errors = lines_of(process)
    assert (process.returncode, lines[-1]) == (0, {"result": "ok"}), errors
    steps = [line for line in lines if "step" in line]
    assert {line["step"] for line in steps} == set(CHAIN)
    assert len({line["id"] for line in steps}) == 1
    assert all(line["ms"] >= 0 for line in steps)
    for step in ("received", "accepted"):
        assert {line["by"] for line in steps if line["step"] == step} == {"110", "station"}
    files = [line for line in lines if "evidence" in line]
    assert {line["kind"] for line in files} == {"still", "clip", "sound"}
    for file in files:
        path = Path(file["evidence"])
        assert path.is_relative_to(tmp_path / "kept")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    assert len(steps) + len(files) + 1 == len(lines)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert left_behind(tmp_path / "tmp") == []


@pytest.mark.slow
def test_a_camera_that_is_not_there_is_the_missing_link(play):
    process = play("--real-camera", "rtsp://127.0.0.1:9/gate", "--limit", "12")
    lines, _ = lines_of(process)
    assert process.returncode == 1
    assert lines[-1]["result"] == "failed"
    assert "still, clip" in lines[-1]["why"]
    assert {line["step"] for line in lines if "step" in line} == set(CHAIN)


def test_a_demonstration_that_is_ended_leaves_nothing_behind(play, tmp_path):
    process = play()
    assert "raised" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "tmp").iterdir()) == []
    assert left_behind(tmp_path / "tmp") == []


def test_a_demonstration_that_is_killed_leaves_no_process_behind(play, tmp_path):
    process = play()
    assert "raised" in process.stdout.readline()
    process.kill()
    process.communicate(timeout=LIMIT_S)
    deadline, pause = time.monotonic() + 20.0, threading.Event()
    while left_behind(tmp_path / "tmp") and time.monotonic() < deadline:
        pause.wait(0.05)
    assert left_behind(tmp_path / "tmp") == []
