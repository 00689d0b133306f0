"""Lines to readers that read, that stall, and that are gone."""

from __future__ import annotations

import json
import logging
import os

import pytest

from firmware import teller as teller_module
from firmware.teller import LogLines, Teller

DROPPED = '{"dropped": {count}}'


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            continue


def test_lines_come_in_order(pipe):
    teller = Teller(pipe[1], "steps", DROPPED)
    teller.say("one")
    teller.say("二")
    assert teller.stop()
    assert os.read(pipe[0], 100).decode() == "one\n二\n"


def test_a_reader_that_stalls_holds_nobody(pipe):
    teller = Teller(pipe[1], "steps", DROPPED)
    for _ in range(2 * teller_module.LINES_MAX):
        teller.say("x" * 100)
    assert not teller.stop(0.05)


def test_what_a_stalled_reader_missed_is_told_when_it_reads_again(pipe, monkeypatch):
    monkeypatch.setattr(teller_module, "LINES_MAX", 4)
    teller = Teller(pipe[1], "steps", DROPPED)
    big = "x" * 70_000
    for _ in range(9):
        teller.say(big)
    seen = b""
    while b"dropped" not in seen:
        seen += os.read(pipe[0], 65536)
    lines = seen.decode().splitlines()
    assert json.loads(lines[-1])["dropped"] == 9 - len(lines) + 1


def test_a_reader_that_is_gone_holds_nobody(pipe):
    os.close(pipe[0])
    teller = Teller(pipe[1], "steps", DROPPED)
    teller.say("one")
    teller.say("two")
    assert teller.stop()


def test_half_a_surrogate_pair_is_written_escaped(pipe):
    teller = Teller(pipe[1], "steps", DROPPED)
    teller.say("\ud800")
    assert teller.stop()
    assert os.read(pipe[0], 100) == b"\\ud800\n"


def test_a_record_that_cannot_be_formatted_is_told_all_the_same(pipe):
    teller = Teller(pipe[1], "log", DROPPED)
    LogLines(teller).emit(logging.LogRecord("gate", logging.INFO, "", 0, "%d", ("x",), None))
    assert teller.stop()
    assert b"cannot be formatted" in os.read(pipe[0], 200)
