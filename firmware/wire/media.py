"""Evidence and live sound on the wire: what the panel's media child sends and what a receiver answers.

An evidence message is four bytes of header length (big-endian), a JSON header, and the bytes of one chunk. A live
message is a fixed binary header and one Opus frame. Everything here is read from a network by somebody: each decoder
takes any bytes at all and answers with a checked value or `MediaWireError`.

The `mac` of a header is HMAC-SHA256 over the canonical JSON of the header without it, keyed with the panel's key; since
the header holds the file's SHA-256, it vouches for the whole file once that hash is checked. A receipt's `mac` is keyed
with the key shared with that receiver.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
from dataclasses import dataclass
from typing import Any

from firmware.core.report import SEQ_MAX, ReportId

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

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(\.[a-z0-9]{1,8}){1,2}", re.ASCII)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LIVE = struct.Struct(">BBHIQ")
_U32 = 2**32


class MediaWireError(ValueError):
    """Bytes from the wire that are no media message; the message says which rule they break."""


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
    header = _signed(
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
        },
        key,
    )
    return struct.pack(">I", len(header)) + header + chunk.data


def decode_chunk(payload: bytes, key: bytes | None = None) -> Chunk:
    """Read the message of one chunk.

    Args:
        payload: From the network.
        key: The panel's key; given, an unsigned or wrongly signed header is refused.

    Raises:
        MediaWireError: It breaks a rule.
    """
    if len(payload) < 4 or len(payload) > 4 + HEADER_MAX + CHUNK_MAX:  # noqa: PLR2004 - the length of the length
        raise MediaWireError(f"evidence message of {len(payload)} bytes, allowed are 4 to {4 + HEADER_MAX + CHUNK_MAX}")
    (length,) = struct.unpack_from(">I", payload)
    if length > HEADER_MAX or 4 + length > len(payload):
        raise MediaWireError(f"evidence header of {length} bytes in {len(payload)}, limit {HEADER_MAX}")
    header = _object(payload[4 : 4 + length], HEADER_MAX, "evidence header")
    _verify(header, key, "evidence header")
    data = payload[4 + length :]
    chunk = Chunk(
        incident=_incident(header),
        kind=_kind(header),
        source=_text(header, "source", _SOURCE),
        name=file_name(_string(header, "name")),
        size=_integer(header, "size", 1, FILE_MAX),
        sha256=_text(header, "sha256", _HASH),
        offset=_integer(header, "offset", 0, FILE_MAX),
        data=data,
    )
    if _integer(header, "length", 1, CHUNK_MAX) != len(data):
        raise MediaWireError(f"evidence chunk says {header['length']} bytes and holds {len(data)}")
    if chunk.offset + len(data) > chunk.size:
        raise MediaWireError(f"evidence chunk ends at {chunk.offset + len(data)}, its file has {chunk.size} bytes")
    return chunk


def file_name(name: str) -> str:
    """The name itself when it is safe to write below an incident's folder.

    Raises:
        MediaWireError: It could name something else: a folder, a hidden file, a device, a temporary file.
    """
    if not _NAME.fullmatch(name) or name.endswith((".tmp", ".part")):
        raise MediaWireError(f"evidence file name {name[:80]!r} is not of the form [a-z0-9_-]….ext")
    return name


def encode_evidence_receipt(receipt: EvidenceReceipt, key: bytes | None) -> bytes:
    """A receiver's answer to a whole file, signed with the key it shares with the panel."""
    return _signed(
        {
            "v": VERSION,
            "incident": str(receipt.incident),
            "name": receipt.name,
            "sha256": receipt.sha256,
            "receiver": receipt.receiver,
        },
        key,
    )


def decode_evidence_receipt(payload: bytes, key: bytes | None = None) -> EvidenceReceipt:
    """Read a receiver's answer; with a key the signature must be right.

    Raises:
        MediaWireError: It breaks a rule.
    """
    body = _object(payload, RECEIPT_MAX, "evidence receipt")
    _verify(body, key, "evidence receipt")
    return EvidenceReceipt(
        incident=_incident(body),
        name=file_name(_string(body, "name")),
        sha256=_text(body, "sha256", _HASH),
        receiver=_text(body, "receiver", _SOURCE),
    )


def encode_live(frame: LiveFrame) -> bytes:
    """The message for one live frame: version, zero, samples, number, milliseconds, Opus."""
    return _LIVE.pack(VERSION, 0, frame.samples, frame.number % _U32, frame.mono_ms) + frame.opus


