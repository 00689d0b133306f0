"""A publication's properties are cut off unread, whatever stands in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.mqtt import without_properties


def packet(topic: bytes, mid: bytes, properties: bytes, payload: bytes) -> bytearray:
    size, length = len(properties), b""
    while True:
        size, part = size >> 7, size & 0x7F
        length += bytes((part | (0x80 if size else 0),))
        if not size:
            return bytearray(len(topic).to_bytes(2, "big") + topic + mid + length + properties + payload)


@given(st.binary(max_size=80), st.booleans(), st.binary(max_size=300), st.binary(max_size=80))
def test_topic_identity_and_payload_stay(topic, with_mid, properties, payload):
    mid = b"\x12\x34" if with_mid else b""
    whole = packet(topic, mid, properties, payload)
    assert without_properties(whole, with_mid=with_mid) == packet(topic, mid, b"", payload)


def test_long_properties_are_cut_off_too():
    whole = packet(b"t", b"\0\1", bytes(300_000), b"payload")
    assert without_properties(whole, with_mid=True) == packet(b"t", b"\0\1", b"", b"payload")


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_at_all_raise_nothing(rubbish, with_mid):
    cut = without_properties(bytearray(rubbish), with_mid=with_mid)
    assert len(cut) <= len(rubbish)


def test_lengths_that_do_not_fit_are_left_to_paho():
    for broken in (b"", b"\0", b"\0\1t", b"\0\1t\0\1\x05ab", b"\0\1t\0\1\xff\xff\xff\xff\x01"):
        assert without_properties(bytearray(broken), with_mid=True) == broken
