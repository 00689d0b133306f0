"""The evidence folder of a desk: what a panel, a bad link and an attacker may send it."""

from __future__ import annotations

import hashlib
import json
import random
import struct

import pytest

from firmware.core.report import ReportId
from firmware.receiver import evidence
from firmware.receiver.evidence import EvidenceError, EvidenceStore, missing_files
from firmware.wire import media

INCIDENT = ReportId("school-7", 3, 14)
KEY = b"k" * 32


def chunks_of(data, name="gate-001.jpg", incident=INCIDENT, step=1000):
    sha256 = hashlib.sha256(data).hexdigest()
    return [
        media.Chunk(incident, "still", "gate", name, len(data), sha256, at, data[at : at + step])
        for at in range(0, len(data), step)
    ]


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def feed(store, chunks):
    return [saved for chunk in chunks if (saved := store.add(chunk)) is not None]


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path / "evidence", free_bytes_min=0)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_chunks_become_a_file_under_panel_and_incident(store):
    data = noise(4321)
    (saved,) = feed(store, chunks_of(data))
    assert saved.path == store.folder / "school-7" / "3-14" / "gate-001.jpg"
    assert saved.path.read_bytes() == data
    assert not saved.again


def test_nothing_has_its_name_before_its_last_chunk(store):
    chunks = chunks_of(noise(4321))
    assert feed(store, chunks[:-1]) == []
    assert not (store.folder / "school-7" / "3-14" / "gate-001.jpg").exists()


def test_a_repeated_file_is_receipted_again_and_written_once(store):
    chunks = chunks_of(noise(4321))
    (saved,) = feed(store, chunks)
    before = saved.path.stat().st_mtime_ns
    again = feed(store, chunks)
    assert all(item.again for item in again)
    assert len(again) == len(chunks)
    assert saved.path.stat().st_mtime_ns == before


def test_repeated_and_overlapping_chunks_change_nothing(store):
    data = noise(5000)
    narrow, wide = chunks_of(data, step=700), chunks_of(data, step=1900)
    (saved,) = feed(store, [narrow[0], narrow[0], wide[0], narrow[1], wide[1], wide[0], wide[2]])
    assert saved.path.read_bytes() == data


def test_a_gap_is_refused_and_the_file_comes_right_when_sent_again(store):
    data = noise(5000)
    chunks = chunks_of(data)
    store.add(chunks[0])
    with pytest.raises(EvidenceError, match="byte 2000 came when 1000"):
        store.add(chunks[2])
    (saved,) = feed(store, chunks)
    assert saved.path.read_bytes() == data


def test_a_desk_that_restarts_goes_on_where_it_was(store, tmp_path):
    data = noise(5000)
    chunks = chunks_of(data)
    feed(store, chunks[:3])
    (saved,) = feed(EvidenceStore(tmp_path / "evidence", free_bytes_min=0), chunks[3:])
    assert saved.path.read_bytes() == data


def test_a_wrong_hash_leaves_no_file_and_the_right_one_comes_after(store):
    data = noise(3000)
    chunks = chunks_of(data)
    forged = media.Chunk(INCIDENT, "still", "gate", "gate-001.jpg", 3000, chunks[0].sha256, 0, bytes(1000))
    store.add(forged)
    with pytest.raises(EvidenceError, match="hash"):
        feed(store, chunks)
    assert files_below(store.folder) == []
    (saved,) = feed(store, chunks)
    assert saved.path.read_bytes() == data


def test_another_file_of_the_same_name_never_replaces_the_first(store):
    first, second = noise(3000, 1), noise(3000, 2)
    (saved,) = feed(store, chunks_of(first))
    with pytest.raises(EvidenceError, match="other content"):
        feed(store, chunks_of(second))
    with pytest.raises(EvidenceError, match="other content"):
        feed(store, chunks_of(second[:2000]))
    assert saved.path.read_bytes() == first


def test_two_files_of_one_name_under_way_do_not_mix(store):
    first, second = chunks_of(noise(2000, 1)), chunks_of(noise(2000, 2))
    store.add(first[0])
    store.add(second[0])
    saved = store.add(first[1])
    assert saved is not None
    assert saved.path.read_bytes() == noise(2000, 1)


ELSEWHERE = (
    "../x.jpg",
    "/etc/passwd",
    "..",
    ".hidden.jpg",
    "a/b.jpg",
    "a\\b.jpg",
    "ü.jpg",
    "A.JPG",
    "a.part",
    "-rf.jpg",
)
NO_NAMES = ("con\x00.jpg", "x" * 200 + ".jpg", "", "a", "a.jpg\n", "a.jpg.tmp")


