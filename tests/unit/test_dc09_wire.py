"""DC-09 frames: held to two readers that others wrote, and to what receivers in the field really answer."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import siadc09.message
from hypothesis import given
from hypothesis import strategies as st
from pysiaalarm import SIAAccount
from pysiaalarm.event import SIAEvent

from firmware.core.calls import Answer, Seal, Word
from firmware.core.codes import CODES
from firmware.core.report import Report, ReportId
from firmware.wire import dc09
from firmware.wire.dc09 import AnswerReader, BadAnswerError, Caller, Message, checksum, encode
from firmware.wire.dc09_key import HEX, TEXT, Cipher, KeyFileError, load_aes_key
from hal.types import Instant

CALLER = Caller("AAA1")
STAMP_S = datetime(2026, 11, 22, 4, 8, 16, tzinfo=UTC).timestamp()
KEYS = {size: bytes(range(0x41, 0x41 + size)) for size in (16, 24, 32)}
"""Letters and digits, because one of the two readers takes keys as text only."""


def letters(count):
    return "x" * count


def report(code, zone="button"):
    return Report(ReportId("p", 1, 1), code, Instant(0.0, STAMP_S, synced=True), zone)


def body(frame):
    assert frame[:1] + frame[-1:] == b"\n\r"
    return frame[9:-1]


def framed(text):
    """A receiver's frame."""
    raw = text.encode("latin-1")
    return b"\n%04X%04X%b\r" % (checksum(raw), len(raw), raw)


# ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_checksum_has_the_check_value_of_its_catalogue_entry():
    assert checksum(b"123456789") == 0xBB3D


def test_a_frame_seen_on_a_real_line_is_made_byte_for_byte():
    made = encode(Message(dc09.SIA_DCS, 1, "#AAA1|Nri1/PA01", (), STAMP_S), CALLER, None, letters)
    assert body(made) == b'"SIA-DCS"0001R0L0#AAA1[#AAA1|Nri1/PA01]_04:08:16,11-22-2026'
    assert made[5:9] == b"003B"
    older = body(made).replace(b"R0L0", b"L0")
    assert (checksum(older), len(older)) == (0x412D, 0x39), "that line's own checksum and length"


@pytest.mark.parametrize("size", [None, 16, 24, 32])
@pytest.mark.parametrize("token", [dc09.SIA_DCS, dc09.ADM_CID, dc09.NULL])
def test_both_readers_understand_each_kind_of_frame(token, size):
    key = KEYS.get(size)
    number, data = (0, "") if token == dc09.NULL else (17, dc09.event_data(token, report("PA"), "AAA1", 3))
    frame = encode(Message(token, number, data, (), STAMP_S), CALLER, Cipher(key) if key else None, dc09_pad)
    seen = siadc09.message.parse_frame(frame, key)
    assert (seen.idtoken, seen.seq, seen.encrypted, seen.account.acct) == (token, number, key is not None, 0xAAA1)
    assert seen.timestamp.timestamp() == STAMP_S
    account = SIAAccount("AAA1", key.decode() if key else None)
    event = SIAEvent.from_line(frame.decode().strip(), {"AAA1": account})
    assert event.valid_message
    assert (event.encrypted, event.account) == (key is not None, "AAA1")
    assert event.code == ("RP" if token == dc09.NULL else "PA")
    assert event.timestamp.timestamp() == STAMP_S


def dc09_pad(count):
    assert 16 <= count <= 31
    return ("Pad0" * 8)[:count]


@given(st.text("0123456789ABCDEF", min_size=3, max_size=16), st.integers(1, 9999), st.integers(0, 40))
def test_an_encrypted_frame_is_whole_blocks_and_shows_nothing_of_its_content(account, number, length):
    message = Message(dc09.SIA_DCS, number, f"#{account}|Nri1/HA02", (f"I{'n' * length}",), STAMP_S)
    frame = encode(message, Caller(account), Cipher(KEYS[16]), dc09_pad)
    assert b"HA" not in frame
    sealed = body(frame).partition(b"[")[2]
    assert len(bytes.fromhex(sealed.decode())) % 16 == 0
    assert sealed == sealed.upper()
    assert siadc09.message.parse_frame(frame, KEYS[16]).seq == number


