"""The configuration: every mistake at once, each with its remedy."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import check_config, config_reference
from firmware.cli import main
from firmware.config_file import ConfigError, check_files, load, parse
from firmware.config_words import WORDS
from firmware.core.zone import ZoneType

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

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
        ('type = "panic"', 'type = "panic"\ndebounce_ms = 4', "the least is 5 ms"),
        ('type = "panic"', 'type = "panic"\nstuck_s = nan', "the most is 3600 s"),
        ('id = "anqiu-0042"', 'id = "a/b"', "expected 1 to 64 of A-Z a-z 0-9 _ . -"),
        ('id = "anqiu-0042"', 'id = "a+b#"', "panel.id = 'a+b#': expected 1 to 64 of"),
        ('id = "anqiu-0042"', 'id = "x"\nlatitude = "91"', "panel.latitude = '91': expected degrees in quotes"),
        ('id = "anqiu-0042"', 'id = "x"\nlongitude = "180.5"', "panel.longitude = '180.5': expected degrees"),
        ('id = "anqiu-0042"', f'id = "x"\nname = "{"a" * 201}"', "the most is 200 characters"),
        ('host = "broker.example"', 'host = ""', "path[1].host = '': expected a host name or address alone"),
        ('host = "broker.example"', 'host = "mqtt://broker.example"', "without mqtt://, port and spaces"),
        ('host = "broker.example"', 'host = "broker.example:1883"', "without mqtt://, port and spaces"),
        ('host = "broker.example"', 'host = "a b"', "without mqtt://, port and spaces"),
        (
            'name = "main"',
            'name = "main"\nbind = "eth0/1"',
            "path[1].bind = 'eth0/1': expected a network interface (up",
        ),
        ('name = "main"', 'name = "main"\nbind = "much-too-long-name"', "expected a network interface (up to 15"),
        ('name = "main"', 'name = "main"\nbind = "192.168.8.777"', "path main: bind = '192.168.8.777' is no machine's"),
        ('name = "main"', 'name = "main"\nbind = "0.0.0.0"', "write it as 192.168.8.7, or name the interface"),
        ("[[receiver]]", '[camera.a]\nurl = "http://x"\n[[receiver]]', "camera.a.url = 'http://x': expected rtsp://"),
        ("[[receiver]]", '[camera.a]\nurl = "rtsp://u:p@"\n[[receiver]]', "expected rtsp://HOST/PATH"),
        ("[[receiver]]", '[microphone]\ndevice = ""\n[[receiver]]', "microphone.device = '': expected a sound device"),
        ("[[receiver]]", '[microphone]\ndevice = "/dev/snd"\n[[receiver]]', "expected a sound device's name"),
        ("[[receiver]]", '[console]\nport = "COM1"\n[[receiver]]', "expected a serial device below /dev/"),
        ("[[receiver]]", "[alarm]\nresend_s = [1979-05-27]\n[[receiver]]", "expected a number, found a date or time"),
        ("[zone.booth-button]", '[zone."Booth Button"]', "a name is 1 to 32 of a-z"),
        ('name = "main"', 'name = "main"\nprotocol = "4"', "expected one of 5, 3.1.1"),
        ('name = "main"', 'name = "main"\nkind = "carrier-pigeon"', "expected one of mqtt"),
        ('name = "main"', 'name = "main"\npassword_file = "/x"', "password_file without username"),
        ('name = "110"', 'name = "110"\n[[receiver]]\nname = "110"', "two entries [[receiver]] are named '110'"),
        ("[[receiver]]", "[media]\npath = 'radio'\n[[receiver]]", "media.path = 'radio' is no path; there are: main"),
        ("[[receiver]]", "[alarm]\nresend_s = []\n[[receiver]]", "give at least one pause"),
        ("[[receiver]]", "[alarm]\nresend_s = [0.1]\n[[receiver]]", "alarm.resend_s[1] = 0.1: the least is 0.5 s"),
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


def run(capsys, *words, lang="en"):
    status = main(["check-config", *words, "--lang", lang])
    return status, capsys.readouterr()


def test_check_config_says_that_a_file_is_good(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_text(GOOD)
    status, said = run(capsys, str(file))
    assert status == check_config.GOOD
    assert "good (1 zone(s), 1 path(s), 1 receiver(s))" in said.out
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


def test_check_config_speaks_chinese(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    file.write_text(GOOD)
    _, good = run(capsys, str(file), lang="zh")
    assert "正确（防区 1，路径 1，接警台 1）" in good.out
    assert "注意：路径 main 没有加密" in good.out
    file.write_text(GOOD.replace("pin = 17", "pin = 99"))
    _, bad = run(capsys, str(file), lang="zh")
    assert bad.err == f"{file}: zone.booth-button.pin = 99：最大为 53\n1 处错误\n"


def with_files(tmp_path, **content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    tls = f'[path.tls]\nca_file = "{tmp_path}/ca"'
    host = f'host = "broker.example"\nusername = "u"\npassword_file = "{tmp_path}/password"\n{tls}'
    file = tmp_path / "panel.toml"
    file.write_text(GOOD.replace('host = "broker.example"', host))
    return file


def test_check_config_tells_of_every_file_that_is_not_there(tmp_path, capsys):
    file = with_files(tmp_path)
    status, said = run(capsys, str(file))
    assert status == check_config.FILES
    assert (
        f"{file}: path main: password_file = {tmp_path}/password: No such file or directory; put the file" in said.err
    )
    assert f"{file}: path main: tls.ca_file = {tmp_path}/ca: No such file or directory" in said.err
    assert "good, but 2 of the files that it names cannot be used" in said.err
    assert run(capsys, str(file), "--no-files")[0] == check_config.GOOD


@pytest.mark.parametrize("password", ["", "\n", "p" * 4097, "one\ntwo", "a\0b"])
def test_check_config_looks_into_password_files(tmp_path, capsys, password):
    status, said = run(capsys, str(with_files(tmp_path, ca="", password=password)))
    assert status == check_config.FILES
    assert "password: expected the password alone, one line of 1 to 4096 characters; write the file again" in said.err


def test_check_config_looks_into_certificates(tmp_path, capsys):
    status, said = run(capsys, str(with_files(tmp_path, ca="no certificate", password="secret")))
    assert status == check_config.FILES
    assert f"path main: path.tls.ca_file {tmp_path}/ca holds no PEM certificate" in said.err


def test_check_config_warns_of_a_secret_that_others_can_read(tmp_path, capsys):
    key = tmp_path / "panel.key"
    key.write_text("ab" * 32)
    key.chmod(0o644)
    file = tmp_path / "panel.toml"
    file.write_text(GOOD.replace('id = "anqiu-0042"', f'id = "x"\nkey_file = "{key}"'))
    assert f"{key} has mode 0644" in run(capsys, str(file))[1].out
    key.chmod(0o600)
    assert "mode" not in run(capsys, str(file))[1].out


def test_the_example_for_the_field_is_good():
    assert parse((ROOT / "deploy" / "panel.example.toml").read_bytes(), "example").panel.board == "pi"


@pytest.mark.parametrize(("file", "language"), [("configuration.md", "en"), ("configuration.zh-CN.md", "zh")])
def test_the_reference_page_is_what_the_reader_reads(file, language):
    assert (ROOT / "docs" / file).read_text(encoding="utf-8") == config_reference.page(language)


@pytest.mark.parametrize(
    "host", ["b", "broker.example", "broker.example.", "10.0.0.9", "my_broker", "::1", "fe80::1%eth0", "2001:db8::9"]
)
def test_a_host_is_a_name_or_an_address_of_either_kind(host):
    assert parse(GOOD.replace("broker.example", host).encode(), "x").path[0].host == host


def test_check_config_notes_an_interface_that_is_not_there(tmp_path, capsys):
    file = tmp_path / "panel.toml"
    for bind, noted in (("wwan99", True), ("lo", False), ("192.0.2.1", False)):
        file.write_text(GOOD.replace('name = "main"', f'name = "main"\nbind = "{bind}"'))
        assert main(["check-config", str(file), "--lang", "en"]) == 0
        assert ("there is no interface wwan99 on this machine now; there are" in capsys.readouterr().out) is noted


@pytest.mark.parametrize(
    ("host", "bind", "noted"),
    [
        ("broker.example", "", True),
        ("BROKER.example.", "", True),
        ("broker.example", "lo", False),
        ("spare", "", False),
    ],
)
def test_check_config_notes_two_paths_that_take_one_way(host, bind, noted):
    text = f'{GOOD}[[path]]\nname = "spare"\nhost = "{host}"\nbind = "{bind}"\n'
    found = [note for note in check_config.notes(parse(text.encode(), "x"), "en") if "takes the way" in note]
    assert (
        found
        == ["path spare takes the way of main: what breaks one breaks both; give each its own bind, or another broker"]
        * noted
    )


@pytest.mark.parametrize(
    ("panel", "protocol", "noted"),
    [("anqiu.42", "3.1.1", True), ("anqiu-42", "3.1.1", False), ("anqiu.42", "5", False)],
)
def test_check_config_notes_a_dot_that_a_cluster_would_take_for_a_level(panel, protocol, noted):
    text = GOOD.replace("anqiu-0042", panel).replace("[[path]]", f'[[path]]\nprotocol = "{protocol}"')
    found = [note for note in check_config.notes(parse(text.encode(), "x"), "en") if "RabbitMQ" in note]
    assert len(found) == noted
    assert not noted or "the dot in panel.id = 'anqiu.42' ends a level; write - there" in found[0]


def test_no_path_may_have_the_identity_of_anothers_media_connection():
    text = f'{GOOD}[[path]]\nname = "main-media"\nhost = "spare.example"\n'
    assert problems(text) == (
        "path main-media has the client identity of the media of path main: one would throw the other out; rename one",
    )


@pytest.mark.parametrize("bind", ["", "eth0", "wwan0", "enp3s0.7", "192.168.8.7", "fd00::7", "fe80::1%eth0"])
def test_two_paths_to_one_broker_may_leave_by_the_same_interface(bind):
    path = f'host = "broker.example"\nbind = "{bind}"\n'
    text = GOOD.replace('host = "broker.example"', f'{path}[[path]]\nname = "spare"\n{path}')
    assert [item.bind for item in parse(text.encode(), "panel.toml").path] == [bind, bind]


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.9",
        "rtsps://u:p@ss@cam/live?x=1",
        "rtsp://[::1]:8554/s",
        "/dev/video0",
        "/dev/v4l/by-id/usb-x-index0",
        "test:",
    ],
)
def test_a_camera_is_a_stream_a_device_or_the_test_picture(url):
    assert parse((GOOD + f'\n[camera.gate]\nurl = "{url}"\n').encode(), "x").camera["gate"].url == url


def test_a_password_in_a_bad_address_is_not_shown():
    found = "".join(problems(GOOD + '\n[camera.gate]\nurl = "rtp://root:hunter2@10.0.0.9/live"\n'))
    assert "camera.gate.url = 'rtp://root:****@10.0.0.9/live': expected" in found
    assert "hunter2" not in found


def test_mistakes_are_told_in_the_order_of_the_file():
    found = changed('id = "anqiu-0042"', 'id = "x"\nzebra = 1\nwombat = 2\nyak = 3')
    assert [problem.split(":")[0] for problem in found] == ["panel.zebra", "panel.wombat", "panel.yak"]


def test_mistakes_are_told_in_chinese_too():
    bad = (
        GOOD.replace("pin = 17", "pin = 99\nbord = true").replace('name = "110"', "").replace("[panel]", "[panel]\nx=1")
    )
    with pytest.raises(ConfigError) as caught:
        parse(bad.encode(), "panel.toml", "zh")
    assert "zone.booth-button.pin = 99：最大为 53" in caught.value.problems
    assert "缺少 receiver[1].name：签署其回执的名称，如 110 或 station。" in caught.value.problems
    assert any(problem.startswith("zone.booth-button.bord：没有这个键；可用：pin") for problem in caught.value.problems)


def test_every_sentence_has_the_same_places_in_both_languages():
    for key, (chinese, english) in WORDS.items():
        places = [sorted(re.findall(r"{(\w+)", text)) for text in (chinese, english)]
        assert set(places[0]) == set(places[1]), key
