"""The media child's connection: live sound beside evidence, and receipts that count."""

from __future__ import annotations

import hashlib
import select

import pytest

from firmware.adapters.pipe import Answered, Incoming, Lost, PipeError, Ready, Subscribed, Welcomed
from firmware.core.facts import Trouble, TroubleOver
from firmware.core.report import ReportId
from firmware.core.retry import ASKED_MAX, PAUSE_CAP_HURRIED_S, PAUSE_CAP_S, STEP_S
from firmware.media.items import Confirmed, Item
from firmware.media.orders import Live, LiveRuns
from firmware.media.uploader import FRESH_S, QUIET_S, Uploader
from firmware.wire import media, topics
from hal.mock.clock import VirtualClock

INCIDENT = ReportId("booth-1", 3, 17)
KEY, DESK_KEY = bytes(range(32)), bytes(range(1, 33))
DATA = bytes(range(256)) * 200


class PaperPort:
    def __init__(self):
        self.refuse, self.mute = "", False
        self.opened, self.closed, self.asked = 0, 0, 0
        self.denied = ""
        self.events, self.letters, self.live = [], [], []

    def connect(self, subscribe, *, hurried):
        self.opened += 1
        self.subscribed, self.hurried = subscribe, hurried
        if self.refuse:
            raise PipeError(self.refuse)
        self.events += [] if self.mute else [Welcomed(), Ready(65535, self.denied)]
        return 0.0

    def ask(self):
        self.asked += 1
        self.events += [] if self.mute else [Subscribed(self.denied)]

    def publish(self, token, letter):
        self.letters.append(letter)
        self.events.append(Answered(token, 0, ""))

    def publish_live(self, letter):
        self.live.append(letter)

    def drive(self):
        events, self.events = self.events, []
        return events

    def next_deadline(self):
        return float("-inf") if self.events else float("inf")

    def wait(self, fd, timeout_s):
        select.select([fd], [], [], 0)

    def close(self, *, orderly=False):
        self.closed += 1


class Rig:
    def __init__(self):
        self.clock = VirtualClock(100.0)
        self.port = PaperPort()
        self.facts, self.confirmed = [], []
        self.uploader = Uploader(
            "booth-1",
            self.port,
            {"110": DESK_KEY, "station": None},
            key=KEY,
            clock=self.clock,
            post=self.facts.append,
            confirm=self.confirmed.append,
            random=lambda: 1.0,
        )

    def run(self, seconds=0.05):
        end_s = self.clock.now().mono_s + seconds
        while self.clock.now().mono_s < end_s:
            for _ in range(200):
                if self.uploader.next_deadline() > self.clock.now().mono_s:
                    break
                self.uploader.tick()
            self.clock.advance(0.05)


@pytest.fixture
def rig():
    return Rig()


def item(tmp_path, name="0000000000000003-000000000001-gate-clip.mp4", data=DATA):
    path = tmp_path / name
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return Item(INCIDENT, name, "clip", "gate", len(data), sha256, path, b"", frozenset({"110", "station"}))


def live(number, mono_s):
    return Live(INCIDENT, media.LiveFrame(number, round(mono_s * 1000), 960, b"\x08opus"))


def answer(of, receiver, key, topic_receiver=None):
    receipt = media.EvidenceReceipt(of.incident, of.name, of.sha256, receiver)
    topic = topics.evidence_receipt("booth-1", topic_receiver or receiver)
    return Incoming(topic, media.encode_evidence_receipt(receipt, key))


def test_a_file_goes_out_in_signed_chunks_on_its_topic(rig, tmp_path):
    file = item(tmp_path)
    rig.uploader.handle(file)
    rig.run()
    chunks = [media.decode_chunk(letter.payload, KEY) for letter in rig.port.letters]
    assert b"".join(chunk.data for chunk in chunks) == DATA
    assert {letter.topic for letter in rig.port.letters} == {topics.evidence(INCIDENT, file.name)}
    assert {chunk.sha256 for chunk in chunks} == {file.sha256}


def test_a_file_in_memory_goes_out_like_any_other(rig):
    file = Item(
        INCIDENT, "a.jpg", "still", "gate", 3, hashlib.sha256(b"abc").hexdigest(), None, b"abc", frozenset({"110"})
    )
    rig.uploader.handle(file)
    rig.run()
    assert media.decode_chunk(rig.port.letters[0].payload).data == b"abc"


def test_receipts_of_both_receivers_are_confirmed_once(rig, tmp_path):
    file = item(tmp_path)
    rig.uploader.handle(file)
    rig.run()
    rig.port.events += [answer(file, "110", DESK_KEY), answer(file, "110", DESK_KEY), answer(file, "station", None)]
    rig.run()
    assert rig.confirmed == [Confirmed(INCIDENT, file.name, "110"), Confirmed(INCIDENT, file.name, "station")]
    assert rig.port.subscribed == (topics.evidence_receipt("booth-1", "+"),)


DENIED = "path main-media: the broker refuses subscriptions"


def test_a_subscription_for_receipts_that_was_refused_is_told_and_asked_for_until_it_is_granted(rig, tmp_path):
    rig.port.denied = DENIED
    rig.run(3 * PAUSE_CAP_S + 1)
    assert (rig.facts, rig.port.asked, rig.port.opened) == ([Trouble("media", DENIED)], 3, 1)
    rig.uploader.handle(item(tmp_path))
    rig.run(PAUSE_CAP_HURRIED_S)
    assert rig.port.letters, "evidence goes out meanwhile"
    assert rig.port.asked == 4, "an incident goes on"
    rig.port.denied = ""
    rig.run(PAUSE_CAP_HURRIED_S + 0.1)
    assert rig.facts == [Trouble("media", DENIED), TroubleOver("media")]
    asked = rig.port.asked
    rig.run(10 * PAUSE_CAP_S)
    assert (rig.port.asked, rig.port.opened) == (asked, 1)


