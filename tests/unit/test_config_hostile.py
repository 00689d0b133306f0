"""Files made or damaged so that no reader would like them: each is a mistake that is told, never a crash."""

from __future__ import annotations

import dataclasses
import re
import time
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware import check_config
from firmware.cli import main
from firmware.config import (
    AlarmConfig,
    CameraConfig,
    MicrophoneConfig,
    OutputConfig,
    PanelConfig,
    PathConfig,
    ZoneConfig,
)
from firmware.config_dc09 import Dc09Config
from firmware.config_file import PROBLEMS_MAX, SIZE_MAX, ConfigError, check_files, load, parse
from firmware.core.facts import Trouble
from firmware.run import Process
from firmware.wire.fields import UNPRINTABLE

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

GOOD = {
    "panel": {"id": '"anqiu-0042"', "state_dir": '"/var/lib/gatebooth"'},
    "zone.booth-button": {"pin": "17", "type": '"panic"'},
    "[path]": {"name": '"main"', "host": '"broker.example"'},
    "[receiver]": {"name": '"110"'},
}
RECORDS = (PanelConfig, ZoneConfig, OutputConfig, PathConfig, Dc09Config, AlarmConfig, CameraConfig, MicrophoneConfig)
KEYS = sorted({field.name for record in RECORDS for field in dataclasses.fields(record)} | {"dc09.account", "stray"})
TABLES = (*GOOD, "camera.gate", "microphone", "console", "alarm", "output.siren", "media", "path.dc09", "stray")
DEEP = 5000


def toml(**tables):
    """A file of tables; a good panel's, with further keys."""
    whole = {name: dict(keys) for name, keys in GOOD.items()}
    for name, keys in tables.items():
        whole.setdefault(name, {}).update(keys)
    text = ""
    for name, keys in whole.items():
        text += f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    return text.encode("utf-8")


def problems(raw, language="en"):
    with pytest.raises(ConfigError) as caught:
        parse(raw, "panel.toml", language)
    return caught.value.problems


plain = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
        lambda text: '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'
    ),
    st.sampled_from(["1979-05-27", "07:32:00", "0000-00-00", '"/dev/zero"', '"%s"' % ("u" * 70000)]),
    st.integers(3000, 5000).flatmap(lambda digits: st.sampled_from(["9" * digits, "0x" + "f" * digits])),
    st.integers(1, DEEP).map(lambda levels: "[" * levels + "]" * levels),
    st.integers(1, DEEP).map(lambda levels: "{a = " * levels + "1" + "}" * levels),
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"), max_leaves=4
)
keys = st.one_of(st.sampled_from(KEYS), st.integers(1, DEEP).map(lambda parts: ".".join("a" * parts)))
tables = st.dictionaries(st.sampled_from(TABLES), st.dictionaries(keys, values, max_size=3), max_size=3)


