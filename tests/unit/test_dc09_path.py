"""A DC-09 path in virtual time, on a line without a network."""

from __future__ import annotations

import math

import pytest
from rigs.dc09 import RECEIVER, SITE, ZONES, path_config, say

from firmware.adapters.backlog import Wake
from firmware.adapters.dc09 import Dc09Path, random_pad
from firmware.adapters.dc09_line import HungUp, Line, LineError, Opened, Received
from firmware.adapters.dc09_teller import BARE_AFTER, BARE_S, LATE_S
from firmware.config import PathConfig
from firmware.core.effects import Health, Reply, Transmit
from firmware.core.facts import Beat, Echo, PathDown, PathUp, Receipt, Refused
from firmware.core.link import ALARMS_MAX
from firmware.core.report import Report, ReportId, Step
from firmware.wire import dc09
from hal.types import Instant

UTC_S = 1_790_000_000.0
EPOCH = 3


class VirtualClock:
    def __init__(self):
        self.mono_s = 100.0
        self.jump_s = 0.0

    def now(self):
        return Instant(self.mono_s, UTC_S + self.mono_s + self.jump_s, synced=True)


class VirtualLine(Line):
    """Answers at once what `answer` says; b"" for silence, None to hang up, `refuse` to let nobody in."""

    def __init__(self):
        self.answer = lambda frame: say("ACK", frame)
        self.refuse = False
        self.frames = []
        self.opened = 0
        self.is_open = False
        self._events = []

    def open(self, *, hurried):
        self.hurried = hurried
        if self.refuse:
            raise LineError("centre:7700: Connection refused; is the receiver running?")
        self.opened += 1
        self.is_open = True
        self._events = [Opened()]

    def send(self, frame):
        self.frames.append(frame)
        said = self.answer(frame)
        if said is None:
            self.is_open = False
            self._events.append(HungUp("the receiver hung up"))
        elif said:
            self._events.append(Received(said))

    def drive(self):
        events, self._events = self._events, []
        return events

    def next_deadline(self):
        return -math.inf if self._events else math.inf

    def wait(self, fd, timeout_s):
        raise AssertionError("nobody waits in virtual time")

    def close(self):
        self.is_open = False
        self._events = []


