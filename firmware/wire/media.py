"""Evidence and live sound on the wire: what the panel's media child sends and what a receiver answers.

An evidence message is four bytes of header length (big-endian), a JSON header, and the bytes of one chunk. A live
message is a fixed binary header and one Opus frame. Everything here is read from a network by somebody: each decoder
takes any bytes at all and answers with a checked value or `MediaWireError`.

The `mac` of a header is HMAC-SHA256 over the canonical JSON of the header without it, keyed with the panel's key; since
the header holds the SHA-256 of the chunk and of the whole file, it vouches for both: a recorded header with other bytes
behind it would spoil a file again and again. A receipt's `mac` is keyed with the key shared with that receiver.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from firmware.core.report import SEQ_MAX, ReportId
from firmware.wire.fields import PANEL_PATTERN, Fields, WireError, parse_object
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")

VERSION = 1
KINDS = ("still", "clip", "sound", "manifest")
MANIFEST_NAME = "manifest.json"
CHUNK_BYTES = 16 * 1024
"""What the panel sends; a chunk must not hold a slow link longer than a few live frames."""
CHUNK_MAX = 64 * 1024
"""What a receiver takes."""
HEADER_MAX = 2048
FILE_MAX = 2**31
"""Largest file of evidence: ten minutes at 25 Mbit/s are under it."""
MANIFEST_MAX = 4 * 1024 * 1024
MANIFEST_FILES_MAX = 16384
RECEIPT_MAX = 2048
OPUS_MAX = 1275
"""Longest Opus packet of one frame (RFC 6716, section 3.4)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}(\.[a-z0-9]{1,8}){1,2}", re.ASCII)
_SOURCE = PANEL_PATTERN
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LIVE = struct.Struct(">BBHIQ")
_U32 = 2**32


class MediaWireError(ValueError):
    """Bytes from the wire that are no media message; the message says which rule they break."""


def _decoder(decode: Callable[_P, _T]) -> Callable[_P, _T]:
    @functools.wraps(decode)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return decode(*args, **kwargs)
        except WireError as error:
            raise MediaWireError(str(error)) from None

    return checked


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one file of evidence.

    Attributes:
        incident: What the file belongs to.
        kind: "still", "clip", "sound" or "manifest".
        source: Camera or microphone name; "panel" for the manifest.
        name: File name without any folder, unique in its incident: `[a-z0-9_-]` and one or two extensions.
        size: Bytes of the whole file.
        sha256: Of the whole file, hexadecimal.
        offset: Where `data` begins in it.
        data: 1 to `CHUNK_MAX` bytes.
    """

    incident: ReportId
    kind: str
    source: str
    name: str
    size: int
    sha256: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EvidenceReceipt:
    """A receiver has a whole file and its hash is right."""

    incident: ReportId
    name: str
    sha256: str
    receiver: str


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """20 ms of live sound.

    Attributes:
        number: Counts from 0 in one incident; a gap is a lost frame.
        mono_ms: Panel's monotonic clock at the first sample.
        samples: Samples at Opus' 48 kHz clock (RFC 7587, section 4.1): 960 for 20 ms.
        opus: One Opus packet.
    """

    number: int
    mono_ms: int
    samples: int
    opus: bytes


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file of an incident.

    Attributes:
        first_mono_ms: Monotonic milliseconds of its first picture or sample.
        last_mono_ms: Of its last.
        first_utc_ms: The same on the panel's wall clock, which may be wrong.
        last_utc_ms: The same for the last.
        recovered: Cut by a crash and made playable again.
    """

    name: str
    kind: str
    source: str
    size: int
    sha256: str
    first_mono_ms: int
    last_mono_ms: int
    first_utc_ms: int
    last_utc_ms: int
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of an incident.

    Attributes:
        complete: False when the media child died during the capture, so that something may be missing.
        lost: Names of files that were begun and could not be saved.
    """

    incident: ReportId
    complete: bool
    clock_synced: bool
    files: tuple[ManifestEntry, ...]
    lost: tuple[str, ...] = ()


def encode_chunk(chunk: Chunk, key: bytes | None) -> bytes:
    """The message for one chunk, signed when there is a key."""
    header = seal(
        {
            "v": VERSION,
            "incident": str(chunk.incident),
            "kind": chunk.kind,
            "source": chunk.source,
            "name": chunk.name,
            "size": chunk.size,
            "sha256": chunk.sha256,
            "offset": chunk.offset,
            "length": len(chunk.data),
            "chunk_sha256": digest(chunk.data),
        },
        key,
    )
    return struct.pack(">I", len(header)) + header + chunk.data


@_decoder
def decode_chunk(payload: bytes, key: bytes | None = None) -> Chunk:
    """Read the message of one chunk.

    Args:
        payload: From the network.
        key: The panel's key; given, an unsigned or wrongly signed header is refused.

    Raises:
        MediaWireError: It breaks a rule.
    """
    if len(payload) < 4 or len(payload) > 4 + HEADER_MAX + CHUNK_MAX:  # noqa: PLR2004 - the length of the length
        raise WireError("evidence", "payload", f"{len(payload)} bytes", f"4 to {4 + HEADER_MAX + CHUNK_MAX} bytes")
    (length,) = struct.unpack_from(">I", payload)
    if length > HEADER_MAX or 4 + length > len(payload):
        raise WireError("evidence", "header length", length, f"at most {HEADER_MAX}, and inside the message")
    _, fields = _open(payload[4 : 4 + length], "evidence header", HEADER_MAX, key)
    data = payload[4 + length :]
    chunk = Chunk(
        incident=fields.identity("incident"),
        kind=fields.choice("kind", KINDS),
        source=fields.text("source", 64, _SOURCE),
        name=_name(fields),
        size=fields.integer("size", 1, FILE_MAX),
        sha256=fields.text("sha256", 64, _HASH),
        offset=fields.integer("offset", 0, FILE_MAX),
        data=data,
    )
    length = fields.integer("length", 1, CHUNK_MAX)
    if length != len(data):
        raise WireError("evidence header", "length", length, f"the {len(data)} bytes that follow")
    if fields.text("chunk_sha256", 64, _HASH) != digest(data):
        raise WireError("evidence header", "chunk_sha256", "another one", f"that of the {len(data)} bytes that follow")
    if chunk.offset + len(data) > chunk.size:
        raise WireError("evidence header", "offset", chunk.offset, f"inside a file of {chunk.size} bytes")
    return chunk


@_decoder
def file_name(name: str) -> str:
    """The name itself when it is safe to write below an incident's folder.

    Raises:
        MediaWireError: It could name something else: a folder, a hidden file, a device, a temporary file.
    """
    if not _NAME.fullmatch(name) or name.endswith((".tmp", ".part")):
        raise WireError("evidence", "name", name, "a file name of [a-z0-9_-] with one or two extensions")
    return name


def encode_evidence_receipt(receipt: EvidenceReceipt, key: bytes | None) -> bytes:
    """A receiver's answer to a whole file, signed with the key it shares with the panel."""
    return seal(
        {
            "v": VERSION,
            "incident": str(receipt.incident),
            "name": receipt.name,
            "sha256": receipt.sha256,
            "receiver": receipt.receiver,
        },
        key,
    )


