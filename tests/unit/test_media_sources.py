"""Cameras and microphones that die, hang and come back; and who complains of what."""

from __future__ import annotations

import itertools
import socket
import threading

import pytest
from rigs import pictures
from rigs.media import INCIDENT
from rigs.media_house import Watched

from firmware.core.facts import Trouble, TroubleOver
from firmware.media import outlet as outlets
from firmware.media import sources
from firmware.media.inbox import Inbox
from firmware.media.ledger import Ledger
from firmware.media.orders import Append
from firmware.media.outlet import Outlet
from firmware.media.sources import (
    CAMERA_HUNG_S,
    CameraLost,
    CameraOpened,
    CameraPacket,
    CameraReader,
    MicrophoneKeeper,
    MicrophoneLost,
    MicrophoneOpened,
)
from hal.errors import DeviceLost
from hal.mock.clock import VirtualClock
from hal.types import AudioBlock


class ScriptedCamera:
    """Delivers some packets and then does what the script says."""

    def __init__(self, script):
        self.name = "gate"
        self._script = script

    def open(self):
        if isinstance(self._script, Exception):
            raise self._script
        return pictures.video_format()

    def packets(self):
        _, rows = pictures.encoded(2)
        yield from (pictures.packet(row, 0.0) for row in rows[:3])
        self._script()

    def close(self):
        pass


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(sources, "REOPEN_S", (0.0, 0.0))


def reading(*scripts):
    words, forever = Watched(), threading.Event()
    script = itertools.chain(scripts, itertools.repeat(forever.wait))
    reader = CameraReader("gate", lambda: ScriptedCamera(next(script)), VirtualClock(), words.add)
    reader.start()
    return words, reader


def lost():
    raise DeviceLost("camera gate: unplugged")


def test_a_camera_is_opened_and_read():
    words, _ = reading()
    words.until(lambda _word: len(words.items) == 4)
    assert [type(word) for word in words.items] == [CameraOpened, CameraPacket, CameraPacket, CameraPacket]


def test_a_camera_that_is_lost_is_reported_and_opened_again():
    words, _ = reading(lost)
    words.until(lambda _word: len(words.items) == 9)
    assert words.items[4] == CameraLost("gate", "camera gate: unplugged")
    assert isinstance(words.items[5], CameraOpened)


def test_a_camera_that_answers_404_is_reported_in_its_words():
    words, _ = reading(DeviceLost("camera gate: 404 Not Found"), lambda: None)
    words.until(lambda word: word == CameraLost("gate", "camera gate: 404 Not Found"))
    words.until(lambda word: isinstance(word, CameraOpened))


def test_a_stream_that_ends_without_an_error_is_a_loss():
    words, _ = reading(lambda: None)
    words.until(lambda word: isinstance(word, CameraLost))


def test_a_defect_in_a_camera_is_reported_and_does_not_end_the_reader():
    words, _ = reading(ValueError("a defect"))
    words.until(lambda word: isinstance(word, CameraLost) and "ValueError: a defect" in word.why)
    words.until(lambda word: isinstance(word, CameraPacket))


def test_a_camera_that_hangs_is_noticed_and_what_it_says_later_is_thrown_away():
    clock, words, wake = VirtualClock(), Watched(), threading.Event()
    ended = threading.Event()

    def hang():
        wake.wait()
        ended.set()
        lost()

    reader = CameraReader("gate", lambda: ScriptedCamera(hang), clock, words.add)
    reader.start()
    words.until(lambda _word: len(words.items) == 4)
    assert not reader.hung()
    clock.advance(CAMERA_HUNG_S + 1)
    assert reader.hung()
    reader.give_up()
    wake.set()
    assert ended.wait(5)
    assert len(words.items) == 4


class ScriptedMicrophone:
    def __init__(self, alive):
        self.rate_hz, self._alive, self.closed = 16_000, alive, False

    def start(self, sink):
        if isinstance(self._alive, Exception):
            raise self._alive
        sink(AudioBlock(bytes(640), 16_000, 0.0))

    def alive(self):
        return next(self._alive)

    def close(self):
        self.closed = True