@pytest.mark.parametrize("name", ELSEWHERE + NO_NAMES)
def test_a_name_that_is_no_plain_file_name_is_refused(store, name):
    with pytest.raises(media.MediaWireError):
        store.add(media.Chunk(INCIDENT, "still", "gate", name, 1, "0" * 64, 0, b"x"))
    assert files_below(store.folder) == []


def packed(header, data):
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + data


def header(**changes):
    return {
        "v": 1,
        "incident": str(INCIDENT),
        "kind": "still",
        "source": "gate",
        "name": "a.jpg",
        "size": 10,
        "sha256": "0" * 64,
        "chunk_sha256": media.digest(bytes(10)),
        "offset": 0,
        "length": 10,
    } | changes


LIES = {
    "longer than it says": header(length=9),
    "shorter than it says": header(length=11, size=11),
    "beyond its file": header(offset=1),
    "negative offset": header(offset=-1),
    "huge file": header(size=2**40),
    "no size": header(size=None),
    "size as text": header(size="10"),
    "size as truth": header(size=True),
    "panel with a path": header(incident="../../etc/3/14"),
    "panel of dots": header(incident="../3/14"),
    "identity too large": header(incident=f"p/{2**60}/1"),
    "unknown kind": header(kind="programme"),
    "source with a path": header(source="../x"),
    "hash with a path": header(sha256="../" + "0" * 61),
    "hash of other bytes": header(chunk_sha256="0" * 64),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lying_header_does_not_pass_the_wire(lie):
    with pytest.raises(media.MediaWireError):
        media.decode_chunk(packed(lie, bytes(10)))


def test_the_honest_header_of_those_tests_passes_the_wire():
    assert media.decode_chunk(packed(header(), bytes(10))).name == "a.jpg"


def test_a_full_disk_is_said_in_words(tmp_path):
    store = EvidenceStore(tmp_path, free_bytes_min=2**60)
    with pytest.raises(EvidenceError, match="do not fit"):
        store.add(chunks_of(noise(10))[0])
    assert files_below(tmp_path) == []


def test_ten_thousand_incidents_keep_memory_and_unfinished_files_bounded(store):
    for number in range(10_000):
        data = number.to_bytes(4, "big") * 2
        incident = ReportId("school-7", 1, number)
        store.add(media.Chunk(incident, "still", "gate", "a.jpg", 9, hashlib.sha256(data).hexdigest(), 0, data))
    unfinished = [name for name in files_below(store.folder) if name.endswith(".part")]
    assert len(unfinished) == evidence.PARTS_MAX
    assert len(store._growing) <= evidence.HASHES_KEPT
    assert len(store._parts) <= evidence.PARTS_MAX


def test_unfinished_files_of_an_earlier_run_count_too(store, tmp_path):
    for number in range(evidence.PARTS_MAX):
        store.add(chunks_of(noise(2000), incident=ReportId("school-7", 1, number))[0])
    later = EvidenceStore(tmp_path / "evidence", free_bytes_min=0)
    later.add(chunks_of(noise(2000), incident=ReportId("school-7", 2, 1))[0])
    assert len(files_below(store.folder)) == evidence.PARTS_MAX


def entry_of(saved):
    return media.ManifestEntry(saved.name, saved.kind, saved.source, saved.size, saved.sha256, 0, 1, 0, 1)


def test_a_manifest_names_what_is_missing_and_what_is_wrong(store):
    (good,) = feed(store, chunks_of(noise(100, 1), name="good.jpg"))
    (bad,) = feed(store, chunks_of(noise(100, 2), name="bad.jpg"))
    (gone,) = feed(store, chunks_of(noise(100, 3), name="gone.jpg"))
    manifest = media.Manifest(
        INCIDENT, complete=True, clock_synced=False, files=tuple(entry_of(item) for item in (good, bad, gone))
    )
    assert missing_files(store.folder, manifest) == []
    bad.path.write_bytes(b"something else")
    gone.path.unlink()
    assert missing_files(store.folder, manifest) == ["bad.jpg", "gone.jpg"]


def test_a_signed_chunk_survives_the_wire_and_a_tampered_one_does_not(store):
    (chunk,) = chunks_of(noise(500))
    message = media.encode_chunk(chunk, KEY)
    assert media.decode_chunk(message, KEY) == chunk
    with pytest.raises(media.MediaWireError):
        media.decode_chunk(message.replace(b"gate-001", b"gate-002"), KEY)
