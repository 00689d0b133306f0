"""The configuration of DC-09 paths: each mistake with its remedy."""

from __future__ import annotations

import pytest

from firmware import check_config
from firmware.app import panel_spec
from firmware.cli import main
from firmware.config_file import ConfigError, check_files, parse
from firmware.config_paths import dial_places, zone_numbers
from firmware.core.path import Supervision
from firmware.media.spec import MediaSpec

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

GOOD = """
[panel]
id = "anqiu-0042"
state_dir = "/var/lib/gatebooth"

[zone.booth-button]
pin = 17
type = "panic"

[zone.foot-bar]
pin = 27
type = "hold-up"

[[path]]
name = "main"
host = "broker.example"

[[path]]
name = "dial"
kind = "dc09"
host = "centre.example"
port = 7700

[path.dc09]
account = "AAA1"
receiver = "110"

[[receiver]]
name = "110"

[[receiver]]
name = "station"
"""
MQTT_PATH = '[[path]]\nname = "main"\nhost = "broker.example"\n'
SECOND = """
[[path]]
name = "again"
kind = "dc09"
host = "Centre.Example"
port = 7700
[path.dc09]
account = "aaa1"
receiver = "station"
"""


def problems(text, language="en"):
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "panel.toml", language)
    return caught.value.problems


def changed(old, new, language="en"):
    assert old in GOOD
    return problems(GOOD.replace(old, new), language)


