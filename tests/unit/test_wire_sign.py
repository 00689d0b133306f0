"""Keys and signatures."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firmware.wire.sign import KeyFileError, WireError, canonical, exposure, load_key, seal, sign, verify

KEY = bytes(range(32))
BODY = {"v": 1, "b": True, "a": "报警", "n": None, "inner": {"z": 1, "a": 2}}


def test_the_canonical_text_is_one_and_the_same_for_one_object():
    turned = {"inner": {"a": 2, "z": 1}, "n": None, "a": "报警", "b": True, "v": 1, "mac": "anything"}
    assert canonical(BODY) == canonical(turned) == '{"a":"报警","b":true,"inner":{"a":2,"z":1},"n":null,"v":1}'.encode()


def test_a_known_object_has_a_known_signature():
    # Reckoned with: printf '%s' '{"panel":"p","v":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    assert (
        sign({"v": 1, "panel": "p"}, KEY)["mac"] == "ec7f5b8ee5e792cc7acb517aba948c965d34e51f874df30002b4b857fe991e0b"
    )


objects = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8).filter(lambda name: name != "mac"),
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    max_size=6,
)


@given(found=objects)
def test_sealed_bytes_and_signed_objects_verify_and_are_the_same(found):
    ours = {"v": 1, **found}
    verify(sign(ours, KEY), KEY)
    assert json.loads(seal(ours, KEY)) == sign(ours, KEY)
    assert json.loads(seal(ours, None)) == ours


@given(found=objects, name=st.sampled_from(["v", "a", "new"]), value=st.integers())
def test_any_change_breaks_the_signature(found, name, value):
    signed = sign(found, KEY)
    assume(found.get(name, ...) != value)
    with pytest.raises(WireError, match="wrong key, or changed on the way"):
        verify({**signed, name: value}, KEY)


@pytest.mark.parametrize("mac", [None, 5, "", "é", "0" * 64, [], "\ud800"])
def test_a_signature_that_is_none_is_refused(mac):
    with pytest.raises(WireError, match="this sender's signature"):
        verify({**BODY, "mac": mac}, KEY)


def test_half_a_character_in_an_unknown_key_is_refused_not_raised():
    with pytest.raises(WireError, match="text that UTF-8 can hold"):
        verify({"later": "\ud800", "mac": "0" * 64}, KEY)


# ── key files ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_file_is_64_hexadecimal_digits(tmp_path):
    path = tmp_path / "panel.key"
    path.write_text(KEY.hex().upper() + "\n")
    assert load_key(path) == KEY
    path.write_text(f"\ufeff{KEY.hex()}\r\n")  # as Windows Notepad writes it
    assert load_key(path) == KEY


def test_all_of_a_key_file_is_looked_at(tmp_path):
    path = tmp_path / "panel.key"
    path.write_text(KEY.hex() + " " * 2000)
    assert load_key(path) == KEY
    path.write_text(KEY.hex() + " " * 2000 + "junk")
    with pytest.raises(KeyFileError, match="something else than hexadecimal digits"):
        load_key(path)


def test_a_file_too_large_for_a_key_is_refused_by_its_size():
    with pytest.raises(KeyFileError, match="key file /dev/zero has more than 4096 bytes: that is no key; correct the"):
        load_key(Path("/dev/zero"))


BAD_KEYS = {
    "missing": (None, "is not there: copy it from the other side, or make a new one for both"),
    "empty": (b"", "has 0 hexadecimal digits: it must have 64"),
    "short": (b"ab" * 31, "has 62 hexadecimal digits: it must have 64"),
    "long": (b"ab" * 4000, "has more than 4096 bytes: that is no key"),
    "no digits": (b"secret-word" * 6, "holds something else than hexadecimal digits"),
    "binary": (KEY, "holds something else than hexadecimal digits"),
}


@pytest.mark.parametrize(("content", "message"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_file_is_named_and_never_shown(tmp_path, content, message):
    path = tmp_path / "panel.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        load_key(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_folder_is_no_key_file(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
        load_key(tmp_path)


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read_is_told_with_the_remedy(tmp_path, mode, open_to_others):
    path = tmp_path / "panel.key"
    path.touch()
    os.chmod(path, mode)  # noqa: PTH101 - the mode is the case
    told = exposure(path)
    assert bool(told) == open_to_others
    assert not told or f"chmod 600 {path}" in told


def test_a_file_that_is_not_there_exposes_nothing(tmp_path):
    assert exposure(tmp_path / "none") == ""
