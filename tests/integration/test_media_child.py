"""The media child for real: its own process, a real broker, desks that assemble what comes."""

from __future__ import annotations

import io
import itertools
import os
import random
import resource
import select
import signal
import ssl
import subprocess
import sys
import threading
import time

import av
import pytest
from rigs import alsa, rtsp
from rigs.broker import ServerTls
from rigs.media_house import INCIDENT, PANEL, Desk, Watched, house, spec

from firmware.adapters.media_link import OsChild
from firmware.config import CameraConfig, MediaConfig, MicrophoneConfig, PathConfig, ReceiverConfig, TlsConfig
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.core.report import ReportId
from firmware.media import control
from firmware.media.control import Lines
from firmware.media.dossier import LOG_NAME
from firmware.media.spec import NamedCamera
from firmware.wire.media import MANIFEST_NAME, digest

KEY, DESK_KEY = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def desk(broker):
    made = Desk(broker.port)
    yield made
    made.close()


def clips_of(desk):
    return [name for name in sorted(desk.files) if name.endswith(".mp4")]


def check_playable(data):
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    assert packets[0].is_keyframe
    with av.open(io.BytesIO(data)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(packets)


def pre_roll(house):
    """Let the child hear and see for a moment, so that there is something from before."""
    threading.Event().wait(2.5)
    return house


def test_an_incident_is_seen_heard_sealed_and_delivered(broker, desk, tmp_path):
    with house(spec(broker.port, tmp_path / "evidence")) as panel:
        pre_roll(panel).capture()
        began_s = panel.clock.now().mono_s
        still_s, _, _ = desk.kept.until(lambda row: row[1] == "still")
        live_s, _, first = desk.live.until(lambda _row: True)
        desk.live.until(lambda row: row[2].number >= 60)
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        manifest = desk.manifest()
        desk.kept.until(lambda _row: {entry.name for entry in manifest.files} <= set(desk.files))
    assert still_s - began_s < 1.0
    assert live_s - began_s < 1.0
    assert abs(first.mono_ms / 1000 - began_s) < 0.5
    check_delivery(desk, manifest, sealed, panel, began_s * 1000)


def check_delivery(desk, manifest, sealed, panel, began_ms):
    assert sealed.complete
    assert sealed.manifest_sha256 == digest(desk.files[MANIFEST_NAME])
    announced = {fact.name: fact.sha256 for fact in panel.facts.items if isinstance(fact, EvidenceFile)}
    assert announced == {entry.name: entry.sha256 for entry in manifest.files}
    for entry in manifest.files:
        assert digest(desk.files[entry.name]) == entry.sha256
    (clip,) = [entry for entry in manifest.files if entry.kind == "clip"]
    check_playable(desk.files[clip.name])
    assert clip.first_mono_ms < began_ms - 500  # from before the alarm
    assert clip.last_mono_ms > began_ms + 1000
    frames = [frame.number for _, _, frame in desk.live.items]
    assert frames == list(range(len(frames)))
    assert {topic for _, topic, _ in desk.live.items} == {f"gatebooth/v1/{PANEL}/live/3-17/audio"}


def test_killed_at_any_moment_the_child_is_replaced_and_what_it_left_is_made_whole(broker, desk, tmp_path):
    chance = random.Random(11)
    with house(spec(broker.port, tmp_path / "evidence", media=MediaConfig(pre_roll_s=2.0, clip_s=60.0))) as panel:
        panel.capture()
        for life in range(1, 4):
            desk.live.clear()
            desk.live.until(lambda _row: True)
            threading.Event().wait(chance.uniform(0.0, 1.2))
            os.kill(panel.pid, signal.SIGKILL)
            panel.children.until(lambda _birth, life=life: len(panel.children.items) > life)
        desk.kept.clear()
        desk.kept.until(lambda row: row[1] == "still")
        desk.live.clear()
        desk.live.until(lambda _row: True)
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        manifest = desk.manifest()
        desk.kept.until(lambda _row: {entry.name for entry in manifest.files} <= set(desk.files))
    assert not sealed.complete
    assert not manifest.complete
    assert any(isinstance(fact, Trouble) and "SIGKILL" in fact.why for fact in panel.facts.items)
    for entry in manifest.files:
        assert digest(desk.files[entry.name]) == entry.sha256
        if entry.kind == "clip":
            check_playable(desk.files[entry.name])
    assert [entry for entry in manifest.files if entry.kind == "clip"]


def test_a_child_that_hangs_is_replaced_and_goes_on(broker, desk, tmp_path):
    with house(spec(broker.port, tmp_path / "evidence")) as panel:
        panel.capture()
        desk.live.until(lambda _row: True)
        os.kill(panel.pid, signal.SIGSTOP)
        trouble = panel.until(Trouble, source="media")
        desk.live.clear()
        desk.live.until(lambda _row: True)
        assert "silent" in trouble.why
        assert len(panel.children.items) == 2


def test_an_incident_goes_on_under_a_restarted_panel(broker, desk, tmp_path):
    settings = spec(broker.port, tmp_path / "evidence")
    with house(settings) as panel:
        panel.capture()
        panel.until(EvidenceFile, kind="still")
    with house(settings) as heir:
        heir.capture()
        heir.until(EvidenceFile, kind="still")
        heir.seal()
        sealed = heir.until(EvidenceSealed)
        manifest = desk.manifest()
        desk.kept.until(lambda _row: {entry.name for entry in manifest.files} <= set(desk.files))
    assert not sealed.complete
    told = {fact.name for life in (panel, heir) for fact in life.facts.items if isinstance(fact, EvidenceFile)}
    # What the first child ended while its panel went is told by the manifest alone.
    assert {name for name in told if "still" in name} <= {entry.name for entry in manifest.files}
    assert {entry.kind for entry in manifest.files} >= {"still", "clip"}


def test_a_child_does_not_outlive_its_panel(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from firmware.adapters.media_link import OsChild\n"
        "child = OsChild()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read(1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    panel = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pid = int(panel.stdout.readline())
    watched = os.pidfd_open(pid)
    panel.stdin.write(b"x")
    panel.stdin.close()
    panel.wait(10)
    assert wait_for_end(watched)
    panel.stdout.close()


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A library's helper process inside the child, which holds the child's line open too."""
    note, wrapper = tmp_path / "helper.pid", tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nsleep 600 &\necho $! > {note}\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(wrapper))
    return lambda: os.pidfd_open(int(note.read_text()))


def end_by_panel(child):
    assert child.kill() == "it was killed"


def end_by_itself(child):
    watched = os.pidfd_open(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    assert wait_for_end(watched)
    assert child.kill() == "signal SIGKILL"


def end_in_order(child):
    child.finish(10.0)
    assert child.kill() == "exit status 0"


@pytest.mark.parametrize("end", [end_by_panel, end_by_itself, end_in_order])
def test_what_the_child_started_ends_with_it(end, helper):
    child = OsChild()
    listen(child, Watched(), 1)
    watched = helper()
    end(child)
    assert wait_for_end(watched)


def wait_for_end(pidfd, timeout_s=10.0):
    try:
        return bool(select.select([pidfd], [], [], timeout_s)[0])
    finally:
        os.close(pidfd)


def test_without_a_broker_the_evidence_waits_on_disk_and_goes_out_later(make_broker, tmp_path):
    broker = make_broker()
    settings = spec(broker.port, tmp_path / "evidence")
    broker.kill()
    with house(settings) as panel:
        panel.capture()
        panel.until(EvidenceFile, kind="still")
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        broker.start()
        desk = Desk(broker.port)
        desk.kept.until(lambda row: row[1] == "manifest", 40.0)
        desk.kept.until(lambda _row: len(desk.files) == sealed.files + 1)
        desk.close()
    assert sealed.complete


def test_a_file_stays_offered_until_the_last_receiver_confirmed_it(broker, tmp_path):
    receivers = (ReceiverConfig(name="110"), ReceiverConfig(name="station"))
    settings = spec(broker.port, tmp_path / "evidence", receivers=receivers)
    prompt, slow = Desk(broker.port, "110"), Desk(broker.port, "station")
    slow.confirming = False
    with house(settings) as panel:
        panel.capture()
        panel.until(EvidenceFile, kind="still")
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        slow.kept.until(lambda _row: len(slow.files) == sealed.files + 1)
    slow.chunks.clear()
    slow.confirming = True
    with house(settings):
        for name in list(slow.files):
            slow.chunks.until(lambda row, name=name: row[0] == name)
        receipts_are_logged(settings.spool / "3-17" / LOG_NAME, 2 * (sealed.files + 1))
    slow.chunks.clear()
    with house(settings) as third:
        third.children.until(lambda _birth: True)
        threading.Event().wait(1.5)
    assert slow.chunks.items == []
    prompt.close()
    slow.close()


def receipts_are_logged(path, count):
    deadline, pause = time.monotonic() + 15.0, threading.Event()
    while path.read_bytes().count(b'"receipt"') < count:
        assert time.monotonic() < deadline, path.read_text()
        pause.wait(0.02)


def test_with_keys_every_chunk_is_signed_and_only_signed_receipts_count(broker, tmp_path):
    for name, key in (("panel.key", KEY), ("110.key", DESK_KEY)):
        (tmp_path / name).write_text(key.hex())
        (tmp_path / name).chmod(0o600)
    settings = spec(
        broker.port,
        tmp_path / "evidence",
        key_file=tmp_path / "panel.key",
        receivers=(ReceiverConfig(name="110", key_file=tmp_path / "110.key"),),
    )
    forger = Desk(broker.port, "110", key=None, panel_key=KEY)
    with house(settings) as panel:
        panel.capture()
        panel.until(EvidenceFile, kind="still")
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        forger.kept.until(lambda _row: len(forger.files) == sealed.files + 1)
    forger.close()
    desk = Desk(broker.port, "110", key=DESK_KEY, panel_key=KEY)
    with house(settings):
        assert desk.manifest().incident == INCIDENT
        desk.kept.until(lambda _row: len(desk.files) == sealed.files + 1)
    desk.close()


def test_evidence_and_live_sound_travel_encrypted_with_the_paths_own_certificates(make_broker, certificates, tmp_path):
    server, client = certificates.server, certificates.client
    broker = make_broker(tls=ServerTls(certificates.ca, server.cert, server.key, require_client=True))
    tls = TlsConfig(ca_file=certificates.ca, cert_file=client.cert, key_file=client.key)
    path = PathConfig(name="primary", host="127.0.0.1", port=broker.port, tls=tls)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(client.cert, client.key)
    desk = Desk(broker.port, tls=context)
    with house(spec(broker.port, tmp_path / "evidence", path=path)) as panel:
        panel.capture()
        desk.live.until(lambda row: row[2].number > 20)
        desk.kept.until(lambda row: row[1] == "still")
    desk.close()


def test_a_disk_that_takes_nothing_stops_neither_live_sound_nor_stills(broker, desk, tmp_path):
    with house(spec(broker.port, tmp_path / "evidence")) as panel:
        panel.children.until(lambda _birth: True)
        resource.prlimit(panel.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        panel.capture()
        trouble = panel.until(Trouble, source="media")
        desk.live.until(lambda row: row[2].number > 50)
        desk.kept.until(lambda row: row[1] == "still")
        panel.seal()
        sealed = panel.until(EvidenceSealed)
        assert desk.manifest().files
    assert "cannot be written" in trouble.why
    assert not sealed.complete


def test_missing_keys_are_a_trouble_with_the_file_in_it(broker, tmp_path):
    settings = spec(broker.port, tmp_path / "evidence", key_file=tmp_path / "nowhere.key")
    with house(settings) as panel:
        assert "nowhere.key" in panel.until(Trouble, source="media").why


def test_without_a_microphone_the_pictures_are_kept_and_the_trouble_names_it(broker, desk, tmp_path):
    settings = spec(broker.port, tmp_path / "evidence", microphone=MicrophoneConfig(device="No Such Microphone"))
    with house(settings) as panel:
        trouble = panel.until(Trouble, source="microphone")
        panel.capture()
        desk.kept.until(lambda row: row[1] == "still")
        panel.seal()
        panel.until(EvidenceSealed, complete=True)
        desk.manifest()
    assert "No Such Microphone" in trouble.why


@pytest.mark.parametrize(
    ("url", "why"), [("rtsp://127.0.0.1:1/none", "refuse"), ("/dev/video99", "video99")], ids=["refused", "absent"]
)
def test_without_a_camera_the_sound_is_kept_and_the_trouble_names_it(broker, desk, tmp_path, url, why):
    settings = spec(broker.port, tmp_path / "evidence", cameras=(NamedCamera("gate", CameraConfig(url=url)),))
    with house(settings) as panel:
        trouble = panel.until(Trouble, source="camera gate")
        panel.capture()
        desk.live.until(lambda row: row[2].number > 30)
        panel.seal()
        panel.until(EvidenceSealed)
        desk.kept.until(lambda row: row[1] == "sound")
    assert why in trouble.why.lower()
    with av.open(io.BytesIO(next(data for name, data in desk.files.items() if "-sound." in name))) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 24_000


@pytest.mark.skipif(bool(rtsp.missing_package()), reason=rtsp.missing_package())
def test_a_network_camera_that_answers_404_hangs_and_comes_back(broker, desk, tmp_path):
    with rtsp.RtspServer() as server:
        cameras = tuple(
            NamedCamera(name, CameraConfig(url=server.url(f"/{path}")))
            for name, path in (("gate", "gate"), ("yard", "x"))
        )
        with house(spec(broker.port, tmp_path / "evidence", cameras=cameras)) as panel:
            assert "404" in panel.until(Trouble, source="camera yard").why
            panel.capture()
            desk.kept.until(lambda row: row[1] == "still" and "-gate-" in row[2])
            server.hang()
            panel.until(Trouble, 20.0, source="camera gate")
            server.wake()
            panel.until(TroubleOver, 20.0, source="camera gate")
            desk.kept.clear()
            desk.kept.until(lambda row: row[1] == "still")
            panel.seal()
            panel.until(EvidenceSealed)
            manifest = desk.manifest()
            desk.kept.until(lambda _row: {entry.name for entry in manifest.files} <= set(desk.files))
    for name in clips_of(desk):
        check_playable(desk.files[name])


@pytest.mark.skipif(bool(alsa.missing_package()), reason=alsa.missing_package())
def test_a_sound_device_that_hangs_costs_the_process_and_comes_back(broker, desk, tmp_path, monkeypatch):
    for name, value in alsa.write_config(tmp_path).items():
        monkeypatch.setenv(name, value)
    settings = spec(broker.port, tmp_path / "evidence", cameras=(), microphone=MicrophoneConfig(device="vmic"))
    with alsa.SoundCard(tmp_path) as card, house(settings) as panel:
        card.begin()
        panel.capture()
        desk.live.until(lambda row: row[2].number > 20)
        card.hang()
        panel.until(Trouble, source="microphone")
        panel.children.until(lambda _birth: len(panel.children.items) == 2)
        desk.live.clear()
        card.begin()
        desk.live.until(lambda row: row[2].number > 20)
        panel.until(TroubleOver, source="microphone")


def test_a_covert_incident_is_captured_and_nothing_is_said_of_it(broker, desk, tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    hidden = ReportId(PANEL, 3, 4711)
    with house(spec(broker.port, tmp_path / "evidence")) as panel:
        panel.capture(hidden, covert=True)
        desk.kept.until(lambda row: row[1] == "still")
        os.kill(panel.pid, signal.SIGKILL)
        panel.children.until(lambda _birth: len(panel.children.items) == 2)
        panel.seal(hidden)
        panel.until(EvidenceSealed, incident=hidden)
    written = "".join(capfd.readouterr()) + caplog.text
    assert "4711" not in written
    assert not any("4711" in fact.why for fact in panel.facts.items if isinstance(fact, Trouble))


@pytest.mark.parametrize("line", [b"rubbish\n", b"{}\n", b'{"t":"spec","spec":[]}\n', b"x" * 200_000])
def test_a_child_ends_when_it_is_spoken_to_in_another_language(line, capfd):
    child = OsChild()
    watched = os.pidfd_open(child.pid)
    at = 0
    try:
        while at < len(line):
            at += child.send(line[at:])
    except OSError:
        pass
    assert wait_for_end(watched)
    assert child.kill() == "exit status 2"
    assert "what a media process does not know" in capfd.readouterr().err


def test_ctrl_c_and_a_supervisors_signal_do_not_end_the_child(tmp_path):
    words = Watched()
    child = OsChild()
    listen(child, words, 2)
    os.kill(child.pid, signal.SIGINT)
    os.kill(child.pid, signal.SIGTERM)
    listen(child, words, 5)
    child.finish(5.0)
    assert set(words.items) == {control.Beat()}


def listen(child, words, count):
    lines = Lines()
    while len(words.items) < count:
        assert select.select([child.fileno()], [], [], 10)[0]
        data = child.receive()
        assert data, "the child is gone"
        for line in lines.feed(data):
            words.add(control.decode_word(line))


def test_the_panel_process_loads_no_codec():
    code = (
        "import sys, firmware.adapters.media_link\n"
        "print([name for name in ('av', 'pyaudio', 'paho', 'hal.board') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_several_incidents_are_captured_side_by_side(broker, desk, tmp_path):
    incidents = [ReportId(PANEL, 3, number) for number in range(1, 4)]
    with house(spec(broker.port, tmp_path / "evidence")) as panel:
        for incident in incidents:
            panel.capture(incident)
        for incident in incidents:
            desk.live.until(lambda row, incident=incident: f"/3-{incident.seq}/" in row[1] and row[2].number > 20)
        for incident in incidents:
            panel.seal(incident)
        for incident in incidents:
            assert panel.until(EvidenceSealed, incident=incident).complete
    for incident in incidents:
        numbers = [frame.number for _, topic, frame in desk.live.items if f"/3-{incident.seq}/" in topic]
        assert all(after - before == 1 for before, after in itertools.pairwise(numbers))
