"""Bad receipts and commands off the wire: one line, one trouble, no exception, and alarms go on."""

import json
import socket
import threading

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from rigs.schema import Tap
from rigs.uplink import DESK_KEY, EPOCH, PANEL, UplinkRig

from firmware.core.facts import Beat, Brokered, Command, PathDown, PathUp, Receipt, Refused, Trouble, TroubleOver
from firmware.core.report import ReportId, Step
from firmware.wire import topics
from firmware.wire.command import encode_command
from firmware.wire.receipt import encode_receipt
from firmware.wire.sign import seal

ALARM = ReportId(PANEL, EPOCH, 1)
RECEIPT = Receipt("110", ALARM, Step.RECEIVED, "", "main")
COMMAND = Command("c-1", "110", "reset", "", "王警官", "误报")


def receipt(receipt: Receipt = RECEIPT, key: bytes | None = DESK_KEY) -> bytes:
    return encode_receipt(receipt, at_utc_ms=1, key=key)


def command(mono_ms: int, *, epoch: int = EPOCH, panel: str = PANEL, key: bytes = DESK_KEY) -> bytes:
    return encode_command(COMMAND, panel=panel, epoch=epoch, not_after_mono_ms=mono_ms, key=key)


def unsigned(payload: bytes) -> bytes:
    return json.dumps({name: value for name, value in json.loads(payload).items() if name != "mac"}).encode()


@pytest.fixture
def tap(broker):
    listening = Tap(broker.host, broker.port)
    yield listening
    listening.close()


@pytest.fixture
def start(broker):
    """Starts an uplink and stops it at the end; it must have posted nothing of its own defects."""
    running = []

    def start_one(**arguments):
        running.append(UplinkRig(broker.port, **arguments).start())
        running[-1].expect(PathUp)
        return running[-1]

    yield start_one
    for rig in running:
        rig.stop()
        assert not [trouble for trouble in rig.of(Trouble) if trouble.source.startswith("adapter")]


@pytest.fixture
def rig(start):
    return start()


def still_sends(rig: UplinkRig) -> None:
    """An alarm goes out after all of it."""
    alarm = rig.press()
    rig.expect(Brokered, lambda fact: fact.id == alarm.id)


BAD_RECEIPTS = {
    "not JSON": (b"received!", "receipt: payload is 'received!', but must be JSON"),
    "an array": (b"[1,2,3]", "receipt: payload is an array, but must be a JSON object"),
    "changed types": (receipt().replace(b'"report":"', b'"report":7,"was":"'), "receipt: mac is"),
    "wrong types": (seal({"v": 1, "receiver": "110", "report": 7}, DESK_KEY), "receipt: report is 7, but must be text"),
    "binary rubbish": (bytes(range(256)) * 8, "but must be UTF-8 text"),
    "nothing": (b"", "but must be JSON"),
    "unsigned": (receipt(key=None), "receipt: mac is 'missing', but must be this sender's signature"),
    "signed by somebody else": (receipt(key=b"x" * 32), "wrong key, or changed on the way"),
    "another receiver's": (receipt(Receipt("station", ALARM, Step.CLOSED, "")), "as its topic says"),
    "another panel's": (
        receipt(Receipt("110", ReportId("school-18", 1, 1), Step.CLOSED, "")),
        "receipt: report is 'school-18/1/1', but must be a report of this panel, 'school-17'",
    ),
    "half a megabyte of brackets": (b"[" * 15_000, "nested at most 8 deep"),
}


@pytest.mark.parametrize(("payload", "message"), BAD_RECEIPTS.values(), ids=BAD_RECEIPTS)
def test_a_bad_receipt_is_told_and_changes_nothing(rig, tap, caplog, payload, message):
    tap.publish(topics.receipt(PANEL, "110"), payload)
    trouble = rig.expect(Trouble)
    assert trouble.source == "path main input"
    assert message in trouble.why
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"path main input refused: {trouble.why}"
    ]
    assert rig.of(Receipt) == []
    still_sends(rig)


def test_no_property_of_a_strangers_publication_breaks_the_connection(rig, broker):
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("mark", "\ufeff")]  # brokers pass it on, paho takes it for a broker's mistake
    stranger = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    stranger.connect(broker.host, broker.port)
    stranger.loop_start()
    stranger.publish(topics.receipt(PANEL, "110"), receipt(), qos=1, properties=properties)
    assert rig.expect(Receipt) == RECEIPT
    assert rig.of(PathDown) == []
    alarm = rig.press()
    assert rig.expect(Refused).id == alarm.id  # nobody is subscribed, and the broker still says so
    stranger.disconnect()
    stranger.loop_stop()


def test_a_receipt_of_a_receiver_that_is_not_configured(rig, tap):
    tap.publish(topics.receipt(PANEL, "119"), receipt())
    assert "topic's receiver is '119', but must be one of the configured [[receiver]] names: 110, station" in (
        rig.expect(Trouble).why
    )


BAD_COMMANDS = {
    "not JSON": (lambda now: b"reset", "command: payload is 'reset', but must be JSON", None),
    "unsigned": (lambda now: unsigned(command(now + 1000)), "command: mac is 'missing'", None),
    "signed by somebody else": (lambda now: command(now + 1000, key=b"x" * 32), "wrong key, or changed", None),
    "expired": (lambda now: command(now - 1), "but must be not past: it expired", "not past: it expired"),
    "valid for too long": (lambda now: command(now + 200_000), "at most 120000 ms after", "at most 120000 ms"),
    "of another epoch": (lambda now: command(now + 1000, epoch=2), "epoch is 2", "the panel has restarted since"),
    "for another panel": (lambda now: command(now + 1000, panel="school-18"), "panel is 'school-18'", "this panel"),
}


