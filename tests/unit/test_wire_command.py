"""Commands: let through once, and only with the right sender, time and address."""

import contextlib
import dataclasses
import json
import threading

import pytest
from rigs import schema

from firmware.core.facts import Command
from firmware.wire.command import AHEAD_MAX_MS, REMEMBERED_MAX, CommandGate, CommandRefused, encode_command
from firmware.wire.fields import WireError
from firmware.wire.sign import seal
from hal.types import Instant

KEY = b"k" * 32
RECEIVERS = {"110": KEY, "119": b"j" * 32, "station": None}
NOW = Instant(1000.0, 0.0, synced=False)
RESET = Command("c-1", "110", "reset", "booth-button", "王警官", "到达现场 误报")


def encode(command: Command = RESET, *, panel="p", epoch=7, not_after=1_060_000, key=KEY) -> bytes:
    return encode_command(command, panel=panel, epoch=epoch, not_after_mono_ms=not_after, key=key)


@pytest.fixture
def gate() -> CommandGate:
    return CommandGate("p", 7, RECEIVERS)


def resigned(payload: bytes, **changes: object) -> bytes:
    return seal({**json.loads(payload), **changes}, KEY)


def test_a_good_command_comes_through_though_the_wall_clock_stands_at_1970(gate):
    schema.check("command", json.loads(encode()))
    assert gate.admit(encode(), receiver="110", now=NOW) == RESET


def test_the_same_command_comes_through_once(gate):
    gate.admit(encode(), receiver="110", now=NOW)
    with pytest.raises(CommandRefused, match="taken already, its first result counts"):
        gate.admit(encode(), receiver="110", now=NOW)


def test_the_same_command_over_another_path_is_no_offence_once_a_path_and_does_nothing(gate):
    assert gate.admit(encode(), receiver="110", now=NOW, path="main") == RESET
    late = Instant(1060.001, 0.0, synced=False)
    assert gate.admit(encode(), receiver="110", now=late, path="spare") is None
    for path in ("main", "spare"):
        with pytest.raises(CommandRefused):
            gate.admit(encode(), receiver="110", now=NOW, path=path)


def test_another_command_of_the_same_identity_over_another_path_is_refused(gate):
    gate.admit(encode(), receiver="110", now=NOW, path="main")
    other = encode(dataclasses.replace(RESET, verb="bell-off"))
    with pytest.raises(CommandRefused, match="taken already"):
        gate.admit(other, receiver="110", now=NOW, path="spare")


def test_a_command_refused_on_one_path_is_refused_on_the_other_too(gate):
    for path in ("main", "spare"):
        with pytest.raises(CommandRefused, match="expired"):
            gate.admit(encode(not_after=999_999), receiver="110", now=NOW, path=path)


def test_two_receivers_may_use_the_same_identity(gate):
    theirs = dataclasses.replace(RESET, origin="119")
    gate.admit(encode(), receiver="110", now=NOW)
    assert gate.admit(encode(theirs, key=RECEIVERS["119"]), receiver="119", now=NOW) == theirs


def test_a_replay_after_its_expiry_is_refused_as_expired(gate):
    gate.admit(encode(), receiver="110", now=NOW)
    with pytest.raises(CommandRefused, match="expired 1 ms ago"):
        gate.admit(encode(), receiver="110", now=Instant(1060.001, 0.0, synced=False))


def test_the_memory_of_identities_is_bounded_and_never_forgets_one_that_could_be_replayed(gate):
    for number in range(REMEMBERED_MAX):
        gate.admit(encode(dataclasses.replace(RESET, id=f"c-{number}")), receiver="110", now=NOW)
    one_more = encode(dataclasses.replace(RESET, id="more"), not_after=1_110_000)
    with pytest.raises(CommandRefused, match="at most 1024 in two minutes"):
        gate.admit(one_more, receiver="110", now=NOW)
    later = Instant(1060.5, 0.0, synced=False)
    assert gate.admit(one_more, receiver="110", now=later).id == "more"