def decode_live(payload: bytes) -> LiveFrame:
    """Read one live frame.

    Raises:
        MediaWireError: It breaks a rule.
    """
    if not _LIVE.size < len(payload) <= _LIVE.size + OPUS_MAX:
        raise MediaWireError(
            f"live frame of {len(payload)} bytes, allowed are {_LIVE.size + 1} to {_LIVE.size + OPUS_MAX}"
        )
    version, _, samples, number, mono_ms = _LIVE.unpack_from(payload)
    if version != VERSION or mono_ms > SEQ_MAX or not samples:
        raise MediaWireError(f"live frame of version {version}, {samples} samples, at {mono_ms} ms")
    return LiveFrame(number, mono_ms, samples, payload[_LIVE.size :])


def encode_manifest(manifest: Manifest, key: bytes | None) -> bytes:
    """The file `manifest.json` of an incident, signed when there is a key."""
    return _signed(
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


def decode_manifest(payload: bytes, key: bytes | None = None) -> Manifest:
    """Read `manifest.json`; with a key the signature must be right.

    Raises:
        MediaWireError: It breaks a rule.
    """
    body = _object(payload, MANIFEST_MAX, "manifest")
    _verify(body, key, "manifest")
    incident = _incident(body)
    if body.get("panel") != incident.panel:
        raise MediaWireError(f"manifest of {incident} names panel {str(body.get('panel'))[:80]!r}")
    files, lost = body.get("files"), body.get("lost")
    if not isinstance(files, list) or not isinstance(lost, list) or len(files) + len(lost) > MANIFEST_FILES_MAX:
        raise MediaWireError(f"manifest of {incident} has no lists of at most {MANIFEST_FILES_MAX} files")
    return Manifest(
        incident,
        complete=_flag(body, "complete"),
        clock_synced=_flag(body, "clock_synced"),
        files=tuple(_entry(item) for item in files),
        lost=tuple(file_name(item if isinstance(item, str) else "") for item in lost),
    )


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _entry(item: object) -> ManifestEntry:
    if not isinstance(item, dict):
        raise MediaWireError(f"manifest entry is no object: {str(item)[:80]!r}")
    times = {
        name: _integer(item, name, -SEQ_MAX, SEQ_MAX)
        for name in ("first_mono_ms", "last_mono_ms", "first_utc_ms", "last_utc_ms")
    }
    return ManifestEntry(
        name=file_name(_string(item, "name")),
        kind=_kind(item),
        source=_text(item, "source", _SOURCE),
        size=_integer(item, "size", 1, FILE_MAX),
        sha256=_text(item, "sha256", _HASH),
        recovered=_flag(item, "recovered"),
        **times,
    )


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _mac(body: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, _canonical({k: v for k, v in body.items() if k != "mac"}), hashlib.sha256).hexdigest()


def _signed(body: dict[str, Any], key: bytes | None) -> bytes:
    return _canonical(body if key is None else body | {"mac": _mac(body, key)})


def _verify(body: dict[str, Any], key: bytes | None, what: str) -> None:
    if key is None:
        return
    mac = body.get("mac")
    try:
        right = isinstance(mac, str) and mac.isascii() and hmac.compare_digest(mac, _mac(body, key))
    except UnicodeEncodeError:  # a lone surrogate out of a JSON escape has no UTF-8
        right = False
    if not right:
        raise MediaWireError(f"{what}: signature missing or wrong; check that both sides hold the same key file")


def _object(payload: bytes, limit: int, what: str) -> dict[str, Any]:
    if len(payload) > limit:
        raise MediaWireError(f"{what} of {len(payload)} bytes, limit {limit}")
    try:
        body = json.loads(payload.decode())
    except (ValueError, RecursionError) as error:
        raise MediaWireError(f"{what} is no JSON: {str(error)[:80]}") from None
    if not isinstance(body, dict) or body.get("v") != VERSION:
        raise MediaWireError(f"{what} is no object of version {VERSION}: {str(body)[:80]!r}")
    return body


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise MediaWireError(f"{name} is no text: {str(value)[:80]!r}")
    return value


def _text(body: dict[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = _string(body, name)
    if not form.fullmatch(value):
        raise MediaWireError(f"{name} {value[:80]!r} is not of the form {form.pattern}")
    return value


def _integer(body: dict[str, Any], name: str, low: int, high: int) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise MediaWireError(f"{name} is no integer from {low} to {high}: {str(value)[:80]!r}")
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise MediaWireError(f"{name} is neither true nor false: {str(value)[:80]!r}")
    return value


def _kind(body: dict[str, Any]) -> str:
    value = _string(body, "kind")
    if value not in KINDS:
        raise MediaWireError(f"kind {value[:80]!r} is none of {', '.join(KINDS)}")
    return value


def _incident(body: dict[str, Any]) -> ReportId:
    try:
        incident = ReportId.parse(_string(body, "incident"))
    except ValueError as error:
        raise MediaWireError(str(error)) from None
    if not _SOURCE.fullmatch(incident.panel) or max(incident.epoch, incident.seq) > SEQ_MAX:
        raise MediaWireError(f"incident {str(incident)[:80]!r} is no identity that a panel can have")
    return incident