@given(st.one_of(st.binary(max_size=200), tables.map(lambda found: toml(**found))), st.sampled_from(["zh", "en"]))
@example(toml(panel={"key_file": '"a\\u0000b"'}), "en")
@example(toml(**{"[path]": {"port": "0x" + "f" * 5000}}), "en")
@example(b"a = " + b"[" * 5000, "en")
def test_whatever_the_bytes_are_they_are_a_panel_or_told_as_no_panel(raw, language):
    try:
        told = ["good", *check_files(parse(raw, "x", language), language)]
    except ConfigError as error:
        told = error.problems
    assert told
    assert not [line for line in told if UNPRINTABLE.search(line) or len(line) > 2000]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (toml(**{"[path]": {"port": "9" * 5000}}), "has a number in line 10 too long to read; correct it"),
        (toml(**{"[path]": {"port": "0x" + "f" * 5000}}), "path[1].port = 0xffff"),
        (toml(**{"[path]": {"port": f"[{'0x' + 'f' * 5000}]"}}), "path[1].port = …: expected a whole number, found a"),
        (toml(alarm={"resend_s": "[" * 5000}), "has lists or tables inside each other, too many levels to read"),
        (toml(alarm={"resend_s": "{a = " * 5000}), "has lists or tables inside each other, too many levels to read"),
        (toml(panel={"key_file": '"a\\u0000b"'}), "panel.key_file = 'a\\x00b': holds control characters"),
        (toml(panel={"state_dir": '"a\\u0000b"'}), "panel.state_dir = 'a\\x00b': holds control characters"),
        (toml(panel={"state_dir": '""'}), "panel.state_dir = '': expected a file name of 1 to 4095 bytes"),
        (toml(panel={"state_dir": f'"/{"d" * 4095}"'}), "expected a file name of 1 to 4095 bytes"),
        (toml(panel={"name": '"school\\u001b[2J"'}), "panel.name = 'school\\x1b[2J': holds control characters"),
        (toml(**{"[path]": {"password_file": '"a\\u0000b"'}}), "path[1].password_file = 'a\\x00b': holds control"),
        (toml(**{"[path]": {"username": '"a\\u0000b"'}}), "path[1].username = 'a\\x00b': holds control characters"),
        (toml(**{"[path]": {"username": f'"{"u" * 65536}"'}}), "…: the most is 65535 bytes"),
        (toml(**{"[path]": {"username": f'"{"名" * 21846}"'}}), "…: the most is 65535 bytes"),
        (toml(**{"[path]": {"host": f'"{"h" * 64}.example"'}}), "expected a host name or address alone"),
        (toml(**{"[path]": {"host": '"broker..example"'}}), "expected a host name or address alone"),
        (toml(**{"camera.gate": {"url": '"rtsp://h/\\u0000"'}}), "holds control characters"),
        (toml(console={"port": '"/dev/tty\\u0000"'}), "console.port = '/dev/tty\\x00': holds control characters"),
        (b"a" + b".a" * 5000 + b" = 1", "has more than 300 dots in line 1"),
        (b"#" * SIZE_MAX + b"\n", "is larger than 262144 bytes"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:40],
)
def test_what_no_file_may_hold_is_told_with_its_place_and_its_limit(raw, told):
    assert any(told in problem for problem in problems(raw)), problems(raw)


def test_the_longest_user_name_and_the_longest_label_of_a_host_are_good():
    path = parse(toml(**{"[path]": {"username": f'"{"u" * 65535}"', "host": f'"{"h" * 63}.example"'}}), "x").path[0]
    assert (len(path.username), len(path.host)) == (65535, 71)


def test_what_windows_notepad_writes_is_read():
    assert parse(b"\xef\xbb\xbf" + toml().replace(b"\n", b"\r\n"), "x").panel.id == "anqiu-0042"


def test_as_many_dots_as_a_line_may_have_in_every_line_take_no_hours():
    line = b".".join([b"a"] * 300) + b"%d = 1\n"
    began_s = time.process_time()
    problems(b"".join(line % number for number in range(SIZE_MAX // (len(line) + 4))))
    assert time.process_time() - began_s < 15


def test_thousands_of_mistakes_are_counted_and_the_first_hundred_told():
    raw = toml(panel={f"key{number}": "1" for number in range(5000)})
    found = problems(raw)
    assert len(found) == PROBLEMS_MAX + 1
    assert found[-1] == "4900 further mistake(s); correct these first"
    assert problems(raw, "zh")[-1] == "另有 4900 处错误；请先改正以上各处"


def test_a_name_that_no_system_call_takes_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "a\0b")


def test_check_config_gives_no_terminal_an_order_and_fills_no_screen(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    keys = {'"\\u001b[2J\\u202e"': "1", f'"{"k" * 100_000}"': "1", f'zone."{"z" * 50_000}\\u0007".pin': "1"}
    file.write_bytes(toml(panel=keys))
    for lang in ("zh", "en"):
        assert main(["check-config", str(file), "--lang", lang]) == check_config.BAD
        said = capsys.readouterr().err
        assert "panel.\\x1b[2J\\u202e" in said
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
        assert len(said) < 2000


def test_check_config_prints_no_endless_value(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_bytes(toml(**{"[path]": {"username": f'"{"u" * 60_000}"'}}))
    assert main(["check-config", str(file), "--print", "--no-files", "--lang", "en"]) == check_config.GOOD
    assert max(map(len, capsys.readouterr().out.splitlines())) < 600


def test_a_helper_of_the_panel_that_dies_is_told():
    def read_console():
        raise LookupError("no such page")

    told = []
    process = Process.__new__(Process)
    process._app = SimpleNamespace(inbox=SimpleNamespace(post=told.append))
    process._guarded(read_console)
    assert told == [Trouble("adapter read_console", "LookupError: no such page")]
