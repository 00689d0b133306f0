"""Evidence on disk: whole, cut, refused, delivered."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os

import av
import pytest
from rigs.media import INCIDENT, Bench

from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.core.report import ReportId
from firmware.media import spool as spools
from firmware.media.dossier import LOG_NAME, PART
from firmware.media.items import Confirmed
from firmware.media.orders import Append, Begin, End, Finish, Scan, Whole
from firmware.media.spool import Spool
from firmware.wire.media import MANIFEST_NAME, decode_manifest
from hal.mock.clock import VirtualClock

KEY = bytes(range(32))
JPEG = b"\xff\xd8" + bytes(3000) + b"\xff\xd9"


class Rig:
    def __init__(self, folder, *, receivers=("110",), quota_mib=64, key=None, panel="booth-1"):
        self.folder = folder
        self.clock = VirtualClock(1000.0)
        self.facts, self.items, self.found = [], [], []
        self.spool = Spool(
            folder,
            panel,
            frozenset(receivers),
            quota_mib * 2**20,
            key=key,
            clock=self.clock,
            post=self.facts.append,
            offer=self.items.append,
            found=self.found.append,
        )
        self.spool.handle(Scan())

    def do(self, *orders):
        for order in orders:
            self.spool.handle(order)

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        if self.spool.next_deadline() <= self.clock.now().mono_s:
            self.spool.tick()

    def facts_of(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def place(self, incident=INCIDENT):
        return self.folder / f"{incident.epoch}-{incident.seq}"

    def confirm(self, incident=INCIDENT, receivers=("110",)):
        names = [path.name for path in self.place(incident).iterdir() if path.name != LOG_NAME]
        self.do(*(Confirmed(incident, name, receiver) for name in names for receiver in receivers))

    def manifest(self, incident=INCIDENT, key=None):
        return decode_manifest((self.place(incident) / MANIFEST_NAME).read_bytes(), key)


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "evidence")


@pytest.fixture(scope="module")
def clip_orders():
    """What the engine orders for one incident with one clip and a still."""
    orders = []
    bench = Bench(real=True, stills_s=1.0, clip_s=60.0)
    bench.engine._sink = type(
        "Sink", (), {"keep": lambda _self, order: orders.append(order), "send": lambda *_: None}
    )()
    bench.run(12)
    bench.capture()
    bench.run(5)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    return orders


def whole(name="0000000000000003-000000001000-gate-still.jpg", incident=INCIDENT, data=JPEG):
    return Whole(incident, name, "still", "gate", 1.0, data)


def test_a_still_is_on_disk_announced_and_offered(rig):
    rig.do(Begin(INCIDENT, again=False), whole())
    (fact,) = rig.facts
    assert fact == EvidenceFile(
        INCIDENT,
        "still",
        "gate",
        "0000000000000003-000000001000-gate-still.jpg",
        hashlib.sha256(JPEG).hexdigest(),
        len(JPEG),
    )
    assert (rig.place() / fact.name).read_bytes() == JPEG
    assert (rig.items[0].name, rig.items[0].sha256, rig.items[0].missing) == (fact.name, fact.sha256, {"110"})


def test_a_clip_has_its_name_only_when_it_is_complete(rig, clip_orders):
    for order in clip_orders:
        if isinstance(order, Finish):
            assert (rig.place() / (order.name + PART)).exists()
            assert not (rig.place() / order.name).exists()
        rig.do(order)
    (clip,) = [fact for fact in rig.facts_of(EvidenceFile) if fact.kind == "clip"]
    data = (rig.place() / clip.name).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (clip.sha256, clip.size)
    assert not list(rig.place().glob("*" + PART))


def test_the_manifest_lists_every_file_with_its_hash_and_times_and_is_signed(tmp_path, clip_orders):
    rig = Rig(tmp_path, key=KEY)
    rig.do(*clip_orders)
    manifest = rig.manifest(key=KEY)
    (sealed,) = rig.facts_of(EvidenceSealed)
    assert sealed.manifest_sha256 == hashlib.sha256((rig.place() / MANIFEST_NAME).read_bytes()).hexdigest()
    assert {(entry.name, entry.sha256, entry.size) for entry in manifest.files} == {
        (fact.name, fact.sha256, fact.size) for fact in rig.facts_of(EvidenceFile)
    }
    assert (manifest.complete, manifest.incident, sealed.files) == (True, INCIDENT, len(manifest.files))
    (clip,) = [entry for entry in manifest.files if entry.kind == "clip"]
    assert 15_000 <= clip.last_mono_ms - clip.first_mono_ms <= 17_100
    assert clip.last_utc_ms - clip.first_utc_ms == clip.last_mono_ms - clip.first_mono_ms
    assert rig.items[-1].kind == "manifest"


def test_a_child_killed_after_any_order_leaves_what_its_successor_makes_whole(tmp_path, clip_orders):
    for number, count in enumerate(range(1, len(clip_orders), 2)):
        folder = tmp_path / str(number)
        Rig(folder).do(*clip_orders[:count])
        check_recovery(folder, bool(any(isinstance(order, End) for order in clip_orders[:count])))


def test_a_clip_cut_at_any_byte_is_recovered_or_reported(tmp_path, clip_orders):
    count = next(number for number, order in enumerate(clip_orders) if isinstance(order, Finish))
    for number, cut in enumerate(range(0, 40_000, 1789)):
        folder = tmp_path / str(number)
        dying = Rig(folder)
        dying.do(*clip_orders[:count])
        (part,) = dying.place().glob("*" + PART)
        os.truncate(part, min(cut, part.stat().st_size))
        check_recovery(folder, sealed=False)


def check_recovery(folder, sealed):
    heir = Rig(folder)
    assert not list(heir.folder.glob("*/*" + PART))
    heir.pass_time(11.0)
    if not heir.place().exists():
        return
    manifest = heir.manifest()
    assert manifest.complete is sealed
    begun = {line.split(b'"name":"')[1].split(b'"')[0].decode() for line in begin_lines(heir)}
    assert begun <= {entry.name for entry in manifest.files} | set(manifest.lost)
    for entry in manifest.files:
        assert hashlib.sha256((heir.place() / entry.name).read_bytes()).hexdigest() == entry.sha256
    offered = {item.name for item in heir.items}
    assert offered == {entry.name for entry in manifest.files} | {MANIFEST_NAME}


def begin_lines(rig):
    return [line for line in (rig.place() / LOG_NAME).read_bytes().split(b"\n") if b'"begin"' in line]


def test_a_recovered_clip_is_playable_and_says_so(tmp_path, clip_orders):
    count = next(number for number, order in enumerate(clip_orders) if isinstance(order, Finish))
    Rig(tmp_path).do(*clip_orders[: count - 2])
    heir = Rig(tmp_path)
    heir.pass_time(11.0)
    (clip,) = [entry for entry in heir.manifest().files if entry.kind == "clip"]
    assert clip.recovered
    assert [fact.sha256 for fact in heir.facts_of(EvidenceFile)] == [clip.sha256]
    with av.open(str(heir.place() / clip.name)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 100


def test_an_unfinished_incident_that_is_captured_again_stays_open_and_keeps_its_files(tmp_path):
    Rig(tmp_path).do(Begin(INCIDENT, again=False), whole())
    heir = Rig(tmp_path)
    assert heir.found[0].taken == {INCIDENT: {"0000000000000003-000000001000-gate-still.jpg"}}
    heir.do(Begin(INCIDENT, again=True))
    heir.pass_time(11.0)
    assert not heir.facts_of(EvidenceSealed)
    heir.do(whole("0000000000000003-000000002000-gate-still.jpg"), End(INCIDENT))
    (sealed,) = heir.facts_of(EvidenceSealed)
    assert (sealed.files, sealed.complete) == (2, False)


def test_a_sealed_incident_is_told_again_but_never_changed(tmp_path):
    first = Rig(tmp_path)
    first.do(Begin(INCIDENT, again=False), whole(), End(INCIDENT))
    manifest = (first.place() / MANIFEST_NAME).read_bytes()
    heir = Rig(tmp_path)
    assert heir.found[0].sealed == {INCIDENT}
    heir.do(End(INCIDENT))
    assert heir.facts_of(EvidenceSealed) == first.facts_of(EvidenceSealed)
    assert (heir.place() / MANIFEST_NAME).read_bytes() == manifest


def test_a_file_is_offered_after_a_restart_until_every_receiver_confirmed_it(tmp_path):
    receivers = ("110", "station")
    rig = Rig(tmp_path, receivers=receivers)
    rig.do(Begin(INCIDENT, again=False), whole(), End(INCIDENT))
    rig.do(Confirmed(INCIDENT, "0000000000000003-000000001000-gate-still.jpg", "110"))
    heir = Rig(tmp_path, receivers=receivers)
    assert {(item.name, item.missing) for item in heir.items} == {
        ("0000000000000003-000000001000-gate-still.jpg", frozenset({"station"})),
        (MANIFEST_NAME, frozenset(receivers)),
    }
    heir.confirm(receivers=receivers)
    assert Rig(tmp_path, receivers=receivers).items == []


def test_a_confirmation_of_something_unknown_changes_nothing(rig):
    rig.do(Confirmed(INCIDENT, "x.jpg", "110"), Begin(INCIDENT, again=False), Confirmed(INCIDENT, "x.jpg", "110"))
    assert not (rig.place() / LOG_NAME).exists()


@pytest.mark.parametrize("rubbish", [b"\xff\xfe\n{", b'{"begin":5}\n{"end":{}}\n[]\n"x"', b'{"end":' + b"[" * 9000])
def test_a_torn_log_is_passed_over(tmp_path, rubbish):
    rig = Rig(tmp_path)
    rig.do(Begin(INCIDENT, again=False), whole())
    log = rig.place() / LOG_NAME
    log.write_bytes(rubbish + log.read_bytes())
    heir = Rig(tmp_path)
    heir.pass_time(11.0)
    assert [entry.name for entry in heir.manifest().files] == ["0000000000000003-000000001000-gate-still.jpg"]


def test_a_lost_log_costs_no_file(tmp_path, clip_orders):
    rig = Rig(tmp_path)
    rig.do(*clip_orders[:-1])
    (rig.place() / LOG_NAME).unlink()
    heir = Rig(tmp_path)
    heir.pass_time(11.0)
    assert {entry.kind for entry in heir.manifest().files} == {"still", "clip"}


def test_folders_that_are_no_incident_are_left_alone(tmp_path):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "1-x").mkdir()
    assert Rig(tmp_path).found[0].taken == {}
    assert (tmp_path / "1-x").is_dir()


# ── a disk that refuses ────────────────────────────────────────────────────────────────────────────────────────────


class FullDisk:
    """os.write as a full disk answers it, after `room` bytes."""

    def __init__(self, room):
        self.room, self._write = room, os.write

    def __call__(self, fd, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written


def test_on_a_full_disk_stills_go_on_from_memory_and_the_trouble_says_what_to_do(rig, mocker):
    rig.do(Begin(INCIDENT, again=False))
    mocker.patch("os.write", FullDisk(0))
    rig.do(whole(), whole("0000000000000003-000000002000-gate-still.jpg"))
    (trouble,) = rig.facts_of(Trouble)
    assert trouble.source == "media"
    assert "No space left" in trouble.why
    assert "make room" in trouble.why
    assert str(INCIDENT) not in trouble.why
    assert [(item.path, item.data) for item in rig.items] == [(None, JPEG), (None, JPEG)]
    assert len(rig.facts_of(EvidenceFile)) == 2


def test_a_clip_that_meets_a_full_disk_is_kept_up_to_its_last_whole_piece(rig, mocker, clip_orders):
    mocker.patch("os.write", FullDisk(20_000))
    rig.do(*clip_orders)
    (clip,) = [fact for fact in rig.facts_of(EvidenceFile) if fact.kind == "clip"]
    assert 0 < clip.size <= 20_000
    (sealed,) = rig.facts_of(EvidenceSealed)
    assert not sealed.complete


@pytest.mark.parametrize("room", [0, 1, 100, 2000, 3500, 9000])
def test_however_full_the_disk_is_the_incident_is_sealed_and_told(tmp_path, mocker, clip_orders, room):
    rig = Rig(tmp_path)
    mocker.patch("os.write", FullDisk(room))
    rig.do(*clip_orders)
    (sealed,) = rig.facts_of(EvidenceSealed)
    (manifest,) = [item for item in rig.items if item.kind == "manifest"]
    assert manifest.sha256 == sealed.manifest_sha256
    assert not sealed.complete


def test_the_trouble_is_over_when_the_disk_takes_data_again(rig, mocker):
    rig.do(Begin(INCIDENT, again=False))
    full = mocker.patch("os.write", FullDisk(0))
    rig.do(whole())
    full.room = 10**9
    rig.pass_time(31.0)
    assert [type(fact) for fact in rig.facts if not isinstance(fact, EvidenceFile)] == [Trouble, TroubleOver]


def test_a_disk_that_stays_full_is_told_once(rig, mocker):
    rig.do(Begin(INCIDENT, again=False))
    mocker.patch("os.write", FullDisk(0))
    for number in range(5):
        rig.do(whole(f"0000000000000003-00000000{number}000-gate-still.jpg"))
        rig.pass_time(31.0)
    assert len(rig.facts_of(Trouble)) <= 1 + len(rig.facts_of(TroubleOver))


def test_memory_for_stills_is_bounded_and_the_oldest_goes_first(rig, mocker, monkeypatch):
    monkeypatch.setattr(spools, "MEMORY_MAX", 10_000)
    rig.do(Begin(INCIDENT, again=False))
    mocker.patch("os.write", FullDisk(0))
    names = [f"0000000000000003-00000000{number}000-gate-still.jpg" for number in range(5)]
    rig.do(*(whole(name) for name in names), End(INCIDENT))
    (manifest,) = [item for item in rig.items if item.kind == "manifest"]
    told = decode_manifest(manifest.data)
    assert [entry.name for entry in told.files] == names[2:]
    assert list(told.lost) == names[:2]


def test_a_folder_that_cannot_be_made_is_a_trouble_and_no_end(tmp_path):
    (tmp_path / "evidence").write_text("a file where the folder should be")
    rig = Rig(tmp_path / "evidence")
    rig.do(Begin(INCIDENT, again=False), whole(), End(INCIDENT))
    assert len(rig.facts_of(Trouble)) == 1
    assert len(rig.items) == 2


def test_on_a_disk_that_became_read_only_what_is_complete_is_still_offered(tmp_path, mocker, clip_orders):
    Rig(tmp_path).do(*itertools.takewhile(lambda order: not isinstance(order, Finish), clip_orders))
    refusal = OSError(errno.EROFS, os.strerror(errno.EROFS))
    for call in ("os.truncate", "pathlib.Path.rename", "pathlib.Path.unlink", "pathlib.Path.mkdir"):
        mocker.patch(call, side_effect=refusal)
    mocker.patch("os.write", side_effect=refusal)
    heir = Rig(tmp_path)
    assert {item.kind for item in heir.items} == {"still"}
    (trouble,) = heir.facts_of(Trouble)
    assert "Read-only file system" in trouble.why


def test_evidence_is_for_the_panel_alone(rig):
    rig.do(Begin(INCIDENT, again=False), whole())
    modes = [path.stat().st_mode & 0o077 for path in (rig.folder, rig.place(), *rig.place().iterdir())]
    assert set(modes) == {0}


# ── room ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def incident_of(number):
    return ReportId("booth-1", 3, number)


def fill(rig, number, size, *, sealed=True):
    incident = incident_of(number)
    rig.do(Begin(incident, again=False), whole(incident=incident, data=bytes(size)))
    if sealed:
        rig.do(End(incident))
    return incident


def test_the_oldest_delivered_incident_makes_room(tmp_path):
    rig = Rig(tmp_path, quota_mib=16)
    size = 5 * 2**20
    first, second = fill(rig, 1, size), fill(rig, 2, size)
    rig.confirm(first)
    rig.confirm(second)
    third = fill(rig, 3, size)
    fill(rig, 4, size)
    assert not rig.place(first).exists()
    assert rig.place(second).exists()
    assert rig.place(third).exists()
    assert not rig.facts_of(Trouble)


def test_evidence_that_a_receiver_lacks_is_never_removed(tmp_path):
    rig = Rig(tmp_path, quota_mib=16)
    for number in range(1, 5):
        fill(rig, number, 5 * 2**20)
    assert all(rig.place(incident_of(number)).exists() for number in range(1, 4))
    (trouble,) = rig.facts_of(Trouble)
    assert "media.quota_mib" in trouble.why


def test_the_current_incident_is_never_removed(tmp_path):
    rig = Rig(tmp_path, quota_mib=16, receivers=())
    current = fill(rig, 1, 5 * 2**20, sealed=False)
    fill(rig, 2, 5 * 2**20)
    fill(rig, 3, 5 * 2**20)
    fill(rig, 4, 5 * 2**20)
    assert rig.place(current).exists()
    assert not rig.place(incident_of(2)).exists()


def test_what_is_on_disk_counts_after_a_restart(tmp_path):
    rig = Rig(tmp_path, quota_mib=16)
    for number in (1, 2):
        rig.confirm(fill(rig, number, 6 * 2**20))
    heir = Rig(tmp_path, quota_mib=16)
    fill(heir, 3, 6 * 2**20)
    assert not heir.place(incident_of(1)).exists()
    assert heir.place(incident_of(2)).exists()


def test_a_real_full_disk_lets_go_of_the_oldest_delivered_incident(tmp_path, mocker):
    rig = Rig(tmp_path)
    rig.confirm(fill(rig, 1, 100_000))
    rig.do(Begin(INCIDENT, again=False))
    mocker.patch("os.write", FullDisk(0))
    rig.do(whole())
    assert not rig.place(incident_of(1)).exists()


def test_data_reaches_the_disk_within_two_seconds(tmp_path, mocker, clip_orders):
    rig = Rig(tmp_path)
    synced = mocker.spy(os, "fdatasync")
    for order in itertools.takewhile(lambda order: not isinstance(order, Finish), clip_orders):
        rig.do(order)
        rig.pass_time(1.0)
    appended = sum(1 for order in clip_orders if isinstance(order, Append))
    assert synced.call_count >= appended // 3


def test_an_order_that_is_none_is_a_defect(rig):
    with pytest.raises(TypeError):
        rig.do("rubbish")
