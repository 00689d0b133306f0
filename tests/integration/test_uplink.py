"""An uplink against a real broker: what goes out, what comes in, what is said at the end."""

import json
import threading

import pytest
from paho.mqtt import client as paho
from rigs.broker import ServerTls
from rigs.schema import Tap, check
from rigs.uplink import DESK_KEY, EPOCH, PANEL, PANEL_KEY, ListBacklog, UplinkRig

from firmware.adapters.backlog import Wake
from firmware.config import TlsConfig
from firmware.core.effects import Health, Reply
from firmware.core.facts import Brokered, Command, PathUp, Receipt, Refused, Trouble, TroubleOver
from firmware.core.report import Step
from firmware.wire import topics
from firmware.wire.command import encode_command
from firmware.wire.health import decode_health
from firmware.wire.receipt import encode_receipt
from firmware.wire.report import decode_report


@pytest.fixture
def tap(broker):
    listening = Tap(broker.host, broker.port)
    yield listening
    listening.close()


@pytest.fixture
def rig(broker):
    running = UplinkRig(broker.port).start()
    yield running
    running.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_alarm_goes_out_signed_and_its_puback_comes_back(broker, tap, protocol):
    rig = UplinkRig(broker.port, protocol=protocol).start()
    rig.expect(PathUp)
    alarm = rig.press()
    assert rig.expect(Brokered) == Brokered("main", alarm.id)
    rig.stop()
    (packet,) = tap.wait(lambda found: len(found) == 1, kind="report")
    read = decode_report(packet.payload, PANEL_KEY)
    assert (read.id, read.code, read.late, read.attempt) == (alarm.id, "PA", False, 1)
    assert packet.topic == f"gatebooth/v1/{PANEL}/report/alarm"
    assert not packet.retain


def test_an_alarm_that_came_before_the_connection_goes_out_with_it(broker, tap):
    rig = UplinkRig(broker.port)
    alarm = rig.press()
    rig.start()
    assert rig.expect(Brokered).id == alarm.id
    rig.stop()
    assert len(tap.wait(lambda found: len(found) >= 1, kind="report")) == 1


def test_health_is_retained_and_an_orderly_stop_says_offline(broker, rig):
    rig.expect(PathUp)
    rig.worker.put(Health(1, 2, ("journal",)))
    rig.press()
    rig.expect(Refused)  # nobody listens yet; the health went out before it
    late = Tap(broker.host, broker.port)
    (packet,) = late.wait(lambda found: len(found) == 1, kind="health")
    assert packet.retain
    read = decode_health(packet.payload, PANEL_KEY)
    assert (read.online, read.epoch, read.open_incidents, read.troubles) == (True, EPOCH, 1, ("journal",))
    rig.stop()
    found = late.wait(lambda found: len(found) == 2, kind="health")
    assert not decode_health(found[-1].payload, PANEL_KEY).online
    late.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_panel_that_vanishes_leaves_its_will(broker, tap, protocol):
    rig = UplinkRig(broker.port, protocol=protocol).start()
    rig.expect(PathUp)
    rig.worker.put(Health(0, 0, ()))
    tap.wait(lambda found: len(found) == 1, kind="health")
    rig.uplink._pipe.close()  # the socket ends without a goodbye, as when power does
    (_, will) = tap.wait(lambda found: len(found) == 2, kind="health")
    read = decode_health(will.payload, PANEL_KEY)
    assert (read.online, read.epoch) == (False, EPOCH)
    rig.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_receipt_becomes_a_fact(broker, tap, protocol):
    rig = UplinkRig(broker.port, protocol=protocol).start()
    rig.expect(PathUp)
    receipt = Receipt("110", rig.press().id, Step.ACCEPTED, "王警官", "main")
    tap.publish(topics.receipt(PANEL, "110"), encode_receipt(receipt, at_utc_ms=1, key=DESK_KEY))
    assert rig.expect(Receipt) == receipt
    rig.stop()


def test_a_command_becomes_a_fact_and_its_result_goes_back(rig, tap):
    rig.expect(PathUp)
    command = Command("c-1", "110", "reset", "booth-button", "王警官", "误报")
    not_after = round(rig.clock.now().mono_s * 1000) + 60_000
    payload = encode_command(command, panel=PANEL, epoch=EPOCH, not_after_mono_ms=not_after, key=DESK_KEY)
    tap.publish(topics.command(PANEL, "110"), payload)
    assert rig.expect(Command) == command
    rig.worker.put(Reply("c-1", "110", ok=True, text="booth-button reset"))
    (packet,) = tap.wait(lambda found: len(found) == 1, kind="result")
    assert packet.topic == topics.result(PANEL, "110")
    assert (packet.body["command"], packet.body["ok"]) == ("c-1", True)