class Booth:
    """The path, stepped."""

    def __init__(self, **settings):
        self.clock = VirtualClock()
        self.line = VirtualLine()
        self.facts = []
        self.at = []
        self.seq = 0
        self.path = Dc09Path(
            path_config(7700, answer_s=3.0, **settings),
            epoch=EPOCH,
            site=SITE,
            zones=ZONES,
            backlog=None,
            line=self.line,
            clock=self.clock,
            post=self.post,
            random01=lambda: 1.0,
            pad=lambda count: "x" * count,
        )

    def post(self, fact):
        self.facts.append(fact)
        self.at.append(self.clock.mono_s)

    def run(self, seconds):
        end_s = self.clock.mono_s + seconds
        steps = 0
        while (due_s := max(self.path.next_deadline(), self.clock.mono_s)) <= end_s:
            self.clock.mono_s = due_s
            self.path.tick()
            steps += 1
            assert steps < 10_000, "it spins"
        self.clock.mono_s = end_s
        return self

    def press(self, code="PA", *, raised=None, epoch=EPOCH, zone="booth-button"):
        self.seq += 1
        ident = ReportId("p1", epoch, self.seq)
        report = Report(ident, code, raised or self.clock.now(), zone, ident)
        self.path.handle(Transmit("dial", report, 1))
        return report

    def of(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def when(self, kind):
        return [at for at, fact in zip(self.at, self.facts, strict=True) if isinstance(fact, kind)]

    def texts(self):
        return [frame.decode() for frame in self.line.frames]


def test_the_first_thing_said_is_a_link_test_and_its_answer_proves_the_path():
    booth = Booth().run(0.0)
    assert '"NULL"0000R0L0#AAA1[]_' in booth.texts()[0]
    assert booth.facts == [Beat("dial"), Echo("dial", RECEIVER), PathUp("dial")]


def test_an_alarm_leaves_within_the_order_that_brought_it():
    booth = Booth().run(1.0)
    report = booth.press()
    assert "[#AAA1|Nri1/PA01]" in booth.texts()[-1]
    booth.run(0.0)
    assert booth.of(Receipt) == [Receipt(RECEIVER, report.id, Step.RECEIVED, "", "dial")]


def test_link_tests_come_at_the_interval_and_each_is_a_beat_and_an_echo():
    booth = Booth(interval_s=10.0).run(60.0)
    assert booth.when(Beat) == booth.when(Echo) == [100.0 + 10.0 * turn for turn in range(7)]
    assert booth.line.opened == 1


def test_a_dead_receiver_is_told_within_interval_and_answer():
    booth = Booth(interval_s=10.0).run(1.0)
    booth.line.answer = lambda _: b""
    booth.run(30.0)
    assert booth.when(PathDown)[0] == 110.0 + 3.0
    assert not booth.line.is_open or booth.line.opened > 1


def test_a_receiver_that_hung_up_and_is_gone_is_awaited_from_the_moment_at_which_it_is_tested():
    booth = Booth(interval_s=10.0).run(1.0)
    booth.line._events.append(HungUp("the receiver hung up"))
    booth.line.is_open = False
    booth.run(1.0)
    booth.line.refuse = True
    booth.run(30.0)
    assert booth.when(Beat)[1] == 110.0
    assert booth.when(PathDown)[0] == 110.0


def test_with_an_alarm_pending_a_dead_connection_is_replaced_after_three_seconds():
    booth = Booth().run(1.0)
    booth.line.answer = lambda _: b""
    booth.press()
    booth.run(3.0)
    assert booth.line.opened == 2
    assert len(booth.line.frames) == 3
    assert booth.texts()[1][:40] != booth.texts()[0][:40]


def test_silence_told_once_is_not_told_again_and_again():
    booth = Booth()
    booth.line.refuse = True
    booth.run(600.0)
    assert len(booth.of(PathDown)) == 1
    booth.line.refuse = False
    booth.run(60.0)
    assert len(booth.of(PathUp)) == 1


def test_tries_are_paced_while_nobody_answers():
    booth = Booth()
    booth.line.answer = lambda _: b""
    booth.press()
    booth.run(60.0)
    assert 60 / (3 + 2) - 2 <= booth.line.opened <= 60 / 3 + 1


@pytest.mark.parametrize(("age_s", "tells"), [(0.0, False), (LATE_S, False), (LATE_S + 1, True), (86_400.0, True)])
def test_a_late_alarm_tells_when_it_happened_by_the_monotonic_clock(age_s, tells):
    booth = Booth().run(1.0)
    happened = Instant(booth.clock.mono_s - age_s, 0.0, synced=False)
    booth.press(raised=happened)
    written = dc09.occurrence(booth.clock.now().utc_s - age_s)
    assert (f"[{written}]" in booth.texts()[-1]) is tells


def test_an_alarm_of_an_earlier_run_tells_what_the_wall_clock_said_then():
    booth = Booth().run(1.0)
    booth.press(raised=Instant(5.0, UTC_S - 777, synced=False), epoch=EPOCH - 1)
    assert f"[{dc09.occurrence(UTC_S - 777)}]" in booth.texts()[-1]


def test_after_a_nak_the_time_is_the_receivers_and_the_wall_clock_may_jump():
    booth = Booth()
    booth.line.answer = lambda frame: say("NAK", frame, extra=f"_{dc09.format_time(1_000_000.0)}")
    booth.run(0.0)
    booth.line.answer = lambda frame: say("ACK", frame)
    booth.run(31.0)
    booth.clock.jump_s = -1e9
    booth.press(raised=Instant(booth.clock.mono_s - 60, 0.0, synced=False))
    assert booth.texts()[-1].endswith(
        f"[{dc09.occurrence(999_971.0)}][X116E23.500][Y39N54.300]_{dc09.format_time(1_000_031.0)}\r"
    )


def dislikes_extended_data(frame):
    return say("NAK" if b"[V" in frame else "ACK", frame)


def whole(booth):
    """Whether the next alarm's first frame has extended data."""
    before = len(booth.line.frames)
    booth.press()
    booth.run(1.0)
    return "[V" in booth.texts()[before]


def test_one_nak_costs_one_report_its_extended_data_and_no_more():
    booth = Booth(evidence_url="https://e.example/{seq}").run(1.0)
    for _ in range(2 * BARE_AFTER):
        booth.line.answer = lambda frame: say("NAK", frame)
        booth.press()
        booth.line.answer = lambda frame: say("ACK", frame)
        booth.run(0.0)
        assert "[V" not in booth.texts()[-1]
        assert whole(booth)


def test_extended_data_is_left_out_after_several_reports_and_tried_again_the_next_day_and_after_a_loss():
    booth = Booth(evidence_url="https://e.example/{seq}", interval_s=3600.0).run(1.0)
    booth.line.answer = dislikes_extended_data
    assert [whole(booth) for _ in range(BARE_AFTER)] == [True] * BARE_AFTER
    assert [whole(booth) for _ in range(2)] == [False] * 2
    booth.run(BARE_S)
    assert [whole(booth) for _ in range(BARE_AFTER + 1)] == [True] * BARE_AFTER + [False]
    booth.line._events.append(HungUp("the receiver hung up"))
    booth.line.refuse = True
    booth.run(3600.0)
    booth.line.refuse = False
    booth.run(60.0)
    assert whole(booth)


def test_a_drill_says_so_in_its_text():
    booth = Booth(text="North gate").run(1.0)
    ident = ReportId("p1", EPOCH, 1)
    booth.path.handle(Transmit("dial", Report(ident, "PA", booth.clock.now(), "booth-button", ident, drill=True), 1))
    assert "[IDRILL North gate]" in booth.texts()[-1]


def test_more_alarms_than_can_be_held_are_given_back_to_the_core():
    booth = Booth()
    booth.line.refuse = True
    for _ in range(ALARMS_MAX + 1):
        booth.press()
    (refused,) = booth.of(Refused)
    assert refused.id.seq == ALARMS_MAX + 1


def test_orders_that_dc09_has_no_words_for_are_passed_over_and_strange_ones_raise():
    booth = Booth().run(1.0)
    before = len(booth.line.frames)
    for order in (Wake(), Health(0, 0, ()), Reply("c", "110", ok=True, text="")):
        booth.path.handle(order)
    assert len(booth.line.frames) == before
    with pytest.raises(TypeError):
        booth.path.handle("order")


def test_a_path_without_its_part_of_the_configuration_is_refused():
    with pytest.raises(ValueError, match=r"no \[path.dc09\]"):
        Dc09Path(
            PathConfig("dial", "h", kind="dc09"),
            epoch=1,
            site=SITE,
            zones={},
            backlog=None,
            line=VirtualLine(),
            clock=VirtualClock(),
            post=print,
            random01=lambda: 0.0,
        )


def test_the_line_is_closed_at_the_end_and_closing_twice_is_harmless():
    booth = Booth().run(1.0)
    booth.path.close()
    booth.path.close()
    assert not booth.line.is_open


def test_padding_is_of_its_own_alphabet_and_never_the_same():
    pads = {random_pad(20) for _ in range(50)}
    assert len(pads) == 50
    assert set("".join(pads)) <= set(dc09.PAD_LETTERS)
