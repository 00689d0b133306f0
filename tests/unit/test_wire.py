"""Reports, receipts, results and health: what goes out is what comes in, and rubbish is refused in words."""

import dataclasses
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import schema

from firmware.core.codes import CODES
from firmware.core.effects import Health, Reply
from firmware.core.facts import Receipt
from firmware.core.report import RECEIVER_STEPS, SEQ_MAX, Report, ReportId, Step
from firmware.wire.command import decode_result, encode_result
from firmware.wire.fields import UNPRINTABLE, WireError
from firmware.wire.health import decode_health, encode_gone, encode_health
from firmware.wire.receipt import decode_receipt, encode_receipt
from firmware.wire.report import DETAIL_TEXT_MAX, Site, decode_report, encode_report, fixed_text
from firmware.wire.sign import canonical
from hal.types import Instant

KEY = b"k" * 32
SITE = Site("安丘市第一中学", "东门", "36.427", "119.189")
NOW = Instant(1000.5, 1_790_000_000.25, synced=True)
ALARM = Report(ReportId("school-17", 3, 44), "PA", Instant(1000.0, 1_789_999_999.75, synced=True), "booth-button")

wire_text = st.text(max_size=60).filter(lambda text: not UNPRINTABLE.search(text))
panels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
identities = st.builds(ReportId, panels, st.integers(0, SEQ_MAX), st.integers(0, SEQ_MAX))
instants = st.builds(Instant, st.floats(0, 1e9), st.floats(-1e6, 4e9), st.booleans())
scalars = st.one_of(st.booleans(), st.integers(-SEQ_MAX, SEQ_MAX), wire_text)
numbers = st.integers(0, SEQ_MAX)
reports = st.builds(
    lambda ident, root, *rest: Report(
        ident, *rest[:3], root and ReportId(ident.panel, *root), *rest[3:5], detail=rest[5]
    ),
    identities,
    st.none() | st.tuples(numbers, numbers),
    st.sampled_from(sorted(CODES)),
    instants,
    st.from_regex(r"([a-z0-9][a-z0-9_-]{0,31})?", fullmatch=True),
    st.booleans(),
    st.booleans(),
    st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=20), scalars, max_size=5).map(
        lambda found: tuple(found.items())
    ),
)


def encode(report: Report = ALARM, now: Instant = NOW, epoch: int = 3, key: bytes | None = KEY) -> bytes:
    return encode_report(report, site=SITE, now=now, epoch=epoch, attempt=1, key=key)


def changed(payload: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(payload), **changes}).encode()


# ── reports ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(report=reports, now=instants, epoch=st.integers(0, SEQ_MAX), attempt=st.integers(1, SEQ_MAX))
def test_what_a_report_says_is_read_again(report, now, epoch, attempt):
    payload = encode_report(report, site=SITE, now=now, epoch=epoch, attempt=attempt, key=KEY)
    fixed = fixed_text(report, SITE)
    assert encode_report(report, site=SITE, now=now, epoch=epoch, attempt=attempt, key=KEY, fixed=fixed) == payload

    schema.check("report", json.loads(payload))
    assert payload.startswith(canonical(json.loads(payload))[:-1])
    read = decode_report(payload, KEY)

    assert (read.id, read.code, read.zone, read.incident) == (report.id, report.code, report.zone, report.incident)
    assert (read.covert, read.drill, read.attempt, read.site) == (report.covert, report.drill, attempt, SITE)
    assert dict(read.detail) == dict(report.detail)
    assert (read.cls, read.signed, read.sent_epoch) == (report.cls, True, epoch)


def test_the_age_comes_from_the_monotonic_clock_whatever_the_wall_clock_does():
    jumped = Instant(1090.0, 0.0, synced=False)
    read = decode_report(encode(now=jumped), KEY)
    assert (read.age_ms, read.late) == (90_000, True)


def test_a_report_sent_at_once_is_not_late():
    read = decode_report(encode(), KEY)
    assert (read.age_ms, read.late) == (500, False)


