"""The real bench's board: what it is told, in which words, and what becomes of it when it goes away."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from hil.api import Setup
from hil.real import bench as bench_module
from hil.real import board as board_module
from hil.real.bench import RealBench
from hil.real.parts import BoardGoneError
from rigs.bench_table import House, fakes

STUBS = {
    "nohup": 'exec "$@"',
    "sleep": ":",
    "taskset": 'shift; echo "cpu $1" >> told; shift; exec "$@"',
    "chrt": 'echo "$*" >> told',
    "nproc": "echo 3",
}


@pytest.fixture
def parts():
    return fakes()


@pytest.fixture
def table_bench(tmp_path, parts):
    made = RealBench(House(tmp_path), tmp_path, Setup(), parts)
    made.begin()
    yield made
    made.close()


def test_armed_is_what_systemd_heard_on_the_benchs_own_clock(table_bench, parts):
    armed_s = table_bench.panel.wait_armed()
    assert table_bench.panel.wait_armed() == pytest.approx(armed_s, abs=0.5)
    parts.shell.answers["ActiveEnterTimestampMonotonic"] = ["0", "activating", "10.0"]
    with pytest.raises(AssertionError, match="not armed within"):
        table_bench.panel.wait_armed(0.1)


def test_the_whole_board_is_weighed_by_its_own_kernel(table_bench, parts):
    parts.shell.answers["/proc/stat"] = ["cpu  100 0 100 9000 0 0 0 0 0 0", "MemAvailable:  512000 kB"]
    load = table_bench.panel.machine()
    assert (load.available_mib, load.busy_s) == (500.0, 2.0)


def test_a_power_cut_waits_for_the_capacitors(table_bench, parts, monkeypatch):
    waits = []
    monkeypatch.setattr(bench_module.time, "sleep", waits.append)
    table_bench.power.cut(7)
    parts.shell.answers["boot_id"] = ["boot-2", "0"]
    table_bench.power.on()
    assert parts.supply.orders == ["on", "off", "on"]
    assert waits == [bench_module.OFF_S]


def test_a_command_that_fails_on_the_board_fails_the_test_by_name(table_bench, parts):
    parts.shell.status = 1
    with pytest.raises(AssertionError, match="on the board: systemctl kill --kill-who=main --signal=STOP gatebooth"):
        table_bench.panel.hang()
    parts.shell.status = 0


def _sent(parts, word):
    return next(command for command in reversed(parts.shell.commands) if word in command)


def test_a_frozen_board_has_a_loop_on_every_processor(table_bench, parts, tmp_path, monkeypatch):
    limit, share = tmp_path / "limit", tmp_path / "share"
    share.write_text("50000000")
    monkeypatch.setattr(board_module, "RT_LIMIT", str(limit))
    monkeypatch.setattr(board_module, "FAIR_SHARES", f"{share} {tmp_path}/none*/runtime")
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    table_bench.panel.freeze_machine()
    # in the foreground, so that its end can be awaited
    command = _sent(parts, "nohup").removesuffix(" >/dev/null 2>&1 &")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert limit.read_text() == "-1\n"
    assert share.read_text() == "0\n"
    told = (tmp_path / "told").read_text().splitlines()
    assert sorted(told) == ["-f 99 sh -c while :; do :; done"] * 3 + ["cpu 0", "cpu 1", "cpu 2"]


def test_the_clock_is_right_when_a_test_begins_and_the_boards_own_again_when_it_ends(tmp_path, parts):
    bench = RealBench(House(tmp_path), tmp_path, Setup(), parts)
    bench.begin()
    told_s = float(_sent(parts, "date -u -s").split("@")[1].split()[0])
    assert told_s == pytest.approx(time.time(), abs=30)
    assert parts.shell.commands.index(_sent(parts, "date -u -s")) < parts.shell.commands.index(_sent(parts, "find"))
    bench.clock.set(0.0)
    bench.close()
    assert float(_sent(parts, "date -u -s").split("@")[1].split()[0]) == pytest.approx(time.time(), abs=30)
    assert "then systemctl start systemd-timesyncd" in parts.shell.commands[-1]


def test_the_panels_words_leave_the_board_at_the_cables_speed_and_its_errors_do_not(table_bench, parts):
    lines = parts.shell.files["/etc/systemd/system/gatebooth.service.d/bench.conf"].splitlines()
    assert "ExecStartPre=+/bin/stty -F /dev/ttyAMA3 115200 raw -echo" in lines
    assert {"StandardOutput=tty", "TTYPath=/dev/ttyAMA3", "StandardError=journal"} < set(lines)
    assert lines[-2:] == ["ExecStart=", f"ExecStart={board_module.PROGRAM} --json-steps"]


def test_a_board_that_goes_away_between_two_words_is_waited_for(table_bench, parts):
    calm = parts.shell.run
    away = iter([False, True, False])  # there, gone before its next word, and there again

    def run(command, *, timeout=None):
        if next(away, False):
            raise BoardGoneError("TimeoutExpired")
        return calm(command, timeout=timeout)

    parts.shell.run = run
    assert table_bench.panel.wait_armed(20.0) > 0
    assert next(away, None) is None


@pytest.mark.parametrize("silence", [255, BoardGoneError("no route to host")])
def test_a_board_that_does_not_answer_is_waited_for_only_so_long(table_bench, parts, silence):
    status, answers = parts.shell.status, dict(parts.shell.answers)
    if isinstance(silence, int):
        parts.shell.status = silence
    else:
        parts.shell.answers = {"": silence}
    with pytest.raises(AssertionError, match=r"did not answer within 0\.1 s.*(255|no route)"):
        table_bench.board.wait_shell(0.1)
    parts.shell.status, parts.shell.answers = status, answers


def test_bites_are_counted_over_resets_that_forget_the_journal(table_bench, parts):
    bites = table_bench.panel.bites()
    parts.shell.answers["boot_id"] = ["boot-1", "1"]
    assert table_bench.panel.bites() == bites + 1
    parts.shell.answers["boot_id"] = ["boot-2", "0"]
    assert table_bench.panel.bites() == bites + 2
    parts.shell.answers["boot_id"] = ["boot-2", "2"]
    assert table_bench.panel.bites() == bites + 4


def test_what_the_bench_itself_ended_is_no_bite(table_bench, parts, monkeypatch):
    monkeypatch.setattr(bench_module, "OFF_S", 0.0)
    bites = table_bench.panel.bites()
    table_bench.power.cut(7)
    parts.shell.answers["boot_id"] = ["boot-2", "0"]
    table_bench.panel.wait_armed()
    table_bench.panel.crash_kernel()
    parts.shell.answers["boot_id"] = ["boot-3", "0"]
    table_bench.panel.wait_armed()
    assert table_bench.panel.bites() == bites
    parts.shell.answers["boot_id"] = ["boot-4", "0"]
    assert table_bench.panel.bites() == bites + 1


def test_a_supply_that_does_not_switch_the_board_is_found_out(table_bench, parts, monkeypatch):
    monkeypatch.setattr(bench_module, "OFF_S", 0.0)
    table_bench.power.cut(7)
    with pytest.raises(AssertionError, match="ran on while its supply was off"):
        table_bench.panel.wait_armed(5.0, after_s=time.monotonic())
    parts.shell.answers["boot_id"] = ["boot-2", "0"]
