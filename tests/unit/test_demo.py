"""The demonstration's own logic: what it tells, what it misses, and what it takes for playable evidence."""

from __future__ import annotations

import hashlib
import os
import tomllib

import av
import pytest

from firmware.core.report import ReportId
from firmware.demo.broker import EmbeddedBroker
from firmware.demo.devices import sound_cards
from firmware.demo.proof import ProofError, plays, prove
from firmware.demo.stage import RECEIVERS, Devices, Stage, keep_folder
from firmware.demo.story import CHAIN, File, Story
from firmware.wire import media
from firmware.wire.sign import load_key

INCIDENT = ReportId("demo-school", 1, 2)


def step(name, by, ms=1.0, ident="p/1/2", code="PA"):
    return {"step": name, "id": ident, "ms": ms, "by": by, "code": code, "zone": "booth-button"}


WHOLE = [step("raised", "panel"), step("stored", "journal"), step("brokered", "broker")] + [
    step(name, by) for name in ("received", "accepted") for by in RECEIVERS
]


def told(*lines):
    story = Story()
    return story, [out for line in lines for out in story.take("panel", line)]


def test_each_step_is_told_once_with_who_took_it():
    story, out = told(*WHOLE, *WHOLE)
    assert [(line["step"], line["by"]) for line in out] == [(line["step"], line["by"]) for line in WHOLE]
    assert story.missing_steps() == []


@pytest.mark.parametrize("gone", range(len(WHOLE)))
def test_a_missing_link_is_named(gone):
    story, _ = told(*(line for place, line in enumerate(WHOLE) if place != gone))
    (missing,) = story.missing_steps()
    assert missing.split()[0] == WHOLE[gone]["step"]
    assert missing.split()[0] in CHAIN


def test_a_later_report_is_not_told_as_the_pressed_alarm():
    _, out = told(*WHOLE, step("received", "110", ident="p/1/9", code="PR"))
    assert all(line["id"] == "p/1/2" for line in out)


def test_a_manifest_with_missing_files_is_no_seal():
    story = Story()
    whole = {"event": "sealed", "missing": [], "complete": True}
    story.take("110", whole)
    story.take("station", whole | {"missing": ["clip.mp4"]})
    assert story.missing_seals() == ["files of the manifest at station: clip.mp4"]


def test_only_files_of_the_three_kinds_are_told():
    story = Story()
    line = {"event": "evidence", "evidence": "/x", "name": "x", "sha256": "0", "size": 1}
    assert story.take("110", line | {"kind": "still"})
    assert story.take("110", line | {"kind": "manifest"}) == []
    assert story.take("station", line | {"kind": "clip"}) == []
    assert story.missing_kinds() == ["clip", "sound"]


def test_sound_cards_are_found_in_the_kernels_list():
    text = " 0 [Device         ]: USB-Audio - USB Audio Device\n                      C-Media at usb-0000:00\n"
    assert sound_cards(text) == ["USB Audio Device"]
    assert sound_cards("--- no soundcards ---\n") == []


@pytest.fixture
def stage(tmp_path):
    (tmp_path / "private").mkdir()
    return Stage(tmp_path / "private", tmp_path / "kept", "en", Devices())


def test_the_stages_configuration_is_one_that_a_panel_takes(stage):
    from firmware.config_file import load  # noqa: PLC0415

    stage.write_config(1234)
    config = load(stage.config)
    assert config.path[0].port == 1234
    assert [receiver.name for receiver in config.receiver] == list(RECEIVERS)
    assert stage.panel_key.stat().st_mode & 0o077 == 0


def test_a_device_name_with_quotes_stays_one_name(stage, tmp_path):
    odd = Stage(tmp_path / "private", tmp_path / "kept", "zh", Devices('card "x\\y"'))
    odd.write_config(1)
    assert tomllib.loads(odd.config.read_text())["microphone"]["device"] == 'card "x\\y"'


def test_two_demonstrations_in_a_second_keep_their_evidence_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = keep_folder(None)
    first.mkdir(parents=True)
    assert keep_folder(None) != first


def wav(path, *, silent=False):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=16000)
        frame.sample_rate = 16000
        frame.planes[0].update(bytes(32000) if silent else os.urandom(32000))
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def jpeg(path):
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 64, 48, "yuvj420p", 1
    path.write_bytes(b"".join(bytes(packet) for packet in encoder.encode(av.VideoFrame(64, 48, "yuvj420p"))))
    return path


def test_a_sound_that_can_be_heard_has_a_peak(tmp_path):
    assert plays(wav(tmp_path / "a.wav"), "sound") > 0.5


def sound_file(path, *, silent):
    wav(path, silent=silent)
    return File(str(path), "sound", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def test_silence_alone_is_no_evidence(stage, tmp_path):
    quiet = sound_file(tmp_path / "Live-1.wav", silent=True)
    with pytest.raises(ProofError, match="silent"):
        prove(stage, [quiet])


def test_a_pause_between_words_is_evidence_beside_words(stage, tmp_path):
    quiet, loud = (sound_file(tmp_path / f"Live-{number}.wav", silent=number == 1) for number in (1, 2))
    assert prove(stage, [quiet, loud]) == 0


def test_rubbish_does_not_play(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film at all\n" * 400)
    with pytest.raises(ProofError, match="does not play"):
        plays(tmp_path / "a.mp4", "clip")


def test_a_still_is_no_clip(tmp_path):
    plays(jpeg(tmp_path / "a.jpg"), "still")
    with pytest.raises(ProofError, match="not as the camera sent it"):
        plays(tmp_path / "a.jpg", "clip")


def kept(stage, name="a.jpg"):
    home = stage.evidence("110") / INCIDENT.panel / "1-2"
    home.mkdir(parents=True, exist_ok=True)
    path = jpeg(home / name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return File(str(path), "still", name, digest, path.stat().st_size)


def manifest(stage, *files):
    entries = tuple(
        media.ManifestEntry(file.name, file.kind, "gate", file.size, file.sha256, 0, 0, 0, 0) for file in files
    )
    whole = media.Manifest(INCIDENT, complete=True, clock_synced=True, files=entries)
    place = stage.evidence("110") / INCIDENT.panel / "1-2" / media.MANIFEST_NAME
    place.write_bytes(media.encode_manifest(whole, load_key(stage.panel_key)))
    return place


def test_a_file_in_the_signed_manifest_is_proved(stage):
    file = kept(stage)
    manifest(stage, file)
    assert prove(stage, [file]) == 1


def test_a_file_that_the_manifest_does_not_name_is_not_proved(stage):
    file, other = kept(stage), kept(stage, "b.jpg")
    manifest(stage, file)
    with pytest.raises(ProofError, match=r"b\.jpg is not in the manifest"):
        prove(stage, [file, other])


def test_a_file_that_changed_is_not_proved(stage):
    file = kept(stage)
    manifest(stage, file)
    with open(file.path, "ab") as out:  # noqa: PTH123
        out.write(b"x")
    with pytest.raises(ProofError, match="changed"):
        prove(stage, [file])


def test_a_manifest_under_another_key_proves_nothing(stage):
    file = kept(stage)
    place = manifest(stage, file)
    place.write_bytes(place.read_bytes().replace(b'"complete":true', b'"complete":false'))
    with pytest.raises(ProofError, match="signature"):
        prove(stage, [file])


def test_the_embedded_broker_starts_serves_and_ends():
    broker = EmbeddedBroker()
    port = broker.start()
    assert port > 0
    assert broker.alive()
    broker.close()
    broker.close()
    assert not broker.alive()
