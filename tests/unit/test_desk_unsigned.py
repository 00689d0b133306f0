"""A panel that speaks without a valid signature: told as that, and never instead of a loss."""

from __future__ import annotations

import itertools

import pytest

from firmware.core.effects import Health
from firmware.core.report import Report, ReportId
from firmware.receiver import events as e
from firmware.receiver.desk import Desk
from firmware.receiver.mail import COMPLAINTS_SHOWN, WARN_EVERY_S, MailRoom, PanelKeys
from firmware.receiver.numbers import GAP_S
from firmware.receiver.unsigned import AGAIN_S, ALIVE_S, CALM_S, STRANGERS_MAX
from firmware.wire import topics
from firmware.wire.beat import Pulse, encode_beat
from firmware.wire.health import encode_health
from firmware.wire.report import Site, encode_report
from hal.types import Instant

PANEL, KEY, WRONG = "school-7", b"7" * 32, b"x" * 32
UTC_MS = 1_800_000_000_000


class Room:
    """A mail room with a clock that a test moves, and a panel's side of the wire."""

    def __init__(self, keys):
        self.mono_s = 0.0
        self._counts = itertools.count(1)
        self.desk = Desk("110", "Officer Li", lambda: "order")
        self.mail = MailRoom(self.desk, "110", keys=keys, receiver_key=b"r" * 32, now=self.now)

    def now(self):
        return e.Moment(self.mono_s, UTC_MS + round(self.mono_s * 1000))

    def beat(self, key=KEY, panel=PANEL):
        return self.send(topics.beat(panel), encode_beat(Pulse(panel, 5, "main", next(self._counts), 0), key=key))

    def health(self, key=KEY, *, retained=False):
        payload = encode_health(Health(0, 0, ()), panel=PANEL, epoch=5, now=Instant(0.0, 0.0, synced=True), key=key)
        return self.send(topics.health(PANEL), payload, retained=retained)

    def report(self, seq=1, key=KEY, code="PA"):
        report = Report(ReportId(PANEL, 5, seq), code, Instant(0.0, 0.0, synced=True), "booth-button")
        payload = encode_report(report, site=Site(), now=Instant(0.0, 0.0, synced=True), epoch=5, attempt=1, key=key)
        return self.send(topics.report(PANEL, report.cls), payload)

    def send(self, topic, payload, *, retained=False):
        return self.mail.take(topic, payload, retained)[1]

    def later(self, seconds):
        self.mono_s += seconds


@pytest.fixture(params=["a key for each", "one for all"])
def room(request, tmp_path):
    file = tmp_path / f"{PANEL}.key"
    file.write_text(KEY.hex())
    return Room(PanelKeys(tmp_path if request.param == "a key for each" else file))


def unsigned(shown):
    return [event for event in shown if isinstance(event, e.Unsigned)]


@pytest.mark.parametrize("key", [None, WRONG], ids=["unsigned", "signed wrongly"])
def test_a_panel_that_lost_its_key_is_told_with_the_time_since_when_and_its_last_sign_of_life(room, key):
    room.later(10)
    room.beat()
    room.later(ALIVE_S)
    assert room.beat(key) == [
        e.Unsigned(PANEL, UTC_MS + 100_000, UTC_MS + 10_000, alive=False, alarm=False),
    ]


def test_it_is_told_once_in_ten_minutes_while_it_lasts_with_the_time_at_which_it_began(room):
    told = []
    while room.mono_s < 3 * AGAIN_S:
        told += unsigned([*room.beat(None), *room.health(None), *room.report(code="RR", key=None)])
        room.later(5)
    assert len(told) == 3
    assert {event.since_utc_ms for event in told} == {UTC_MS}


def test_an_alarm_among_the_unsigned_words_is_told_at_once_and_once(room):
    room.beat(None)
    assert [event.alarm for event in unsigned(room.report(key=None))] == [True]
    assert room.report(2, key=None) == []


def test_nothing_unsigned_changes_what_the_desk_knows(room):
    room.report(key=None)
    room.health(None)
    room.beat(None)
    assert (room.desk.panels, room.desk.incidents) == ({}, {})


def test_a_stranger_under_a_living_panels_name_is_told_as_that(room):
    room.beat()
    assert [event.alive for event in unsigned(room.beat(WRONG))] == [True]


def test_a_stranger_who_speaks_on_does_not_hide_that_the_panel_itself_fell_silent(room):
    room.beat()
    room.beat(WRONG)
    told = []
    while room.mono_s < ALIVE_S + 5:
        room.later(5)
        told += unsigned(room.beat(WRONG))
    assert [event.alive for event in told] == [False]


def test_recordings_of_signed_words_are_no_sign_of_life(room):
    recorded = encode_beat(Pulse(PANEL, 5, "main", 1000, 0), key=KEY)
    room.send(topics.beat(PANEL), recorded)
    alarm = room.report
    alarm()
    room.later(ALIVE_S)
    room.send(topics.beat(PANEL), recorded)
    alarm()
    assert [event.alive for event in unsigned(room.beat(WRONG))] == [False]


def test_a_loss_of_reports_is_told_all_the_same(room):
    room.report(1, code="RR")
    room.report(4, code="RR")
    for _ in range(100):
        room.report(2, key=WRONG, code="RR")
        room.report(3, key=WRONG, code="RR")
    room.later(GAP_S)
    assert room.desk.due(room.now()) == [e.Lost(PANEL, 5, 2, 3)]


def test_a_panel_that_has_its_key_again_is_told_when_no_stranger_speaks_any_more(room):
    room.beat(None)
    room.later(CALM_S - 1)
    assert e.SignedAgain(PANEL, UTC_MS) not in room.beat()
    room.later(1)
    assert room.beat() == [e.SignedAgain(PANEL, UTC_MS)]
    room.later(CALM_S)
    assert room.beat() == []


def test_what_a_broker_kept_from_long_ago_speaks_for_nobody(room):
    (told,) = room.health(None, retained=True)
    assert isinstance(told, e.Warned)


def test_a_crowd_of_invented_names_takes_no_place_from_a_panel_and_leaves_the_screen(tmp_path):
    file = tmp_path / "one.key"
    file.write_text(KEY.hex())
    room = Room(PanelKeys(file))
    room.beat()
    told = [event for n in range(1000) for event in room.beat(WRONG, f"name-{n}")]
    assert len(told) == COMPLAINTS_SHOWN
    while room.mono_s < WARN_EVERY_S * (STRANGERS_MAX / COMPLAINTS_SHOWN + 2):
        room.later(WARN_EVERY_S)
        told += [event for n in range(1000) for event in room.beat(WRONG, f"name-{n}")]
    assert len({event.panel for event in unsigned(told)}) <= STRANGERS_MAX
    room.later(ALIVE_S + WARN_EVERY_S)
    assert [(event.panel, event.alive) for event in unsigned(room.beat(None))] == [(PANEL, False)]


def test_names_that_fell_silent_make_room_for_others(tmp_path):
    file = tmp_path / "one.key"
    file.write_text(KEY.hex())
    room = Room(PanelKeys(file))
    for n in range(STRANGERS_MAX):
        room.later(WARN_EVERY_S)
        room.beat(WRONG, f"name-{n}")
    room.later(AGAIN_S)
    assert [event.panel for event in unsigned(room.beat(WRONG, "late-one"))] == ["late-one"]