def test_the_cipher_gives_the_published_vectors():
    # NIST SP 800-38A, F.2.1 holds for a zero IV as well when the IV is put into the first block.
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    iv = bytes(range(16))
    first = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    mixed = bytes(a ^ b for a, b in zip(iv, first, strict=True))
    assert Cipher(key).encrypt(mixed).hex() == "7649abac8119b246cee98e9b12e9197d"
    assert Cipher(key).decrypt(Cipher(key).encrypt(first)) == first


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_table_goes_in_both_dialects(code):
    kind = CODES[code]
    for token in (dc09.SIA_DCS, dc09.ADM_CID):
        data = dc09.event_data(token, report(code), "AAA1", 12)
        seen = siadc09.message.parse_frame(encode(Message(token, 1, data, (), STAMP_S), CALLER, None, letters))
        if token == dc09.SIA_DCS:
            assert f"Nri1/{code}12" in data
            assert code in repr(seen.data)
        else:
            assert (seen.data.event.qualifier, seen.data.event.code) == ("3" if kind.restore else "1", str(kind.cid))
            assert (seen.data.event.group, seen.data.event.addr) == (1, 0x012)


def test_what_belongs_to_no_zone_has_neither_area_nor_number():
    assert dc09.event_data(dc09.SIA_DCS, report("YC", ""), "A01", 0) == "#A01|Nri0/YC00"
    assert dc09.event_data(dc09.ADM_CID, report("YC", ""), "A01", 0) == "#A01|1350 00 000"


def test_receiver_and_prefix_numbers_stand_before_the_account():
    frame = encode(Message(dc09.NULL, 0, "", (), STAMP_S), Caller("1234", "A1", "5678"), None, letters)
    assert b'"NULL"0000RA1L5678#1234[]_' in frame
    seen = siadc09.message.parse_frame(frame)
    assert (seen.account.rcvr, seen.account.pref) == (0xA1, 0x5678)


# ── extended data ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_extended_data_arrives_as_it_was_meant():
    parts = [
        dc09.occurrence(STAMP_S - 3600),
        *dc09.position("39.905", "116.3916667"),
        "INorth gate booth",
        "Vhttps://evidence.example/p/1/7",
    ]
    message = Message(dc09.SIA_DCS, 1, "#AAA1|Nri1/PA01", dc09.extras(parts), STAMP_S)
    for key in (None, KEYS[24]):
        frame = encode(message, CALLER, Cipher(key) if key else None, dc09_pad)
        found = {item.prefix: item.value for item in siadc09.message.parse_frame(frame, key).xdata}
        assert found["H"].timestamp() == STAMP_S - 3600
        assert (found["X"], found["Y"]) == ("116E23.500", "39N54.300")
        assert found["I"] == "North gate booth"
        assert found["V"] == "https://evidence.example/p/1/7"


@pytest.mark.parametrize(
    ("latitude", "longitude", "parts"),
    [
        ("39.905", "116.3916667", ["X116E23.500", "Y39N54.300"]),
        ("-0.5", "-8.25", ["X008W15.000", "Y00S30.000"]),
        ("39.9999999", "179.9999999", ["X180E00.000", "Y40N00.000"]),
        ("", "116.4", []),
        ("39.9", "", []),
    ],
)
def test_a_position_is_degrees_and_minutes(latitude, longitude, parts):
    assert dc09.position(latitude, longitude) == parts


def test_extended_data_cannot_end_its_own_brackets():
    assert dc09.extras(["Ia]b[c|d\n安", "I", "V"]) == ("Iabcd",)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_wall_clock_can_be_written(utc_s):
    datetime.strptime(dc09.format_time(utc_s), "%H:%M:%S,%m-%d-%Y")  # noqa: DTZ007 - only its form


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read(*pieces, key=None):
    reader = AnswerReader(CALLER, Cipher(key) if key else None)
    return [item for piece in pieces for item in reader.feed(piece)]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('"ACK"0012R0L0#AAA1[]', Answer(Word.ACK, 12)),
        ('"ACK"0012NoneL0#AAA1[]', Answer(Word.ACK, 12)),
        ('"ACK"0012L0#AAA1[]', Answer(Word.ACK, 12)),
        ('"ACK"0012R0L0#0AAA1[]_04:08:16,11-22-2026', Answer(Word.ACK, 12, STAMP_S)),
        ('"DUH"0012R0L0#AAA1[]', Answer(Word.DUH, 12)),
        ('"NAK"0000R0L0A0[]_04:08:16,11-22-2026', Answer(Word.NAK, 0, STAMP_S)),
        ('"NAK"0000L0R0A0[]_04:08:16,11-22-2026', Answer(Word.NAK, 0, STAMP_S)),
        ('"NAK"0000R0L0A0[]_99:08:16,11-22-2026', Answer(Word.NAK, 0, None)),
        ('"RSP"0012R0L0#AAA1[|whatever][K00]', Answer(Word.RSP, 12)),
    ],
)
def test_the_answers_of_the_field_are_understood(text, answer):
    assert read(framed(text)) == [answer]


