"""Live sound as the desk records it; PyAV decodes the files, our own code never does."""

from __future__ import annotations

import array
import math

import av
import pytest

from firmware.core.report import ReportId
from firmware.receiver import evidence, ogg
from firmware.receiver.evidence import EvidenceError, LiveSound
from firmware.wire.media import LiveFrame

INCIDENT = ReportId("school-7", 3, 14)


def opus_packets(count):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 16000, "mono", "s16"
    packets = []
    at = 0
    while len(packets) < count:
        tone = array.array("h", (int(9000 * math.sin(2 * math.pi * 440 * (at + k) / 16000)) for k in range(320)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=320)
        frame.sample_rate, frame.pts = 16000, at
        frame.planes[0].update(tone.tobytes())
        packets += [bytes(packet) for packet in encoder.encode(frame)]
        at += 320
    return packets


@pytest.fixture(scope="module")
def packets():
    return opus_packets(400)


def decoded(path):
    with av.open(str(path)) as container:
        frames = [bytes(frame.planes[0]) for frame in container.decode(audio=0)]
    samples = array.array("f", b"".join(frames))
    return len(samples) / 48000, max((abs(sample) for sample in samples), default=0.0)


def hear(live, packets, numbers, incident=INCIDENT, mono_s=0.0):
    closed = []
    for number in numbers:
        frame = LiveFrame(number, number * 20, 960, packets[number % len(packets)])
        closed += live.add(incident, frame, mono_s)
    return closed


def test_frames_become_a_file_that_plays(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, range(150))
    (saved,) = live.finish(INCIDENT)
    length_s, peak = decoded(saved.path)
    assert length_s == pytest.approx(3.0, abs=0.05)
    assert peak > 0.1
    assert saved.path.parent == tmp_path / "school-7" / "3-14"


def test_lost_frames_keep_the_time(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, [number for number in range(150) if not 60 <= number < 80])
    (saved,) = live.finish(INCIDENT)
    assert decoded(saved.path)[0] == pytest.approx(3.0, abs=0.05)


def test_late_and_repeated_frames_are_left_out(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, [0, 1, 2, 1, 2, 3, 0, 4])
    (saved,) = live.finish(INCIDENT)
    assert decoded(saved.path)[0] == pytest.approx(0.1, abs=0.02)


def test_a_long_gap_is_a_cut_into_two_files(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    (first,) = hear(live, packets, [*range(100), *range(1000, 1100)])
    (second,) = live.finish(INCIDENT)
    assert {first.name, second.name} == {"Live-1.ogg", "Live-2.ogg"}


def test_a_panel_that_restarts_counts_from_zero_into_a_new_file(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    assert len(hear(live, packets, [*range(300), *range(10)])) == 1


def test_a_quiet_sound_is_closed(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, range(10), mono_s=100.0)
    assert live.finish_quiet(100.0 + evidence.LIVE_QUIET_S) == []
    assert len(live.finish_quiet(100.1 + evidence.LIVE_QUIET_S)) == 1


def test_a_flood_of_incidents_keeps_few_files_open(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    for number in range(200):
        live.trust(ReportId("school-7", 1, number))
        hear(live, packets, [0], ReportId("school-7", 1, number), mono_s=float(number))
    assert len(live._live) == evidence.LIVE_MAX
    assert len(live.close()) == evidence.LIVE_MAX


def test_a_frame_that_comes_after_the_manifest_begins_no_new_file(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, range(10))
    assert len(live.end(INCIDENT)) == 1
    hear(live, packets, range(10, 20))
    assert live.close() == []


def test_a_full_disk_records_nothing_and_says_so(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=2**60)
    with pytest.raises(evidence.EvidenceError, match="make room"):
        hear(live, packets, [0])
    assert live.close() == []


def test_an_unfinished_file_plays_up_to_its_last_page(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    hear(live, packets, range(149))
    (part,) = (tmp_path / "school-7" / "3-14").glob(".live.*")
    assert decoded(part)[0] == pytest.approx(2.0, abs=0.05)
    live.close()


def test_the_page_checksum_is_the_one_of_the_standard():
    # The check value of CRC-32 with this polynomial, unreflected, zero start, no final exclusive or.
    assert ogg.checksum(b"123456789") == 0x89A1897F


def test_a_page_never_holds_more_than_255_segments(tmp_path):
    with (tmp_path / "x.ogg").open("wb") as out:
        stream = ogg.OpusFile(out, 1)
        for _ in range(100):
            stream.write(b"\x08" + bytes(1270), 120)
        stream.finish()
    data = (tmp_path / "x.ogg").read_bytes()
    pages = data.split(b"OggS")[1:]
    assert len(pages) == 2 + 2


def test_a_stranger_begins_few_files_and_an_incident_that_was_signed_for_is_recorded_all_the_same(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    for seq in range(evidence.LIVE_OPENS_MAX):
        hear(live, packets, [0], ReportId("stranger", 1, seq))
    with pytest.raises(EvidenceError, match="who publishes live sound"):
        hear(live, packets, [0], ReportId("stranger", 2, 1))
    live.trust(INCIDENT)
    hear(live, packets, range(10))
    (saved,) = live.finish(INCIDENT)
    assert saved.path.exists()
    hear(live, packets, [0], ReportId("stranger", 2, 2), mono_s=evidence.LIVE_OPENS_S)


def test_jumping_numbers_do_not_fill_a_signed_incidents_folder(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    live.trust(INCIDENT)
    with pytest.raises(EvidenceError):
        hear(live, packets, range(0, 100_000, 1000))
    assert len(list((tmp_path / "school-7" / "3-14").iterdir())) <= evidence.LIVE_OPENS_MAX
    hear(live, packets, range(7001, 7010))  # what is being recorded goes on


def test_signed_incidents_that_are_remembered_are_bounded(tmp_path, packets):
    live = LiveSound(tmp_path, free_bytes_min=0)
    for seq in range(2 * evidence.OVER_MAX):
        live.trust(ReportId("school-7", 3, seq))
    for seq in range(evidence.LIVE_OPENS_MAX):
        hear(live, packets, [0], ReportId("stranger", 1, seq))
    with pytest.raises(EvidenceError):
        hear(live, packets, [0], ReportId("school-7", 3, 0))
