"""The desk's mail room and its memory: what is believed, complained about, and kept over a restart."""

from __future__ import annotations

import itertools
import json

import pytest

from firmware.core.codes import ReportClass
from firmware.core.effects import Health, Reply
from firmware.core.report import Report, ReportId, Step
from firmware.receiver import events as e
from firmware.receiver import memory as memory_module
from firmware.receiver.desk import Desk
from firmware.receiver.mail import COMPLAINTS_SHOWN, WARN_EVERY_S, MailRoom, PanelKeys
from firmware.receiver.memory import Memory, restore
from firmware.wire import topics
from firmware.wire.command import encode_result
from firmware.wire.health import encode_health
from firmware.wire.receipt import decode_receipt
from firmware.wire.report import Site, encode_report
from firmware.wire.sign import KeyFileError
from hal.types import Instant

PANEL, OTHER = "school-7", "school-8"
KEYS = {PANEL: b"7" * 32, OTHER: b"8" * 32}
RECEIVER_KEY = b"r" * 32
CLOCK = Instant(1000.0, 1_800_000_000.0, synced=True)


def alarm(seq=1, panel=PANEL, key=None, code="PA", root=1):
    report = Report(ReportId(panel, 5, seq), code, CLOCK, "booth-button", ReportId(panel, 5, root))
    return encode_report(report, site=Site(), now=CLOCK, epoch=5, attempt=1, key=key or KEYS[panel])