def test_a_bare_nak_without_any_frame_is_understood_at_once():
    assert read(b'"NAK"') == [Answer(Word.NAK)]
    assert read(b'"NA', b'K"') == [Answer(Word.NAK)]
    assert read(b'"NAK"', framed('"ACK"0001R0L0#AAA1[]')) == [Answer(Word.NAK), Answer(Word.ACK, 1)]


def test_a_bare_acknowledgement_is_nobodys():
    (item,) = read(b'"ACK"')
    assert isinstance(item, BadAnswerError)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\n\r", "counts another checksum"),
        (b"\nxyz\r", "without checksum and length"),
        (framed('"ACK"0001R0L0#AAA1[]').replace(b"0001R", b"0002R"), "checksum is wrong"),
        (framed('"ACK"0001R0L0#AAA1[]').replace(b"0014", b"0015", 1), "bytes that says"),
        (framed('"SIA-DCS"0001R0L0#AAA1[#AAA1|Nri1/HA02]'), "none of ACK"),
        (framed('"ACK"0001R0L0#BBB2[]'), "another account"),
        (framed('"*ACK"0001R0L0#AAA1[0011]'), "without a key"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no answer begins with"),
        (b'\n12340010"ACK"000\n12340010', "half an answer"),
        (b"\n" + b"x" * 5000, "without an end"),
    ],
)
def test_what_is_no_answer_says_why_and_never_what_it_was(raw, told):
    bad = [item for item in read(raw) if isinstance(item, BadAnswerError)]
    assert any(told in str(item) for item in bad), bad
    assert not any("HA" in str(item) for item in bad)


@pytest.mark.parametrize(
    "middle", ["R0L0#BBB2", "R0L0#BBB2 ", "#BBB2#AAA1", "R0L0#AAA1 ", f"#{'0' * 13}AAA1", "#AAA1AAA1AAA1AAA1A"]
)
def test_an_answer_names_nobody_or_exactly_us(middle):
    (item,) = read(framed(f'"ACK"0001{middle}[]'))
    assert "another account" in str(item)
    for ours in ("R0L0#AAA1", "NoneL0#aaa1", "R0L0#0AAA1", "R0L0", "R0L0A0"):
        assert read(framed(f'"ACK"0001{ours}[]')) == [Answer(Word.ACK, 1)]


def test_a_number_has_four_digits():
    (item,) = read(framed('"ACK"00001R0L0#AAA1[]'))
    assert "none of ACK" in str(item)


def test_half_an_answer_waits_for_its_other_half():
    whole = framed('"ACK"0001R0L0#AAA1[]')
    for cut in range(1, len(whole)):
        assert read(whole[:cut], whole[cut:]) == [Answer(Word.ACK, 1)]
    reader = AnswerReader(CALLER, None)
    reader.feed(whole[:9])
    assert reader.waiting == 9


def test_answers_that_come_together_are_read_one_by_one():
    both = framed('"ACK"0001R0L0#AAA1[]') + b"\r\n" + framed('"ACK"0002R0L0#AAA1[]')
    answers = [item for item in read(both) if isinstance(item, Answer)]
    assert answers == [Answer(Word.ACK, 1), Answer(Word.ACK, 2)]


@pytest.mark.parametrize("size", KEYS)
def test_an_encrypted_acknowledgement_with_zeros_and_no_bar_is_understood(size):
    plain = "]_04:08:16,11-22-2026"
    sealed = Cipher(KEYS[size]).encrypt(plain.zfill(32).encode()).hex().upper()
    assert read(framed(f'"*ACK"0007R0L0#AAA1[{sealed}'), key=KEYS[size]) == [Answer(Word.ACK, 7, STAMP_S, Seal.WHOLE)]


def test_an_encrypted_acknowledgement_of_the_standard_is_understood():
    acknowledged = siadc09.message.AckMessage(
        siadc09.account.Account(acct=0xAAA1, key=KEYS[32]), 7, datetime.fromtimestamp(STAMP_S, UTC), encrypted=True
    )
    assert read(acknowledged.encode(), key=KEYS[32]) == [Answer(Word.ACK, 7, STAMP_S, Seal.WHOLE)]


@pytest.mark.parametrize("word", ["ACK", "RSP"])
def test_on_an_encrypted_path_an_acknowledgement_in_clear_is_not_believed(word):
    (item,) = read(framed(f'"{word}"0007R0L0#AAA1[]'), key=KEYS[16])
    assert "in clear" in str(item)


