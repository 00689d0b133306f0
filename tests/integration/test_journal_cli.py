"""`gatebooth journal` beside a panel that writes."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.journals import Bench, make_report

from firmware import journal_cli
from firmware.cli import main
from firmware.config import JournalConfig
from firmware.core.effects import Finish, Note, Store
from firmware.core.report import Mark, Report, ReportId, Step
from hal.types import Instant

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef" * 4
CONFIG = JournalConfig(alarm_kib=256, event_kib=256)
PANEL = """
[panel]
id = "p1"
state_dir = "{state}"
board = "mock"
key_file = "{key}"
language = "zh"
[journal]
alarm_kib = 256
event_kib = 256
[zone.booth]
pin = 5
type = "panic"
[[path]]
name = "main"
host = "127.0.0.1"
[[receiver]]
name = "110"
"""


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "journal"


@pytest.fixture
def bench(folder):
    bench = Bench(folder=folder, config=CONFIG)
    bench.settle()
    yield bench
    bench.journal.close()


@pytest.fixture
def config(tmp_path, folder):
    (tmp_path / "panel.key").write_text(KEY + "\n")
    file = tmp_path / "panel.toml"
    file.write_text(PANEL.format(state=folder.parent, key=tmp_path / "panel.key"))
    return file


def tell(capsys, *arguments):
    """Status, output and errors of one call."""
    status = main(["journal", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def objects(capsys, *arguments):
    status, out, err = tell(capsys, "--json", *arguments)
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_json_tells_a_report_with_its_chain_in_one_object_a_line(bench, folder, capsys):
    report = bench.alarm(text="北门")
    bench.note(report, Step.RECEIVED)
    bench.note(report, Step.BROKERED, "main")
    bench.wait(1)
    start, alarm = objects(capsys, "--dir", folder)
    assert start == {"kind": "start", "epoch": bench.recovery.epoch}
    assert (alarm["kind"], alarm["n"], alarm["class"]) == ("report", 1, "alarm")
    assert (alarm["code"], alarm["zone"], alarm["detail"]) == ("PA", "booth", {"text": "北门"})
    assert (alarm["utc"], alarm["mono_ms"]) == ("2026-09-21T14:13:21.000Z", 101250)
    assert [(mark["step"], mark["by"]) for mark in alarm["marks"]] == [("brokered", "main"), ("received", "110")]
    assert alarm["finished"] is False


def test_an_acknowledgement_is_told_with_the_path_that_it_came_over(bench, folder, capsys):
    report = bench.alarm()
    for second, path in enumerate(("main", "dial", "")):
        at = Instant(200.0 + second, report.raised.utc_s + second, synced=True)
        bench.journal.handle(Note(Mark(report.id, Step.RECEIVED, "110", "", at, path)))
    bench.wait(1)
    assert [mark["path"] for mark in objects(capsys, "--dir", folder)[1]["marks"]] == ["main", "dial", ""]
    for spoken, over in (("en", "  over "), ("zh", "  经路径 ")):
        _, out, _ = tell(capsys, "--lang", spoken, "--dir", folder)
        told = [line.rpartition("  110")[2] for line in out.splitlines()[-3:]]
        assert told == [f"{over}main", f"{over}dial", ""]


def test_alarms_faults_and_status_are_told_in_the_order_of_their_identities(bench, folder, capsys):
    reports = [bench.alarm(code) for code in ("RR", "PA", "YC", "PR", "YK")]
    bench.finish(reports[1])
    bench.wait(1)
    rows = objects(capsys, "--dir", folder)[1:]
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["code"] for row in rows] == [report.code for report in reports]
    assert [row["class"] for row in rows] == ["status", "alarm", "fault", "alarm", "fault"]
    assert [row["finished"] for row in rows] == [False, True, False, False, False]


def test_reading_changes_nothing_and_takes_no_epoch(bench, folder, capsys):
    bench.alarm()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    for _ in range(3):
        objects(capsys, "--dir", folder)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    bench.journal.close()
    later = Bench(folder=folder, config=CONFIG)
    assert later.recovery.epoch == bench.recovery.epoch + 1
    later.journal.close()


def overflown(folder):
    bench = Bench(folder=folder, config=JournalConfig(alarm_kib=16, event_kib=32))
    bench.settle()
    for _ in range(300):
        bench.event()
        bench.wait(1.1)
    bench.journal.close()
    return bench


def test_gaps_and_starts_are_told_to_whoever_has_the_key(folder, config, tmp_path, capsys):
    bench = overflown(folder)
    shown = ("--config", config, "--covert", "--key-file", tmp_path / "panel.key")
    (gap,) = [row for row in objects(capsys, *shown) if row["kind"] == "gap"]
    assert gap["first"] == f"p1/{bench.recovery.epoch}/1"
    assert gap["count"] > 50
    _, out, _ = tell(capsys, *shown, "--lang", "en")
    assert f"{gap['count']} reports dropped: {gap['first']} to {gap['last']}" in out


def test_how_many_were_dropped_is_not_told_without_it_for_silent_ones_may_be_among_them(folder, capsys):
    overflown(folder)
    assert [row for row in objects(capsys, "--dir", folder) if row["kind"] == "gap"] == [{"kind": "gap"}]
    _, out, _ = tell(capsys, "--dir", folder, "--lang", "en")
    assert "older reports were dropped" in out


def test_text_for_people_in_both_languages(bench, folder, config, capsys):
    report = bench.alarm()
    bench.note(report, Step.ACCEPTED)
    bench.wait(1)
    _, english, _ = tell(capsys, "--dir", folder)
    assert "PA panic alarm  booth  #1" in english
    assert re.search(r"^ {4}2026-09-\d\d \d\d:\d\d:22  accepted  110$", english, re.MULTILINE)
    _, chinese, _ = tell(capsys, "--config", config)
    assert "PA 紧急报警  booth" in chinese
    assert "已接警  110" in chinese
    assert "panic" not in chinese
    _, asked, _ = tell(capsys, "--config", config, "--lang", "en")
    assert asked == english


def test_a_clock_that_was_never_set_is_named(bench, folder, capsys):
    report = Report(ReportId("p1", bench.recovery.epoch, 1), "PA", Instant(5.0, 12.0, synced=False), "booth")
    beyond = Report(ReportId("p1", bench.recovery.epoch, 2), "PA", Instant(5.0, 1e300, synced=False), "booth")
    bench.journal.handle(Store(report))
    bench.journal.handle(Store(beyond))
    _, out, _ = tell(capsys, "--dir", folder)
    assert "1970-01-01" in out
    assert "????" in out
    assert out.count("(clock not set)") == 2
    assert [row["utc"] for row in objects(capsys, "--dir", folder)[1:]] == ["1970-01-01T00:00:12.000Z", None]


def test_text_from_the_network_cannot_steer_the_terminal(bench, folder, capsys):
    report = bench.alarm()
    evil = Mark(report.id, Step.ACCEPTED, "110", "\x1b[2J\n王\ud800\u202e", Instant(1.0, 1.79e9, synced=True))
    bench.journal.handle(Note(evil))
    bench.wait(1)
    _, out, _ = tell(capsys, "--dir", folder)
    assert "(?[2J?王??)" in out
    assert out.count("\n") == 3
    (mark,) = objects(capsys, "--dir", folder)[1]["marks"]
    assert mark["person"] == evil.person


# ---- silent alarms


@pytest.fixture
def silent(bench):
    """A loud alarm, and a silent one with everything that can belong to it."""
    loud = bench.alarm()
    quiet = bench.alarm("HA", covert=True, text="duress-detail")
    bench.note(quiet, Step.ACCEPTED, "station-x")
    bench.event("LE", incident=quiet.id)
    bench.event("HT", covert=True)
    bench.wait(1)
    return loud


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_of_a_silent_alarm_is_shown(silent, folder, config, capsys, form):
    for where in (("--dir", folder), ("--config", config)):
        status, out, err = tell(capsys, *where, *form)
        assert status == 0
        assert "PA" in out
        for secret in ("HA", "HT", "LE", "duress-detail", "station-x", "hold-up", "劫持", "p1/"):
            assert secret not in out + err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_listing_is_the_same_whether_or_not_a_silent_alarm_came_in_between(tmp_path, capsys, form):
    listings = []
    for covert in (False, True):
        bench = Bench(folder=tmp_path / str(covert), config=CONFIG)
        first = make_report(bench.recovery.epoch, 1)
        seq = 5 if covert else 2
        last = Report(replace(first.id, seq=seq), "PR", first.raised, "booth", incident=first.id)
        for report in (first, last):
            bench.journal.handle(Store(report))
        if covert:
            bench.journal.handle(Store(make_report(bench.recovery.epoch, 2, "HA", covert=True)))
        bench.note(last, Step.ACCEPTED)
        bench.journal.close()
        listings.append(tell(capsys, "--dir", tmp_path / str(covert), *form)[1])
    without, beside = (re.sub(r"\d\d:\d\d:\d\d(\.\d+Z)?|\"mono_ms\": \d+", "", listing) for listing in listings)
    assert without == beside
    assert "2" in without


def test_what_belongs_to_an_incident_that_is_not_known_to_be_loud_is_not_shown(bench, folder, capsys):
    """The silent alarm itself was overwritten long ago; the report about its evidence was not."""
    bench.event("LE", incident=ReportId("p1", 1_700_000_000, 5))
    bench.wait(1)
    assert [row["kind"] for row in objects(capsys, "--dir", folder)] == ["start"]


def test_the_panels_key_shows_silent_alarms(silent, config, tmp_path, capsys):
    key = tmp_path / "presented.key"
    key.write_text(KEY.upper())
    rows = objects(capsys, "--config", config, "--covert", "--key-file", key)
    assert [row.get("code") for row in rows] == [None, "PA", "HA", "LE", "HT"]
    assert [row["covert"] for row in rows[1:]] == [False, True, False, True]
    _, out, _ = tell(capsys, "--config", config, "--covert", "--key-file", key, "--lang", "en")
    assert "[silent]" in out


def test_a_wrong_key_shows_nothing_at_all(silent, config, tmp_path, capsys):
    wrong = tmp_path / "wrong.key"
    wrong.write_text("f" * 64)
    status, out, err = tell(capsys, "--config", config, "--covert", "--key-file", wrong)
    assert (status, out) == (2, "")
    assert "is not the key of panel p1" in err
    assert KEY not in err


@pytest.mark.parametrize("options", [("--covert",), ("--covert", "--key-file", "x")])
def test_silent_alarms_need_a_configuration_and_a_key(silent, folder, capsys, options):
    status, out, err = tell(capsys, "--dir", folder, *options)
    assert (status, out) == (2, "")
    assert "--covert needs --config FILE and --key-file FILE" in err


def test_a_panel_without_a_key_shows_no_silent_alarms(silent, config, tmp_path, capsys):
    config.write_text(re.sub("key_file = .*\n", "", config.read_text()))
    status, out, err = tell(capsys, "--config", config, "--covert", "--key-file", tmp_path / "panel.key")
    assert (status, out) == (2, "")
    assert "panel.key_file is not set" in err


def test_an_empty_key_file_is_no_key(silent, config, tmp_path, capsys):
    (tmp_path / "panel.key").write_text("\n")
    status, out, err = tell(capsys, "--config", config, "--covert", "--key-file", tmp_path / "panel.key")
    assert (status, out) == (2, "")
    assert "has 0 hexadecimal digits: it must have 64" in err


# ---- what can be wrong


def test_the_state_folder_will_do_as_well_as_the_journals_own(bench, folder, capsys):
    bench.alarm()
    assert objects(capsys, "--dir", folder) == objects(capsys, "--dir", folder.parent)


def test_a_panel_that_never_ran_has_no_journal(tmp_path, capsys):
    status, out, err = tell(capsys, "--dir", tmp_path / "nowhere")
    assert (status, out) == (1, "")
    assert "no journal here; it is made when the panel first runs" in err


def test_a_bad_configuration_is_told_as_everywhere(tmp_path, capsys):
    (tmp_path / "panel.toml").write_text("[panel]\nid = 5\n")
    status, _, err = tell(capsys, "--config", tmp_path / "panel.toml")
    assert status == 1
    assert "panel.toml" in err


def test_without_an_option_the_usual_configuration_is_read(bench, config, capsys, monkeypatch):
    monkeypatch.setattr(journal_cli, "USUAL_CONFIG", config)
    bench.alarm()
    assert "PA" in tell(capsys)[1]


def test_without_an_option_and_a_configuration_it_says_what_to_name(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(journal_cli, "USUAL_CONFIG", tmp_path / "panel.toml")
    status, _, err = tell(capsys)
    assert status == 1
    assert err.startswith(f"{tmp_path}/panel.toml is not there: name the panel's file with --config")
    assert "没有" in tell(capsys, "--lang", "zh")[2]


def test_a_missing_key_file_is_named(silent, config, tmp_path, capsys):
    status, _, err = tell(capsys, "--config", config, "--covert", "--key-file", tmp_path / "none.key")
    assert status == 2
    assert "none.key is not there" in err


def test_damage_is_passed_over(bench, folder, capsys):
    for text in ("first", "second", "third"):
        bench.alarm(text=text)
    file = folder / "alarms-8x32768-0.seg"
    image = bytearray(file.read_bytes())
    image[image.index(b"PA")] ^= 1
    file.write_bytes(image)
    (folder / "alarms-8x32768-3.seg").unlink()
    (folder / "events-16x16384-0.seg").write_bytes(b"\xff" * 100)
    rows = [row for row in objects(capsys, "--dir", folder) if row["kind"] == "report"]
    assert [row["detail"]["text"] for row in rows] == ["second", "third"]


def test_unknown_files_in_the_folder_are_passed_over(bench, folder, capsys):
    bench.alarm()
    for name in ("alarms-0x0-0.seg", "alarms-8x99999999999-0.seg", "alarms-x.seg", "alarms-8x32768-0.seg.bad-1"):
        (folder / name).write_bytes(b"x")
    assert len(objects(capsys, "--dir", folder)) == 2


# ---- --follow


class Follower:
    """`gatebooth journal --follow --json` as a process."""

    def __init__(self, folder):
        command = [sys.executable, "-m", "firmware.cli", "journal", "--dir", str(folder), "--follow", "--json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def next(self):
        return self.lines.get(timeout=20)


@pytest.fixture
def follower(bench, folder):
    follower = Follower(folder)
    yield follower
    follower.process.kill()
    follower.process.wait(10)
    follower.process.stdout.close()


def test_following_tells_what_comes_as_it_comes(bench, follower):
    assert follower.next()["kind"] == "start"
    report = bench.alarm()
    assert follower.next()["n"] == 1
    bench.note(report, Step.RECEIVED)
    bench.wait(1)
    mark = follower.next()
    assert (mark["kind"], mark["n"], mark["step"]) == ("mark", 1, "received")
    bench.journal.handle(Finish((report.id,)))
    bench.wait(1)
    assert follower.next() == {"kind": "finish", "n": 1}
    quiet = make_report(bench.recovery.epoch, 7, "HA", covert=True)
    bench.journal.handle(Store(quiet))
    bench.journal.handle(Store(make_report(bench.recovery.epoch, 8, "PA")))
    assert follower.next()["n"] == 2