@pytest.mark.parametrize(("make", "message", "answer"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_a_bad_command_is_told_and_only_a_known_sender_is_answered(rig, tap, make, message, answer):
    tap.publish(topics.command(PANEL, "110"), make(round(rig.clock.now().mono_s * 1000)))
    assert message in rig.expect(Trouble).why
    still_sends(rig)
    assert rig.of(Command) == []
    if answer is None:
        assert tap.packets("result") == []
    else:
        (packet,) = tap.wait(lambda found: len(found) == 1, kind="result")
        assert (packet.body["command"], packet.body["ok"]) == ("c-1", False)
        assert answer in packet.body["text"]


def test_a_replayed_command_is_taken_once(rig, tap):
    payload = command(round(rig.clock.now().mono_s * 1000) + 60_000)
    for _ in range(3):
        tap.publish(topics.command(PANEL, "110"), payload)
    assert "taken already, its first result counts" in rig.expect(Trouble).why
    still_sends(rig)
    assert rig.of(Command) == [COMMAND]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_ten_megabytes_hurt_nobody(start, tap, protocol):
    rig = start(protocol=protocol)
    tap.publish(topics.command(PANEL, "110"), b"x" * 10_000_000)
    still_sends(rig)
    tap.publish(topics.receipt(PANEL, "110"), receipt())
    assert rig.expect(Receipt) == RECEIPT
    told = [trouble.why for trouble in rig.of(Trouble)]
    if protocol == "5":  # the broker keeps to the Maximum Packet Size of our CONNECT
        assert told == []
    else:
        (why,) = told
        assert "message: payload is '10000000 bytes, but at most 16384 are read'" in why


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_command_is_not_obeyed(broker, tap, start, protocol):
    waiting = UplinkRig(broker.port)
    payload = command(round(waiting.clock.now().mono_s * 1000) + 60_000)
    tap.publish(topics.command(PANEL, "110"), payload, retain=True)
    rig = start(protocol=protocol)
    still_sends(rig)
    assert rig.of(Command) == []


def test_a_flood_of_rubbish_is_one_line_and_one_trouble_and_alarms_go_on(rig, tap, caplog):
    for _ in range(300):
        tap._client.publish(topics.receipt(PANEL, "110"), b"rubbish", 1)
    tap.publish(topics.receipt(PANEL, "110"), receipt())
    rig.expect(Receipt)
    still_sends(rig)
    assert len(rig.of(Trouble)) == 1
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_the_trouble_is_over_after_ten_quiet_minutes():
    rig = UplinkRig(1)
    doorman = rig.uplink._doorman
    doorman.refuse("first", 0.0)
    doorman.refuse("second", 59.0)
    doorman.refuse("third", 60.0)
    doorman.settle(659.0)
    assert rig.facts == [Trouble("path main input", "first"), Trouble("path main input", "third")]
    doorman.settle(660.0)
    assert rig.facts[-1] == TroubleOver("path main input")
    assert rig.uplink._doorman.quiet_s == float("inf")


# ── a broker that has gone over ────────────────────────────────────────────────────────────────────────────────────


def packet(topic: bytes, payload: bytes) -> bytes:
    """A PUBLISH of QoS 0 as MQTT 5 writes it."""
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + payload
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length.append(digit | (128 if rest else 0))
        if not rest:
            return b"\x30" + bytes(length) + body


STRANGE = {
    "a topic that nobody asked for": (packet(b"some/other/topic", b"{}"), "message: topic is 'some/other/topic'"),
    "a topic of another panel": (packet(b"gatebooth/v1/x/receipt/110", receipt()), "one that this panel subscribed to"),
    "a topic that is no text": (packet(b"\xff\xfe/\x80", b"{}"), "message: topic is ''"),
    "a topic with too many levels": (packet(b"gatebooth/v1/school-17/receipt/110/x", b"{}"), "receiver is '110/x'"),
    "too long a packet": (
        packet(b"gatebooth/v1/school-17/receipt/110", b"x" * 300_000),
        "message: payload is '300000 bytes, but at most 16384 are read'",
    ),
}


@pytest.mark.parametrize(("sent", "message"), STRANGE.values(), ids=STRANGE)
def test_what_a_broker_sends_unasked_is_told_and_changes_nothing(sent, message):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rig = UplinkRig(listener.getsockname()[1])
        threading.Thread(target=_serve, args=(listener, sent), daemon=True).start()
        rig.start()
        assert message in rig.expect(Trouble).why
        rig.stop()
        assert [type(fact) for fact in rig.facts if not isinstance(fact, (Trouble, Beat))] == [PathUp]


def _serve(listener, sent):
    sock, _ = listener.accept()
    sock.recv(4096)
    sock.sendall(b"\x20\x03\x00\x00\x00")
    sock.recv(4096)
    sock.sendall(b"\x90\x06\x00\x01\x00\x01\x01\x01" + sent)
    while sock.recv(4096):
        pass
    sock.close()
