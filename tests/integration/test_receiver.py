"""`gatebooth watch` as a process of its own, at a real broker, fed by a hand-made panel."""

from __future__ import annotations

import hashlib
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from rigs.broker import ServerTls, free_port
from rigs.panel import PanelProcess, panel_toml, write_keys

from firmware.core.effects import Health
from firmware.core.facts import Command, Receipt
from firmware.core.report import Report, ReportId, Step
from firmware.wire import media, topics
from firmware.wire.command import CommandGate
from firmware.wire.health import encode_health
from firmware.wire.receipt import decode_receipt
from firmware.wire.report import Site, encode_report
from hal.types import Instant

PANEL = "school-7"
PANEL_KEY, RECEIVER_KEY = b"p" * 32, b"r" * 32
LIMIT_S = 15.0


class HandPanel:
    """The panel's side of the wire, by hand."""

    def __init__(self, host, port):
        self.letters = queue.Queue()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{topics.ROOT}/{PANEL}/{kind}/+", 1) for kind in ("receipt", "command", "evidence-receipt")]
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.letters.put((message.topic, message.payload))
        self._client.connect(host, port)
        self._client.loop_start()
        assert self._subscribed.wait(LIMIT_S)

    def send(self, topic, payload, *, retain=False, properties=None):
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        sent.wait_for_publish(LIMIT_S)

    def alarm(self, seq=1, key=PANEL_KEY, code="PA", root=None):
        ident = ReportId(PANEL, 5, seq)
        report = Report(ident, code, now(), "booth-button", ident if root is None else ReportId(PANEL, 5, root))
        payload = encode_report(report, site=Site("School"), now=now(), epoch=5, attempt=1, key=key)
        self.send(topics.report(PANEL, report.cls), payload)
        return ident

    def health(self):
        payload = encode_health(Health(0, 0, ()), panel=PANEL, epoch=5, now=now(), key=PANEL_KEY)
        self.send(topics.health(PANEL), payload, retain=True)

    def receipt(self, key=RECEIVER_KEY):
        topic, payload = self.letters.get(timeout=LIMIT_S)
        assert topic == topics.receipt(PANEL, "110")
        return decode_receipt(payload, receiver="110", panel=PANEL, receivers={"110": key})

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def marked(text):
    """A user property with a text that brokers pass on and paho takes for a broker's mistake."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("mark", text)]
    return properties


def now():
    return Instant(time.monotonic(), time.time(), synced=True)


class DeskProcess:
    """The desk's process, its JSON lines read by a thread."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware.cli", "watch", "--json", "--control-stdin", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def event(self, kind, **wanted):
        """The next event of a kind with these values; others are passed over."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            found = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if found["event"] == kind and all(found[name] == value for name, value in wanted.items()):
                return found

    def next_event(self):
        """Whatever happens next."""
        return self._lines.get(timeout=LIMIT_S)

    def order(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self):
        self._process.kill()
        self._process.wait(LIMIT_S)

    def end(self):
        """Exit code and standard error once it has ended by itself."""
        code = self._process.wait(LIMIT_S)
        return code, self._process.stderr.read()


@pytest.fixture
def desks():
    made = []

    def make(*arguments):
        made.append(DeskProcess(*arguments))
        return made[-1]

    yield make
    for desk in made:
        desk.kill()


@pytest.fixture
def panel(broker):
    hand = HandPanel(broker.host, broker.port)
    yield hand
    hand.close()


@pytest.fixture
def options(broker, tmp_path):
    for name, key in (("panel.key", PANEL_KEY), ("receiver.key", RECEIVER_KEY)):
        (tmp_path / name).write_text(key.hex())
        (tmp_path / name).chmod(0o600)
    keys = ("--key-file", tmp_path / "panel.key", "--receiver-key-file", tmp_path / "receiver.key")
    return ("--broker", f"{broker.host}:{broker.port}", *keys)


@pytest.fixture
def desk(desks, options):
    running = desks(*options)
    running.event("link", link="reports", up=True)
    return running


def test_an_alarm_is_received_at_once_and_accepted_by_a_person(desk, panel):
    ident = panel.alarm()
    assert panel.receipt() == Receipt("110", ident, Step.RECEIVED, "")
    assert desk.event("report")["verified"]
    desk.order("accept Officer Li")
    assert panel.receipt() == Receipt("110", ident, Step.ACCEPTED, "Officer Li")
    step = desk.event("step", step="accepted")
    assert step["person"] == "Officer Li"
    assert step["ms"] >= 0


def test_a_repeated_alarm_is_received_again(desk, panel):
    panel.alarm()
    panel.receipt()
    panel.alarm()
    assert panel.receipt().step is Step.RECEIVED
    assert desk.event("report", duplicate=True)


def test_an_alarm_with_a_wrong_signature_gets_no_receipt_and_is_told_as_a_claim(desk, panel):
    panel.alarm(1, key=b"x" * 32)
    told = desk.event("unsigned")
    assert (told["panel"], told["alarm"], told["alive"], told["proved_utc_ms"]) == (PANEL, True, False, None)
    right = panel.alarm(2)
    assert panel.receipt().id == right


def test_a_panel_whose_key_file_is_empty_is_told_at_the_desk_as_what_it_is(desks, broker, tmp_path):
    write_keys(tmp_path, "panel", "110", "station")
    (tmp_path / "panel.key").rename(tmp_path / "p1.key")
    (tmp_path / "panel.key").write_text("")
    desk = desks("--broker", f"{broker.host}:{broker.port}", "--as", "110", "--key-file", tmp_path / "p1.key")
    desk.event("link", link="reports", up=True)
    booth = PanelProcess(tmp_path, panel_toml(tmp_path, broker.port)).start()
    try:
        assert desk.event("unsigned", panel="p1")["alarm"] is False
        booth.click()
        told = desk.event("unsigned", panel="p1", alarm=True)
        assert (told["alive"], told["proved_utc_ms"]) == (False, None)
    finally:
        booth.stop()


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe\x00", b"[]", b"[" * 100_000, b"x" * 300_000, b'{"v":1e999}'])
def test_rubbish_is_refused_and_the_next_alarm_is_answered(desk, panel, payload):
    panel.send(f"{topics.ROOT}/{PANEL}/report/alarm", payload)
    assert desk.event("warning")["text"].startswith("refused")
    panel.alarm()
    assert panel.receipt().step is Step.RECEIVED


def test_a_packet_that_is_far_too_long_stays_at_the_broker(desk, panel):
    panel.send(f"{topics.ROOT}/{PANEL}/report/alarm", b"x" * 10_000_000)
    panel.alarm()
    assert panel.receipt().step is Step.RECEIVED
    assert desk.next_event()["event"] == "report"


def test_no_property_of_a_strangers_publication_blinds_the_desk(desk, panel):
    panel.send(f"{topics.ROOT}/{PANEL}/report/alarm", b"[]", properties=marked("\ufeff"))
    assert desk.event("warning")["text"].startswith("refused")
    panel.alarm()
    assert panel.receipt().step is Step.RECEIVED


def test_a_reset_order_passes_the_panels_own_gate(desk, panel):
    panel.health()
    panel.alarm()
    panel.receipt()
    desk.event("step", step="received")
    desk.order("reset false alarm, spoken to the guard")
    topic, payload = panel.letters.get(timeout=LIMIT_S)
    assert topic == topics.command(PANEL, "110")
    gate = CommandGate(PANEL, 5, {"110": RECEIVER_KEY})
    command = gate.admit(payload, receiver="110", now=now())
    assert isinstance(command, Command)
    assert (command.verb, command.target) == ("reset", "booth-button")
    assert command.reason == "false alarm, spoken to the guard"


def test_alarms_wait_at_the_broker_for_a_desk_that_restarts(desks, options, panel):
    first = desks(*options)
    first.event("link", link="reports", up=True)
    first.kill()
    ident = panel.alarm()
    second = desks(*options)
    assert panel.receipt() == Receipt("110", ident, Step.RECEIVED, "")
    assert second.event("report", id=str(ident))


def test_a_desk_that_restarts_still_knows_what_is_open(desks, options, panel, tmp_path):
    state = ("--state", tmp_path / "desk" / "state.jsonl")
    first = desks(*options, *state)
    assert first.event("restored")["incidents"] == 0
    first.event("link", link="reports", up=True)
    ident = panel.alarm()
    assert panel.receipt().step is Step.RECEIVED
    first.kill()
    second = desks(*options, *state)
    assert second.event("restored")["incidents"] == 1
    second.event("link", link="reports", up=True)
    second.order("accept Officer Li")
    while (receipt := panel.receipt()).step is Step.RECEIVED:
        pass  # the broker gives an alarm again whose PUBACK died with the first desk
    assert receipt == Receipt("110", ident, Step.ACCEPTED, "Officer Li")


def test_a_desk_outlives_its_broker(desk, panel, broker):
    broker.restart()
    desk.event("link", up=False)
    desk.event("link", up=True)
    later = HandPanel(broker.host, broker.port)
    later.alarm()
    assert later.receipt().step is Step.RECEIVED
    later.close()


def test_evidence_is_saved_receipted_and_sealed(desks, options, panel, tmp_path):
    running = desks(*options, "--evidence", tmp_path / "evidence")
    running.event("link", link="media", up=True)
    incident = ReportId(PANEL, 5, 1)
    picture = b"picture" * 5000
    sha256 = hashlib.sha256(picture).hexdigest()
    send_file(panel, media.Chunk(incident, "still", "gate", "gate-1.jpg", len(picture), sha256, 0, picture))
    saved = running.event("evidence")
    assert (saved["kind"], saved["sha256"], saved["signed"]) == ("still", sha256, True)
    assert Path(saved["evidence"]).read_bytes() == picture
    topic, payload = panel.letters.get(timeout=LIMIT_S)
    assert topic == topics.evidence_receipt(PANEL, "110")
    receipt = media.decode_evidence_receipt(payload, RECEIVER_KEY)
    assert receipt == media.EvidenceReceipt(incident, "gate-1.jpg", sha256, "110")

    entry = media.ManifestEntry("gate-1.jpg", "still", "gate", len(picture), sha256, 0, 0, 0, 0)
    manifest = media.Manifest(incident, complete=True, clock_synced=True, files=(entry,))
    text = media.encode_manifest(manifest, PANEL_KEY)
    digest = hashlib.sha256(text).hexdigest()
    send_file(panel, media.Chunk(incident, "manifest", "panel", media.MANIFEST_NAME, len(text), digest, 0, text))
    sealed = running.event("sealed")
    assert (sealed["files"], sealed["missing"], sealed["complete"]) == (1, [], True)
    assert sealed["signed"]


def send_file(panel, whole):
    for at in range(0, whole.size, media.CHUNK_BYTES):
        data = whole.data[at : at + media.CHUNK_BYTES]
        chunk = media.Chunk(whole.incident, whole.kind, whole.source, whole.name, whole.size, whole.sha256, at, data)
        panel.send(topics.evidence(chunk.incident, chunk.name), media.encode_chunk(chunk, PANEL_KEY))


def test_a_desk_ends_in_order_when_its_program_goes_away(desk):
    desk.order("quit")
    assert desk.end() == (0, "")


def test_live_sound_on_the_topic_of_no_panel_writes_nothing(desks, options, panel, tmp_path):
    running = desks(*options, "--evidence", tmp_path / "evidence")
    running.event("link", link="media", up=True)
    frame = media.encode_live(media.LiveFrame(0, 0, 960, b"\x08abc"))
    panel.send(f"{topics.ROOT}/../live/1-1/audio", frame)
    assert "identity" in running.event("warning")["text"]
    assert not (tmp_path / "evidence").parent.joinpath("1-1").exists()


def test_a_strangers_topic_reaches_no_terminal_as_it_is(desks, broker, panel, tmp_path):
    running = desks("--broker", f"{broker.host}:{broker.port}", "--evidence", tmp_path / "evidence")
    running.event("link", link="media", up=True)
    panel.send(f"{topics.ROOT}/\u202ekrow/evidence/1-1/\u202ex.jpg", b"rubbish")
    warning = running.event("warning")
    assert (warning["panel"], "\u202e" in warning["text"]) == ("", False)
    data = b"picture"
    chunk = media.Chunk(ReportId(PANEL, 5, 1), "still", "gate", "gate-1.jpg", 7, media.digest(data), 0, data)
    panel.send(f"{topics.ROOT}/{PANEL}/evidence/1-1/\u202ex.jpg", media.encode_chunk(chunk, None))
    assert "\u202e" not in running.event("warning", panel=PANEL)["text"]


def test_what_a_desk_keeps_is_for_its_own_user_alone(desks, options, panel, tmp_path):
    kept = tmp_path / "kept"
    running = desks(*options, "--evidence", kept / "evidence", "--state", kept / "state.jsonl")
    running.event("link", link="media", up=True)
    picture = b"picture"
    incident = ReportId(PANEL, 5, 1)
    send_file(panel, media.Chunk(incident, "still", "gate", "gate-1.jpg", 7, media.digest(picture), 0, picture))
    running.event("evidence")
    panel.alarm()
    running.event("step", step="received")
    assert [path for path in (kept, *kept.rglob("*")) if path.stat().st_mode & 0o077] == []


def test_an_unreachable_broker_is_said_and_tried_again(desks, options, tmp_path):
    port = free_port()
    running = desks("--broker", f"127.0.0.1:{port}")
    why = running.event("link", up=False)["why"]
    assert why == f"127.0.0.1:{port} refuses connections: no broker listens there; check the port in --broker"


def test_a_host_that_nobody_knows_is_named(desks):
    why = desks("--broker", "no-such-host.invalid").event("link", up=False)["why"]
    assert why == "host name 'no-such-host.invalid' is not found: check --broker, and the name server"


def test_two_desks_of_one_name_are_told_of_each_other(desks, broker):
    running = [desks("--broker", f"{broker.host}:{broker.port}", "--as", "twin") for _ in range(2)]
    for desk in running:
        told = "another desk came to 127.0.0.1:" + str(broker.port) + " as 'gatebooth-desk-twin-all'"
        while told not in desk.event("link", up=False)["why"]:
            pass


def ended(desks, *arguments):
    return desks(*arguments).end()


def test_a_wrong_password_ends_the_desk_with_a_sentence(desks, make_broker, tmp_path):
    guarded = make_broker(users={"desk": "right"})
    (tmp_path / "password").write_text("wrong\n")
    where = ("--broker", f"{guarded.host}:{guarded.port}", "--username", "desk")
    code, errors = ended(desks, *where, "--password-file", tmp_path / "password")
    assert code == 1
    assert "refuses user 'desk'" in errors
    assert "--password-file" in errors
    assert "wrong" not in errors


def test_a_desk_connects_over_tls_with_its_own_certificate(desks, make_broker, certificates):
    pair = certificates.server
    secured = make_broker(tls=ServerTls(certificates.ca, pair.cert, pair.key, require_client=True))
    own = ("--cert", certificates.client.cert, "--tls-key", certificates.client.key)
    running = desks("--broker", f"127.0.0.1:{secured.port}", "--ca", certificates.ca, *own)
    assert running.event("link", up=True)


@pytest.mark.parametrize("name", ["server_expired", "server_elsewhere", "server_early"])
def test_a_bad_certificate_of_the_broker_ends_the_desk_with_a_sentence(desks, make_broker, certificates, name):
    pair = getattr(certificates, name)
    secured = make_broker(tls=ServerTls(certificates.ca, pair.cert, pair.key))
    code, errors = ended(desks, "--broker", f"127.0.0.1:{secured.port}", "--ca", certificates.ca)
    assert code == 1
    assert "certificate is not good" in errors


def test_a_broker_of_another_authority_ends_the_desk_with_a_sentence(desks, make_broker, certificates):
    pair = certificates.server
    secured = make_broker(tls=ServerTls(certificates.ca, pair.cert, pair.key))
    code, errors = ended(desks, "--broker", f"127.0.0.1:{secured.port}", "--ca", certificates.other_ca)
    assert code == 1
    assert str(certificates.other_ca) in errors


def test_a_key_that_is_not_the_certificates_ends_the_desk_with_a_sentence(desks, certificates):
    pair = ("--cert", certificates.client.cert, "--tls-key", certificates.server.key)
    code, errors = ended(desks, "--broker", "h", "--ca", certificates.ca, *pair)
    assert code == 2
    assert "--tls-key" in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--broker", "host:port"), "not of the form"),
        (("--broker", "host:0"), "not from 1 to 65535"),
        (("--broker", "h", "--as", "110 desk"), "--as"),
        (("--broker", "h", "--panel", "a/b"), "--panel"),
        (("--broker", "h", "--key-file", "/nowhere/panel.key"), "/nowhere/panel.key"),
        (("--broker", "h", "--receiver-key-file", "/nowhere/r.key"), "/nowhere/r.key"),
        (("--broker", "h", "--password-file", "/nowhere/pw"), "/nowhere/pw"),
        (("--broker", "h", "--ca", "/nowhere/ca.pem"), "/nowhere/ca.pem"),
        (("--broker", "h", "--cert", "/nowhere/c.pem"), "belong together"),
        (("--broker", "h", "--auto-accept", "-1"), "--auto-accept"),
        (("--broker", "h", "--evidence", "/proc/nowhere"), "--evidence"),
        (("--broker", "h", "--state", "/proc/nowhere/state"), "--state"),
    ],
)
def test_a_bad_command_line_ends_with_a_sentence(desks, arguments, sentence):
    code, errors = ended(desks, *arguments)
    assert code == 2
    assert sentence in errors
    assert "Traceback" not in errors