def test_account_and_receiver_are_enough():
    config = parse(GOOD.encode(), "x")
    dial = config.path[1].dc09
    assert (dial.protocol, dial.key_file, dial.interval_s, dial.reports) == ("SIA-DCS", None, 10.0, "alarms")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            '"AAA1"',
            '"AG-1"',
            "path[2].dc09.account = 'AG-1': expected 3 to 16 hexadecimal digits 0-9 A-F, as the receiv",
        ),
        ('"AAA1"', '"A1"', "expected 3 to 16 hexadecimal digits"),
        ('"AAA1"', '"12345678901234567"', "expected 3 to 16 hexadecimal digits"),
        ('"AAA1"', '"AAA1"\nprefix = "1234567"', "expected 1 to 6 hexadecimal digits"),
        ('"AAA1"', '"AAA1"\nprotocol = "SIA"', "expected one of SIA-DCS, ADM-CID"),
        ('"AAA1"', '"AAA1"\nkey_encoding = "base64"', "expected one of hex, text"),
        ('"AAA1"', '"AAA1"\ninterval_s = 7200', "the most is 3600 s"),
        ('"AAA1"', '"AAA1"\ntext = "东门岗亭"', "expected ASCII without [ ] |"),
        ('"AAA1"', '"AAA1"\ntext = "a]b"', "expected ASCII without [ ] |"),
        (
            '"AAA1"',
            '"AAA1"\nevidence_url = "https://e.example/{zone}"',
            "in which {panel}, {epoch} and {seq} are filled",
        ),
        ('"AAA1"', '"AAA1"\nevidence_url = "e.example"', "expected an http:// or https:// address"),
        ('receiver = "110"', 'receiver = "119"', "dc09.receiver = '119' is no receiver; there are: 110, station"),
        ('kind = "dc09"', "", '[path.dc09] on a path of kind "mqtt"; set kind = "dc09", or remove the table'),
        ('[path.dc09]\naccount = "AAA1"\nreceiver = "110"', "", "needs a table [path.dc09] with account and receiver"),
        ("port = 7700", "", "port = 8883 is MQTT's; give the port that the receiving centre named"),
        ("port = 7700", 'port = 7700\nusername = "x"', "username belongs to MQTT"),
        ("port = 7700", 'port = 7700\ntls = {ca_file = "/x"}', "DC-09 encrypts by dc09.key_file; remove it"),
        (MQTT_PATH, "", "receiver station: no path reaches it; add an mqtt path, or one whose dc09.receiver names it"),
        (MQTT_PATH, "", 'no path carries faults; set dc09.reports = "all" on path dial, or add an mqtt path'),
        (MQTT_PATH, '[microphone]\ndevice = "test:"\n', "no mqtt path that carries sound and pictures"),
        (MQTT_PATH, MQTT_PATH + '[media]\npath = "dial"\n', "media.path = 'dial' speaks DC-09 and carries no sound"),
        (
            'name = "station"',
            'name = "station"\n' + SECOND,
            "path again is dial again: one host, port, bind, account aaa1, R and L",
        ),
        ("pin = 17", "pin = 17\nnumber = 0", "the least is 1"),
        ("pin = 17", "pin = 17\nnumber = 1000", "the most is 999"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(old, new, told):
    assert any(told in problem for problem in changed(old, new)), changed(old, new)


def test_two_accounts_at_one_receiver_are_two_identities():
    other = SECOND.replace("aaa1", "aaa2")
    assert len(parse((GOOD + other).encode(), "x").path) == 3


@pytest.mark.parametrize("key", ['bind = "wwan0"', 'prefix = "1"', 'receiver_number = "2"'])
def test_one_account_over_two_interfaces_or_lines_are_two_paths_whose_numbers_begin_far_apart(key):
    second = SECOND.replace("[path.dc09]", f"{key}\n[path.dc09]") if "bind" in key else f"{SECOND}{key}\n"
    config = parse((GOOD + second).encode(), "x")
    assert dial_places(config) == {"dial": 0.0, "again": 0.5}


@pytest.mark.parametrize("key", ['prefix = "00"', 'bind = ""'])
def test_the_same_line_written_differently_is_one(key):
    second = SECOND.replace("[path.dc09]", f"{key}\n[path.dc09]") if "bind" in key else f"{SECOND}{key}\n"
    assert "give each a bind, or drop one" in "".join(problems(GOOD + second))
    assert "请各设 bind" in "".join(problems(GOOD + second, "zh"))


def test_a_panel_may_have_dc09_paths_alone():
    alone = GOOD.replace(MQTT_PATH, "").replace('receiver = "110"', 'receiver = "110"\nreports = "all"')
    assert parse((alone + SECOND.replace("aaa1", "aaa2")).encode(), "x").path[0].kind == "dc09"


def test_mistakes_are_told_in_chinese_too():
    assert any(
        "不是接警台；可用：110, station" in told for told in changed('receiver = "110"', 'receiver = "119"', "zh")
    )


def test_a_zone_number_taken_twice_names_both_parties():
    text = GOOD.replace("pin = 17", "pin = 17\nnumber = 4").replace("pin = 27", "pin = 27\nnumber = 4")
    assert problems(text) == (
        "zone.foot-bar.number = 4 is taken by zone.booth-button; give one of them another number",
    )


def test_zones_without_a_number_get_the_free_ones_in_the_order_of_the_file():
    text = GOOD.replace("pin = 27", "pin = 27\nnumber = 1") + '\n[zone.lid]\npin = 5\ntype = "tamper"\n'
    assert zone_numbers(parse(text.encode(), "x")) == {"booth-button": 2, "foot-bar": 1, "lid": 3}


def dialling_first(text):
    dial = text[text.index('[[path]]\nname = "dial"') : text.index("[[receiver]]")]
    return text.replace(dial, "").replace(MQTT_PATH, dial + MQTT_PATH)


def test_a_dc09_path_for_alarms_alone_may_come_first_and_the_next_path_leads():
    config = parse(dialling_first(GOOD).encode(), "x")
    assert [path.name for path in config.path] == ["dial", "main"]
    dial, main = panel_spec(config).paths
    assert (dial.receiver, dial.interval_s, dial.carries, main.carries) == ("110", 10.0, False, True)
    assert Supervision((dial, main)).leader == "main"


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ("11", None),
        ("81", "path dial: with interval_s = 81 its loss is told after up to 90 s, EN 50136 SP5, DP4"),
        ("90", "after up to 99 s, EN 50136 SP4, DP3"),
        ("1791", "after up to 1800 s, EN 50136 SP3, DP2"),
        ("3600", "after up to 3609 s, EN 50136 SP2, DP1"),
    ],
)
def test_check_config_tells_how_late_the_loss_of_a_slow_path_is_told(interval, told):
    config = parse(GOOD.replace('"AAA1"', f'"AAA1"\ninterval_s = {interval}').encode(), "x")
    found = [note for note in check_config.notes(config, "en") if "interval_s" in note]
    assert len(found) == (told is not None)
    assert not found or told in found[0]