@_decoder
def decode_evidence_receipt(payload: bytes, key: bytes | None = None) -> EvidenceReceipt:
    """Read a receiver's answer; with a key the signature must be right.

    Raises:
        MediaWireError: It breaks a rule.
    """
    _, fields = _open(payload, "evidence receipt", RECEIPT_MAX, key)
    return EvidenceReceipt(
        incident=fields.identity("incident"),
        name=_name(fields),
        sha256=fields.text("sha256", 64, _HASH),
        receiver=fields.text("receiver", 64, _SOURCE),
    )


def encode_live(frame: LiveFrame) -> bytes:
    """The message for one live frame: version, zero, samples, number, milliseconds, Opus."""
    return _LIVE.pack(VERSION, 0, frame.samples, frame.number % _U32, frame.mono_ms) + frame.opus


@_decoder
def decode_live(payload: bytes) -> LiveFrame:
    """Read one live frame.

    Raises:
        MediaWireError: It breaks a rule.
    """
    if not _LIVE.size < len(payload) <= _LIVE.size + OPUS_MAX:
        limit = f"{_LIVE.size + 1} to {_LIVE.size + OPUS_MAX} bytes"
        raise WireError("live frame", "payload", f"{len(payload)} bytes", limit)
    version, _, samples, number, mono_ms = _LIVE.unpack_from(payload)
    if version != VERSION or mono_ms > SEQ_MAX or not samples:
        raise WireError("live frame", "header", (version, samples, mono_ms), "version 1, some samples, a time")
    return LiveFrame(number, mono_ms, samples, payload[_LIVE.size :])


def encode_manifest(manifest: Manifest, key: bytes | None) -> bytes:
    """The file `manifest.json` of an incident, signed when there is a key."""
    return seal(
        {
            "v": VERSION,
            "panel": manifest.incident.panel,
            "incident": str(manifest.incident),
            "complete": manifest.complete,
            "clock_synced": manifest.clock_synced,
            "lost": list(manifest.lost),
            "files": [
                {name: getattr(entry, name) for name in ManifestEntry.__dataclass_fields__} for entry in manifest.files
            ],
        },
        key,
    )


@_decoder
def decode_manifest(payload: bytes, key: bytes | None = None) -> Manifest:
    """Read `manifest.json`; with a key the signature must be right.

    Raises:
        MediaWireError: It breaks a rule.
    """
    found, fields = _open(payload, "manifest", MANIFEST_MAX, key)
    incident = fields.identity("incident")
    fields.same("panel", incident.panel, "as its incident says")
    files, lost = found.get("files"), found.get("lost")
    if not isinstance(files, list) or not isinstance(lost, list) or len(files) + len(lost) > MANIFEST_FILES_MAX:
        raise WireError("manifest", "files", files, f"lists of at most {MANIFEST_FILES_MAX} files")
    return Manifest(
        incident,
        complete=fields.flag("complete"),
        clock_synced=fields.flag("clock_synced"),
        files=tuple(_entry(item) for item in files),
        lost=tuple(file_name(item if isinstance(item, str) else "") for item in lost),
    )


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _entry(item: object) -> ManifestEntry:
    if not isinstance(item, dict):
        raise WireError("manifest", "files", item, "a list of objects")
    fields = Fields(item, "manifest", "files.")
    times = {
        name: fields.integer(name, -SEQ_MAX, SEQ_MAX)
        for name in ("first_mono_ms", "last_mono_ms", "first_utc_ms", "last_utc_ms")
    }
    return ManifestEntry(
        name=_name(fields),
        kind=fields.choice("kind", KINDS),
        source=fields.text("source", 64, _SOURCE),
        size=fields.integer("size", 1, FILE_MAX),
        sha256=fields.text("sha256", 64, _HASH),
        recovered=fields.flag("recovered"),
        **times,
    )


def _open(payload: bytes, what: str, high: int, key: bytes | None) -> tuple[dict[str, Any], Fields]:
    found = parse_object(payload, what, high)
    if key is not None:
        verify(found, key, what)
    fields = Fields(found, what)
    fields.version()
    return found, fields


def _name(fields: Fields) -> str:
    return file_name(fields.text("name", 100))