def test_a_result_goes_back_only_on_the_path_on_which_its_command_came(rig, tap):
    rig.expect(PathUp)
    rig.worker.put(Reply("from-elsewhere", "110", ok=True, text="done"))
    rig.press()
    rig.expect(Brokered)
    assert tap.packets("result") == []


def test_an_order_that_no_uplink_knows_is_a_defect_and_the_uplink_goes_on(rig, tap):
    rig.expect(PathUp)
    rig.worker.put("fire")
    assert "knows no order str" in rig.expect(Trouble).why
    rig.press()
    rig.expect(Brokered)


# ── nobody listens ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alarm_that_nobody_is_subscribed_to_is_refused_in_words(rig):
    rig.expect(PathUp)
    alarm = rig.press()
    refused = rig.expect(Refused)
    assert (refused.id, refused.reason) == (alarm.id, 0x10)
    assert refused.why == (
        f"path main: nobody is subscribed to gatebooth/v1/{PANEL}/report/alarm: is the receiver running?"
    )


def test_events_that_nobody_is_subscribed_to_wait_and_go_out_once_somebody_is(broker):
    backlog = ListBacklog()
    rig = UplinkRig(broker.port, backlog=backlog).start()
    events = [rig.report("RR") for _ in range(5)]
    backlog.add(events)
    rig.worker.put(Wake())
    trouble = rig.expect(Trouble)
    assert trouble.source == "path main receiver"
    assert f"nobody is subscribed to gatebooth/v1/{PANEL}/report/status" in trouble.why
    assert backlog.finished == []
    tap = Tap(broker.host, broker.port)
    assert rig.expect(TroubleOver).source == "path main receiver"
    found = tap.wait(lambda found: len(found) == 5, kind="report")
    assert {packet.body["seq"] for packet in found} == {event.id.seq for event in events}
    rig.stop()
    assert sorted(backlog.finished) == [event.id for event in events]
    tap.close()


def test_a_silent_alarm_s_event_that_is_refused_tells_nobody_at_the_booth(broker):
    backlog = ListBacklog()
    rig = UplinkRig(broker.port, backlog=backlog).start()
    backlog.add([rig.report("HH", covert=True)])
    rig.worker.put(Wake())
    rig.press()
    rig.expect(Refused)
    rig.stop()
    assert rig.of(Trouble) == []


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_backlog_goes_through_tls_whole_and_once(make_broker, certificates, protocol):
    broker = make_broker(tls=ServerTls(certificates.ca, certificates.server.cert, certificates.server.key))
    tap = Tap(broker.host, broker.port, lambda client: client.tls_set(str(certificates.ca)))
    backlog = ListBacklog()
    rig = UplinkRig(broker.port, backlog=backlog, tls=TlsConfig(certificates.ca), protocol=protocol)
    backlog.add([rig.report("RR") for _ in range(300)])
    rig.start().expect(PathUp)
    found = tap.wait(lambda found: len(found) >= 300, kind="report")
    rig.stop()
    tap.close()
    assert [packet.body["seq"] for packet in found] == list(range(1, 301))


# ── ten thousand events ────────────────────────────────────────────────────────────────────────────────────────────


def test_alarms_overtake_ten_thousand_events_and_nothing_is_lost_or_doubled(make_broker):
    count, alarms = 10_000, 10
    broker = make_broker("max_queued_messages 0")
    backlog, desk = ListBacklog(), Desk(broker, count + alarms)
    rig = UplinkRig(broker.port, backlog=backlog)
    backlog.add([rig.report("RR") for _ in range(count)])
    rig.start()
    rig.expect(PathUp)
    for _ in range(alarms):
        before = len(backlog.finished)
        alarm = rig.press()
        rig.expect(Brokered, lambda fact, alarm=alarm: fact.id == alarm.id)
        assert len(backlog.finished) - before < count / 20, "the alarm stood behind events"
    assert len(backlog.finished) < count, "the last alarm went out when no event was left to overtake"
    assert desk.all_came.wait(60), f"{len(desk.arrived)} of {count + alarms} came"
    rig.stop()
    desk.close()
    seqs = [read.id.seq for read in (decode_report(payload, PANEL_KEY) for payload in desk.arrived)]
    assert sorted(seqs) == list(range(1, count + alarms + 1))
    events = [seq for seq in seqs if seq <= count]
    assert events == sorted(events), "events keep their order"
    for payload in desk.arrived[::50]:
        check("report", json.loads(payload))


class Desk:
    """A bare subscriber that keeps the payloads."""

    def __init__(self, broker, expected):
        self.arrived = []
        self.all_came = threading.Event()
        self._expected = expected
        subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(broker.host, broker.port)
        self._client.subscribe(topics.ROOT + "/+/report/+", 1)
        self._client.loop_start()
        assert subscribed.wait(10)

    def _on_message(self, _client, _userdata, message):
        self.arrived.append(message.payload)
        if len(self.arrived) == self._expected:
            self.all_came.set()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