def listening(monkeypatch, *lives):
    monkeypatch.setattr(sources, "_LOOK_S", 0.001)
    words, blocks, made = Watched(), Watched(), []
    script = iter([*lives, itertools.cycle([True])])

    def make():
        made.append(ScriptedMicrophone(next(script)))
        return made[-1]

    keeper = MicrophoneKeeper(make, VirtualClock(), blocks.add, words.add)
    keeper.start()
    return words, blocks, made


def test_a_microphone_that_falls_silent_is_closed_and_opened_anew(monkeypatch):
    words, blocks, made = listening(monkeypatch, iter([True, True, False]))
    words.until(lambda _word: len(words.items) >= 3)
    assert [type(word) for word in words.items[:3]] == [MicrophoneOpened, MicrophoneLost, MicrophoneOpened]
    assert made[0].closed
    assert len(blocks.items) == 2


def test_a_microphone_that_is_not_there_is_reported_and_looked_for(monkeypatch):
    words, _, _ = listening(monkeypatch, DeviceLost("microphone 'USB' is not there; there are: hw:0"))
    words.until(lambda word: isinstance(word, MicrophoneLost) and "there are: hw:0" in word.why)
    words.until(lambda word: isinstance(word, MicrophoneOpened))


def test_a_sound_library_that_does_not_come_back_is_noticed():
    clock, entered, never = VirtualClock(), threading.Event(), threading.Event()

    def hang():
        entered.set()
        never.wait()

    keeper = MicrophoneKeeper(hang, clock, lambda _block: None, lambda _word: None)
    keeper.start()
    assert entered.wait(5)
    assert not keeper.hung()
    clock.advance(10)
    assert keeper.hung()
    never.set()


def test_a_trouble_with_two_complaints_is_over_with_the_last():
    facts = []
    ledger = Ledger(facts.append, knows_all=True)
    disk, wire = ledger.of("disk"), ledger.of("wire")
    disk(Trouble("media", "full"))
    wire(Trouble("media", "no broker"))
    wire(Trouble("media", "no broker"))
    wire(TroubleOver("media"))
    disk(TroubleOver("media"))
    disk(TroubleOver("media"))
    assert facts == [
        Trouble("media", "full"),
        Trouble("media", "no broker"),
        Trouble("media", "full"),
        TroubleOver("media"),
    ]


def test_the_end_of_another_process_trouble_is_passed_on():
    facts = []
    Ledger(facts.append, knows_all=False).of("sources")(TroubleOver("camera gate"))
    assert facts == [TroubleOver("camera gate")]


class SlowWorker:
    def __init__(self):
        self.orders = []

    def put(self, order):
        self.orders.append(order)


def test_a_disk_that_does_not_keep_up_costs_whole_pieces_and_a_trouble(monkeypatch):
    monkeypatch.setattr(outlets, "PENDING_MAX", 100_000)
    facts = []
    outlet = Outlet(facts.append)
    outlet.spool = SlowWorker()
    piece = Append(INCIDENT, "a.mp4", bytes(30_000))
    for _ in range(10):
        outlet.keep(piece)
    outlet.keep(Append(INCIDENT, "b.mp4", b"header"))
    assert len(outlet.spool.orders) == 5
    assert [type(fact) for fact in facts] == [Trouble]
    outlet.done(4 * 30_000)
    outlet.done(len(b"header"))
    outlet.keep(piece)
    assert [type(fact) for fact in facts] == [Trouble, TroubleOver]


def test_an_idle_inbox_wakes_nobody_and_an_eager_one_does():
    inbox, (ours, theirs) = Inbox(), socket.socketpair()
    with ours, theirs:
        block = AudioBlock(b"", 16_000, 0.0)
        inbox.put(block)
        assert not inbox.wait(ours.fileno(), 0.0, writable=False)
        assert inbox.take() == [block]
        inbox.eager = True
        inbox.put(block)
        inbox.wait(ours.fileno(), 60.0, writable=False)
        theirs.send(b"x")
        assert inbox.wait(ours.fileno(), 60.0, writable=False)