def test_a_broker_that_goes_on_refusing_is_connected_to_anew(rig):
    rig.port.denied = DENIED
    rig.run((ASKED_MAX + 2) * PAUSE_CAP_S)
    assert rig.port.opened == 2
    assert rig.facts == [Trouble("media", DENIED)]


def test_a_broker_that_does_not_answer_for_a_subscription_is_left(rig):
    rig.port.denied = DENIED
    rig.run(1)
    rig.port.mute = True
    rig.run(PAUSE_CAP_S + STEP_S)
    assert (rig.port.asked, rig.port.closed) == (1, 1)


def test_receipts_that_are_forged_or_broken_confirm_nothing(rig, tmp_path, caplog):
    file = item(tmp_path)
    rig.uploader.handle(file)
    rig.run()
    rig.port.events += [
        answer(file, "110", None),
        answer(file, "110", KEY),
        answer(file, "station", None, topic_receiver="110"),
        answer(file, "110", DESK_KEY, topic_receiver="station"),
        answer(file, "stranger", None),
        Incoming(topics.evidence_receipt("booth-1", "110"), b"\xff rubbish"),
        Incoming(topics.evidence_receipt("booth-1", "station"), b"{}"),
        Incoming(topics.evidence_receipt("booth-1", "station"), b"", "too long"),
    ]
    rig.run()
    assert rig.confirmed == []
    assert str(INCIDENT) not in caplog.text


def test_live_sound_goes_out_on_its_topic(rig):
    rig.run()
    rig.uploader.handle(live(0, rig.clock.now().mono_s))
    (letter,) = rig.port.live
    assert letter.topic == topics.live_audio(INCIDENT)
    assert media.decode_live(letter.payload).number == 0


def test_live_sound_of_the_past_is_not_sent(rig):
    rig.run()
    rig.uploader.handle(live(0, rig.clock.now().mono_s - 1.5))
    assert rig.port.live == []


def test_live_sound_without_a_connection_is_dropped(rig):
    rig.uploader.handle(live(0, rig.clock.now().mono_s))
    rig.run()
    assert rig.port.live == []


def test_beside_live_sound_few_chunks_are_under_way(rig, tmp_path):
    rig.port.publish = lambda token, letter: rig.port.letters.append(letter)
    rig.uploader.handle(LiveRuns(on=True))
    rig.uploader.handle(item(tmp_path, data=bytes(500_000)))
    rig.run(1.0)
    assert len(rig.port.letters) == 2


def test_a_lost_connection_is_made_again_as_a_fleet_does(rig):
    rig.run()
    rig.port.refuse = "no broker there"
    rig.port.events.append(Lost("gone"))
    rig.run(3 * PAUSE_CAP_S + 1)
    assert rig.port.opened == 1 + 3
    assert not rig.port.hurried


def test_an_incident_brings_the_next_try_near_and_old_evidence_does_not(rig, tmp_path):
    rig.run()
    rig.port.refuse = "no broker there"
    rig.port.events.append(Lost("gone"))
    rig.run(1.0)
    rig.uploader.handle(item(tmp_path))
    rig.run(10.0)
    assert rig.port.opened >= 5
    assert rig.port.hurried
    rig.run(FRESH_S)
    opened = rig.port.opened
    rig.run(3 * PAUSE_CAP_S)
    assert rig.port.opened <= opened + 4


def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(rig):
    rig.port.mute = True
    rig.run(STEP_S + 1)
    assert rig.port.closed >= 1
    rig.port.mute = False
    rig.run(PAUSE_CAP_S)
    assert rig.port.opened == 2


def test_a_connection_that_stays_away_is_a_trouble_with_its_reason_and_then_over(rig):
    rig.run()
    rig.port.refuse = "path primary-media: 10.0.0.1:8883 refuses connections"
    rig.port.events.append(Lost("gone"))
    rig.run(QUIET_S - 1)
    assert rig.facts == []
    rig.run(2)
    (trouble,) = rig.facts
    assert trouble.source == "media"
    assert "refuses connections" in trouble.why
    rig.port.refuse = ""
    rig.run(40)
    assert rig.facts == [Trouble("media", trouble.why), TroubleOver("media")]


def test_the_upload_goes_on_after_a_lost_connection(rig, tmp_path):
    file = item(tmp_path)
    rig.port.publish = lambda token, letter: rig.port.letters.append(letter)
    rig.uploader.handle(file)
    rig.run()
    del rig.port.publish
    rig.port.events.append(Lost("gone"))
    rig.port.letters.clear()
    rig.run(3)
    assert b"".join(media.decode_chunk(letter.payload).data for letter in rig.port.letters) == DATA


def test_a_file_that_vanished_is_skipped_and_the_others_go(rig, tmp_path):
    gone, there = item(tmp_path, "gone.mp4"), item(tmp_path)
    gone.path.unlink()
    rig.uploader.handle(gone)
    rig.uploader.handle(there)
    rig.run()
    assert {media.decode_chunk(letter.payload).name for letter in rig.port.letters} == {there.name}


def test_a_file_that_shrank_is_not_sent_as_what_it_was(rig, tmp_path):
    file = item(tmp_path)
    file.path.write_bytes(b"short")
    rig.uploader.handle(file)
    rig.run()
    assert rig.port.letters == []


def test_an_order_that_is_none_is_a_defect(rig):
    with pytest.raises(TypeError):
        rig.uploader.handle("rubbish")
