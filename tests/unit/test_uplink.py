"""The uplink in virtual time, over a pipe that does as it is told."""

import dataclasses
import math
import subprocess
import sys

import pytest
from rigs.uplink import ListBacklog

from firmware.adapters.backlog import EventIndex, Slot, Wake
from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, PipeError, Ready, Subscribed
from firmware.adapters.uplink import Uplink
from firmware.config import PathConfig
from firmware.core.effects import Health, Lead, Reply, Transmit
from firmware.core.facts import Beat, Brokered, Echo, PathDown, PathUp, Receipt, Refused, Trouble, TroubleOver
from firmware.core.link import ALARMS_MAX, State
from firmware.core.patience import ANSWER_S, LIGHT
from firmware.core.report import Report, ReportId, Step
from firmware.core.retry import ASKED_MAX, STEP_HURRIED_S, STEP_S
from firmware.wire.beat import Pulse, decode_beat, encode_echo
from firmware.wire.health import decode_health
from firmware.wire.receipt import encode_receipt
from firmware.wire.report import Site, decode_report
from hal.types import Instant


class Clock:
    def __init__(self):
        self.mono_s = 100.0

    def now(self):
        return Instant(self.mono_s, 1_790_000_000.0, synced=True)


class ToldPipe:
    """A pipe without a network: `tell` is what comes next, `sent` what was published."""

    def __init__(self):
        self.refusal = ""
        self.tell = []
        self.sent: list[tuple[int, Letter]] = []
        self.beats: list[tuple[int, Letter]] = []
        self.together = 0
        self.log = []

    def open(self, subscribe, will, *, hurried, step_s):
        self.log.append("open")
        self.will, self.hurried, self.step_s = will, hurried, step_s
        if self.refusal:
            raise PipeError(self.refusal)
        return 0.0

    def ask(self):
        self.log.append("ask")

    def publish(self, token, letter, *, more=False):
        self.together += more
        (self.beats if letter.topic.endswith("/beat") else self.sent).append((token, letter))

    def drive(self):
        told, self.tell = self.tell, []
        return told

    def next_deadline(self):
        return -math.inf if self.tell else math.inf

    def wait(self, fd, timeout_s):
        raise AssertionError("virtual time does not wait")

    def close(self, *, orderly=False):
        self.log.append("goodbye" if orderly else "close")


class Rig:
    def __init__(self, backlog=None):
        self.clock, self.pipe, self.facts = Clock(), ToldPipe(), []
        self.jitter = 0.5
        self.beats = []
        self.uplink = Uplink(
            PathConfig(name="main", host="h"),
            panel_id="p",
            epoch=3,
            site=Site(),
            panel_key=None,
            receivers={"110": None},
            backlog=backlog,
            pipe=self.pipe,
            clock=self.clock,
            post=self.post,
            random01=lambda: self.jitter,
        )

    def post(self, fact):
        (self.beats if isinstance(fact, Beat) else self.facts).append(fact)

    def up(self, **ready):
        self.uplink.tick()
        self.say(Ready(65535, **ready))
        return self

    def say(self, *events):
        self.pipe.tell += events
        self.uplink.tick()

    def at(self, mono_s):
        self.clock.mono_s = mono_s
        self.uplink.tick()

    def press(self, seq=1):
        report = Report(ReportId("p", 3, seq), "PA", self.clock.now(), "booth-button")
        self.uplink.handle(Transmit("main", report, 1))
        return report


@pytest.fixture
def rig():
    return Rig()


