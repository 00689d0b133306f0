"""Manifests and the files that they list, in any order."""

from __future__ import annotations

import hashlib

import pytest

from firmware.core.report import ReportId
from firmware.receiver import seals
from firmware.receiver.evidence import EvidenceStore
from firmware.receiver.seals import PATIENCE_S, Seals
from firmware.wire import media

INCIDENT = ReportId("school-7", 3, 14)


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path, free_bytes_min=0)


@pytest.fixture
def book(tmp_path):
    return Seals(tmp_path)


def save(store, name, incident=INCIDENT):
    data = name.encode()
    digest = hashlib.sha256(data).hexdigest()
    return store.add(media.Chunk(incident, "still", "gate", name, len(data), digest, 0, data))


def manifest(*names, incident=INCIDENT, lost=()):
    files = tuple(
        media.ManifestEntry(name, "still", "gate", len(name), hashlib.sha256(name.encode()).hexdigest(), 0, 0, 0, 0)
        for name in names
    )
    return media.Manifest(incident, complete=not lost, clock_synced=True, files=files, lost=lost)


def test_a_manifest_after_its_files_seals_at_once(store, book):
    save(store, "a.jpg")
    (sealed,) = book.manifest(manifest("a.jpg"), signed=True, mono_s=0.0)
    assert (sealed.files, sealed.missing, sealed.complete, sealed.signed) == (1, (), True, True)


def test_a_manifest_that_overtook_its_files_waits_for_the_last(store, book):
    assert book.manifest(manifest("a.jpg", "b.jpg"), signed=True, mono_s=0.0) == []
    assert book.file(save(store, "b.jpg"), 1.0) == []
    (sealed,) = book.file(save(store, "a.jpg"), 2.0)
    assert sealed.missing == ()


def test_files_that_do_not_come_are_told_once_and_a_late_one_still_seals(store, book):
    book.manifest(manifest("a.jpg"), signed=True, mono_s=0.0)
    assert book.due(PATIENCE_S) == []
    (told,) = book.due(PATIENCE_S + 1)
    assert told.missing == ("a.jpg",)
    assert book.due(PATIENCE_S + 2) == []
    (sealed,) = book.file(save(store, "a.jpg"), PATIENCE_S + 3)
    assert sealed.missing == ()


def test_files_that_the_panel_lost_are_told_with_the_seal(store, book):
    save(store, "a.jpg")
    (sealed,) = book.manifest(manifest("a.jpg", lost=("clip.mp4",)), signed=True, mono_s=0.0)
    assert (sealed.missing, sealed.complete) == (("clip.mp4",), False)


def test_a_file_of_another_incident_seals_nothing(store, book):
    book.manifest(manifest("a.jpg"), signed=True, mono_s=0.0)
    assert book.file(save(store, "a.jpg", ReportId("school-7", 3, 99)), 1.0) == []


def test_a_flood_of_manifests_keeps_few_waiting(book):
    told = []
    for seq in range(200):
        told += book.manifest(manifest("a.jpg", incident=ReportId("school-7", 3, seq)), signed=False, mono_s=0.0)
    assert len(book._waiting) == seals.WAITING_MAX
    assert len(told) == 200 - seals.WAITING_MAX
