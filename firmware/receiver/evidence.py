"""Evidence as it reaches the desk: chunks become files in a folder, and never anything else.

`FOLDER/PANEL/EPOCH-SEQ/NAME` is written once and never changed. A file grows as `.NAME.HASH.part` beside its place, so
its length is all the memory that a desk needs to go on after a restart; it gets its name when its hash is right.
"""

from __future__ import annotations

import collections
import hashlib
import os
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firmware.files import hash_file, sync
from firmware.receiver.ogg import OpusFile
from firmware.wire import media

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from firmware.core.report import ReportId

HASHES_KEPT = 64
"""Files whose running hash stays in memory; any other is read again when its next chunk comes."""
PARTS_MAX = 256
"""Unfinished files on disk; the oldest goes when another begins. A panel sends a few at a time."""
FREE_BYTES_MIN = 64 * 2**20
"""Room that is left on the disk for everything else on that machine."""
LIVE_MAX = 16
"""Live sounds recorded at once: an incident each."""
OVER_MAX = 256
"""Sealed incidents that are remembered."""
LIVE_BYTES_MAX = 256 * 2**20
"""Nine hours of the densest Opus that a panel sends."""
LIVE_QUIET_S = 5.0
"""A live sound without a frame for this long is closed; if it goes on, it goes on in a new file."""
LIVE_OPENS_MAX, LIVE_OPENS_S = 8, 60.0
"""Files of live sound that one incident may begin in a minute, and that all incidents together may of which nothing
signed has come: live sound itself is not signed, and whoever reaches the broker could fill the disk with names."""
LIVE_GAP_FRAMES = 250
"""Lost frames that are bridged with concealment; a longer gap is a cut."""


class EvidenceError(ValueError):
    """A chunk that was not taken; the message says why and whether the panel will send it again."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A whole file, its hash right, on disk.

    Attributes:
        again: The file was there before, so its receipt must have been lost.
    """

    incident: ReportId
    kind: str
    source: str
    name: str
    path: Path
    size: int
    sha256: str
    again: bool = False


def incident_folder(folder: Path, incident: ReportId) -> Path:
    """Where the files of an incident lie; an identity that passed the wire's checks names no other place."""
    return folder / incident.panel / f"{incident.epoch}-{incident.seq}"


