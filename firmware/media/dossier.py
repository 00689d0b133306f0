"""One incident's folder of evidence, and the log in it that tells a later child what is there.

`EPOCH-SEQ/NAME` is complete and never changed, `EPOCH-SEQ/NAME.part` grows, `EPOCH-SEQ/log.jsonl` has a line for each
file begun and ended, each receiver's receipt and the seal. A torn last line is what a cut leaves and is passed over.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from firmware.core.facts import EvidenceSealed
from firmware.core.report import ReportId
from firmware.files import hash_file, sync, write_all
from firmware.media.items import entry_of
from firmware.media.mp4 import playable_length
from firmware.wire.media import FILE_MAX, MANIFEST_NAME, ManifestEntry, MediaWireError, decode_manifest, file_name

if TYPE_CHECKING:
    from pathlib import Path

PART = ".part"
LOG_NAME = "log.jsonl"
LOG_MAX = 16 * 2**20
LENGTH_MAX_MS = 900_000
"""The longest clip with the longest pre-roll, and some."""
_FOLDER = re.compile(r"(\d{1,16})-(\d{1,16})", re.ASCII)
_FORM = re.compile(r"\d{16}-(?P<ms>\d{12,15})-(?P<source>.+)-(?P<kind>still|clip|sound)\.(jpg|mp4|m4a)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Begun:
    """A file that was begun; times are of its first picture or sample."""

    name: str
    kind: str
    source: str
    mono_ms: int
    utc_ms: int


class Dossier:
    """What is known of one incident's files.

    Args:
        folder: Its own.
        incident: Whose.

    Attributes:
        entries: Complete files by name, in order.
        begun: Files that grow.
        lost: Names of files that were begun and could not be saved.
        confirmed: Receivers that have a file, by its name.
        sealed: The manifest's summary, once it is made.
        interrupted: Whether a child died, or the disk failed, while it was captured.

    Synchronization: one thread.
    """

    def __init__(self, folder: Path, incident: ReportId) -> None:
        self.folder = folder
        self.incident = incident
        self.entries: dict[str, ManifestEntry] = {}
        self.begun: dict[str, Begun] = {}
        self.lost: list[str] = []
        self.confirmed: dict[str, set[str]] = {}
        self.sealed: EvidenceSealed | None = None
        self.interrupted = False
        self.dirty = False

    @property
    def names(self) -> frozenset[str]:
        """Every name that was ever used here."""
        return frozenset([*self.entries, *self.begun, *self.lost])

    @property
    def size(self) -> int:
        """Bytes of its files on disk.

        Raises:
            OSError: The folder cannot be read.
        """
        with os.scandir(self.folder) as found:
            return sum(item.stat().st_size for item in found if item.is_file(follow_symlinks=False))

    def begin(self, begun: Begun) -> None:
        """A file begins.

        Raises:
            OSError: The log cannot be written.
        """
        self.begun[begun.name] = begun
        self._log({"begin": asdict(begun)})

    def end(self, entry: ManifestEntry, *, logged: bool = True) -> None:
        """A file is complete; `logged` is False for one that lives in memory.

        Raises:
            OSError: The log cannot be written; the entry is kept all the same.
        """
        self.begun.pop(entry.name, None)
        self.entries[entry.name] = entry
        if logged:
            self._log({"end": asdict(entry)})

    def lose(self, name: str) -> None:
        """A file could not be saved."""
        self.begun.pop(name, None)
        self.entries.pop(name, None)
        if name not in self.lost:
            self.lost.append(name)

    def confirm(self, name: str, receiver: str) -> None:
        """A receiver has a file.

        Raises:
            OSError: The log cannot be written; the receiver will be offered the file once more after a restart.
        """
        self.confirmed.setdefault(name, set()).add(receiver)
        self._log({"receipt": name, "by": receiver})

    def seal(self, sealed: EvidenceSealed) -> None:
        """The manifest is made.

        Raises:
            OSError: The log cannot be written; the manifest itself tells the same.
        """
        self.sealed = sealed
        self._log({"sealed": sealed.manifest_sha256})

    def delivered(self, receivers: frozenset[str]) -> bool:
        """Whether every receiver has every file and the manifest."""
        names = [*self.entries, MANIFEST_NAME]
        return self.sealed is not None and all(receivers <= self.confirmed.get(name, set()) for name in names)

    def sync(self) -> None:
        """Have log and names on the disk.

        Raises:
            OSError: The disk failed.
        """
        self.dirty = False
        sync(self.folder / LOG_NAME)
        sync(self.folder)

    def _log(self, line: dict[str, Any]) -> None:
        self.dirty = True
        fd = os.open(self.folder / LOG_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A line of its own even after a torn one.
            write_all(fd, b"\n" + json.dumps(line, separators=(",", ":")).encode())
        finally:
            os.close(fd)


def incident_of(folder: Path, panel: str) -> ReportId | None:
    """Whose folder this is; None for one that is no incident's."""
    form = _FOLDER.fullmatch(folder.name)
    return ReportId(panel, int(form[1]), int(form[2])) if form else None


