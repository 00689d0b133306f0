"""The line between panel and media child: what is meant arrives, everything else is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import CameraConfig, MediaConfig, MicrophoneConfig, PathConfig, ReceiverConfig, TlsConfig
from firmware.core.effects import Capture, Seal
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.core.report import ReportId
from firmware.media import control
from firmware.media.control import Beat, CaptureAgain, ControlError, Lines
from firmware.media.spec import MediaSpec, NamedCamera

INCIDENT = ReportId("booth-1", 3, 17)
SPEC = MediaSpec(
    panel="booth-1",
    epoch=3,
    spool=Path("/var/lib/gatebooth/evidence"),
    path=PathConfig(
        name="primary", host="110.example", password_file=Path("/etc/pw"), tls=TlsConfig(ca_file=Path("/etc/ca"))
    ),
    receivers=(ReceiverConfig(name="110", key_file=Path("/etc/110.key")), ReceiverConfig(name="station")),
    cameras=(NamedCamera("gate", CameraConfig(url="rtsp://10.0.0.2/1")),),
    microphone=MicrophoneConfig(device="USB"),
    media=MediaConfig(pre_roll_s=12),
    key_file=None,
)
WORDS = [
    Beat(),
    EvidenceFile(INCIDENT, "clip", "gate", "0000000000000003-000000000001-gate-clip.mp4", "ab" * 32, 5),
    EvidenceSealed(INCIDENT, 3, 4000, "cd" * 32, complete=False),
    Trouble("camera gate", "es fehlt: 摄像机", (("url", "x"), ("tries", 3))),
    TroubleOver("microphone"),
]
ORDERS = [
    SPEC,
    Capture(INCIDENT, covert=True, until_s=1234.5),
    CaptureAgain(Capture(INCIDENT, covert=False, until_s=0.0)),
    Seal(INCIDENT),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_comes_back_as_it_was(order):
    (line,) = Lines().feed(control.encode_order(order))
    assert control.decode_order(line) == order


@pytest.mark.parametrize("word", WORDS, ids=lambda word: type(word).__name__)
def test_a_word_comes_back_as_it_was(word):
    (line,) = Lines().feed(control.encode_word(word))
    assert control.decode_word(line) == word


def test_a_panel_of_another_version_is_understood():
    newer = control.encode_order(SPEC).replace(b'"window":16', b'"invented":true')
    assert control.decode_order(newer) == SPEC


def test_a_capture_without_end_can_be_said():
    (line,) = Lines().feed(control.encode_order(Capture(INCIDENT, covert=False, until_s=float(2**60))))
    assert control.decode_order(line).until_s > 1e9


def test_lines_are_found_however_the_stream_is_cut():
    stream = b"".join(map(control.encode_word, WORDS))
    for size in (1, 2, 7, 1000):
        lines = Lines()
        found = [line for at in range(0, len(stream), size) for line in lines.feed(stream[at : at + size])]
        assert [control.decode_word(line) for line in found] == WORDS


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    lines = Lines()
    for _ in range(control.LINE_MAX // 1000):
        assert list(lines.feed(b"x" * 1000)) == []
    with pytest.raises(ControlError, match="bytes"):
        list(lines.feed(b"x" * 1000))


def test_what_a_library_says_is_made_printable():
    (line,) = Lines().feed(control.encode_word(Trouble("camera gate", "a\nb\x1b[2J\u202e" + "x" * 9000)))
    why = control.decode_word(line).why
    assert why.startswith("a b")
    assert len(why) <= control.WHY_MAX
    assert why.isprintable()


def changed(word, **changes):
    body = json.loads(control.encode_word(word)) | changes
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"t":"rm -rf"}',
        b'{"t":["beat"]}',
        b"[" * 60_000,
        changed(WORDS[1], name="../../etc/shadow"),
        changed(WORDS[1], name="a.mp4\n"),
        changed(WORDS[1], kind="manifest"),
        changed(WORDS[1], sha256="x"),
        changed(WORDS[1], size=-1),
        changed(WORDS[1], size=2**60),
        changed(WORDS[1], size=True),
        changed(WORDS[1], incident="booth-1"),
        changed(WORDS[1], incident=...),
        changed(WORDS[2], files="many"),
        changed(WORDS[2], complete=1),
        changed(WORDS[3], source="a\nb"),
        changed(WORDS[3], why=7),
        changed(WORDS[3], why="x" * 501),
        changed(WORDS[3], why="line\nbreak"),
        changed(WORDS[3], detail=[]),
        changed(WORDS[3], detail={"x": 1.5}),
        changed(WORDS[3], detail={"x": {"y": 1}}),
        changed(WORDS[3], detail={str(number): 1 for number in range(99)}),
    ],
)
def test_a_child_that_says_something_else_is_refused(line):
    with pytest.raises(ControlError):
        control.decode_word(line)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"t":"capture"}',
        b'{"t":"capture","incident":"a/1/2","covert":0,"until_ms":1,"again":false}',
        b'{"t":"capture","incident":"a/1/2","covert":false,"until_ms":-1,"again":false}',
        b'{"t":"seal","incident":5}',
        b'{"t":"spec"}',
        b'{"t":"spec","spec":{"panel":1}}',
        control.encode_order(SPEC).replace(b'"epoch":3', b'"epoch":"3"'),
        control.encode_order(SPEC).replace(b'"epoch":3', b'"era":3'),
        control.encode_order(SPEC).replace(b'"receivers":[', b'"receivers":[7,'),
        control.encode_order(SPEC)
        .replace(b'"cameras":[', b'"cameras":{"x":[')
        .replace(b'],"microphone"', b']},"microphone"'),
    ],
)
def test_a_panel_that_says_something_else_is_refused(line):
    with pytest.raises(ControlError):
        control.decode_order(line)


def refused_or_read(line):
    for decode in (control.decode_word, control.decode_order):
        with contextlib.suppress(ControlError):
            decode(line)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(line):
    refused_or_read(line)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab/\n.", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["t", "incident", "spec"]), inner),
    max_leaves=5,
)
_KEYS = st.sampled_from(["incident", "kind", "source", "why", "detail", "covert", "until_ms", "spec"])
_TYPES = st.sampled_from(["beat", "file", "sealed", "trouble", "over", "capture", "seal", "spec"])


@given(_TYPES, st.dictionaries(_KEYS, _JSON))
def test_no_object_at_all_raises_anything_else(kind, rest):
    refused_or_read(json.dumps(rest | {"t": kind}).encode())


def test_the_spec_holds_no_secret_only_the_names_of_files(tmp_path):
    line = control.encode_order(SPEC)
    assert b"/etc/110.key" in line
    assert b"password_file" in line
    assert b'"password"' not in line