def test_nothing_of_paho_or_tls_is_imported_until_a_connection_is_made():
    code = (
        "import sys, firmware.adapters.uplink, firmware.adapters.mqtt_pipe\n"
        "print([name for name in ('paho', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_connection_hurries_while_an_alarm_waits_and_only_then(rig):
    rig.pipe.refusal = "no way"
    rig.uplink.tick()
    assert (rig.pipe.hurried, rig.pipe.step_s) == (False, STEP_S)
    rig.press()
    rig.at(rig.uplink.next_deadline())
    assert (rig.pipe.hurried, rig.pipe.step_s) == (True, STEP_HURRIED_S)


def test_an_alarm_is_published_inside_the_order_s_own_step(rig):
    rig.up()
    alarm = rig.press()
    ((token, letter),) = rig.pipe.sent
    assert letter.topic == "gatebooth/v1/p/report/alarm"
    assert decode_report(letter.payload, None).id == alarm.id
    rig.say(Answered(token, 0, ""))
    assert rig.facts == [PathUp("main"), Brokered("main", alarm.id)]


def test_an_overdue_answer_closes_and_opens_anew_in_one_breath_and_the_alarm_goes_out_again(rig):
    rig.up()
    rig.press()
    assert rig.uplink.next_deadline() == 100.0 + ANSWER_S
    rig.at(103.0)
    rig.at(103.0)
    assert rig.pipe.log == ["open", "close", "open"]
    rig.say(Ready(65535))
    assert len(rig.pipe.sent) == 2
    assert [type(fact) for fact in rig.facts] == [PathUp, PathDown, PathUp]


def test_a_broker_that_greets_and_never_answers_is_left_every_three_seconds_while_an_alarm_is_under_way(rig):
    rig.up()
    rig.press()
    waits, sent_s = [], rig.clock.mono_s
    while rig.clock.mono_s < 400.0:
        rig.at(rig.uplink.next_deadline())
        if rig.pipe.log[-1] == "close":
            waits.append(rig.clock.mono_s - sent_s)
        if rig.uplink.link.state is State.OPENING:
            rig.say(Ready(65535))
            sent_s = rig.clock.mono_s
    assert len(waits) > 50
    assert max(waits) <= ANSWER_S + 1e-6


def test_a_report_that_is_heavy_is_given_the_time_that_a_narrow_link_takes_for_it(rig):
    rig.up()
    answer_beats(rig)
    detail = tuple((f"why-{number}", "x" * 500) for number in range(8))
    long = Report(ReportId("p", 3, 1), "PA", rig.clock.now(), "booth-button", detail=detail)
    rig.uplink.handle(Transmit("main", long, 1))
    size = len(rig.pipe.sent[0][1].payload)
    assert size > LIGHT
    assert rig.uplink.next_deadline() == pytest.approx(100.0 + 1 + size / 1000)


def test_the_first_pause_is_a_share_of_the_cap_by_the_random_number_and_the_next_one_is_the_cap(rig):
    rig.pipe.refusal = "path main: no way"
    rig.uplink.tick()
    assert rig.uplink.next_deadline() == 115.0
    rig.at(115.0)
    assert rig.uplink.next_deadline() == 145.0
    assert rig.facts == [PathDown("main", "path main: no way")]


def test_a_connection_that_forbids_to_read_sends_alarms_and_does_not_count_as_up(rig):
    rig.up(complaint=REFUSED)
    rig.press()
    assert len(rig.pipe.sent) == 1
    assert rig.facts == [PathDown("main", REFUSED, stands=True)]


# ── subscriptions that were refused ──

REFUSED = "path main: the broker refuses subscriptions"


def asks(rig, seconds):
    """When the panel asked again, to the tenth of a second; each time the broker says no once more."""
    start, found = rig.clock.mono_s, []
    for tenth in range(1, round(seconds * 10) + 1):
        before = rig.pipe.log.count("ask")
        rig.at(start + tenth / 10)
        if rig.pipe.log[-1] == "open" and rig.uplink.link.state is State.OPENING:
            rig.say(Ready(65535, REFUSED))
        rig.say(*(Answered(token, 0, "") for token, _ in rig.pipe.sent))
        if rig.pipe.log.count("ask") > before:
            found.append(tenth / 10)
            rig.say(Subscribed(REFUSED))
    return found


def test_a_refused_subscription_is_asked_for_again_after_a_share_of_thirty_seconds_and_then_every_thirty(rig):
    rig.up(complaint=REFUSED)
    assert asks(rig, 110) == [15.0, 45.0, 75.0, 105.0]
    assert rig.facts == [PathDown("main", REFUSED, stands=True)], "it is told once"


@pytest.mark.parametrize("who", ["the broker", "a receiver"])
def test_while_an_alarm_waits_for_anybody_it_is_asked_for_every_two_seconds(rig, who):
    rig.up(complaint=REFUSED)
    if who == "a receiver":
        rig.uplink.handle(Health(1, 1, ()))
    else:
        for seq in range(17):
            rig.press(seq)
    rig.at(rig.clock.mono_s + 1.9)
    assert "ask" not in rig.pipe.log
    rig.at(rig.clock.mono_s + 0.1)
    assert rig.pipe.log[-1] == "ask"


def test_a_subscription_that_is_granted_at_last_makes_the_path_up_and_a_beat_proves_it():
    rig = Rig(backlog=ListBacklog()).up(complaint=REFUSED)
    assert rig.pipe.beats == []
    rig.at(115.0)
    rig.say(Subscribed())
    assert rig.facts == [PathDown("main", REFUSED, stands=True), PathUp("main")]
    assert pulse(rig).count == 1
    assert rig.pipe.log == ["open", "ask"]
    assert rig.uplink.next_deadline() < math.inf
    answer_beats(rig)
    assert asks(rig, 3600) == []


def test_a_broker_that_goes_on_refusing_is_logged_in_to_anew_now_and_then_and_that_is_not_told(rig):
    rig.up(complaint=REFUSED)
    rig.uplink.handle(Health(1, 1, ()))
    asked = asks(rig, 60)
    assert rig.pipe.log[1 : ASKED_MAX + 2] == [*["ask"] * (ASKED_MAX - 1), "goodbye", "open"]
    assert len(asked) >= 20
    assert rig.facts == [PathDown("main", REFUSED, stands=True)]


def test_a_broker_that_owes_its_answer_to_subscriptions_is_left(rig):
    rig.up(complaint=REFUSED)
    rig.at(115.0)
    rig.at(115.0 + STEP_S - 0.1)
    assert rig.pipe.log == ["open", "ask"]
    assert rig.uplink.next_deadline() == 115.0 + STEP_S
    rig.at(115.0 + STEP_S)
    assert rig.pipe.log == ["open", "ask", "close", "open"]
    assert "owes its answer to subscriptions" in rig.facts[-1].why


def test_a_lost_connection_is_asked_for_nothing(rig):
    rig.up(complaint=REFUSED)
    rig.say(Lost("path main: lost"))
    rig.pipe.refusal = "path main: no way"
    assert rig.uplink.next_deadline() == 115.0
    assert rig.facts == [PathDown("main", REFUSED, stands=True), PathDown("main", "path main: lost")]


def test_a_notice_is_a_trouble_until_a_connection_without_one(rig):
    rig.up(notice="dates not checked")
    rig.say(Lost("path main: lost"))
    rig.at(200.0)
    rig.say(Ready(65535))
    troubles = [fact for fact in rig.facts if isinstance(fact, Trouble | TroubleOver)]
    assert troubles == [Trouble("path main certificate", "dates not checked"), TroubleOver("path main certificate")]


def test_an_alarm_too_many_is_refused_so_that_the_core_repeats_it(rig):
    for seq in range(ALARMS_MAX):
        rig.press(seq)
    assert rig.facts == []
    rig.press(ALARMS_MAX)
    (refused,) = rig.facts
    assert isinstance(refused, Refused)
    assert "holds as many alarms as it can" in refused.why


def test_the_newest_health_goes_out_with_every_connection(rig):
    rig.uplink.handle(Health(1, 0, ()))
    rig.uplink.handle(Health(2, 0, ()))
    rig.up()
    rig.say(Lost("path main: lost"))
    rig.at(200.0)
    rig.say(Ready(65535))
    sent = [decode_health(letter.payload, None).open_incidents for _, letter in rig.pipe.sent]
    assert sent == [2, 2]
    assert all(letter.retain for _, letter in rig.pipe.sent)


def test_the_end_says_offline_and_goodbye(rig):
    rig.up()
    rig.uplink.close()
    rig.uplink.close()
    assert not decode_health(rig.pipe.sent[0][1].payload, None).online
    assert rig.pipe.sent[0][1] == rig.pipe.will
    assert rig.pipe.log[-1] == "goodbye"


def test_the_end_of_an_uplink_that_never_was_up_says_nothing(rig):
    rig.uplink.close()
    assert rig.pipe.sent == []


def test_events_go_back_when_the_connection_breaks_and_are_done_when_the_broker_answers():
    class Backlog:
        def __init__(self):
            self.log = []
            self.waiting = [Report(ReportId("p", 3, 1), "RR", Instant(0.0, 0.0, synced=True))]

        def take(self, limit, *, leads):
            assert leads
            found, self.waiting = self.waiting[:limit], self.waiting[limit:]
            return found

        def done(self, ids):
            self.log.append(tuple(ident.seq for ident in ids))

        def give_back(self):
            self.log.append("back")

    backlog = Backlog()
    rig = Rig(backlog)
    rig.uplink.handle(Wake())
    assert len(backlog.waiting) == 1, "nothing is taken while the path is down"
    rig.up()
    rig.say(Lost("path main: lost"))
    assert backlog.log == ["back"]
    backlog.waiting = [Report(ReportId("p", 3, 2), "RR", Instant(0.0, 0.0, synced=True))]
    rig.at(200.0)
    rig.say(Ready(65535))
    rig.say(Answered(rig.pipe.sent[-1][0], 0, ""))
    assert backlog.log == ["back", (2,)]


def test_a_resting_path_carries_what_another_one_s_receiver_did_not_take_and_gives_it_back_when_it_breaks():
    index = EventIndex(lambda _: None, lambda: 0.0)
    dial, main = index.share("dial", print), index.share("main", lambda: None)
    events = [Report(ReportId("p", 3, seq), "RR", Instant(0.0, 0.0, synced=True)) for seq in (1, 2)]
    index.add([Slot((3, event.id.seq), None, event) for event in events])
    rig = Rig(main)
    rig.uplink.handle(Lead("main", leading=False))
    rig.up()
    sent = len(rig.pipe.sent)
    dial.take(1)
    dial.pass_on(events[0].id, for_good=False)
    rig.uplink.handle(Wake())
    assert len(rig.pipe.sent) == sent + 1, "that one, and not the other that waits for the leader"
    rig.say(Lost("path main: lost"))
    rig.at(200.0)
    rig.say(Ready(65535))
    assert decode_report(rig.pipe.sent[-1][1].payload, None).id.seq == 1
    rig.say(Answered(rig.pipe.sent[-1][0], 0, ""))
    assert index.take_done() == [(3, 1)]


def test_events_travel_together_and_an_alarm_alone():
    backlog = ListBacklog()
    rig = Rig(backlog).up()
    events = [Report(ReportId("p", 3, seq), "RR", rig.clock.now(), "") for seq in range(1, 20)]
    backlog.add(events)
    rig.uplink.handle(Wake())
    while len(rig.pipe.sent) < 5:  # the first answers open the window
        rig.say(*[Answered(token, 0, "") for token, _ in rig.pipe.sent])
    together = rig.pipe.together
    assert together > 0
    rig.press(seq=50)
    assert decode_report(rig.pipe.sent[-1][1].payload, None).id.seq == 50
    assert rig.pipe.together == together


def test_a_result_for_a_command_that_never_came_here_is_not_sent(rig):
    rig.up()
    rig.uplink.handle(Reply("c-1", "110", ok=True, text=""))
    assert rig.pipe.sent == []


def test_a_lost_connection_forgets_nothing_that_was_said_before_it_in_the_same_breath(rig):
    rig.up()
    alarm = rig.press()
    rig.say(Answered(rig.pipe.sent[0][0], 0, ""), Lost("path main: lost"))
    assert rig.facts[1] == Brokered("main", alarm.id)
    assert rig.uplink.link.state is State.DOWN


def test_a_message_that_must_not_be_read_is_not_read(rig):
    rig.up()
    rig.say(Incoming("gatebooth/v1/p/receipt/110", b"", "retained, but must not be"))
    (trouble,) = [fact for fact in rig.facts if isinstance(fact, Trouble)]
    assert "retained, but must not be" in trouble.why


def test_an_order_of_nobody_is_a_defect(rig):
    with pytest.raises(TypeError, match="uplink main knows no order int"):
        rig.uplink.handle(5)


# ── supervision ──


def pulse(rig, place=-1):
    return decode_beat(rig.pipe.beats[place][1].payload, None)


def echo(rig, count, epoch=3, path="main", receiver="110"):
    answer = Pulse("p", epoch, path, count, 0)
    return Incoming(f"gatebooth/v1/p/echo/{receiver}", encode_echo(answer, receiver=receiver, key=None))


def answer_beats(rig):
    rig.say(*(Answered(token, 0, "") for token, _ in rig.pipe.beats))
    rig.pipe.beats.clear()


def test_a_new_connection_beats_at_once_and_then_every_ten_seconds():
    rig = Rig(backlog=ListBacklog()).up()
    start = rig.clock.mono_s
    assert pulse(rig).count == 1
    times = []
    for tenth in range(1, 300):
        answer_beats(rig)
        rig.at(start + tenth / 10)
        times += [tenth / 10 for _ in rig.pipe.beats]
    assert times == [10.0, 20.0]
    assert rig.beats == [Beat("main")] * 3


def test_a_resting_path_beats_every_fifteen_minutes_and_at_once_when_it_is_to_lead():
    rig = Rig(backlog=ListBacklog())
    rig.uplink.handle(Lead("main", leading=False))
    rig.up()
    start = rig.clock.mono_s
    answer_beats(rig)
    rig.at(start + 899)
    assert rig.pipe.beats == []
    rig.uplink.handle(Lead("main", leading=True))
    assert pulse(rig).count == 2


def test_an_echo_of_the_last_beats_is_a_sign_of_life(rig):
    rig.up()
    rig.say(echo(rig, 1))
    assert Echo("main", "110") in rig.facts


@pytest.mark.parametrize(
    ("changes", "receiver"),
    [
        ({"count": 2}, "110"),
        ({"count": 1, "epoch": 2}, "110"),
        ({"count": 1, "path": "radio"}, "110"),
        ({"count": 1}, "119"),
    ],
    ids=["a beat that never was", "another epoch", "another path", "a stranger"],
)
def test_an_echo_of_something_else_is_refused_and_told(rig, changes, receiver):
    rig.up()
    rig.say(echo(rig, receiver=receiver, **changes))
    assert not [fact for fact in rig.facts if isinstance(fact, Echo)]
    assert [fact.source for fact in rig.facts if isinstance(fact, Trouble)] == ["path main input"]


def test_an_echo_of_long_ago_is_a_recording():
    rig = Rig(backlog=ListBacklog()).up()
    for _ in range(4):
        answer_beats(rig)
        rig.at(rig.clock.mono_s + 10)
    rig.say(echo(rig, 2))
    assert not [fact for fact in rig.facts if isinstance(fact, Echo)]
    rig.say(echo(rig, 3))
    assert [fact for fact in rig.facts if isinstance(fact, Echo)]


def test_an_echo_that_is_played_back_is_no_second_sign_of_life():
    rig = Rig(backlog=ListBacklog()).up()
    rig.say(echo(rig, 1))
    answer_beats(rig)
    rig.at(rig.clock.mono_s + 10)
    rig.say(echo(rig, 2))
    rig.facts.clear()
    rig.say(echo(rig, 2), echo(rig, 1))
    assert not rig.facts


def receipt(rig, alarm):
    word = Receipt("110", alarm.id, Step.RECEIVED, "", "main")
    rig.say(Incoming("gatebooth/v1/p/receipt/110", encode_receipt(word, at_utc_ms=0, key=None)))
    return word


def test_a_receipt_is_a_sign_of_life_too(rig):
    rig.up()
    word = receipt(rig, rig.press())
    assert rig.facts[-2:] == [word, Echo("main", "110")]


def test_a_recorded_receipt_is_none(rig):
    rig.up()
    alarm = rig.press()
    word = receipt(rig, alarm)
    rig.facts.clear()
    receipt(rig, alarm)
    rig.uplink.handle(Transmit("main", alarm, 2))
    receipt(rig, alarm)
    assert rig.facts == [word, word]


def test_the_receipt_of_a_silent_alarm_lights_no_lamp(rig):
    rig.up()
    silent = dataclasses.replace(rig.press(), id=ReportId("p", 3, 99), code="HA", covert=True)
    rig.uplink.handle(Transmit("main", silent, 1))
    word = receipt(rig, silent)
    assert rig.facts[-1] == word


def test_a_silent_event_that_goes_through_ends_no_trouble_that_shows():
    backlog = ListBacklog()
    rig = Rig(backlog=backlog).up()
    now = rig.clock.now()
    backlog.add([Report(ReportId("p", 3, 1), "PH", now), Report(ReportId("p", 3, 2), "HH", now, covert=True)])
    rig.uplink.handle(Wake())
    rig.say(Answered(rig.pipe.sent[-1][0], 0x10, ""))
    assert isinstance(rig.facts[-1], Trouble)
    answer_beats(rig)
    rig.at(rig.clock.mono_s + 6)
    rig.say(Answered(rig.pipe.sent[-1][0], 0, ""))
    assert isinstance(rig.facts[-1], Trouble)
    rig.say(Answered(rig.pipe.sent[-1][0], 0, ""))
    assert rig.facts[-1] == TroubleOver("path main receiver")


def drained(count):
    """A rig with a backlog of so many events, the first of them answered for and the window full."""
    backlog = ListBacklog()
    rig = Rig(backlog=backlog).up()
    answer_beats(rig)
    backlog.add([Report(ReportId("p", 3, seq), "RR", rig.clock.now()) for seq in range(1, count + 1)])
    rig.uplink.handle(Wake())
    rig.say(Answered(rig.pipe.sent[-1][0], 0, ""))
    return rig, backlog


def test_answers_in_any_order_count_for_their_own_reports():
    rig, backlog = drained(8)
    under_way = rig.pipe.sent[1:]
    rig.say(*[Answered(token, 0, "") for token, _ in reversed(under_way[3:])])
    rig.say(Answered(under_way[1][0], 0, ""))
    assert sorted(ident.seq for ident in backlog.finished) == [1, 3, 5, 6, 7, 8]


def test_what_was_answered_for_before_the_link_died_in_a_batch_is_done_and_the_rest_waits_again():
    rig, backlog = drained(9)
    tokens = [token for token, _ in rig.pipe.sent[1:]]
    rig.say(Answered(tokens[2], 0, ""), Answered(tokens[0], 0, ""), Lost("path main: lost"))
    assert [ident.seq for ident in backlog.finished] == [1, 4, 2]
    assert [report.id.seq for report in backlog.take(100)] == [3, 5, 6, 7, 8, 9]


def test_what_waited_written_tells_its_age_when_it_is_sent():
    rig, _ = drained(60)
    rig.clock.mono_s += 1.5
    rig.say(*[Answered(token, 0, "") for token, _ in rig.pipe.sent[1:]])
    assert decode_report(rig.pipe.sent[-1][1].payload, None).age_ms == 1500


def test_a_path_that_no_longer_leads_gives_its_reports_back_for_another_to_take():
    backlog = ListBacklog()
    rig = Rig(backlog=backlog).up()
    backlog.add([Report(ReportId("p", 3, seq), "RR", rig.clock.now()) for seq in range(40)])
    rig.uplink.handle(Wake())
    rig.uplink.handle(Lead("main", leading=False))
    before = len(rig.pipe.sent)
    rig.at(rig.clock.mono_s + 1)
    rig.uplink.handle(Wake())
    assert len(rig.pipe.sent) == before
    assert len(backlog.take(100)) == 40


def test_no_beat_goes_out_without_a_connection(rig):
    rig.up()
    rig.say(Lost("path main: lost"))
    rig.pipe.refusal = "path main: refused"
    rig.pipe.beats.clear()
    rig.at(rig.clock.mono_s + 100)
    assert rig.pipe.beats == []