@pytest.fixture
def key_folder(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    for panel, key in KEYS.items():
        (folder / f"{panel}.key").write_text(key.hex())
    return folder


class Room:
    """A mail room with a clock that a test moves."""

    def __init__(self, keys, memory=None):
        self.mono_s = 0.0
        counter = itertools.count()
        self.desk = Desk("110", "Officer Li", lambda: f"order-{next(counter)}")
        self.mail = MailRoom(self.desk, "110", keys=keys, receiver_key=RECEIVER_KEY, now=self.now, memory=memory)

    def now(self):
        return e.Moment(self.mono_s, round((1_800_000_000.0 + self.mono_s) * 1000))

    def alarm(self, payload, panel=PANEL):
        return self.mail.take(topics.report(panel, ReportClass.ALARM), payload, False)  # noqa: FBT003


@pytest.fixture
def room(key_folder):
    return Room(PanelKeys(key_folder))


def warnings(shown):
    return [event.text for event in shown if isinstance(event, e.Warned)]


def test_each_panel_is_held_to_its_own_key(room):
    for panel in KEYS:
        letters, _ = room.alarm(alarm(panel=panel), panel)
        (receipt,) = [
            decode_receipt(letter.payload, receiver="110", panel=panel, receivers={"110": RECEIVER_KEY})
            for letter in letters
        ]
        assert receipt.step is Step.RECEIVED


def test_a_panel_that_signs_with_another_panels_key_is_refused(room):
    letters, (told,) = room.alarm(alarm(key=KEYS[OTHER]))
    assert letters == []
    assert isinstance(told, e.Unsigned)


def test_a_panel_without_a_key_in_the_folder_is_refused(room):
    letters, shown = room.alarm(alarm(panel=PANEL), "school-9")
    assert letters == []
    assert "school-9.key" in warnings(shown)[0]


def test_a_panels_report_on_another_panels_topic_is_refused(tmp_path):
    room = Room(PanelKeys(None))
    letters, shown = room.alarm(alarm(panel=PANEL), OTHER)
    assert letters == []
    assert "as its topic says" in warnings(shown)[0]


@pytest.mark.parametrize("topic", ["", "x", "gatebooth/v1", "gatebooth/v1/../report/alarm", "gatebooth/v1/a b/health"])
def test_a_topic_that_is_none_of_ours_does_nothing(room, topic):
    assert room.mail.take(topic, b"{}", False) == ([], [])  # noqa: FBT003


def test_the_folder_of_keys_cannot_be_left(key_folder):
    with pytest.raises(KeyFileError):
        PanelKeys(key_folder).of("../keys/school-7")


def test_a_flood_of_rubbish_is_one_complaint_with_a_count(room):
    first = warnings(room.alarm(b"rubbish")[1])
    flood = [warnings(room.alarm(b"rubbish")[1]) for _ in range(1000)]
    room.mono_s = WARN_EVERY_S
    last = warnings(room.alarm(b"rubbish")[1])
    assert len(first) == 1
    assert flood == [[]] * 1000
    assert "1000 more" in last[0]


def test_a_flood_under_a_thousand_names_leaves_the_screen_to_the_alarms(room):
    told = [text for n in range(1000) for text in warnings(room.alarm(b"rubbish", f"name-{n}")[1])]
    assert len(told) == COMPLAINTS_SHOWN
    room.mono_s = WARN_EVERY_S
    later = warnings(room.alarm(b"rubbish", "one-more")[1])
    assert later[0].startswith(f"{1000 - COMPLAINTS_SHOWN} more complaints were left out")
    assert len(later) == 2


def test_a_flood_of_recordings_is_one_warning(room):
    topic = topics.health(PANEL)
    for epoch in (5, 4, 4, 4, 4):
        payload = encode_health(Health(0, 0, ()), panel=PANEL, epoch=epoch, now=CLOCK, key=KEYS[PANEL])
        shown = room.mail.take(topic, payload, False)[1]  # noqa: FBT003
        assert len(warnings(shown)) <= 1
    assert shown == []


def test_a_result_is_shown_and_a_forged_one_is_not(room):
    reply = Reply("order-0", "110", ok=True, text="reset: booth-button")
    topic = topics.result(PANEL, "110")
    good = encode_result(reply, panel=PANEL, key=KEYS[PANEL])
    forged = encode_result(reply, panel=PANEL, key=b"x" * 32)
    (shown,) = room.mail.take(topic, good, False)[1]  # noqa: FBT003
    assert shown.result.ok
    (told,) = room.mail.take(topic, forged, False)[1]  # noqa: FBT003
    assert isinstance(told, e.Unsigned)


def test_an_order_without_a_receiver_key_is_not_sent(key_folder):
    room = Room(PanelKeys(key_folder))
    room.mail = MailRoom(room.desk, "110", keys=PanelKeys(key_folder), receiver_key=None, now=room.now)
    room.alarm(alarm())
    letters, shown = room.mail.seal(room.desk.order("reset", PANEL, target="", reason="over", now=room.now()))
    assert letters == []
    assert "--receiver-key-file" in warnings(shown)[0]


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state" / "desk.jsonl"


def reborn(key_folder, state, mono_s=0.0):
    """A desk that starts on what the file holds."""
    memory = Memory(state)
    room = Room(PanelKeys(key_folder), memory)
    room.mono_s = mono_s
    return room, restore(room.desk, memory, room.now())


def accept(room):
    room.mail.seal(room.desk.answer(ReportId(PANEL, 5, 1), Step.ACCEPTED, room.now(), "Officer Wang"))


def test_open_incidents_and_steps_survive_a_restart(key_folder, state):
    room, _ = reborn(key_folder, state)
    room.alarm(alarm())
    accept(room)
    later, opened = reborn(key_folder, state, mono_s=60.0)
    incident = later.desk.incidents[ReportId(PANEL, 5, 1)]
    assert opened == 1
    assert incident.steps[Step.ACCEPTED].person == "Officer Wang"
    assert incident.reports[incident.id].signed


def test_a_restart_does_not_change_the_milliseconds(key_folder, state):
    room, _ = reborn(key_folder, state)
    room.alarm(alarm())
    later, _ = reborn(key_folder, state, mono_s=60.0)
    (step,) = (
        act
        for act in later.desk.answer(ReportId(PANEL, 5, 1), Step.ACCEPTED, later.now())
        if not isinstance(act, e.Answer)
    )
    assert step.ms == 60_000


def test_an_alarm_that_is_repeated_after_the_restart_is_a_duplicate(key_folder, state):
    room, _ = reborn(key_folder, state)
    room.alarm(alarm())
    later, _ = reborn(key_folder, state)
    letters, shown = later.alarm(alarm())
    assert len(letters) == 1
    assert [event.duplicate for event in shown if isinstance(event, e.ReportCame)] == [True]


def test_what_was_reset_is_not_open_after_a_restart_and_leaves_the_file(key_folder, state):
    room, _ = reborn(key_folder, state)
    room.alarm(alarm())
    room.alarm(alarm(2, code="PR"))
    _, opened = reborn(key_folder, state)
    assert opened == 0
    reborn(key_folder, state)
    assert state.read_bytes() == b""


def test_a_torn_line_costs_that_line_alone(key_folder, state):
    room, _ = reborn(key_folder, state)
    room.alarm(alarm())
    with state.open("ab") as file:
        file.write(b'{"incident":"school-7/5/9","alarm":"{\\"v\\":1')
    memory = Memory(state)
    assert memory.bad_lines == 1
    assert len(memory.kept()) == 1


STRANGE = (
    b"[]",
    b"null",
    b"{}",
    b"\xff\xfe",
    b'{"incident":"x","utc_ms":1}',
    b'{"incident":"p/1/1","utc_ms":1,"step":"raised","person":""}',
    b'{"incident":"p/1/1","utc_ms":"now","alarm":"{}","signed":true}',
)


@pytest.mark.parametrize("line", STRANGE)
def test_a_strange_line_is_counted_and_left_out(state, line):
    state.parent.mkdir()
    state.write_bytes(line + b"\n")
    memory = Memory(state)
    assert (memory.bad_lines, memory.kept()) == (1, [])


def test_an_alarm_line_that_is_no_report_restores_nothing(key_folder, state):
    state.parent.mkdir()
    state.write_text(json.dumps({"incident": "p/1/1", "utc_ms": 1, "alarm": "{}", "signed": True}) + "\n")
    _, opened = reborn(key_folder, state)
    assert opened == 0


def test_a_disk_that_fails_keeps_no_alarm_from_its_receipt(key_folder, state, mocker):
    room, _ = reborn(key_folder, state)
    mocker.patch("os.fdatasync", side_effect=OSError(28, "No space left on device"))
    letters, shown = room.alarm(alarm())
    assert len(letters) == 1
    assert "No space left" in warnings(shown)[0]


def test_the_file_is_written_anew_before_it_grows_without_end(key_folder, state, monkeypatch):
    monkeypatch.setattr(memory_module, "REWRITE_LINES", 10)
    room, _ = reborn(key_folder, state)
    for seq in range(1, 200, 2):
        room.alarm(alarm(seq, root=seq))
        room.alarm(alarm(seq + 1, code="PR", root=seq))
    assert len(state.read_bytes().splitlines()) <= 12
