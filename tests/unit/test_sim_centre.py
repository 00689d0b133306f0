"""The simulated alarm receiver: it reads strictly, and misbehaves as it is told."""

from __future__ import annotations

import math

import pytest

from firmware.adapters.dc09_line import HungUp, LineError, Opened, Received
from firmware.core.report import Report, ReportId
from firmware.sim.centre import Centre, FrameError, SimLine, answer, read
from firmware.sim.clock import BoardClock, WorldClock
from firmware.sim.events import Log
from firmware.wire import dc09
from hal.types import Instant

CALLER = dc09.Caller("A1B2")


class Desk:
    def __init__(self):
        self.got = []

    def take_call(self, report, *, late):
        self.got.append((report.code, late))


class Net:
    """A centre and a line to it."""

    def __init__(self):
        self.world = WorldClock()
        self.world.now_s = 100.0
        self.log, self.desk, self.defects = Log(self.world), Desk(), []
        self.centre = Centre("dial", "A1B2", self.desk, {1: "lid"}, self.world, self.log, self.defects.append)
        self.report = Report(ReportId("p1", 3, 7), "TA", Instant(1.0, 2.0, synced=True), "lid")
        self.line = SimLine(self.centre, BoardClock(self.world), lambda: self.report)
        self.reader = dc09.AnswerReader(CALLER, None)

    def wait(self, seconds=1.0):
        end_s, events = self.world.now_s + seconds, []
        while self.world.next_s() <= end_s:
            self.world.now_s = self.world.next_s()
            self.world.run_due()
            events += self.line.drive()
        self.world.now_s = end_s
        return events

    def say(self, number=1, extras=(), off_s=0.0, code="TA"):
        token, data = ("NULL", "") if number == 0 else ("SIA-DCS", f"#A1B2|Nri1/{code}01")
        message = dc09.Message(token, number, data, extras, self.world.true_utc_s + off_s)
        self.line.send(dc09.encode(message, CALLER, None, lambda _: ""))
        return self.wait()

    def words(self, events):
        found = [item for event in events if isinstance(event, Received) for item in self.reader.feed(event.data)]
        return [item.word.value if isinstance(item, dc09.Answer) else "bad" for item in found]


@pytest.fixture
def net():
    made = Net()
    made.line.open(hurried=False)
    assert made.wait() == [Opened()]
    return made


def test_an_event_is_acknowledged_by_number_and_its_desk_has_it(net):
    (event,) = net.say(17)
    assert net.reader.feed(event.data) == [dc09.Answer(dc09.Word.ACK, 17)]
    assert net.desk.got == [("TA", False)]
    assert net.words(net.say(0)) == ["ACK"]
    assert len(net.desk.got) == 1


def test_the_same_number_and_event_is_taken_again_and_so_marked(net):
    net.say(5, extras=("H10:00:00,01-01-2026",))
    net.say(5)
    net.say(6)
    assert [event.data["again"] for event in net.log.events] == [False, True, False]
    assert [event.data["late"] for event in net.log.events] == [True, False, False]


@pytest.mark.parametrize(("off_s", "word"), [(-41, "NAK"), (-39, "ACK"), (19, "ACK"), (21, "NAK")])
def test_a_frame_whose_time_is_off_is_told_the_right_one(net, off_s, word):
    (event,) = net.say(1, off_s=off_s)
    (said,) = net.reader.feed(event.data)
    assert said.word == word
    if word == "NAK":
        assert said.utc_s == math.floor(net.world.true_utc_s - 1 + net.centre.latency_s)
        assert net.desk.got == []


@pytest.mark.parametrize(
    ("mode", "words", "taken"),
    [("naks", ["NAK"], 0), ("duh", ["DUH"], 0), ("mute", [], 0), ("garbles", ["bad"], 1), ("halves", [], 1)],
)
def test_a_centre_misbehaves_as_it_is_told(net, mode, words, taken):
    net.centre.set_mode(mode)
    assert net.words(net.say()) == words
    assert len(net.desk.got) == taken


@pytest.mark.parametrize(("mode", "words"), [("naks-some", ["NAK"]), ("duhs-some", ["DUH"]), ("ignores-some", [])])
def test_a_centre_may_lack_some_codes(net, mode, words):
    net.centre.set_mode(mode)
    assert net.words(net.say()) == ["ACK"]
    net.centre.zones = {}
    assert net.words(net.say(code="YK")) == words
    assert len(net.desk.got) == 1


def test_one_that_hangs_up_after_each_answer_and_one_that_does_not_run(net):
    net.centre.set_mode("hangs-up")
    assert [type(event) for event in net.say()] == [Received, HungUp]
    net.line.open(hurried=False)
    net.wait()
    net.centre.set_mode("refuses")
    assert [type(event) for event in net.line.drive()] == [HungUp]
    with pytest.raises(LineError, match="refused"):
        net.line.open(hurried=False)


def test_a_link_that_is_cut_is_told_and_one_that_swallows_all_is_not(net):
    net.centre.set_link("blackhole")
    assert net.say() == []
    net.centre.set_link("up")
    assert net.say() == []
    net.line.open(hurried=False)
    assert net.wait() == [Opened()]
    net.centre.set_link("down")
    assert [type(event) for event in net.line.drive()] == [HungUp]
    with pytest.raises(LineError, match="unreachable"):
        net.line.open(hurried=False)


def test_a_frame_that_says_something_else_than_its_report_is_a_defect(net):
    net.say(code="PA")
    assert "a frame says PA lid and carries" in net.defects[0]
    net.line.send(b"\n00000000\r")
    net.wait()
    assert "wrong checksum" in net.defects[1]
    assert net.desk.got == []


def test_what_is_no_frame_of_a_panel_is_refused():
    for data in (b"", b"\r", answer("ACK", 1, "A1B2"), answer("ACK", 1, "A1B2")[:-2]):
        with pytest.raises(FrameError):
            read(data)
