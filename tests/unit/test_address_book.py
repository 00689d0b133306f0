"""Addresses that are kept over a restart: seldom written, never trusted, in nobody's way."""

from __future__ import annotations

import json
import os
import threading

import pytest

from firmware.adapters import names
from firmware.adapters.address_book import FILE, AddressBook
from firmware.adapters.names import Names, OutboundError, as_address, keep_in

HOST, PORT = "broker.gatebooth.test", 1883
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def file(tmp_path):
    return tmp_path / FILE


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(names._Kept, "book", None)


def settle():
    """Wait until everything is written, or was tried."""
    for thread in threading.enumerate():
        if thread.name == "addresses":
            thread.join(10)
            assert not thread.is_alive()


def keep(book, address, host=HOST):
    book.keep(host, PORT, address)
    settle()


def test_an_address_is_known_after_a_restart(file):
    keep(AddressBook(file), HERE)
    assert AddressBook(file).of(HOST, PORT) == HERE
    assert AddressBook(file).of(HOST, 8883) == ""
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_is_written_when_an_address_changes_and_not_else(file, mocker):
    syncs = mocker.patch("os.fsync", wraps=os.fsync)
    book = AddressBook(file)
    for _ in range(100):
        keep(book, HERE)
    once = syncs.call_count
    keep(AddressBook(file), HERE)
    assert syncs.call_count == once
    keep(book, THERE)
    assert syncs.call_count == 2 * once
    assert AddressBook(file).of(HOST, PORT) == THERE


def test_one_path_that_connects_does_not_forget_the_other_and_a_path_that_is_gone_is_forgotten(file):
    book = AddressBook(file)
    keep(book, HERE)
    keep(book, THERE, "other.gatebooth.test")
    keep(book, THERE, "removed.gatebooth.test")
    later = AddressBook(file)
    later.of(HOST, PORT)
    later.of("other.gatebooth.test", PORT)
    keep(later, THERE)
    assert json.loads(file.read_text()) == {f"{HOST}:1883": THERE, "other.gatebooth.test:1883": THERE}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rubbish",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 16_000,
        b"9" * 16_000,
        b" " * 1_000_000 + b"{}",
        b'{"broker.gatebooth.test:1883": 5}',
        b'{"broker.gatebooth.test:1883": "evil.example"}',
        b'{"broker.gatebooth.test:1883": "192.0.2.1 "}',
        b'{"broker.gatebooth.test:1883": "fe80::1%lo"}',
        b'{"broker.gatebooth.test:1883": "fe80::1"}',
        b'{"broker.gatebooth.test:1883": ["192.0.2.1"]}',
        json.dumps({f"host-{n}:1": HERE for n in range(65)} | {f"{HOST}:1883": HERE}).encode(),
    ],
)
def test_what_should_not_stand_in_the_file_is_as_if_it_were_not_there(file, content):
    file.write_bytes(content)
    book = AddressBook(file)
    assert book.of(HOST, PORT) == ""
    keep(book, HERE)
    assert AddressBook(file).of(HOST, PORT) == HERE


def make_endless(file):
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_endless], ids=["a pipe", "a folder", "a link to no end"])
def test_what_is_no_file_holds_nobody_up(file, make):
    make(file)
    book = AddressBook(file)
    assert book.of(HOST, PORT) == ""
    keep(book, HERE)
    assert book.of(HOST, PORT) == HERE


def test_a_disk_that_hangs_holds_up_no_connection(file, mocker):
    free, held = threading.Event(), threading.Event()

    def hang(fd):
        held.set()
        assert free.wait(10)

    mocker.patch("os.fsync", side_effect=hang)
    book = AddressBook(file)
    book.keep(HOST, PORT, HERE)
    assert held.wait(10)
    book.keep(HOST, PORT, THERE)
    assert book.of(HOST, PORT) == THERE
    assert not file.exists()
    free.set()
    settle()
    assert AddressBook(file).of(HOST, PORT) == THERE


def test_a_disk_that_is_full_is_tried_again_with_the_next_connection(file, mocker, caplog):
    full = mocker.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
    book = AddressBook(file)
    keep(book, HERE)
    assert "No space left" in caplog.text
    assert AddressBook(file).of(HOST, PORT) == ""
    full.side_effect = None
    keep(book, HERE)
    assert AddressBook(file).of(HOST, PORT) == HERE


# ── names that nobody resolves ──


@pytest.fixture
def answers(mocker):
    """What the system's resolver answers for the host; empty: that there is no such name."""
    found, real = [], names.socket.getaddrinfo

    def ask(host, port, *args, flags=0, **kwargs):
        if host != HOST:
            return real(host, port, *args, flags=flags, **kwargs)
        if flags & names.socket.AI_NUMERICHOST or not found:
            raise names.socket.gaierror(-2, "Name or service not known")
        return [entry for address in found for entry in real(address, port, *args, **kwargs)]

    mocker.patch("socket.getaddrinfo", ask)
    return found


def connected(folder, address):
    """A start of the panel that finds its name and connects to one of its addresses."""
    keep_in(folder)
    known = Names(HOST, PORT)
    known.find()
    known.remember(as_address(address, PORT))
    settle()


def test_a_name_without_a_name_server_after_a_restart_has_its_last_good_address(answers, tmp_path):
    answers.append(HERE)
    connected(tmp_path, HERE)
    answers.clear()
    keep_in(tmp_path)
    known = Names(HOST, PORT)
    assert known.find() == [as_address(HERE, PORT)]
    assert known.notice.endswith("check the name server; the address from before is used, 192.0.2.1")


def test_a_name_server_that_answers_is_believed_and_not_the_file(answers, tmp_path):
    answers.append(HERE)
    connected(tmp_path, HERE)
    answers[:] = [THERE]
    keep_in(tmp_path)
    assert Names(HOST, PORT).find() == [as_address(THERE, PORT)]


def test_a_name_with_several_addresses_is_written_once_however_often_they_take_turns(answers, tmp_path, file):
    answers[:] = [HERE, THERE]
    connected(tmp_path, HERE)
    first = file.stat().st_ino, file.stat().st_mtime_ns
    for _ in range(5):
        connected(tmp_path, THERE)
        connected(tmp_path, HERE)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == first


def test_a_name_that_was_never_connected_to_is_still_not_found(answers, tmp_path):
    keep_in(tmp_path)
    with pytest.raises(OutboundError, match="is not found"):
        Names(HOST, PORT).find()


def test_an_address_in_the_configuration_is_not_kept(tmp_path, file):
    keep_in(tmp_path)
    known = Names(HERE, PORT)
    known.remember(known.find()[0])
    settle()
    assert not file.exists()
