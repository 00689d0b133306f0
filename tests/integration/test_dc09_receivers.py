"""A DC-09 path over TCP: against a receiver that others wrote, and against every answer that a receiver can give."""

from __future__ import annotations

import contextlib
import logging
import socket

import pytest
import siadc09.message
from rigs.broker import free_port
from rigs.dc09 import ACCOUNT, Centre, DialRig, Scripted, number, path_config, say, say_sealed
from rigs.uplink import ListBacklog, RigClock

from firmware.adapters.backlog import Wake
from firmware.adapters.dc09_line import TcpLine
from firmware.adapters.dc09_teller import BARE_AFTER
from firmware.core.chinese import chinese
from firmware.core.effects import Lead, Note
from firmware.core.facts import Echo, PathDown, PathUp, Receipt, Refused, Trouble, TroubleOver
from firmware.core.report import Mark, Step
from firmware.wire.dc09 import format_time
from hal.types import Instant

KEY = "0123456789ABCDEF"
TEN_YEARS_S = 3650 * 86400.0


@contextlib.contextmanager
def running(*things):
    try:
        yield things
    finally:
        for thing in things:
            (thing.stop if isinstance(thing, DialRig) else thing.close)()


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "dial.key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    return file


def dialling(answer, **settings):
    receiver = Scripted(answer)
    return receiver, DialRig(receiver.port, **settings)


def acknowledge(frame):
    return say("ACK", frame)


# ── the receiver of others ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("protocol", ["SIA-DCS", "ADM-CID"])
def test_an_alarm_is_delivered_and_its_acknowledgement_is_the_receivers_receipt(protocol, encrypted, key_file):
    secret = {"key_file": key_file, "key_encoding": "text"} if encrypted else {}
    centre = Centre(KEY if encrypted else None)
    rig = DialRig(centre.port, protocol=protocol, **secret).start()
    with running(rig, centre):
        rig.expect(PathUp)
        alarm = rig.press()
        event = centre.wait("PA")
        assert rig.expect(Receipt) == Receipt("110", alarm.id, Step.RECEIVED, "", "dial")
        assert event.account == ACCOUNT
        assert (event.message, event.ri) == (("01", "1") if protocol == "SIA-DCS" else (None, "001"))
        assert event.encrypted is encrypted
        assert bool(event.encrypted_content) is encrypted
    assert centre.count("crc") == 0


def test_a_silent_alarm_goes_with_its_own_code_and_nothing_of_it_is_logged(caplog):
    caplog.set_level(logging.DEBUG, "firmware")
    centre = Centre()
    rig = DialRig(centre.port).start()
    with running(rig, centre):
        rig.expect(PathUp)
        alarm = rig.press("HA", covert=True, zone="foot-bar")
        assert centre.wait("HA").message == "02"
        assert rig.expect(Receipt).id == alarm.id
    assert "HA" not in caplog.text
    assert "foot-bar" not in caplog.text


def test_a_wall_clock_ten_years_off_is_corrected_by_a_nak_and_the_alarm_is_delivered():
    for off_s in (TEN_YEARS_S, -TEN_YEARS_S):
        clock = RigClock()
        clock._shift_s = off_s
        centre = Centre()
        rig = DialRig(centre.port, clock=clock).start()
        with running(rig, centre):
            alarm = rig.press()
            event = centre.wait("PA")
            assert rig.expect(Receipt).id == alarm.id
            assert abs(event.timestamp.timestamp() - (clock.now().utc_s - off_s)) < 40
            assert "H" not in [item.identifier for item in event.extended_data]
            assert centre.count("timestamp") >= 1


def test_a_queued_alarm_carries_the_time_at_which_it_happened_position_name_and_link():
    centre = Centre()
    clock = RigClock()
    rig = DialRig(
        centre.port, clock=clock, text="North gate booth", evidence_url="https://e.example/{panel}/{epoch}/{seq}"
    )
    now = clock.now()
    with running(rig.start(), centre):
        rig.press(raised=Instant(now.mono_s - 3600, now.utc_s - 3600, synced=True))
        found = {item.identifier: item.value for item in centre.wait("PA").extended_data}
    assert found["X"] == "116E23.500"
    assert found["Y"] == "39N54.300"
    assert found["I"] == "North gate booth"
    assert found["V"] == "https://e.example/p1/3/1"
    happened = siadc09.message.fromtimestamp(found["H"]).timestamp()
    assert abs(happened - (now.utc_s - 3600)) < 3


