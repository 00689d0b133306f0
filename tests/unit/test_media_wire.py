"""What the media wire takes and what it refuses."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.core.report import ReportId
from firmware.wire import media

KEY = bytes(range(32))
INCIDENT = ReportId("booth-1", 3, 17)
CHUNK = media.Chunk(INCIDENT, "clip", "gate", "gate-000.mp4", 40_000, "ab" * 32, 16_384, b"x" * 5000)
RECEIPT = media.EvidenceReceipt(INCIDENT, "gate-000.mp4", "ab" * 32, "110")
ENTRY = media.ManifestEntry("gate-000.mp4", "clip", "gate", 40_000, "ab" * 32, 1, 2, 3, 4)
MANIFEST = media.Manifest(INCIDENT, complete=True, clock_synced=False, files=(ENTRY,), lost=("gate-001.mp4",))


def rewritten(payload: bytes, **changes: object) -> bytes:
    (length,) = struct.unpack_from(">I", payload)
    header = json.loads(payload[4 : 4 + length]) | changes
    header = {name: value for name, value in header.items() if value is not ...}
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload[4 + length :]


@pytest.mark.parametrize("key", [None, KEY])
def test_a_chunk_comes_back_as_it_was(key):
    assert media.decode_chunk(media.encode_chunk(CHUNK, key), key) == CHUNK


@pytest.mark.parametrize("key", [None, KEY])
def test_a_receipt_comes_back_as_it_was(key):
    assert media.decode_evidence_receipt(media.encode_evidence_receipt(RECEIPT, key), key) == RECEIPT


@pytest.mark.parametrize("key", [None, KEY])
def test_a_manifest_comes_back_as_it_was(key):
    assert media.decode_manifest(media.encode_manifest(MANIFEST, key), key) == MANIFEST


def test_a_live_frame_comes_back_as_it_was():
    frame = media.LiveFrame(7, 123_456_789, 960, b"opus")
    assert media.decode_live(media.encode_live(frame)) == frame


def test_a_signed_chunk_is_read_without_a_key():
    assert media.decode_chunk(media.encode_chunk(CHUNK, KEY)) == CHUNK


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/passwd"},
        {"name": "/etc/passwd"},
        {"name": ".."},
        {"name": ".hidden.mp4"},
        {"name": "a/b.mp4"},
        {"name": "a\\b.mp4"},
        {"name": "a.mp4\n"},
        {"name": "a\x00.mp4"},
        {"name": "a.tmp"},
        {"name": "a"},
        {"name": 5},
        {"name": "x" * 200 + ".mp4"},
        {"size": 0},
        {"size": -1},
        {"size": 2**40},
        {"size": 21_383},
        {"size": True},
        {"size": 1e4},
        {"offset": -1},
        {"offset": 39_999},
        {"offset": "0"},
        {"length": 4999},
        {"length": 0},
        {"sha256": "AB" * 32},
        {"sha256": "ab"},
        {"chunk_sha256": "0" * 64},
        {"chunk_sha256": "AB" * 32},
        {"kind": "virus"},
        {"source": "../x"},
        {"incident": "booth-1/3"},
        {"incident": "../../x/3/17"},
        {"incident": f"booth-1/3/{10**30}"},
        {"v": 2},
        {"v": ...},
        {"name": ...},
    ],
    ids=str,
)
def test_a_hostile_chunk_header_is_refused(changes):
    with pytest.raises(media.MediaWireError):
        media.decode_chunk(rewritten(media.encode_chunk(CHUNK, None), **changes))


def test_a_header_changed_after_signing_is_refused():
    changed = rewritten(media.encode_chunk(CHUNK, KEY), offset=0)
    assert media.decode_chunk(changed).offset == 0
    with pytest.raises(media.MediaWireError, match="signature"):
        media.decode_chunk(changed, KEY)


def test_other_bytes_behind_a_signed_header_are_refused():
    message = media.encode_chunk(CHUNK, KEY)
    with pytest.raises(media.MediaWireError, match="chunk_sha256"):
        media.decode_chunk(message[:-1] + bytes((message[-1] ^ 1,)), KEY)


def test_a_header_without_the_chunks_hash_vouches_for_nothing_and_is_refused():
    with pytest.raises(media.MediaWireError, match="chunk_sha256"):
        media.decode_chunk(rewritten(media.encode_chunk(CHUNK, None), chunk_sha256=...))


@pytest.mark.parametrize("mac", [..., "", "é", 5, "0" * 64, ["0"]])
def test_a_wrong_signature_is_refused(mac):
    with pytest.raises(media.MediaWireError, match="signature"):
        media.decode_chunk(rewritten(media.encode_chunk(CHUNK, KEY), mac=mac), KEY)


def test_a_lone_surrogate_under_a_signature_is_refused():
    with pytest.raises(media.MediaWireError):
        media.decode_chunk(rewritten(media.encode_chunk(CHUNK, KEY), note="\ud800"), KEY)


def test_a_header_longer_than_its_message_is_refused():
    with pytest.raises(media.MediaWireError, match="header"):
        media.decode_chunk(struct.pack(">I", 2**32 - 1) + b"{}")


def test_nested_json_does_not_exhaust_the_stack():
    with pytest.raises(media.MediaWireError):
        media.decode_manifest(b'{"v":' + b"[" * 500_000)


def test_a_manifest_with_a_path_in_it_is_refused():
    body = json.loads(media.encode_manifest(MANIFEST, None))
    body["files"][0]["name"] = "../x.mp4"
    with pytest.raises(media.MediaWireError, match="file name"):
        media.decode_manifest(json.dumps(body).encode())


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise_anything_else(payload):
    for decode in (media.decode_chunk, media.decode_evidence_receipt, media.decode_live, media.decode_manifest):
        with contextlib.suppress(media.MediaWireError):
            decode(payload)


@given(
    st.dictionaries(
        st.sampled_from(
            ["v", "incident", "kind", "source", "name", "size", "sha256", "offset", "length", "chunk_sha256", "mac"]
        ),
        st.one_of(
            st.none(), st.integers(), st.text("/.ab\x00\ud800"), st.booleans(), st.lists(st.integers()), st.just(1)
        ),
    )
)
def test_no_header_at_all_raises_anything_else(header):
    text = json.dumps(header).encode()
    payload = struct.pack(">I", len(text)) + text + b"data"
    for key in (None, KEY):
        with pytest.raises(media.MediaWireError):
            media.decode_chunk(payload, key)