def read(folder: Path, incident: ReportId) -> Dossier:
    """What an earlier child's folder tells of itself; one without a manifest was interrupted.

    Raises:
        OSError: The folder cannot be read.
    """
    dossier = Dossier(folder, incident)
    _read_log(dossier)
    _read_manifest(dossier)
    dossier.interrupted = dossier.sealed is None
    return dossier


def recover(dossier: Dossier) -> None:
    """Make whole what an earlier child left cut, and give up what cannot be.

    Raises:
        OSError: The folder cannot be written; what is complete in it is known all the same.
    """
    for part in sorted(dossier.folder.glob("*" + PART)):
        if part.name.startswith(MANIFEST_NAME):
            part.unlink()
            continue
        place = part.with_name(part.name.removesuffix(PART))
        if rescue(part):
            sync(part)
            part.rename(place)
    for entry in list(dossier.entries.values()):
        if not (dossier.folder / entry.name).exists():
            dossier.lose(entry.name)
    for path in sorted(dossier.folder.iterdir()):
        if path.name not in dossier.entries and _FORM.fullmatch(path.name) and 0 < path.stat().st_size <= FILE_MAX:
            dossier.end(_adopt(dossier, path))
    for name in list(dossier.begun):
        dossier.lose(name)
    if dossier.dirty:
        dossier.sync()


def rescue(part: Path) -> int:
    """Cut a part to what is playable, or remove it; returns its length then.

    Raises:
        OSError: The disk failed.
    """
    size = part.stat().st_size
    whole = 0
    if part.name.endswith((".mp4" + PART, ".m4a" + PART)):
        with part.open("rb") as file:
            whole = playable_length(file, size)
    if whole == 0:
        part.unlink()
        return 0
    if whole < size:
        os.truncate(part, whole)
    return whole


def _read_log(dossier: Dossier) -> None:
    path = dossier.folder / LOG_NAME
    if not path.exists():
        return
    with path.open("rb") as file:
        lines = file.read(LOG_MAX).split(b"\n")
    for line in lines:
        # What is not ours in it is passed over: the files themselves are looked at as well.
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            _replay(dossier, json.loads(line))


def _replay(dossier: Dossier, line: dict[str, Any]) -> None:
    if "begin" in line:
        begun = Begun(**line["begin"])
        dossier.begun[file_name(begun.name)] = begun
    elif "end" in line:
        entry = ManifestEntry(**line["end"])
        dossier.begun.pop(entry.name, None)
        dossier.entries[file_name(entry.name)] = entry
    elif "receipt" in line:
        dossier.confirmed.setdefault(line["receipt"], set()).add(line["by"])


def _read_manifest(dossier: Dossier) -> None:
    path = dossier.folder / MANIFEST_NAME
    if not path.exists():
        return
    try:
        manifest = decode_manifest(path.read_bytes())
    except MediaWireError:
        path.unlink()
        return
    if manifest.incident != dossier.incident:
        return
    _, sha256 = hash_file(path)
    dossier.entries = {entry.name: entry for entry in manifest.files}
    dossier.begun.clear()
    dossier.lost = list(manifest.lost)
    total = sum(entry.size for entry in manifest.files)
    dossier.sealed = EvidenceSealed(dossier.incident, len(manifest.files), total, sha256, manifest.complete)


def _adopt(dossier: Dossier, path: Path) -> ManifestEntry:
    form = _FORM.fullmatch(path.name)
    assert form is not None  # noqa: S101 - only such names are adopted
    ended_ms = int(path.stat().st_mtime * 1000)
    begun = dossier.begun.get(path.name) or Begun(path.name, form["kind"], form["source"], int(form["ms"]), ended_ms)
    size, sha256 = hash_file(path)
    # The wall clock may have been set meanwhile; no file is longer than this.
    length_ms = min(max(0, ended_ms - begun.utc_ms), LENGTH_MAX_MS)
    return entry_of(begun, size, sha256, begun.mono_ms + length_ms, recovered=True)