def test_an_unknown_account_is_told_as_such_and_the_path_stays_down():
    centre = Centre(account="BBB2")
    rig = DialRig(centre.port).start()
    with running(rig, centre):
        rig.press()
        down = rig.expect(PathDown)
    assert "does not accept frames of account AAA1 (NAK)" in down.why
    assert "path.dc09.account" in down.why
    assert not [fact for fact in rig.seen if isinstance(fact, Receipt | PathUp | Echo)]


def test_a_wrong_key_is_told_as_such(key_file):
    centre = Centre("FEDCBA9876543210")
    rig = DialRig(centre.port, key_file=key_file, key_encoding="text").start()
    with running(rig, centre):
        assert "another key" in rig.expect(PathDown).why


def test_a_key_taken_for_the_other_writing_says_nothing_in_clear_and_tells_why(key_file):
    centre = Centre(KEY)
    rig = DialRig(centre.port, key_file=key_file, key_encoding="hex").start()
    with running(rig, centre):
        rig.press()
        trouble = rig.expect(Trouble)
        assert trouble.source == "path dial key"
        assert 'set path.dc09.key_encoding = "text"' in trouble.why
        assert rig.expect(PathDown).path == "dial"
        key_file.write_text("4A" * 16)
        assert rig.expect(TroubleOver).source == "path dial key"
        rig.expect(PathDown, lambda fact: "another key" in fact.why)
    assert centre.events.empty()


def test_link_tests_keep_the_path_proven():
    centre = Centre()
    rig = DialRig(centre.port, interval_s=0.3).start()
    with running(rig, centre):
        for _ in range(4):
            assert rig.expect(Echo) == Echo("dial", "110")
        assert centre.events.get(timeout=5).code == "RP"


def test_many_alarms_arrive_once_each_and_in_order():
    centre = Centre()
    rig = DialRig(centre.port).start()
    with running(rig, centre):
        alarms = [rig.press() for _ in range(100)]
        got = [rig.expect(Receipt).id for _ in alarms]
        numbers = [int(centre.wait("PA").sequence) for _ in alarms]
    assert got == [alarm.id for alarm in alarms]
    assert numbers == list(range(numbers[0], numbers[0] + 100))
    assert centre.events.empty()


def test_faults_follow_when_the_path_carries_all_and_leads():
    centre = Centre()
    backlog = ListBacklog()
    rig = DialRig(centre.port, backlog=backlog, reports="all")
    faults = [rig.report("YC", zone=""), rig.report("YK", zone="")]
    backlog.add(faults)
    rig.start()
    with running(rig, centre):
        event = centre.wait("YC")
        assert int(event.ri) == 0
        centre.wait("YK")
        rig.worker.put(Lead("dial", leading=False))
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id
    assert backlog.finished == [fault.id for fault in faults]


def test_a_path_for_alarms_alone_takes_nothing_from_the_backlog():
    centre = Centre()
    backlog = ListBacklog()
    rig = DialRig(centre.port, backlog=backlog).start()
    backlog.add([rig.report("YC")])
    with running(rig, centre):
        rig.worker.put(Lead("dial", leading=True))
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id
        assert int(centre.wait("PA").sequence) > 0
    assert backlog.take(5)


def test_a_receiver_that_refuses_extended_data_gets_the_alarm_without_it_and_is_remembered():
    centre = Centre()  # its reading of ADM-CID takes one block of extended data at the most
    rig = DialRig(centre.port, protocol="ADM-CID", text="North gate").start()
    with running(rig, centre):
        for turn in range(1, BARE_AFTER + 1):
            alarm = rig.press()
            assert rig.expect(Receipt).id == alarm.id
            assert centre.wait("PA").x_data is None
            assert centre.count("format") == turn
        late = rig.press(raised=Instant(rig.clock.now().mono_s - 60, 0.0, synced=False))
        assert rig.expect(Receipt).id == late.id
        assert centre.wait("PA").x_data.startswith("H")
        assert centre.count("format") == BARE_AFTER


# ── every answer that there is ─────────────────────────────────────────────────────────────────────────────────────


def twice_then(answer):
    """A receiver that gives two bad answers to an alarm before it acknowledges."""
    count = 0

    def said(frame):
        nonlocal count
        if b"NULL" in frame:
            return acknowledge(frame)
        count += 1
        return answer(frame) if count < 3 else acknowledge(frame)

    return said


