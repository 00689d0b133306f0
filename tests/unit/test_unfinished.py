import pytest
from rigs.journals import make_mark, make_report

from firmware.adapters.ring_format import Draft, Kind, Place, Record
from firmware.adapters.unfinished import Entry, Group, Unfinished
from firmware.core.report import Step
from firmware.wire.stored import pack_mark, pack_report


class Account:
    """A ring's account, without a ring."""

    usable = 8
    oldest = 3
    hard_capacity = 10_000

    def __init__(self):
        self.places = set()
        self.free = 10_000

    def hold(self, place):
        assert place not in self.places
        self.places.add(place)

    def release(self, place):
        self.places.remove(place)

    @property
    def held(self):
        return sum(place.size for place in self.places)

    @property
    def reserve(self):
        return sum(place.size for place in self.places if place.ordinal <= self.oldest)


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def book(account):
    return Unfinished(account)


REPORT = make_report(1, 1)
MARKS = [make_mark(REPORT, step) for step in (Step.BROKERED, Step.RECEIVED, Step.ACCEPTED)]


def record(kind, payload, ordinal, offset, key=(1, 1)):
    return Record(kind, 0, ordinal, offset, 1, key, offset, payload)


def past(ordinal=3):
    payloads = [(Kind.REPORT, pack_report(REPORT)), *((Kind.MARK, pack_mark(mark)) for mark in MARKS)]
    return [record(kind, payload, ordinal, 1000 * number) for number, (kind, payload) in enumerate(payloads)]


def test_records_on_disk_are_recovered_and_held(book, account):
    book.recover(past(), set(), on_disk=True)
    assert len(account.places) == 4
    assert book.decode(book.groups) == ((REPORT,), tuple(MARKS), [])


def test_a_copy_replaces_the_place_of_the_original(book, account):
    book.recover([*past(3), *past(9)], set(), on_disk=True)
    assert {place.ordinal for place in account.places} == {9}


def test_a_finished_report_and_marks_without_a_report_are_not_held(book, account):
    book.recover(past(), {(1, 1)}, on_disk=True)
    assert not account.places
    assert not book.groups


def test_marks_for_which_there_is_no_room_are_not_recovered_and_the_report_is(book, account):
    account.hard_capacity = 10
    book.recover(past(), set(), on_disk=True)
    assert book.decode(book.groups) == ((REPORT,), (), [])


def test_a_mark_for_which_there_is_no_room_is_not_held(book, account):
    book.recover(past()[:1], set(), on_disk=True)
    entry = Entry(Draft(Kind.MARK, (1, 1), b"mark"))
    book.groups[1, 1].marks[b"mark"] = entry
    account.hard_capacity = account.held
    book.settle_mark(entry, Place(9, 0, 52))
    assert len(account.places) == 1
    assert not book.groups[1, 1].marks


def test_marks_that_cannot_be_copied_are_let_go_and_no_more_than_needed(book, account):
    book.recover(past(), set(), on_disk=True)
    account.free = account.reserve - 10
    book.let_marks_go()
    assert len(book.groups[1, 1].marks) == 2
    assert account.reserve <= account.free
    account.free = 0
    book.let_marks_go()
    assert book.decode(book.groups) == ((REPORT,), (), [])


def test_a_report_that_cannot_be_read_is_told_and_let_go(book, account):
    book.recover([record(Kind.REPORT, b"[99]", 3, 0)], set(), on_disk=True)
    reports, marks, wrong = book.decode(list(book.groups))
    assert (reports, marks) == ((), ())
    assert "version 99" in wrong[0]
    assert not account.places


def test_an_ended_report_is_held_until_it_is_forgotten(book, account):
    book.recover(past(), set(), on_disk=True)
    assert book.end((1, 1))
    assert not book.end((1, 1))
    assert len(account.places) == 4
    book.forget(book.ended.pop((1, 1)))
    assert not account.places


def test_a_new_ring_knows_nothing_of_the_old_ones_places(book, account):
    book.recover(past(), set(), on_disk=True)
    fresh = Account()
    book.attach(fresh)
    assert all(entry.place is None for entry in book.entries())
    book.recover(past(9), set(), on_disk=True)
    assert len(fresh.places) == 4


def test_an_entry_moves_with_its_account(book, account):
    entry = Entry(Draft(Kind.REPORT, (1, 1), b"x"))
    book.groups[1, 1] = Group(entry)
    book.move(entry, Place(1, 0, 49))
    book.move(entry, Place(9, 0, 49))
    assert account.places == {Place(9, 0, 49)}
    book.move(entry, None)
    assert not account.places
