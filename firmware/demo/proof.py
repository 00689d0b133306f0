"""Proof that evidence is evidence: every file plays, and its hash is the one that the panel signed."""

from __future__ import annotations

import array
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import av

from firmware.wire import media
from firmware.wire.sign import load_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firmware.demo.stage import Stage
    from firmware.demo.story import File

LOUD = 0.01
"""Peak of the synthesised voice at least, of full scale."""
HISS = 0.0001
"""Peak of a real microphone in a quiet room at least; less is a dead one."""
LIVE_PREFIX = "Live-"


class ProofError(RuntimeError):
    """A file that is not what it should be; the message names it."""


def prove(stage: Stage, files: Sequence[File]) -> int:
    """Check all files of the 110 desk.

    Returns:
        How many files the signed manifests vouch for.

    Raises:
        ProofError: The first file that fails.
    """
    vouched = dict(_manifests(stage, files))
    peaks: dict[str, float] = {}
    for file in files:
        path = Path(file.path)
        digest = _digest(path)
        if digest != file.sha256:
            raise ProofError(f"{path} has changed since the desk saved it")
        if not file.name.startswith(LIVE_PREFIX) and vouched.get(path) != digest:
            raise ProofError(f"{path} is not in the manifest that the panel signed")
        peaks[file.kind] = max(peaks.get(file.kind, 0.0), plays(path, file.kind))
    for kind in ("clip", "sound"):  # each piece may lie between two words, but not all of them
        if kind in peaks and peaks[kind] < (LOUD if stage.synthesised_voice else HISS):
            raise ProofError(f"every {kind} is silent: the loudest peak is {peaks[kind]:.5f} of full scale")
    return len(vouched)


def plays(path: Path, kind: str) -> float:
    """Decode a file as a player would.

    Returns:
        The peak of its sound, 1 being full scale; 0 without sound.

    Raises:
        ProofError: It does not play, or is not what its kind promises.
    """
    try:
        with av.open(str(path)) as container:
            videos, sounds = container.streams.video, container.streams.audio
            if kind in ("still", "clip") and not videos:
                raise ProofError(f"{path} holds no pictures")
            if kind == "clip" and videos[0].codec_context.name not in ("h264", "hevc"):
                raise ProofError(f"{path} is coded as {videos[0].codec_context.name}, not as the camera sent it")
            if kind == "sound" and not sounds:
                raise ProofError(f"{path} holds no sound")
            pictures, peak = _decode(container)
    except (av.error.FFmpegError, OSError) as error:
        raise ProofError(f"{path} does not play: {error}") from None
    if kind in ("still", "clip") and not pictures:
        raise ProofError(f"{path} plays, but shows no picture")
    return peak


def _decode(container: av.container.InputContainer) -> tuple[int, float]:
    pictures, peak = 0, 0.0
    to_float = av.AudioResampler(format="flt", layout="mono")
    for frame in container.decode():
        if isinstance(frame, av.VideoFrame):
            pictures += 1
        elif isinstance(frame, av.AudioFrame):
            for part in to_float.resample(frame):
                samples = array.array("f", bytes(part.planes[0])[: part.samples * 4])
                peak = max(peak, max(samples, default=0.0), -min(samples, default=0.0))
    return pictures, peak


def _manifests(stage: Stage, files: Sequence[File]) -> Iterator[tuple[Path, str]]:
    key = load_key(stage.panel_key)
    found = (folder / media.MANIFEST_NAME for folder in sorted({Path(file.path).parent for file in files}))
    for path in filter(Path.is_file, found):
        try:
            manifest = media.decode_manifest(path.read_bytes(), key)
        except media.MediaWireError as error:
            raise ProofError(f"{path}: {error}") from None
        for entry in manifest.files:
            yield path.with_name(entry.name), entry.sha256


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as whole:
            return hashlib.file_digest(whole, "sha256").hexdigest()
    except OSError as error:
        raise ProofError(f"{path} cannot be read: {error.strerror}") from None
