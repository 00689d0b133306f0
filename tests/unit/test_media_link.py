"""The panel's end of the media child, against a child made of paper and in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.media_house import INCIDENT, PANEL, spec

from firmware.adapters.media_link import BACKOFF_S, BIRTH_S, NEWS_BURST, SILENCE_S, WORDS_BURST, YOUNG_S, MediaLink
from firmware.core.effects import Capture, Seal
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.core.report import ReportId
from firmware.media import control
from firmware.media.control import Beat, CaptureAgain, Lines
from hal.mock.clock import VirtualClock

SEALED = EvidenceSealed(INCIDENT, 3, 900, "ab" * 32, complete=True)
FILE = EvidenceFile(INCIDENT, "clip", "gate", "0000000000000003-000000000001-gate-clip.mp4", "ab" * 32, 5)


class PaperChild:
    def __init__(self):
        self.said, self.heard = [], b""
        self.killed = self.broken = False
        self.room = 10**9

    def fileno(self):
        return -1

    def send(self, data):
        if self.broken:
            raise BrokenPipeError
        taken = data[: self.room]
        self.room -= len(taken)
        self.heard += taken
        return len(taken)

    def receive(self):
        return self.said.pop(0) if self.said else None

    def kill(self):
        self.killed = True
        return "signal SIGKILL"

    def finish(self, timeout_s):
        self.killed = True

    def say(self, *words):
        self.said += [control.encode_word(word) for word in words]

    @property
    def orders(self):
        return [control.decode_order(line) for line in Lines().feed(self.heard)][1:]


class Panel:
    def __init__(self, tmp_path, start_s=500.0, **changes):
        self.clock = VirtualClock(start_s)
        self.facts, self.children, self.refuse = [], [], 0
        self.link = MediaLink(
            spec(1883, tmp_path, **changes), clock=self.clock, post=self.facts.append, spawn=self._spawn
        )

    def _spawn(self):
        if self.refuse:
            self.refuse -= 1
            raise OSError(12, "Cannot allocate memory")
        self.children.append(PaperChild())
        return self.children[-1]

    @property
    def child(self):
        return self.children[-1]

    def run(self, seconds, *, beating=True):
        end_s = self.clock.now().mono_s + seconds
        while self.clock.now().mono_s < end_s:
            self.clock.advance(0.05)
            if beating and self.link.child is not None:
                self.child.say(Beat())
            if beating or self.link.next_deadline() <= self.clock.now().mono_s:
                self.link.tick()

    def order(self, *orders):
        for order in orders:
            self.link.handle(order)


@pytest.fixture
def panel(tmp_path):
    return Panel(tmp_path)


def capture(incident=INCIDENT, until_s=900.0):
    return Capture(incident, covert=False, until_s=until_s)


def test_the_child_is_told_everything_first_and_then_its_orders(panel):
    panel.run(0.1)
    panel.order(capture(), Seal(INCIDENT))
    (first,) = Lines().feed(panel.child.heard.split(b"\n")[0] + b"\n")
    assert control.decode_order(first) == panel.link._spec
    assert panel.child.orders == [capture(), Seal(INCIDENT)]


def test_without_camera_and_microphone_there_is_no_child(tmp_path):
    panel = Panel(tmp_path, cameras=(), microphone=None)
    panel.run(20)
    panel.order(capture(), Seal(INCIDENT))
    panel.run(20)
    assert (panel.children, panel.facts) == ([], [])


def test_facts_of_the_child_are_posted(panel):
    panel.run(0.1)
    panel.child.say(FILE, Trouble("camera gate", "gone"), TroubleOver("camera gate"), SEALED)
    panel.run(0.1)
    assert panel.facts == [FILE, Trouble("camera gate", "gone"), TroubleOver("camera gate"), SEALED]


def test_the_end_of_a_trouble_that_never_stood_is_not_posted(panel):
    panel.run(0.1)
    panel.child.say(TroubleOver("camera gate"), TroubleOver("microphone"))
    panel.run(0.1)
    assert panel.facts == []


def test_a_child_that_is_gone_is_replaced_at_once_and_its_captures_are_ordered_again(panel):
    panel.run(10)
    panel.order(capture())
    panel.child.said.append(b"")
    panel.run(0.2)
    assert len(panel.children) == 2
    assert panel.child.orders == [CaptureAgain(capture())]
    assert [type(fact) for fact in panel.facts] == [Trouble, TroubleOver]
    assert "SIGKILL" in panel.facts[0].why


def test_the_end_of_a_grown_child_is_not_taken_back_in_the_same_moment(panel):
    panel.run(YOUNG_S + 1)
    panel.child.said.append(b"")
    panel.link.tick()
    assert [type(fact) for fact in panel.facts] == [Trouble]


@given(st.floats(0.0, 1e7))
def test_at_its_own_deadline_a_silent_child_is_replaced(tmp_path_factory, born_s):
    panel = Panel(tmp_path_factory.getbasetemp(), start_s=born_s)
    panel.link.tick()
    panel.clock.advance_to(panel.link.next_deadline())
    panel.link.tick()
    assert panel.child.killed


def test_a_child_that_is_silent_for_three_seconds_is_killed_and_replaced(panel):
    panel.run(10)
    first = panel.child
    panel.run(SILENCE_S - 0.15, beating=False)
    assert not first.killed
    panel.run(0.3, beating=False)
    assert first.killed
    assert len(panel.children) == 2
    assert "silent" in panel.facts[0].why


def test_a_child_has_time_to_be_born(panel):
    panel.run(BIRTH_S - 0.1, beating=False)
    assert len(panel.children) == 1
    panel.run(0.5, beating=False)
    assert panel.children[0].killed


def test_a_child_that_cannot_be_written_to_is_replaced(panel):
    panel.run(10)
    panel.child.broken = True
    panel.order(capture())
    panel.run(0.2)
    assert len(panel.children) == 2
    assert panel.child.orders == [CaptureAgain(capture())]


def test_orders_wait_for_a_child_that_reads_slowly(panel):
    panel.run(1)
    panel.child.room = 10
    panel.order(capture(), Seal(INCIDENT))
    panel.child.room = 10**9
    panel.run(0.1)
    assert panel.child.orders == [capture(), Seal(INCIDENT)]


def test_children_that_die_young_are_replaced_more_and_more_slowly(panel):
    births = []
    for _ in range(9):
        panel.run(0.1)
        count = len(panel.children)
        panel.child.said.append(b"")
        died_s = panel.clock.now().mono_s
        while len(panel.children) == count:
            panel.run(0.05)
        births.append(panel.clock.now().mono_s - died_s)
    assert births[0] < 0.3
    assert births[-1] == pytest.approx(BACKOFF_S[-1], abs=0.3)
    assert births == sorted(births) or max(births) == births[-1]


def test_a_trouble_of_children_that_die_young_stands_until_one_lives(panel):
    for _ in range(3):
        panel.run(0.1)
        panel.child.said.append(b"")
        panel.run(2.5)
    assert [type(fact) for fact in panel.facts].count(TroubleOver) <= 1
    panel.run(YOUNG_S + 1)
    assert isinstance(panel.facts[-1], TroubleOver)


def test_a_child_that_cannot_be_started_is_tried_again(panel):
    panel.refuse = 3
    panel.run(30)
    assert len(panel.children) == 1
    assert "cannot be started" in panel.facts[0].why
    assert isinstance(panel.facts[-1], TroubleOver)


def test_a_sealed_incident_is_not_ordered_again(panel):
    panel.run(6)
    panel.order(capture(), Seal(INCIDENT))
    panel.child.say(SEALED)
    panel.run(0.1)
    panel.child.said.append(b"")
    panel.run(0.5)
    assert panel.child.orders == []


def test_a_seal_without_answer_is_ordered_again(panel):
    panel.run(6)
    panel.order(capture(), Seal(INCIDENT))
    panel.child.said.append(b"")
    panel.run(0.5)
    assert panel.child.orders == [CaptureAgain(capture()), Seal(INCIDENT)]


def test_orders_given_while_there_is_no_child_reach_the_next_one(panel):
    panel.order(capture())
    panel.run(0.1)
    assert panel.child.orders == [capture()]


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish\n",
        b'{"t":"beat"\n',
        b"x" * 100_000,
        control.encode_word(Trouble("journal", "I am the journal")),
        control.encode_word(Trouble("camera yard", "no such camera")),
        control.encode_word(TroubleOver("path primary")),
        control.encode_word(EvidenceSealed(ReportId("booth-2", 3, 17), 1, 1, "ab" * 32, complete=True)),
        control.encode_word(FILE).replace(b"gate-clip", b"../../x"),
    ],
)
def test_a_child_that_says_what_it_may_not_is_replaced(panel, line):
    panel.run(6)
    first = panel.child
    first.said.append(line)
    panel.run(0.3)
    assert first.killed
    assert len(panel.children) == 2
    assert [type(fact) for fact in panel.facts] == [Trouble, TroubleOver]


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ([Beat()], WORDS_BURST),
        ([FILE], WORDS_BURST),
        ([Trouble("camera gate", "gone"), TroubleOver("camera gate")], NEWS_BURST),
        ([SEALED], NEWS_BURST),
    ],
    ids=["beats", "files", "troubles", "seals"],
)
def test_a_child_that_never_stops_talking_is_replaced_before_an_alarm_is_late_by_it(panel, words, most):
    panel.run(0.1)
    child = panel.child
    child.say(*words * (2 * most // len(words)))
    for _ in range(2 * most):
        panel.link.tick()
    assert child.killed
    assert len(panel.facts) <= most + 1
    assert "far too much" in panel.facts[-1].why


def test_orders_get_through_while_a_child_talks(panel):
    panel.run(0.1)
    panel.child.say(*[Beat()] * WORDS_BURST)
    panel.link.tick()
    panel.order(capture())
    assert panel.child.said
    assert panel.child.orders == [capture()]


def test_what_a_child_saved_up_while_the_panel_stood_still_is_taken(panel):
    panel.run(0.1)
    panel.child.say(*[Beat(), Beat(), Beat(), Beat(), Beat(), FILE] * 180)
    for _ in range(200):
        panel.link.tick()
    assert not panel.child.killed
    assert panel.facts.count(FILE) == 180


def test_what_a_child_complains_of_with_its_first_breath_stands(panel):
    panel.link.tick()
    words = (Trouble("media", "a key file is not there"), Beat())
    panel.child.said.append(b"".join(control.encode_word(word) for word in words))
    panel.run(0.1)
    assert panel.facts == [Trouble("media", "a key file is not there")]


def test_a_trouble_that_only_the_dead_child_could_end_does_not_stay(panel):
    panel.run(6)
    panel.child.say(Trouble("media", "the disk is full"))
    panel.run(0.1)
    panel.child.said.append(b"")
    panel.run(0.5)
    assert isinstance(panel.facts[-1], TroubleOver)


def test_a_camera_that_was_lost_stays_lost_until_a_child_sees_it(panel):
    panel.run(6)
    panel.child.say(Trouble("camera gate", "gone"))
    panel.run(0.1)
    panel.child.said.append(b"")
    panel.run(7)
    assert TroubleOver("camera gate") not in panel.facts
    panel.child.say(TroubleOver("camera gate"))
    panel.run(0.1)
    assert panel.facts[-1] == TroubleOver("camera gate")


def test_closing_sees_the_child_off_and_starts_no_other(panel):
    panel.run(1)
    panel.link.close()
    panel.run(20)
    assert panel.children[0].killed
    assert len(panel.children) == 1


def test_an_order_that_is_none_is_a_defect(panel):
    with pytest.raises(TypeError):
        panel.order("rubbish")


def test_covert_orders_leave_no_trace_in_the_log(panel, caplog):
    caplog.set_level("DEBUG")
    panel.run(6)
    panel.order(Capture(INCIDENT, covert=True, until_s=900.0))
    panel.child.say(FILE)
    panel.run(0.2)
    panel.child.said.append(b"")
    panel.run(1)
    assert "17" not in caplog.text
    assert PANEL not in caplog.text