BAD = {
    "a bare NAK without frame end": lambda _: b'"NAK"',
    "the empty frame for a bad checksum": lambda _: b"\n\r",
    "an answer whose own checksum is wrong": lambda frame: acknowledge(frame).replace(b'"ACK"', b'"ACk"'),
    "garbage": lambda _: b"\x00\xff\x17 hello\r\n",
    "a web server": lambda _: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "its own frame": lambda frame: frame,
    "an answer to another account": lambda frame: say("ACK", frame, account="BBB2"),
    "a NAK without a time": lambda frame: say("NAK", frame),
}
QUIET = {
    "silence": lambda _: b"",
    "half an answer": lambda frame: acknowledge(frame)[:15],
    "the acknowledgement of another number": lambda frame: acknowledge(frame.replace(number(frame), b"8888")),
    "hanging up": lambda _: None,
}


@pytest.mark.parametrize("bad", [*BAD.values(), *QUIET.values()], ids=[*BAD, *QUIET])
def test_after_a_bad_answer_the_same_frame_goes_again_under_the_same_number(bad):
    receiver, rig = dialling(twice_then(bad))
    with running(rig.start(), receiver):
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id
        frames = [receiver.frame() for _ in range(3)]
    assert len({number(frame) for frame in frames}) == 1
    assert receiver.frames.empty() or b"NULL" in receiver.frames.get()


@pytest.mark.parametrize("bad", [*BAD.values(), *QUIET.values()], ids=[*BAD, *QUIET])
def test_three_bad_answers_lose_the_path_for_this_number_and_the_next_try_has_a_new_one(bad):
    receiver, rig = dialling(lambda frame: acknowledge(frame) if b"NULL" in frame else bad(frame))
    with running(rig.start(), receiver):
        rig.expect(PathUp)
        alarm = rig.press()
        frames = [receiver.frame() for _ in range(3)]
        assert rig.expect(PathDown).path == "dial"
        receiver.answer = acknowledge
        assert rig.expect(Receipt).id == alarm.id
        last = receiver.frame()
        while number(last) == number(frames[0]):
            last = receiver.frame()
    assert len({number(frame) for frame in frames}) == 1
    assert not [fact for fact in rig.seen if isinstance(fact, Receipt) and fact.id != alarm.id]


@pytest.mark.parametrize("bad", [*BAD.values(), *QUIET.values()], ids=[*BAD, *QUIET])
def test_after_a_bad_answer_a_fault_goes_again_under_the_same_number(bad):
    backlog = ListBacklog()
    receiver, rig = dialling(twice_then(bad), backlog=backlog, reports="all")
    fault = rig.report("YX", zone="")
    backlog.add([fault])
    with running(rig.start(), receiver):
        frames = [receiver.frame() for _ in range(3)]
        rig.press()
        rig.expect(Receipt)
    assert len({number(frame) for frame in frames}) == 1
    assert backlog.finished == [fault.id]
    assert not [fact for fact in rig.seen if isinstance(fact, PathDown)]


@pytest.mark.parametrize("bad", [*BAD.values(), *QUIET.values()], ids=[*BAD, *QUIET])
def test_a_fault_that_is_not_taken_in_three_tries_is_passed_on_and_those_behind_it_go(bad):
    backlog = ListBacklog()
    receiver, rig = dialling(
        lambda frame: bad(frame) if b"/YK" in frame else acknowledge(frame), backlog=backlog, reports="all"
    )
    poison, fault = rig.report("YK", zone=""), rig.report("YX", zone="")
    backlog.add([poison, fault])
    with running(rig.start(), receiver):
        told = rig.expect(Trouble, lambda fact: fact.source == "path dial reports").why
        tries = [receiver.frame() for _ in range(3)]
        assert b"/YX" in receiver.frame()
        rig.press()
        rig.expect(Receipt)
    assert [(number(frame), b"/YK" in frame) for frame in tries] == [(number(tries[0]), True)] * 3
    assert "the receiver takes no code YK: three tries" in told
    assert backlog.passed == [(poison.id, False)]
    assert backlog.finished == [fault.id]
    assert not [fact for fact in rig.seen if isinstance(fact, PathDown)]


@pytest.mark.parametrize("bad", [*BAD.values(), *QUIET.values()], ids=[*BAD, *QUIET])
def test_a_silent_alarm_with_a_bad_answer_shows_nothing_of_itself(bad, caplog):
    caplog.set_level(logging.DEBUG, "firmware")
    receiver, rig = dialling(twice_then(bad))
    with running(rig.start(), receiver):
        alarm = rig.press("HA", covert=True, zone="foot-bar")
        assert rig.expect(Receipt).id == alarm.id
    shown = caplog.text + str([fact for fact in rig.seen if isinstance(fact, PathDown | Trouble | Refused)])
    assert "HA" not in shown
    assert "foot-bar" not in shown
    assert not [fact for fact in rig.seen if isinstance(fact, Trouble)], (
        "a console line would tell that something is sent"
    )