class EvidenceStore:
    """Assembles files of evidence.

    Args:
        folder: Made when absent.
        free_bytes_min: Refuse chunks when the disk has less left.

    Raises:
        OSError: The folder cannot be made or written.

    Synchronization: one thread; one store a folder.
    """

    def __init__(self, folder: Path, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self.folder = folder
        self._free_bytes_min = free_bytes_min
        self._growing: collections.OrderedDict[Path, hashlib._Hash] = collections.OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(folder.glob("*/*/.*.part"), key=lambda path: path.stat().st_mtime)
        self._parts: collections.OrderedDict[Path, None] = collections.OrderedDict.fromkeys(found)

    def add(self, chunk: media.Chunk) -> Saved | None:
        """Take one chunk; chunks that are known already, or of a finished file, do no harm.

        Returns:
            The file when this chunk completed it or it was complete before; None when more is to come.

        Raises:
            EvidenceError: The chunk is out of order, its file's hash came out wrong, another file has that name, or the
                disk is full.
            OSError: The disk failed.
        """
        place = incident_folder(self.folder, chunk.incident) / media.file_name(chunk.name)
        if place.exists():
            return self._known(chunk, place)
        part = place.with_name(f".{chunk.name}.{chunk.sha256[:16]}.part")
        if self._append(chunk, part) < chunk.size:
            return None
        return self._complete(chunk, part, place)

    def _known(self, chunk: media.Chunk, place: Path) -> Saved:
        if place.stat().st_size != chunk.size or self._hash_of(place).hexdigest() != chunk.sha256:
            raise EvidenceError(
                f"{place} exists with other content; the file that came now is refused, nothing is lost"
            )
        return replace(_saved(chunk, place), again=True)

    def _append(self, chunk: media.Chunk, part: Path) -> int:
        """Add what is new in the chunk; the part's length afterwards."""
        have = part.stat().st_size if part.exists() else 0
        if have == 0:
            self._begin(chunk, part)
        if chunk.offset > have:
            raise EvidenceError(
                f"{chunk.incident} {chunk.name}: a chunk at byte {chunk.offset} came when {have} were there; "
                "the panel sends the file again until it has its receipt"
            )
        fresh = chunk.data[have - chunk.offset :]
        if fresh:
            running = self._hash_of(part) if have else hashlib.sha256()
            with part.open("ab") as out:
                out.write(fresh)
            running.update(fresh)
            self._keep(part, running)
        return have + len(fresh)

    def _begin(self, chunk: media.Chunk, part: Path) -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(part.parent).free
        if free < chunk.size + self._free_bytes_min:
            raise EvidenceError(
                f"{chunk.incident} {chunk.name}: {chunk.size} bytes do not fit; {self.folder} has {free} free and "
                f"keeps {self._free_bytes_min}; make room, the panel sends the file again"
            )
        self._parts[part] = None
        while len(self._parts) > PARTS_MAX:
            oldest, _ = self._parts.popitem(last=False)
            oldest.unlink(missing_ok=True)
            self._growing.pop(oldest, None)

    def _complete(self, chunk: media.Chunk, part: Path, place: Path) -> Saved:
        right = part.stat().st_size == chunk.size and self._hash_of(part).hexdigest() == chunk.sha256
        self._growing.pop(part, None)
        self._parts.pop(part, None)
        if not right:
            part.unlink()
            raise EvidenceError(
                f"{chunk.incident} {chunk.name}: the hash of what came is not {chunk.sha256}; it was thrown away, "
                "the panel sends the file again"
            )
        sync(part)
        part.rename(place)
        sync(place.parent)
        return _saved(chunk, place)

    def _hash_of(self, path: Path) -> hashlib._Hash:
        running = self._growing.get(path)
        if running is None:
            with path.open("rb") as whole:
                running = hashlib.file_digest(whole, "sha256")
            self._keep(path, running)
        return running

    def _keep(self, path: Path, running: hashlib._Hash) -> None:
        self._growing[path] = running
        self._growing.move_to_end(path)
        if len(self._growing) > HASHES_KEPT:
            self._growing.popitem(last=False)


def missing_files(folder: Path, manifest: media.Manifest) -> list[str]:
    """Names that a manifest lists and the folder lacks or holds with another hash.

    Raises:
        OSError: A file cannot be read.
    """
    lacking = []
    for entry in manifest.files:
        place = incident_folder(folder, manifest.incident) / entry.name
        if not (place.is_file() and hash_file(place)[1] == entry.sha256):
            lacking.append(entry.name)
    return lacking


@dataclass(slots=True)
class _Live:
    """One live sound that is being recorded."""

    part: Path
    out: BinaryIO
    ogg: OpusFile
    next_number: int
    heard_s: float
    size: int = 0


class LiveSound:
    """Records live sound, one Ogg file for each stretch of an incident.

    Args:
        folder: The same as the evidence store's.
        free_bytes_min: Begin no file when the disk has less left.

    Synchronization: one thread.
    """

    def __init__(self, folder: Path, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._folder = folder
        self._free_bytes_min = free_bytes_min
        self._live: dict[ReportId, _Live] = {}
        self._over: collections.deque[ReportId] = collections.deque(maxlen=OVER_MAX)
        self._opens: collections.OrderedDict[ReportId | None, collections.deque[float]] = collections.OrderedDict()
        self._opens[None] = collections.deque(maxlen=LIVE_OPENS_MAX)

    def trust(self, incident: ReportId) -> None:
        """Something signed of this incident has come: there is such an incident."""
        if incident not in self._opens:
            self._opens[incident] = collections.deque(maxlen=LIVE_OPENS_MAX)
            if len(self._opens) > OVER_MAX:
                del self._opens[next(known for known in self._opens if known is not None)]

    def add(self, incident: ReportId, frame: media.LiveFrame, mono_s: float) -> list[Saved]:
        """Take one frame; one that comes late or twice is left out.

        Args:
            incident: From the topic.
            frame: Checked by the wire.
            mono_s: Now.

        Returns:
            Files that this frame closed: those of a cut, or of the incident that had to make room.

        Raises:
            EvidenceError: The disk is full, or too many files began lately.
            OSError: The disk failed.
        """
        closed: list[Saved] = []
        if incident in self._over:
            return closed
        live = self._live.get(incident)
        if live is None or self._is_cut(live, frame):
            self._count_open(incident, mono_s)
            closed += self.finish(incident)
            if len(self._live) >= LIVE_MAX:
                closed += self.finish(min(self._live, key=lambda known: self._live[known].heard_s))
            live = self._live[incident] = self._open(incident, frame, mono_s)
        missed = frame.number - live.next_number
        if missed < 0:
            return closed
        live.ogg.lose(missed, frame.opus, frame.samples)
        live.ogg.write(frame.opus, frame.samples)
        live.next_number, live.heard_s = frame.number + 1, mono_s
        live.size += len(frame.opus)
        return closed

    def finish_quiet(self, mono_s: float) -> list[Saved]:
        """Close the sounds that ended."""
        quiet = [known for known, live in self._live.items() if mono_s - live.heard_s > LIVE_QUIET_S]
        return [saved for incident in quiet for saved in self.finish(incident)]

    def end(self, incident: ReportId) -> list[Saved]:
        """Close a sealed incident's sound for good; frames that come after its manifest are left out."""
        self._over.append(incident)
        return self.finish(incident)

    def finish(self, incident: ReportId) -> list[Saved]:
        """Close an incident's sound, if one is being recorded."""
        live = self._live.pop(incident, None)
        if live is None:
            return []
        live.ogg.finish()
        os.fsync(live.out.fileno())
        live.out.close()
        place = _free_place(live.part.parent)
        live.part.rename(place)
        sync(place.parent)
        size, sha256 = hash_file(place)
        return [Saved(incident, "sound", "live", place.name, place, size, sha256)]

    def close(self) -> list[Saved]:
        """Close all."""
        return [saved for incident in tuple(self._live) for saved in self.finish(incident)]

    def _is_cut(self, live: _Live, frame: media.LiveFrame) -> bool:
        gone = frame.number - live.next_number
        return live.size > LIVE_BYTES_MAX or gone > LIVE_GAP_FRAMES or gone < -LIVE_GAP_FRAMES

    def _count_open(self, incident: ReportId, mono_s: float) -> None:
        opens = self._opens.get(incident, self._opens[None])
        if len(opens) == LIVE_OPENS_MAX and mono_s - opens[0] < LIVE_OPENS_S:
            raise EvidenceError(
                f"{incident}: this live sound is not recorded, {LIVE_OPENS_MAX} began within {LIVE_OPENS_S:.0f} s: "
                "who publishes live sound at this broker?"
            )
        opens.append(mono_s)

    def _open(self, incident: ReportId, frame: media.LiveFrame, mono_s: float) -> _Live:
        home = incident_folder(self._folder, incident)
        home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home).free
        if free < self._free_bytes_min:
            raise EvidenceError(
                f"{incident}: live sound is not recorded; {self._folder} has {free} bytes free and keeps "
                f"{self._free_bytes_min}: make room"
            )
        part = home / f".live.{time.time_ns()}.ogg"
        out = part.open("xb")
        return _Live(part, out, OpusFile(out, incident.seq % 2**32), frame.number, mono_s)


def _saved(chunk: media.Chunk, place: Path) -> Saved:
    return Saved(chunk.incident, chunk.kind, chunk.source, chunk.name, place, chunk.size, chunk.sha256)


def _free_place(home: Path) -> Path:
    # The capital keeps these apart from all names that a panel can give.
    number = 1
    while (place := home / f"Live-{number}.ogg").exists():
        number += 1
    return place