def test_an_older_epoch_s_report_takes_its_age_from_two_good_wall_clocks():
    read = decode_report(encode(now=Instant(1.0, ALARM.raised.utc_s + 7200, synced=True), epoch=4), KEY)
    assert (read.age_ms, read.late) == (7_200_000, True)


@pytest.mark.parametrize(
    "now",
    [Instant(1.0, 10.0, synced=False), Instant(1.0, ALARM.raised.utc_s - 1, synced=True)],
    ids=["unsynced", "back"],
)
def test_an_older_epoch_s_report_without_good_clocks_is_late_and_of_unknown_age(now):
    read = decode_report(encode(now=now, epoch=4), KEY)
    assert (read.age_ms, read.late, read.sent_epoch) == (-1, True, 4)


def test_a_clock_set_after_the_press_still_tells_when_it_was():
    pressed_in_1970 = dataclasses.replace(ALARM, raised=Instant(1000.0, 17.0, synced=False))
    read = decode_report(encode(pressed_in_1970), KEY)
    assert read.happened_utc_ms == 1_789_999_999_750


def test_a_clock_that_was_never_set_tells_no_time():
    dark = dataclasses.replace(ALARM, raised=Instant(1000.0, 17.0, synced=False))
    read = decode_report(encode(dark, now=Instant(1001.0, 18.0, synced=False)), KEY)
    assert read.happened_utc_ms is None


def test_an_alarm_goes_out_whatever_stands_in_its_detail():
    odd = dataclasses.replace(
        ALARM,
        detail=(("why", "x" * 9999), ("line", "a\nb\x1b[2J\ud800"), ("huge", 2**80), ("half", 0.5)),  # type: ignore[arg-type]
    )
    payload = encode(odd)
    schema.check("report", json.loads(payload))
    detail = dict(decode_report(payload, KEY).detail)
    assert len(str(detail["why"])) == DETAIL_TEXT_MAX
    assert detail["line"] == "a\ufffdb\ufffd[2J\ufffd"
    assert (detail["huge"], detail["half"]) == (str(2**80), "0.5")


def test_a_detail_of_any_name_is_signed_with_the_rest():
    named = dataclasses.replace(ALARM, detail=(("mac", "x"), ('quote"', "\\"), ("v", True)))
    assert dict(decode_report(encode(named), KEY).detail) == {"mac": "x", 'quote"': "\\", "v": True}


def test_an_unknown_key_is_ignored_and_an_unknown_code_is_believed():
    read = decode_report(changed(encode(key=None), code="QQ", colour="red"), None)
    assert (read.code, read.signed) == ("QQ", False)


BAD_REPORTS = {
    "no text": (b"\xff\xfe\x00", "report: payload is b'\\xff\\xfe\\x00', but must be UTF-8 text"),
    "no JSON": (b"press!", "but must be JSON (RFC 8259)"),
    "an array": (b"[]", "report: payload is an array, but must be a JSON object"),
    "too long": (b" " * (256 * 1024 + 1), "report: payload is '262145 bytes', but must be at most 262144 bytes"),
    "too deep": (b'{"v":' * 50 + b"1" + b"}" * 50, "nested at most 8 deep"),
    "far too deep": (b"[" * 100_000, "nested at most 8 deep"),
    "a key twice": (b'{"v":1,"v":1}', "an object with each key once"),
    "a fraction": (b'{"v":1.0}', "JSON with whole numbers only"),
    "not a number": (b'{"v":NaN}', "JSON with whole numbers only"),
    "a number without end": (b'{"v":' + b"9" * 5000 + b"}", "must be JSON"),
    "no version": (b"{}", "report: v is missing, but must be a whole number"),
    "another version": (changed(encode(), v=2), "report: v is 2, but must be a whole number from 1 to 1"),
    "a wrong type": (changed(encode(), seq="44"), "report: seq is '44', but must be a whole number"),
    "true for one": (changed(encode(), epoch=True), "report: epoch is True"),
    "another identity": (changed(encode(), id="school-18/3/44"), "'school-17/3/44', as panel, epoch and seq say"),
    "an identity spelt otherwise": (changed(encode(), incident="school-17/03/44"), "incident is 'school-17/03/44'"),
    "an identity beyond numbers": (changed(encode(), incident=f"p/{2**53}/1"), "numbers below 2**53"),
    "another panel's incident": (
        changed(encode(), incident="school-18/3/44"),
        "incident is 'school-18/3/44', but must be one of its own panel, 'school-17'",
    ),
    "a class of its own": (changed(encode(), **{"class": "fire"}), "one of alarm, fault, status"),
    "a screen's command": (changed(encode(), event="\x1b[2J"), "text without control characters"),
    "a mark of direction": (changed(encode(), event="a\u200fb"), "text without control characters"),
    "half a character": (b'{"event":"\\ud800"}', "report: v is missing"),
    "a long name": (changed(encode(), site={"name": "x" * 201}), "site.name is 'xxxx"),
    "no site": (changed(encode(), site=None), "report: site is None, but must be an object"),
    "a list in detail": (changed(encode(), detail={"a": []}), "report: detail.a is an array, but must be text"),
    "too much detail": (changed(encode(), detail={str(n): n for n in range(65)}), "at most 64 keys"),
    "a bad name in detail": (changed(encode(), detail={"\x07": 1}), "named in at most 64 printable characters"),
}