def test_the_literal_none_of_a_receiver_without_number_is_an_acknowledgement():
    receiver, rig = dialling(lambda frame: _framed(f'"ACK"{number(frame).decode()}NoneL0#{ACCOUNT}[]'.encode()))
    with running(rig.start(), receiver):
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id


def _framed(body):
    from firmware.wire.dc09 import checksum  # noqa: PLC0415 - beside its only use

    return b"\n%04X%04X%b\r" % (checksum(body), len(body), body)


def test_an_answer_with_content_is_an_acknowledgement():
    receiver, rig = dialling(lambda frame: say("RSP", frame, extra="[K00]"))
    with running(rig.start(), receiver):
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id


def test_what_a_receiver_does_not_understand_is_refused_once_and_the_next_alarm_goes_on():
    receiver, rig = dialling(lambda frame: say("DUH" if b"/TA" in frame else "ACK", frame))
    with running(rig.start(), receiver):
        tamper = rig.press("TA")
        refused = rig.expect(Refused)
        rig.worker.put(_again(tamper))
        panic = rig.press("PA")
        assert rig.expect(Receipt).id == panic.id
        assert rig.expect(TroubleOver).source == "path dial receiver"
        frames = [receiver.frame(), receiver.frame()]
    assert refused.id == tamper.id
    assert "code TA (DUH)" in refused.why
    assert b"/TA" in frames[0]
    assert b"/PA" in frames[1]


def _again(report):
    from firmware.core.effects import Transmit  # noqa: PLC0415 - beside its only use

    return Transmit("dial", report, 2)


def test_a_fault_that_is_not_understood_is_passed_on_for_good_and_the_complaint_ends_with_one_that_is():
    backlog = ListBacklog()
    understood = [b"/YX"]
    receiver, rig = dialling(
        lambda frame: say("ACK" if b"NULL" in frame or understood[0] in frame else "DUH", frame),
        backlog=backlog,
        reports="all",
    )
    faults = [rig.report("YK", zone=""), rig.report("YX", zone="")]
    backlog.add(faults)
    with running(rig.start(), receiver):
        assert "takes no code YK: it has no use for it (DUH)" in rig.expect(Trouble).why
        assert b"/YX" in receiver.frame(b"/YX")
        understood[0] = b"/YK"
        backlog.add([rig.report("YK", zone="")])
        rig.worker.put(Wake())
        assert rig.expect(TroubleOver).source == "path dial reports"
    assert backlog.passed == [(faults[0].id, True)]
    assert len(backlog.finished) == 2


def test_a_silent_fault_that_is_not_taken_is_passed_on_without_a_word(caplog):
    caplog.set_level(logging.DEBUG, "firmware")
    backlog = ListBacklog()
    receiver, rig = dialling(
        lambda frame: b"" if b"/HH" in frame else acknowledge(frame), backlog=backlog, reports="all"
    )
    poison = rig.report("HH", zone="foot-bar", covert=True)
    backlog.add([poison, rig.report("YX", zone="")])
    with running(rig.start(), receiver):
        receiver.frame(b"/YX")
    assert backlog.passed == [(poison.id, False)]
    assert "HH" not in caplog.text
    assert not [fact for fact in rig.facts.queue if isinstance(fact, Trouble | PathDown | Refused)]


def test_what_a_path_holds_goes_back_when_another_leads():
    backlog = ListBacklog()
    receiver, rig = dialling(acknowledge, backlog=backlog, reports="all")
    with running(rig.start(), receiver):
        rig.expect(PathUp)
        receiver.answer = lambda _: b""
        backlog.add([rig.report("YX", zone="")])
        rig.worker.put(Wake())
        rig.expect(PathDown)
        assert backlog.take(5) == []
        rig.worker.put(Lead("dial", leading=False))
        receiver.answer = acknowledge
        rig.expect(PathUp)
        assert len(backlog.take(5)) == 1


def test_a_silent_alarm_that_is_not_understood_is_refused_without_its_code():
    receiver, rig = dialling(lambda frame: say("DUH" if b"/HA" in frame else "ACK", frame))
    with running(rig.start(), receiver):
        rig.press("HA", covert=True)
        assert "HA" not in rig.expect(Refused).why


