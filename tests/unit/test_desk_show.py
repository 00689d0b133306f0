"""What the person at the desk sees and types."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import string
from pathlib import Path

import pytest
from rich.console import Console

from firmware.core.codes import ReportClass
from firmware.core.report import Report, ReportId, Step
from firmware.receiver import events as e
from firmware.receiver.desk import Desk
from firmware.receiver.evidence import Saved
from firmware.receiver.keys import LINE_MAX, Keys, Lines
from firmware.receiver.screen import PANELS_SHOWN, ScreenShow
from firmware.receiver.show import JsonShow, LineShow, as_lines
from firmware.receiver.words import WORDS, Words
from firmware.wire.command import Result
from firmware.wire.health import ReceivedHealth
from firmware.wire.report import Site, Stamp, decode_report, encode_report
from hal.types import Instant

INCIDENT = ReportId("school-7", 3, 14)
CLOCK = Instant(1000.0, 1_800_000_000.0, synced=True)
SAVED = Saved(INCIDENT, "still", "gate", "a.jpg", Path("/tmp/a.jpg"), 7, "0" * 64)


def came(code="PA", **changes):
    report = Report(INCIDENT, code, CLOCK, "booth-button", INCIDENT, detail=(("presses", 1),), **changes)
    payload = encode_report(report, site=Site("第七小学"), now=CLOCK, epoch=3, attempt=1, key=None)
    return e.ReportCame(decode_report(payload, None), duplicate=False, delayed_ms=None)


EVENTS = (
    came(),
    e.StepTaken(INCIDENT, Step.ACCEPTED, "Officer Li", 2600),
    e.FileSaved(SAVED, signed=True),
    e.Sealed(INCIDENT, 3, ("b.mp4",), complete=False, signed=True),
    e.HealthCame(ReceivedHealth("school-7", 3, True, Stamp(1, 2, True), 1, 2, ("journal",)), retained=True),  # noqa: FBT003
    e.ResultCame(Result("school-7", "x", ok=False, text="no")),
    e.Lost("school-7", 3, 5, 9),
    e.Warned("school-7", "epoch fell back"),
    e.Unsigned("school-7", 1_800_000_000_000, None, alive=False, alarm=True),
    e.SignedAgain("school-7", 1_800_000_000_000),
    e.Restored(2),
    e.LinkChanged("reports", up=False, why="nothing listens there"),
)


def kinds_of(events):
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("event", EVENTS, ids=kinds_of(EVENTS))
def test_every_event_is_one_json_line_that_says_what_it_is(event):
    out = io.StringIO()
    JsonShow(out).show(event)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["event"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("event", EVENTS, ids=kinds_of(EVENTS))
def test_every_event_is_a_line_of_text_in_both_languages(event, language):
    out = io.StringIO()
    LineShow(out, Words(language)).show(event)
    assert len(out.getvalue().splitlines()) == 1


def test_no_two_kinds_of_event_share_a_name_in_json():
    out = io.StringIO()
    for event in EVENTS:
        JsonShow(out).show(event)
    names = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert len(set(names)) == len(EVENTS)


def test_the_words_are_in_the_desks_language():
    assert "紧急报警" in as_lines(came(), Words("zh"))[0]
    assert "panic alarm" in as_lines(came(), Words("en"))[0]


def test_marks_of_an_alarm_are_shown():
    (line,) = as_lines(came(covert=True, drill=True), Words("en"))
    assert "[silent]" in line
    assert "[drill]" in line
    assert "[unverified]" in line


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_have_the_same_blanks(key):
    chinese, english = WORDS[key]
    assert blanks(chinese) == blanks(english)


def drawn(desk, *events):
    console = Console(file=io.StringIO(), width=140, height=40, force_terminal=True, color_system=None)
    screen = ScreenShow(Words("en"), "110", console)
    for event in events:
        screen.show(event)
    screen.refresh(desk, "")
    screen.close()
    return console.file.getvalue()


def test_the_screen_shows_incident_chain_and_panel():
    desk = Desk("110", "Officer Li", lambda: "x")
    desk.report(came().report, e.Moment(0.0, 0))
    desk.answer(INCIDENT, Step.ACCEPTED, e.Moment(2.5, 2500))
    text = drawn(desk, *EVENTS)
    for part in ("school-7/3/14", "panic alarm", "2500 ms", "a accept"):
        assert part in text


def test_a_panel_cannot_draw_on_the_screen_with_markup():
    desk = Desk("110", "Officer Li", lambda: "x")
    report = Report(ReportId("school-7", 1, 1), "PA", CLOCK, "x", None)
    payload = encode_report(report, site=Site("[blink]school[/blink]"), now=CLOCK, epoch=1, attempt=1, key=None)
    desk.report(decode_report(payload, None), e.Moment(0.0, 0))
    assert drawn(desk).count("[blink]") == 2


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, lambda data: os.write(write, data)
    os.close(read)


@pytest.fixture
def keys(pipe):
    return Keys(pipe[0], {"x": "reason: "})


def typed(keys, pipe, data):
    pipe[1](data)
    return keys.read()


def test_single_keys_come_one_by_one(keys, pipe):
    assert typed(keys, pipe, b"ad") == [("a", ""), ("d", "")]


def test_a_key_that_asks_waits_for_its_line(keys, pipe):
    assert typed(keys, pipe, b"xfalse al") == []
    assert keys.prompt.startswith("reason: false al")
    assert typed(keys, pipe, b"arm\r") == [("x", "false alarm")]
    assert keys.prompt == ""


def test_a_line_is_mended_and_given_up(keys, pipe):
    assert typed(keys, pipe, b"xab\x7fc\r") == [("x", "ac")]
    assert typed(keys, pipe, b"xabc\x1ba") == [("a", "")]


def test_a_chinese_character_cut_in_the_middle_comes_whole(keys, pipe):
    word = "误报".encode()
    assert typed(keys, pipe, b"x" + word[:2]) == []
    assert typed(keys, pipe, word[2:] + b"\r") == [("x", "误报")]


def test_a_line_has_a_limit(keys, pipe):
    pipe[1](b"x" + b"a" * 3000 + b"\r")
    (item,) = keys.read()
    assert item == ("x", "a" * LINE_MAX)


def test_lines_of_a_program_come_whole_with_their_text(pipe):
    lines = Lines(pipe[0])
    pipe[1](b"accept Officer Li\n\nreset fal")
    assert lines.read() == [("accept", "Officer Li")]
    pipe[1](b"se alarm\n")
    assert lines.read() == [("reset", "false alarm")]


def test_a_report_class_has_a_word_in_both_languages():
    assert all(cls.value in WORDS for cls in ReportClass)


UNSIGNED = e.Unsigned("school-7", 1_800_000_000_000, 1_799_999_000_000, alive=False, alarm=False)


def test_a_panel_without_its_key_is_said_to_be_lost_in_both_languages():
    (english,), (chinese,) = (as_lines(UNSIGNED, Words(language)) for language in ("en", "zh"))
    assert "school-7: speaks without a valid signature since 2027-" in english
    assert "treat it as lost" in english
    assert "没有有效签名" in chinese
    assert "按失联处理" in chinese


def test_a_stranger_under_a_panels_name_is_told_apart_from_the_panel_without_its_key():
    (line,) = as_lines(dataclasses.replace(UNSIGNED, alive=True), Words("en"))
    assert "somebody uses its name" in line
    assert "lost" not in line


def test_the_screen_keeps_a_panel_without_its_key_in_sight_until_it_signs_again():
    desk = Desk("110", "Officer Li", lambda: "x")
    flood = [e.Warned("", f"line {n}") for n in range(50)]
    assert "without a valid signature" in drawn(desk, UNSIGNED, *flood)
    assert "without a valid signature" not in drawn(desk, UNSIGNED, *flood, e.SignedAgain("school-7", 0), *flood)


def test_a_crowd_of_names_without_a_key_does_not_fill_the_screen():
    crowd = [dataclasses.replace(UNSIGNED, panel=f"name-{n}") for n in range(1000)]
    assert (
        drawn(Desk("110", "Officer Li", lambda: "x"), *crowd, *[e.Warned("", "x")] * 50).count("name-") == PANELS_SHOWN
    )
