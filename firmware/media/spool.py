"""The evidence on disk: written by this one thread, offered to the uploader, kept until every receiver has it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.facts import EvidenceFile, EvidenceSealed
from firmware.files import hash_file, write_all
from firmware.media import dossier as dossiers
from firmware.media.disk import NEVER, Disk
from firmware.media.dossier import PART, Begun, Dossier, rescue
from firmware.media.items import Confirmed, Found, Item, entry_of, milliseconds
from firmware.media.orders import Append, Begin, End, Finish, Open, Scan, Whole
from firmware.wire.media import MANIFEST_NAME, Manifest, ManifestEntry, digest, encode_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.core.facts import Fact
    from firmware.core.report import ReportId
    from hal.ports import Clock

SYNC_S = 2.0
"""What a power cut takes from a growing file at most."""
CLAIM_S = 5.0
"""An unfinished incident that nobody captures further this long after the start is sealed as it is."""
MEMORY_MAX = 8 * 2**20
"""Stills held in memory while the disk takes nothing: three minutes of one camera."""


@dataclass(slots=True)
class _Growing:
    fd: int
    path: Path
    begun: Begun
    synced_s: float


class Spool:
    """Obeys `SpoolOrder`s and `Confirmed`.

    Args:
        folder: Of all evidence; made when absent.
        panel: Whose.
        receivers: Names of those that must confirm.
        quota_bytes: Room for all; the oldest delivered incident goes first.
        key: Signs manifests.
        clock: Both clocks.
        post: Takes facts; nothing posted tells what a silent alarm must hide.
        offer: Takes what is to be uploaded.
        found: Takes the answer to `Scan`.

    Synchronization: one thread.
    """

    def __init__(
        self,
        folder: Path,
        panel: str,
        receivers: frozenset[str],
        quota_bytes: int,
        *,
        key: bytes | None,
        clock: Clock,
        post: Callable[[Fact], None],
        offer: Callable[[Item], None],
        found: Callable[[Found], None],
    ) -> None:
        self._folder = folder
        self._panel = panel
        self._receivers = receivers
        self._key = key
        self._clock = clock
        self._post = post
        self._offer = offer
        self._found = found
        self._disk = Disk(folder, quota_bytes, clock=clock, post=post, drop_oldest=self._drop_oldest)
        self._dossiers: dict[ReportId, Dossier] = {}
        self._growing: dict[tuple[ReportId, str], _Growing] = {}
        self._memory: dict[tuple[ReportId, str], bytes] = {}
        self._unclaimed: set[ReportId] = set()
        self._claim_s = NEVER
        self._sync_s = NEVER

    @property
    def name(self) -> str:
        """For logs and troubles."""
        return "spool"

    def handle(self, order: object) -> None:
        """Obey one order."""
        match order:
            case Scan():
                self._found(self._scan())
            case Begin(incident, again):
                self._begin(incident, again=again)
            case Open():
                self._open_file(order)
            case Append(incident, name, data):
                self._append(incident, name, data)
            case Finish():
                self._finish(order)
            case Whole():
                self._whole(order)
            case End(incident):
                self._seal(incident)
            case Confirmed():
                self._confirm(order)
            case _:
                raise TypeError(f"spool: {order!r} is no order for it")

    def tick(self) -> None:
        """Sync what is due, try a disk that refused, seal what nobody claims."""
        now_s = self._clock.now().mono_s
        if now_s >= self._claim_s:
            self._claim_s = NEVER
            for incident in sorted(self._unclaimed):
                self._seal(incident)
        if now_s >= self._sync_s:
            self._sync_s = NEVER
            for known in self._dossiers.values():
                if known.dirty:
                    self._disk.attempt(known.sync)
        self._disk.tick()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        return min(self._claim_s, self._sync_s, self._disk.next_deadline())

    def close(self) -> None:
        """Leave growing files as they are; the next child recovers them."""
        for growing in self._growing.values():
            os.close(growing.fd)
        self._growing.clear()

    def _scan(self) -> Found:
        self._disk.attempt(lambda: self._folder.mkdir(0o700, parents=True, exist_ok=True))
        self._disk.attempt(self._look)
        self._unclaimed = {known.incident for known in self._dossiers.values() if known.sealed is None}
        if self._unclaimed:
            self._claim_s = self._clock.now().mono_s + CLAIM_S
        for item in self._undelivered():
            self._offer(item)
        for incident in self._unclaimed:
            for entry in self._dossiers[incident].entries.values():
                if entry.recovered:
                    self._tell(incident, entry)
        return Found(
            {incident: self._dossiers[incident].names for incident in self._unclaimed},
            frozenset(set(self._dossiers) - self._unclaimed),
        )

    # ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, incident: ReportId, *, again: bool) -> None:
        self._unclaimed.discard(incident)
        known = self._dossier(incident)
        known.interrupted |= again
        self._disk.attempt(lambda: known.folder.mkdir(0o700, parents=True, exist_ok=True))

    def _open_file(self, order: Open) -> None:
        known = self._dossier(order.incident)
        path = known.folder / (order.name + PART)
        begun = Begun(order.name, order.kind, order.source, milliseconds(order.first_s), self._utc_ms(order.first_s))
        known.begun[order.name] = begun

        def make() -> None:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._growing[order.incident, order.name] = _Growing(fd, path, begun, self._clock.now().mono_s)
            known.begin(begun)

        if not self._disk.attempt(make):
            self._give_up(order.incident, order.name)

    def _append(self, incident: ReportId, name: str, data: bytes) -> None:
        growing = self._growing.get((incident, name))
        if growing is None:
            return

        def write() -> None:
            self._disk.claim(len(data))
            write_all(growing.fd, data)
            now_s = self._clock.now().mono_s
            if now_s - growing.synced_s >= SYNC_S:
                os.fdatasync(growing.fd)
                growing.synced_s = now_s

        if not self._disk.attempt(write):
            self._give_up(incident, name)
        self._sync_soon()

    def _finish(self, order: Finish) -> None:
        growing = self._growing.pop((order.incident, order.name), None)
        if growing is None:
            return
        known = self._dossier(order.incident)

        def complete() -> None:
            if order.patch is not None:
                os.pwrite(growing.fd, order.patch.data, order.patch.offset)
            os.fsync(growing.fd)

        whole = self._disk.attempt(complete)
        os.close(growing.fd)
        if whole:
            self._keep(known, growing.path, growing.begun, order.last_s, recovered=False)
        else:
            self._save(known, growing.path, growing.begun)

    def _whole(self, order: Whole) -> None:
        known = self._dossier(order.incident)
        begun = Begun(order.name, order.kind, order.source, milliseconds(order.time_s), self._utc_ms(order.time_s))
        place = known.folder / order.name
        if self._disk.attempt(lambda: self._write_new(place, order.data)):
            self._announce(known, entry_of(begun, len(order.data), digest(order.data), begun.mono_ms))
        else:
            self._remember(known, begun, order.data)

    def _write_new(self, place: Path, data: bytes) -> None:
        self._disk.claim(len(data))
        part = place.with_name(place.name + PART)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, data)
            os.fdatasync(fd)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        part.rename(place)

    def _give_up(self, incident: ReportId, name: str) -> None:
        """The disk took no more of a file: save what it has."""
        known = self._dossier(incident)
        known.interrupted = True
        growing = self._growing.pop((incident, name), None)
        if growing is None:
            known.lose(name)
            return
        os.close(growing.fd)
        self._save(known, growing.path, growing.begun)

    def _save(self, known: Dossier, part: Path, begun: Begun) -> None:
        known.interrupted = True
        saved = []
        self._disk.attempt(lambda: saved.append(rescue(part)))
        if saved and saved[0]:
            last_s = self._clock.now().mono_s
            self._keep(known, part, begun, last_s, recovered=True)
        else:
            known.lose(begun.name)
        self._disk.attempt(self._recount)

    def _keep(self, known: Dossier, part: Path, begun: Begun, last_s: float, *, recovered: bool) -> None:
        place = part.with_name(begun.name)
        kept: list[ManifestEntry] = []

        def rename() -> None:
            size, sha256 = hash_file(part)
            part.rename(place)
            kept.append(entry_of(begun, size, sha256, milliseconds(last_s), recovered=recovered))

        if self._disk.attempt(rename):
            self._announce(known, kept[0])
        else:
            known.lose(begun.name)

    def _remember(self, known: Dossier, begun: Begun, data: bytes) -> None:
        """Keep a small file in memory: it still goes to the receivers, though not through a power cut."""
        known.interrupted = True
        while self._memory and sum(map(len, self._memory.values())) + len(data) > MEMORY_MAX:
            incident, name = next(iter(self._memory))
            del self._memory[incident, name]
            self._dossier(incident).lose(name)
        self._memory[known.incident, begun.name] = data
        entry = entry_of(begun, len(data), digest(data), begun.mono_ms)
        self._announce(known, entry, data=data)

    def _announce(self, known: Dossier, entry: ManifestEntry, data: bytes = b"") -> None:
        self._disk.attempt(lambda: known.end(entry, logged=not data))
        known.entries[entry.name] = entry
        self._sync_soon()
        self._tell(known.incident, entry)
        self._offer(self._item(known, entry, data))

    def _tell(self, incident: ReportId, entry: ManifestEntry) -> None:
        self._post(EvidenceFile(incident, entry.kind, entry.source, entry.name, entry.sha256, entry.size))

    # ── the seal ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _seal(self, incident: ReportId) -> None:
        self._unclaimed.discard(incident)
        known = self._dossier(incident)
        if known.sealed is None:
            known.interrupted |= not (known.entries or known.folder.exists())
            for owner, name in list(self._growing):
                if owner == incident:
                    self._give_up(incident, name)
            self._make_manifest(known)
        if known.sealed is not None:
            self._post(known.sealed)

    def _make_manifest(self, known: Dossier) -> None:
        now = self._clock.now()
        complete = not known.interrupted and not known.lost
        files = tuple(known.entries.values())
        manifest = Manifest(known.incident, complete, now.synced, files, tuple(known.lost))
        data = encode_manifest(manifest, self._key)
        place = known.folder / MANIFEST_NAME

        def write() -> None:
            known.folder.mkdir(0o700, parents=True, exist_ok=True)
            self._write_new(place, data)

        on_disk = self._disk.attempt(write)
        sealed = EvidenceSealed(known.incident, len(files), sum(entry.size for entry in files), digest(data), complete)
        known.sealed = sealed
        if on_disk:
            self._disk.attempt(lambda: known.seal(sealed))
            self._disk.attempt(known.sync)
        else:
            self._memory[known.incident, MANIFEST_NAME] = data
        begun = Begun(MANIFEST_NAME, "manifest", "panel", 0, 0)
        entry = entry_of(begun, len(data), digest(data), 0)
        self._offer(self._item(known, entry, b"" if on_disk else data))

    def _confirm(self, order: Confirmed) -> None:
        known = self._dossiers.get(order.incident)
        if known is None or (order.name not in known.entries and order.name != MANIFEST_NAME):
            return
        self._disk.attempt(lambda: known.confirm(order.name, order.receiver))
        self._sync_soon()
        if self._receivers <= known.confirmed[order.name]:
            self._memory.pop((order.incident, order.name), None)

    # ── what is known ──────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        for folder in sorted(self._folder.iterdir()):
            incident = dossiers.incident_of(folder, self._panel)
            if incident is not None and folder.is_dir():
                self._disk.attempt(lambda folder=folder, incident=incident: self._adopt(folder, incident))  # type: ignore[misc]

    def _adopt(self, folder: Path, incident: ReportId) -> None:
        known = dossiers.read(folder, incident)
        self._dossiers[incident] = known
        if known.sealed is None:
            self._disk.attempt(lambda: dossiers.recover(known))
        self._disk.used += known.size

    def _recount(self) -> None:
        self._disk.used = sum(known.size for known in self._dossiers.values() if known.folder.exists())

    def _drop_oldest(self) -> int:
        for incident, known in sorted(self._dossiers.items()):
            if known.delivered(self._receivers):
                size = known.size
                shutil.rmtree(known.folder)
                del self._dossiers[incident]
                return size
        return 0

    def _sync_soon(self) -> None:
        self._sync_s = min(self._sync_s, self._clock.now().mono_s + SYNC_S)

    def _dossier(self, incident: ReportId) -> Dossier:
        known = self._dossiers.get(incident)
        if known is None:
            known = Dossier(self._folder / f"{incident.epoch}-{incident.seq}", incident)
            self._dossiers[incident] = known
        return known

    def _undelivered(self) -> list[Item]:
        items = []
        for _, known in sorted(self._dossiers.items()):
            entries = list(known.entries.values())
            if known.sealed is not None:
                size = (known.folder / MANIFEST_NAME).stat().st_size
                begun = Begun(MANIFEST_NAME, "manifest", "panel", 0, 0)
                entries.append(entry_of(begun, size, known.sealed.manifest_sha256, 0))
            items += [self._item(known, entry, b"") for entry in entries]
        return [item for item in items if item.missing]

    def _item(self, known: Dossier, entry: ManifestEntry, data: bytes) -> Item:
        missing = self._receivers - known.confirmed.get(entry.name, set())
        path = None if data else known.folder / entry.name
        return Item(known.incident, entry.name, entry.kind, entry.source, entry.size, entry.sha256, path, data, missing)

    def _utc_ms(self, mono_s: float) -> int:
        now = self._clock.now()
        return round((now.utc_s - now.mono_s + mono_s) * 1000)