def test_a_late_acknowledgement_of_a_number_given_up_counts_for_its_alarm():
    first = b""

    def late(frame):
        nonlocal first
        if b"NULL" in frame:
            return acknowledge(frame)
        first = first or frame
        return b"" if number(frame) == number(first) else acknowledge(first)

    receiver, rig = dialling(late)
    with running(rig.start(), receiver):
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id
        frames = [receiver.frame() for _ in range(4)]
    assert [number(frame) == number(first) for frame in frames] == [True, True, True, False]


def test_on_an_encrypted_path_a_forged_acknowledgement_in_clear_is_no_receipt(key_file):
    receiver, rig = dialling(acknowledge, key_file=key_file, key_encoding="text")
    with running(rig.start(), receiver):
        rig.press()
        assert "in clear on an encrypted path" in rig.expect(PathDown).why
        assert b"Nri1" not in receiver.frame(b"*")
    assert not [fact for fact in rig.seen if isinstance(fact, Receipt | Echo | PathUp)]


@pytest.mark.parametrize("word", ["DUH", "NAK"])
def test_on_an_encrypted_path_nothing_in_clear_proves_the_path_or_finishes_a_fault(word, key_file):
    backlog = ListBacklog()
    receiver, rig = dialling(
        lambda frame: say(word, frame), backlog=backlog, reports="all", key_file=key_file, key_encoding="text"
    )
    backlog.add([rig.report("YX", zone="")])
    with running(rig.start(), receiver):
        rig.expect(PathDown)
        rig.press()
        for _ in range(3):
            receiver.frame(b"*SIA-DCS")
        if word == "DUH":
            rig.expect(Refused)
        rig.worker.put(Lead("dial", leading=False))
    assert not [fact for fact in rig.seen if isinstance(fact, Receipt | Echo | PathUp)]
    assert (backlog.finished, backlog.passed) == ([], [])
    assert len(backlog.take(9)) == 1


@pytest.mark.parametrize(
    ("duh", "told", "for_good"),
    [
        (lambda frame: say("DUH", frame), "three tries, it answers DUH", False),
        (lambda frame: say_sealed("DUH", frame, KEY, RigClock().now().utc_s), "it has no use for it (DUH)", True),
    ],
    ids=["in clear", "encrypted"],
)
def test_on_an_encrypted_path_a_duh_is_the_receivers_own_word_only_where_it_is_encrypted(duh, told, for_good, key_file):
    backlog = ListBacklog()
    receiver, rig = dialling(
        lambda frame: acknowledge_sealed(frame) if b"NULL" in frame else duh(frame),
        backlog=backlog,
        reports="all",
        key_file=key_file,
        key_encoding="text",
    )
    fault = rig.report("YX", zone="")
    backlog.add([fault])
    with running(rig.start(), receiver):
        assert f"takes no code YX: {told}" in rig.expect(Trouble).why
    assert (backlog.finished, backlog.passed) == ([], [(fault.id, for_good)])


def acknowledge_sealed(frame, off_s=0.0):
    return say_sealed("ACK", frame, KEY, RigClock().now().utc_s + off_s)


def test_an_acknowledgement_that_was_recorded_is_no_receipt_and_the_difference_is_told(key_file):
    recorded = b""

    def answer(frame):
        return acknowledge_sealed(frame) if b"NULL" in frame else with_number(recorded, frame)

    receiver, rig = dialling(answer, key_file=key_file, key_encoding="text")
    recorded = say_sealed("ACK", b'""0000', KEY, rig.clock.now().utc_s - 3 * 86_400)
    with running(rig.start(), receiver):
        rig.expect(PathUp)
        alarm = rig.press()
        down = rig.expect(PathDown).why
        receiver.answer = acknowledge_sealed
        assert rig.expect(Receipt).id == alarm.id
    receipts = [fact for fact in rig.seen if isinstance(fact, Receipt)]
    assert len(receipts) == 1
    assert "a time 3 days behind this panel's: it is a recording, or one of both clocks is wrong" in down


def with_number(answer, frame):
    """Its number stands in clear: whoever plays an answer again can write any."""
    body = answer[9:-1].replace(b"0000", number(frame), 1)
    return _framed(body)