def test_on_an_encrypted_path_a_nak_and_a_duh_come_in_clear_and_are_known_by_it():
    nak = framed('"NAK"0000R0L0A0[]_04:08:16,11-22-2026')
    assert read(nak, key=KEYS[16]) == [Answer(Word.NAK, 0, STAMP_S, Seal.MISSING)]
    assert read(nak) == [Answer(Word.NAK, 0, STAMP_S)]
    assert read(framed('"DUH"0007R0L0#AAA1[]'), key=KEYS[16]) == [Answer(Word.DUH, 7, seal=Seal.MISSING)]
    assert read(b'"NAK"', key=KEYS[16]) == read(b'"NAK"\r\n', key=KEYS[16]) == [Answer(Word.NAK, seal=Seal.MISSING)]


@pytest.mark.parametrize(("sealed", "told"), [("00" * 32, "another key"), ("0011", "blocks"), ("zz", "blocks")])
def test_an_acknowledgement_that_does_not_decrypt_is_not_believed(sealed, told):
    (item,) = read(framed(f'"*ACK"0007R0L0#AAA1[{sealed}'), key=KEYS[16])
    assert told in str(item)


@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from([None, KEYS[16]]))
def test_no_bytes_whatever_raise_or_pile_up(pieces, key):
    reader = AnswerReader(CALLER, Cipher(key) if key else None)
    for piece in pieces * 20:
        assert all(isinstance(item, Answer | BadAnswerError) for item in reader.feed(piece))
        assert reader.waiting <= dc09.FRAME_MAX


@given(st.binary(max_size=80), st.integers(0, 60))
def test_no_damage_to_an_answer_makes_it_an_acknowledgement_of_something_else(noise, place):
    whole = framed('"ACK"0001R0L0#AAA1[]')
    damaged = whole[:place] + noise + whole[place + len(noise) :]
    words = [item for item in read(damaged) if isinstance(item, Answer) and item.word is Word.ACK]
    assert words in ([], [Answer(Word.ACK, 1)])


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def key_file(tmp_path, text):
    file = tmp_path / "dial.key"
    file.write_text(text)
    return file


@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_same_file_is_another_key_in_the_other_writing(tmp_path, size):
    assert load_aes_key(key_file(tmp_path, "4A" * size + "\n"), HEX) == b"J" * size
    assert load_aes_key(key_file(tmp_path, "J" * size + "\n"), TEXT) == b"J" * size
    assert load_aes_key(key_file(tmp_path, "0123456789ABCDEF"), TEXT) == b"0123456789ABCDEF"


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("0123456789ABCDEF", HEX, "has 16 hexadecimal digits: an AES key has 32, 48 or 64; if the receiver"),
        ("4A" * 20, HEX, "has 40 hexadecimal digits: an AES key has 32, 48 or 64"),
        ("", HEX, "has 0 hexadecimal digits"),
        ("G" * 32, HEX, "hexadecimal digits 0-9 a-f: write 32, 48 or 64 of them; if the receiver"),
        ("4A" * 24, TEXT, "has 48 characters: an AES key has 16, 24 or 32; if the receiver"),
        ("J" * 17, TEXT, "has 17 characters: an AES key has 16, 24 or 32"),
        ("JJJJ JJJJ JJJJ J", TEXT, "without spaces"),
        ("密" * 16, TEXT, "printable ASCII"),
        ("J" * 16 + " " * 2000 + "junk", TEXT, "without spaces"),
        ("4A" * 16 + " " * 2000 + "junk", HEX, "something else than hexadecimal digits"),
        ("4A" * 3000, HEX, "has more than 4096 bytes: that is no key"),
    ],
)
def test_a_key_of_a_wrong_length_or_alphabet_is_refused_with_the_remedy_and_not_shown(tmp_path, text, encoding, told):
    with pytest.raises(KeyFileError) as caught:
        load_aes_key(key_file(tmp_path, text), encoding)
    assert told in str(caught.value)
    assert not text or text not in str(caught.value)


def test_a_key_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(KeyFileError, match="is not there"):
        load_aes_key(tmp_path / "none", HEX)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_aes_key(tmp_path, HEX)


def test_the_library_that_encrypts_is_loaded_by_encrypted_paths_alone():
    code = (
        "import json, sys; import firmware.wire.dc09, firmware.wire.dc09_key;"
        "print(json.dumps([name for name in sys.modules if name.startswith('Crypto')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_panel_without_that_library_is_told_what_to_install(mocker):
    mocker.patch.dict(sys.modules, {"Cryptodome.Cipher": None})
    with pytest.raises(KeyFileError, match=r"pip install 'gatebooth\[dc09\]'"):
        Cipher(KEYS[16])