REFUSED_ALOUD = {
    "expired": (encode(not_after=999_999), "not_after_mono_ms is 999999, but must be not past: it expired 1 ms ago"),
    "too far ahead": (encode(not_after=1_000_001 + AHEAD_MAX_MS), "at most 120000 ms after the panel's 1000000"),
    "of another epoch": (encode(epoch=6), "epoch is 6, but must be 7: the panel has restarted since"),
    "for another panel": (encode(panel="q"), "panel is 'q', but must be 'p', this panel"),
    "of another origin": (encode(dataclasses.replace(RESET, origin="119")), "origin is '119', but must be '110'"),
    "of another version": (resigned(encode(), v=2), "v is 2"),
    "with a number for a verb": (resigned(encode(), verb=1), "verb is 1, but must be text"),
    "with a verb of its own alphabet": (resigned(encode(), verb="RESET; rm"), "verb is 'RESET; rm'"),
    "with a long reason": (resigned(encode(), reason="x" * 201), "at most 200 characters, not 201"),
    "without an actor": (resigned(encode(), actor=None), "actor is None, but must be text"),
    "with a time in words": (resigned(encode(), not_after_mono_ms="soon"), "'soon', but must be a whole number"),
}


@pytest.mark.parametrize(("payload", "message"), REFUSED_ALOUD.values(), ids=REFUSED_ALOUD)
def test_a_signed_command_that_is_not_obeyed_names_itself_so_that_its_sender_is_told(gate, payload, message):
    with pytest.raises(CommandRefused) as caught:
        gate.admit(payload, receiver="110", now=NOW)
    assert message in str(caught.value)
    assert (caught.value.command, caught.value.origin) == ("c-1", "110")


REFUSED_SILENTLY = {
    "unsigned": (json.dumps({**json.loads(encode()), "mac": None}).encode(), "110", "command: mac is 'missing'"),
    "signed with another key": (encode(key=b"x" * 32), "110", "wrong key, or changed on the way"),
    "changed on the way": (encode().replace(b'"reset"', b'"status"'), "110", "wrong key, or changed on the way"),
    "from one who has no key here": (encode(), "station", "one with a key_file: commands must be signed"),
    "from a stranger": (encode(), "boss", "topic's receiver is 'boss', but must be one of the configured"),
    "signed by one and sent as another": (encode(), "119", "wrong key, or changed on the way"),
    "no JSON": (b"reset please", "110", "must be JSON"),
    "binary rubbish": (bytes(range(256)) * 4, "110", "must be UTF-8 text"),
    "ten megabytes": (b"x" * 10_000_000, "110", "payload is '10000000 bytes', but must be at most 16384 bytes"),
    "a bad identity": (resigned(encode(), command="../x"), "110", "command is '../x'"),
}


@pytest.mark.parametrize(("payload", "receiver", "message"), REFUSED_SILENTLY.values(), ids=REFUSED_SILENTLY)
def test_a_command_that_nobody_proves_to_have_sent_is_refused_without_an_answer(gate, payload, receiver, message):
    with pytest.raises(WireError) as caught:
        gate.admit(payload, receiver=receiver, now=NOW)
    assert not isinstance(caught.value, CommandRefused)
    assert message in str(caught.value)


def test_a_refused_command_is_not_remembered(gate):
    with pytest.raises(CommandRefused):
        gate.admit(encode(epoch=6), receiver="110", now=NOW)
    assert gate.admit(encode(), receiver="110", now=NOW) == RESET


def test_of_many_threads_with_one_command_one_gets_it_through(gate):
    began, admitted = threading.Barrier(8), []

    def try_it():
        began.wait()
        with contextlib.suppress(CommandRefused):
            admitted.append(gate.admit(encode(), receiver="110", now=NOW))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert admitted == [RESET]
