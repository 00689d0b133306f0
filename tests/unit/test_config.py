"""The configuration: every mistake at once, each with its remedy."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import check_config, config_reference
from firmware.cli import main
from firmware.config_file import ConfigError, check_files, load, parse
from firmware.core.zone import ZoneType

ROOT = Path(__file__).parents[2]
GOOD = """
[panel]
id = "anqiu-0042"
state_dir = "/var/lib/gatebooth"

[zone.booth-button]
pin = 17
type = "panic"

[[path]]
name = "main"
host = "broker.example"

[[receiver]]
name = "110"
"""


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "panel.toml")
    return caught.value.problems


def changed(old, new):
    assert old in GOOD
    return problems(GOOD.replace(old, new))


def test_a_small_file_is_enough():
    config = parse(GOOD.encode(), "panel.toml")
    assert config.zone["booth-button"].type is ZoneType.PANIC
    assert config.zone["booth-button"].debounce_ms == 30
    assert config.alarm.resend_s == (2.0, 4.0, 5.0)
    assert config.path[0].port == 8883


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pin = 17", "pinn = 17", "zone.booth-button.pinn: unknown key; did you mean 'pin'?"),
        ("pin = 17", 'pin = "17"', "zone.booth-button.pin = '17': expected a whole number, found text"),
        ("pin = 17", "pin = true", "expected a whole number, found true or false"),
        ("pin = 17", "pin = 54", "zone.booth-button.pin = 54: the most is 53"),
        ("pin = 17", "pin = -1", "the least is 0"),
        ("pin = 17", "", "zone.booth-button.pin is missing: GPIO number (BCM)."),
        ('type = "panic"', 'type = "burglary"', "expected one of panic, hold-up, tamper"),
        ('type = "panic"', 'type = "panic"\ndebounce_ms = 4', "the least is 5"),
        ('type = "panic"', 'type = "panic"\nstuck_s = nan', "the most is 3600"),
        ('id = "anqiu-0042"', 'id = "a/b"', "does not fit"),
        ('id = "anqiu-0042"', 'id = "a+b#"', "does not fit"),
        ("[zone.booth-button]", '[zone."Booth Button"]', "a name is 1 to 32 of a-z"),
        ('name = "main"', 'name = "main"\nprotocol = "4"', "expected one of 5, 3.1.1"),
        ('name = "main"', 'name = "main"\nkind = "carrier-pigeon"', "expected one of mqtt"),
        ('name = "main"', 'name = "main"\npassword_file = "/x"', "password_file without username"),
        ('name = "110"', 'name = "110"\n[[receiver]]\nname = "110"', "two entries [[receiver]] are named '110'"),
        ("[[receiver]]", "[media]\npath = 'radio'\n[[receiver]]", "media.path = 'radio' is no path; there are: main"),
        ("[[receiver]]", "[alarm]\nresend_s = []\n[[receiver]]", "give at least one pause"),
        ("[[receiver]]", "[alarm]\nresend_s = [0.1]\n[[receiver]]", "alarm.resend_s[1] = 0.1: the least is 0.5"),
        ("[[receiver]]", "[alarm]\nresend_s = 2\n[[receiver]]", "expected a list, found a whole number"),
        ("[panel]", "[pannel]", "pannel: unknown key; did you mean 'panel'?"),
    ],
)
def test_a_mistake_names_place_value_limit_and_remedy(old, new, told):
    assert any(told in problem for problem in changed(old, new)), changed(old, new)


def test_all_mistakes_are_told_at_once():
    text = (
        GOOD.replace("pin = 17", "pin = 99").replace('host = "broker.example"', 'hosst = "x"').replace("110", "1 1 0")
    )
    assert len(problems(text)) >= 4


def test_a_pin_used_twice_names_both_parties():
    text = GOOD + '\n[output.siren]\npin = 17\nrole = "siren"\n'
    assert problems(text) == ("output.siren.pin = 17 is taken by zone.booth-button; give one of them another pin",)


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ('[zone.booth-button]\npin = 17\ntype = "panic"', "zone is missing"),
        ('[[path]]\nname = "main"\nhost = "broker.example"', "path is missing"),
        ('[[receiver]]\nname = "110"', "receiver is missing"),
    ],
)
def test_a_panel_needs_a_button_a_path_and_a_receiver(cut, told):
    assert any(told in problem for problem in changed(cut, ""))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\xff\xfe[panel]", "is not UTF-8 at byte 0"),
        (b"[panel", "is not TOML"),
        (b"#" * (1 << 20) + b"\n\n", "is larger than"),
        (b"panel = 5", "panel: expected a table, found a whole number"),
        (b"zone = []", "expected tables [zone.NAME], found a list"),
        (b"", "panel is missing"),
    ],
)
def test_a_file_that_is_no_configuration_says_what_it_is(raw, told):
    with pytest.raises(ConfigError) as caught:
        parse(raw, "panel.toml")
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(raw):
    with contextlib.suppress(ConfigError):
        assert parse(raw, "x").zone


@given(
    st.recursive(
        st.one_of(st.integers(), st.booleans(), st.text("ab", max_size=3)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["pin", "id", "type", "x"]), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_any_value_in_any_place_is_told_as_a_mistake_not_a_crash(value):
    import tomllib  # noqa: PLC0415 - only to see that the text is TOML

    def literal(item):
        if isinstance(item, dict):
            return "{" + ", ".join(f"{k} = {literal(v)}" for k, v in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(literal, item)) + "]"
        return str(item).lower() if isinstance(item, bool) else f'"{item}"' if isinstance(item, str) else str(item)

    for place in ("panel", "zone", "path", "receiver", "camera", "alarm"):
        text = f"{place} = {literal(value)}"
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        with pytest.raises(ConfigError):
            parse(text.encode(), "x")


def test_missing_keys_and_certificates_are_told_with_their_place(tmp_path):
    text = GOOD.replace('name = "110"', f'name = "110"\nkey_file = "{tmp_path}/110.key"').replace(
        'host = "broker.example"', f'host = "broker.example"\n[path.tls]\nca_file = "{tmp_path}/ca.pem"'
    )
    found = check_files(parse(text.encode(), "x"))
    assert any("receiver 110: key_file" in problem for problem in found)
    assert any("path main: tls.ca_file" in problem and "No such file" in problem for problem in found)


def run(capsys, *words):
    status = main(["check-config", *words])
    return status, capsys.readouterr()


def test_check_config_says_that_a_file_is_good(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_text(GOOD)
    status, said = run(capsys, str(file))
    assert status == check_config.GOOD
    assert "good 正确 (1 zones, 1 paths, 1 receivers)" in said.out
    assert "no key_file" in said.out


def test_check_config_counts_the_mistakes_and_fails(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_text(GOOD.replace("pin = 17", "pin = 99"))
    status, said = run(capsys, str(file))
    assert status == check_config.BAD
    assert f"{file}: zone.booth-button.pin = 99: the most is 53" in said.err
    assert "1 mistake(s)" in said.err


def test_check_config_masks_passwords_in_addresses(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_text(GOOD + '\n[camera.gate]\nurl = "rtsp://root:hunter2@10.0.0.9/live"\n')
    _, said = run(capsys, str(file), "--print")
    assert "hunter2" not in said.out + said.err
    assert "rtsp://root:****@10.0.0.9/live" in said.out


def test_the_example_for_the_field_is_good():
    assert parse((ROOT / "deploy" / "panel.example.toml").read_bytes(), "example").panel.board == "pi"


def test_the_reference_page_is_what_the_reader_reads():
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == config_reference.page()