def test_a_receiver_whose_clock_is_wrong_and_that_does_not_mind_ours_is_told_with_the_difference(key_file):
    receiver, rig = dialling(lambda frame: acknowledge_sealed(frame, 3600), key_file=key_file, key_encoding="text")
    with running(rig.start(), receiver):
        assert "60 min ahead of this panel's" in rig.expect(Trouble, lambda fact: fact.source == "path dial input").why
        down = rig.expect(PathDown).why
        assert "60 min ahead of this panel's" in down
        assert "比本主机快 60 分钟" in chinese(down)
        rig.press()
        for _ in range(9):
            receiver.frame(b"*SIA-DCS")
    assert not [fact for fact in rig.facts.queue if isinstance(fact, PathDown)], "told once"


@pytest.mark.parametrize("synced", [True, False])
def test_a_receiver_whose_clock_is_wrong_is_followed_where_it_minds_ours_and_told_where_ours_is_right(synced, key_file):
    off_s = -5000.0

    def answer(frame):
        return acknowledge_sealed(frame, off_s) if told else nak()

    def nak():
        told.append(1)
        return say("NAK", b'""0000', extra=f"_{format_time(RigClock().now().utc_s + off_s)}")

    told = []
    receiver, rig = dialling(answer, key_file=key_file, key_encoding="text", clock=RigClock(synced=synced))
    with running(rig.start(), receiver):
        alarm = rig.press()
        assert rig.expect(Receipt).id == alarm.id
        rig.press()
        rig.expect(Receipt)
    troubles = {fact.source: fact.why for fact in rig.seen if isinstance(fact, Trouble)}
    assert list(troubles) == (["path dial clock"] if synced else [])
    assert not synced or "the receiver's clock is 83 min behind this panel's" in troubles["path dial clock"]


@pytest.mark.parametrize("shift_s", [0.0, -1e9])
def test_a_clock_that_nobody_set_takes_an_encrypted_acknowledgement(shift_s, key_file):
    clock = RigClock(synced=False)
    clock._shift_s = shift_s
    receiver, rig = dialling(acknowledge_sealed, key_file=key_file, key_encoding="text", clock=clock)
    with running(rig.start(), receiver):
        for _ in range(2):
            alarm = rig.press()
            assert rig.expect(Receipt).id == alarm.id


def test_a_receiver_that_hangs_up_after_every_answer_keeps_the_path_up():
    receiver, rig = dialling(acknowledge, interval_s=0.2)
    receiver.polite = False
    with running(rig.start(), receiver):
        for _ in range(5):
            alarm = rig.press()
            assert rig.expect(Receipt).id == alarm.id
            rig.expect(Echo)
    assert receiver.connections >= 5
    assert not [fact for fact in rig.seen if isinstance(fact, PathDown)]


def test_a_receiver_that_is_not_there_is_told_and_found_when_it_comes():
    port = free_port()
    rig = DialRig(port).start()
    alarm = rig.press()
    assert "is the receiver running?" in rig.expect(PathDown).why
    receiver = Scripted(acknowledge, port)
    with running(rig, receiver):
        assert rig.expect(Receipt).id == alarm.id


def test_an_alarm_that_the_receiver_has_from_another_path_is_not_sent_here():
    receiver, rig = dialling(acknowledge)
    with running(rig, receiver):
        alarm = rig.report()
        rig.worker.put(Note(Mark(alarm.id, Step.ACCEPTED, "110", "Li", rig.clock.now())))
        rig.worker.put(_again(alarm))
        other = rig.press()
        rig.start()
        assert rig.expect(Receipt).id == other.id
        receiver.frame()
    assert receiver.frames.empty()


def test_the_word_of_another_receiver_changes_nothing():
    receiver, rig = dialling(acknowledge)
    with running(rig, receiver):
        alarm = rig.report()
        rig.worker.put(Note(Mark(alarm.id, Step.RECEIVED, "station", "", rig.clock.now())))
        rig.worker.put(_again(alarm))
        rig.start()
        assert rig.expect(Receipt).id == alarm.id


def test_each_frame_is_one_piece_on_the_wire():
    receiver, rig = dialling(acknowledge, text="x" * 100, evidence_url="https://e.example/" + "y" * 90)
    with running(rig.start(), receiver):
        for _ in range(20):
            rig.press()
            rig.expect(Receipt)
            frame = receiver.frame()
            assert frame.startswith(b"\n")
            assert frame.count(b"\r") == 1
            assert frame.endswith(b"\r")
            assert len(frame) < 1000


def test_no_frame_waits_in_the_kernel_for_the_one_before_it():
    receiver = Scripted(acknowledge)
    line = TcpLine(path_config(receiver.port))
    line.open(hurried=False)
    assert line._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with running(line, receiver):
        line.close()