@pytest.mark.parametrize(("answer", "told"), [("3", False), ("3.5", True), ("8", True)])
def test_check_config_tells_what_a_patient_path_costs(answer, told):
    config = parse(GOOD.replace('"AAA1"', f'"AAA1"\nanswer_s = {answer}').encode(), "x")
    english = f"with answer_s = {answer} an alarm finds a dead connection after {answer} s, not 3 s"
    assert any(english in note for note in check_config.notes(config, "en")) is told
    assert any("answer_s" in note for note in check_config.notes(config, "zh")) is told


@pytest.mark.parametrize(
    ("content", "encoding", "told"),
    [
        ("0123456789abcdef" * 2 + "\n", "text", True),
        ("0123456789abcdef" * 2, "hex", False),
        ("0123456789abcdef", "text", False),
        ("0123456789abcdeg" * 2, "text", False),
        (None, "text", False),
    ],
)
def test_check_config_tells_of_hexadecimal_digits_that_are_taken_as_text(tmp_path, content, encoding, told):
    file = tmp_path / "dial.key"
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    text = GOOD.replace('"AAA1"', f'"AAA1"\nkey_file = "{file}"\nkey_encoding = "{encoding}"')
    config = parse(text.encode(), "x")
    english = 'path dial: 32 hexadecimal digits with key_encoding = "text" are 32 characters (AES-256); for AES-128'
    assert any(english in note for note in check_config.notes(config, "en")) is told
    assert any("AES-128 请设" in note for note in check_config.notes(config, "zh")) is told


def test_check_config_tells_who_gets_less_where_a_dc09_path_leads():
    text = GOOD.replace('receiver = "110"', 'receiver = "110"\nreports = "all"', 1)
    told = "path dial leads: faults and status go to receiver 110 alone; station is heard each 15 min"
    assert told in check_config.notes(parse(dialling_first(text).encode(), "x"), "en")
    assert told not in check_config.notes(parse(text.encode(), "x"), "en")


def test_sound_and_pictures_take_the_first_mqtt_path():
    text = GOOD.replace('receiver = "110"', 'receiver = "110"\nreports = "all"', 1)
    config = parse(dialling_first(text).encode(), "x")
    assert [path.name for path in config.path] == ["dial", "main"]
    assert MediaSpec.of(config, 1).path.name == "main"


@pytest.mark.parametrize(
    ("content", "encoding", "told"),
    [
        (None, "hex", "is not there: put the receiving centre's key into it"),
        (
            "0123456789ABCDEF",
            "hex",
            "an AES key has 32, 48 or 64; if the receiver was given exactly this text, set path.dc09",
        ),
        ("0123456789ABCDEFG", "text", "has 17 characters: an AES key has 16, 24 or 32"),
        ("0123456789ABCDEF" * 2, "hex", None),
        ("0123456789ABCDEF", "text", None),
    ],
)
def test_the_key_file_is_looked_into(tmp_path, content, encoding, told):
    file = tmp_path / "dial.key"
    if content is not None:
        file.write_text(content)
    text = GOOD.replace('"AAA1"', f'"AAA1"\nkey_file = "{file}"\nkey_encoding = "{encoding}"')
    found = [item for item in check_files(parse(text.encode(), "x")) if item.startswith("path dial: dc09.key_file: ")]
    assert [told in item for item in found] == ([] if told is None else [True])
    assert not any("0123456789" in item for item in found)


def test_check_config_tells_of_a_path_in_clear_and_of_an_open_key(tmp_path, capsys):
    file, key = tmp_path / "panel.toml", tmp_path / "dial.key"
    file.write_text(GOOD)
    assert main(["check-config", str(file)]) == check_config.GOOD
    assert "path dial is not encrypted (no dc09.key_file)" in capsys.readouterr().out
    key.write_text("0123456789ABCDEF" * 2)
    key.chmod(0o644)
    file.write_text(GOOD.replace('"AAA1"', f'"AAA1"\nkey_file = "{key}"'))
    main(["check-config", str(file)])
    said = capsys.readouterr().out
    assert "dial is not encrypted" not in said
    assert f"chmod 600 {key}" in said