@pytest.mark.parametrize(("payload", "message"), BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_a_report_that_is_none_is_refused_in_words(payload, message):
    with pytest.raises(WireError) as caught:
        decode_report(payload, None)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@given(payload=st.binary(max_size=300))
def test_no_bytes_at_all_raise_anything_but_a_wire_error(payload):
    for decode in (decode_report, decode_health, decode_result):
        with pytest.raises(WireError):
            decode(payload, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(name=st.sampled_from(sorted(json.loads(encode()))), value=json_values)
def test_one_wrong_value_never_raises_anything_but_a_wire_error(name, value):
    try:
        decode_report(changed(encode(), **{name: value}), None)
    except WireError as error:
        assert error.what == "report"  # noqa: PT017 - either outcome is right


# ── receipts ───────────────────────────────────────────────────────────────────────────────────────────────────────

RECEIVERS = {"110": KEY, "station": None}
RECEIPT = Receipt("110", ALARM.id, Step.ACCEPTED, "王警官")


def read_receipt(payload: bytes, receiver: str = "110", panel: str = "school-17") -> Receipt:
    return decode_receipt(payload, receiver=receiver, panel=panel, receivers=RECEIVERS)


@pytest.mark.parametrize("step", RECEIVER_STEPS)
def test_what_a_receipt_says_is_read_again(step):
    receipt = dataclasses.replace(RECEIPT, step=step)
    payload = encode_receipt(receipt, at_utc_ms=1, key=KEY)
    schema.check("receipt", json.loads(payload))
    assert read_receipt(payload) == receipt


def test_a_receiver_without_a_key_need_not_sign():
    receipt = dataclasses.replace(RECEIPT, receiver="station")
    assert read_receipt(encode_receipt(receipt, at_utc_ms=1, key=None), "station") == receipt


GOOD = encode_receipt(RECEIPT, at_utc_ms=1, key=KEY)
OPEN = encode_receipt(dataclasses.replace(RECEIPT, receiver="station"), at_utc_ms=1, key=None)
BAD_RECEIPTS = {
    "unsigned": (encode_receipt(RECEIPT, at_utc_ms=1, key=None), "110", "receipt: mac is 'missing'"),
    "signed with another key": (encode_receipt(RECEIPT, at_utc_ms=1, key=b"x" * 32), "110", "wrong key, or changed"),
    "changed on the way": (changed(GOOD, step="closed"), "110", "wrong key, or changed"),
    "a number for a signature": (changed(GOOD, mac=7), "110", "receipt: mac is 7"),
    "a signature of another alphabet": (changed(GOOD, mac="é" * 64), "110", "this sender's signature"),
    "on another receiver's topic": (GOOD, "station", "receiver is '110', but must be 'station', as its topic says"),
    "from a stranger": (GOOD, "119", "topic's receiver is '119', but must be one of the configured"),
    "on no receiver's topic": (GOOD, "../110", "topic's receiver is '../110'"),
    "about another panel": (changed(OPEN, report="school-18/3/44"), "station", "a report of this panel, 'school-17'"),
    "a step that only the panel takes": (changed(OPEN, step="stored"), "station", "one of received, accepted"),
    "a person of a thousand letters": (changed(OPEN, person="x" * 1000), "station", "at most 80 characters, not 1000"),
    "a person who is a number": (changed(OPEN, person=5), "station", "receipt: person is 5, but must be text"),
    "ten megabytes": (b"x" * 10_000_000, "110", "receipt: payload is '10000000 bytes', but must be at most 16384"),
    "rubbish": (bytes(range(256)), "110", "but must be UTF-8 text"),
}


@pytest.mark.parametrize(("payload", "receiver", "message"), BAD_RECEIPTS.values(), ids=BAD_RECEIPTS)
def test_a_receipt_that_is_none_is_refused_in_words(payload, receiver, message):
    with pytest.raises(WireError) as caught:
        read_receipt(payload, receiver)
    assert message in str(caught.value)


# ── results and health ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_result_says_is_read_again():
    payload = encode_result(Reply("c-1", "110", ok=True, text="已复位\n"), panel="school-17", key=KEY)
    schema.check("result", json.loads(payload))
    result = decode_result(payload, KEY)
    assert (result.panel, result.command, result.ok, result.text) == ("school-17", "c-1", True, "已复位\ufffd")


def test_what_health_says_is_read_again():
    health = Health(2, 3, ("journal", "camera gate"), (("booth-button", 50),))
    payload = encode_health(health, panel="school-17", epoch=3, now=NOW, key=KEY)
    schema.check("health", json.loads(payload))
    read = decode_health(payload, KEY)
    assert (read.online, read.epoch, read.troubles) == (True, 3, health.troubles)
    assert (read.open_incidents, read.pending_alarms, read.glitches) == (2, 3, health.glitches)
    assert read.at is not None
    assert read.at.mono_ms == 1_000_500


def test_the_last_will_says_that_the_panel_is_gone_and_nothing_more():
    payload = encode_gone(panel="school-17", epoch=3, key=KEY)
    schema.check("health", json.loads(payload))
    read = decode_health(payload, KEY)
    assert (read.online, read.at, read.troubles) == (False, None, ())


def test_a_hundred_troubles_are_cut_and_the_schema_holds():
    health = Health(0, 0, tuple(f"camera {n} " + "x" * 300 for n in range(100)))
    payload = encode_health(health, panel="p", epoch=1, now=NOW, key=None)
    schema.check("health", json.loads(payload))
    assert len(decode_health(payload, None).troubles) == 64


@pytest.mark.parametrize("glitches", ["x", {"Booth Button": 1}, {"a": "1"}, {"a": -1}, {"a": True}], ids=repr)
def test_glitches_that_are_none_are_refused(glitches):
    payload = changed(encode_health(Health(0, 0, ()), panel="p", epoch=1, now=NOW, key=None), glitches=glitches)
    with pytest.raises(WireError, match="health: glitches"):
        decode_health(payload, None)


def test_health_of_a_panel_that_counts_no_glitches_is_read():
    payload = changed(encode_health(Health(0, 0, ()), panel="p", epoch=1, now=NOW, key=None), glitches=None)
    assert decode_health(payload, None).glitches == ()


@pytest.mark.parametrize("troubles", [None, "x", [1], ["x" * 201], ["a\nb"], ["x"] * 65], ids=repr)
def test_troubles_that_are_none_are_refused(troubles):
    payload = changed(encode_health(Health(0, 0, ()), panel="p", epoch=1, now=NOW, key=None), troubles=troubles)
    with pytest.raises(WireError, match="health: troubles"):
        decode_health(payload, None)
