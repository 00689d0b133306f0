"""Manifests at the desk: an incident's evidence is sealed when every file that the panel signed for is here.

A manifest is small and may overtake the files that it lists, so it waits for them.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.receiver import events as e
from firmware.receiver.evidence import missing_files

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.core.report import ReportId
    from firmware.receiver.evidence import Saved
    from firmware.wire.media import Manifest

PATIENCE_S = 60.0
"""Files that have not come this long after the last one are told as missing."""
WAITING_MAX = 64


@dataclass(slots=True)
class _Waiting:
    """A manifest whose files are not all here: names to hashes of those that lack."""

    manifest: Manifest
    signed: bool
    lacking: dict[str, str]
    since_s: float
    told: bool = False


class Seals:
    """Holds manifests until their files are here.

    Args:
        folder: The evidence store's.

    Synchronization: one thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: collections.OrderedDict[ReportId, _Waiting] = collections.OrderedDict()

    def manifest(self, manifest: Manifest, *, signed: bool, mono_s: float) -> list[e.Sealed]:
        """Take a manifest; sealed at once when all of its files are here.

        Raises:
            OSError: A file cannot be read.
        """
        names = set(missing_files(self._folder, manifest))
        lacking = {entry.name: entry.sha256 for entry in manifest.files if entry.name in names}
        waiting = _Waiting(manifest, signed, lacking, mono_s)
        if not lacking:
            return [_sealed(waiting)]
        self._waiting[manifest.incident] = waiting
        if len(self._waiting) > WAITING_MAX:
            _, oldest = self._waiting.popitem(last=False)
            return [_sealed(oldest)]
        return []

    def file(self, saved: Saved, mono_s: float) -> list[e.Sealed]:
        """Take a file that was saved; it may be the last that a manifest waited for."""
        waiting = self._waiting.get(saved.incident)
        if waiting is None or waiting.lacking.get(saved.name) != saved.sha256:
            return []
        del waiting.lacking[saved.name]
        waiting.since_s = mono_s
        if waiting.lacking:
            return []
        del self._waiting[saved.incident]
        return [_sealed(waiting)]

    def due(self, mono_s: float) -> list[e.Sealed]:
        """Manifests whose files do not come; each is told once, and once more if they come after all."""
        late = [item for item in self._waiting.values() if not item.told and mono_s - item.since_s > PATIENCE_S]
        for waiting in late:
            waiting.told = True
        return [_sealed(waiting) for waiting in late]


def _sealed(waiting: _Waiting) -> e.Sealed:
    manifest = waiting.manifest
    missing = (*sorted(waiting.lacking), *manifest.lost)
    return e.Sealed(manifest.incident, len(manifest.files), missing, manifest.complete, waiting.signed)
