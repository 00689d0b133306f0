"""The short way of reports through paho: the same bytes on the wire, every PUBACK told once, however it is cut."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from firmware.adapters.mqtt_reports import ReportClient

REASON_STRING = b"\x1f\0\x05sorry"
"""A property of a PUBACK that gives a reason (MQTT 5, 3.4.2.2.2)."""


class Peer:
    """A client of the given class on one end of a socket pair, the broker's end in hand."""

    def __init__(self, kind=ReportClient, protocol=paho.MQTTv5):
        self.client = kind(CallbackAPIVersion.VERSION2, client_id="c", protocol=protocol)
        ours, self.far = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.ours = self.client._sock = ours
        self.answers = []
        self.client.on_answer = lambda mid, reason: self.answers.append((mid, reason))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.far.close()
        self.ours.close()

    def hear(self, data):
        """The broker says something; the client reads all of it."""
        self.far.sendall(data)
        for _ in range(len(data) + 2):
            if failed := self.client.loop_read():
                return failed
        return 0


def puback(mid, reason=None, properties=None):
    body = mid.to_bytes(2, "big")
    if reason is not None:
        body += bytes((reason,))
    if properties is not None:
        length = b""
        size = len(properties)
        while True:
            length += bytes((size & 0x7F | (0x80 if size > 0x7F else 0),))
            size >>= 7
            if not size:
                break
        body += length + properties
    size, head = len(body), b"\x40"
    while size > 0x7F:
        head += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return head + bytes((size,)) + body


@pytest.mark.parametrize("protocol", [paho.MQTTv5, paho.MQTTv311])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("size", [0, 90, 1024, 70_000])
def test_a_publication_has_the_bytes_that_paho_would_write(protocol, retain, size):
    with Peer(protocol=protocol) as short, Peer(paho.Client, protocol) as whole:
        for peer in (short, whole):
            peer.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        mid = short.client.send("gatebooth/p/报警", b"x" * size, retain=retain, more=False)
        assert mid == whole.client.publish("gatebooth/p/报警", b"x" * size, qos=1, retain=retain).mid
        assert short.far.recv(1 << 18) == whole.far.recv(1 << 18)


def test_what_another_follows_travels_with_it():
    with Peer() as peer:
        peer.client.send("a", b"1", retain=False, more=True)
        with pytest.raises(BlockingIOError):
            peer.far.recv(99, socket.MSG_DONTWAIT)
        peer.client.send("b", b"2", retain=False, more=False)
        assert peer.far.recv(99) == b"\x32\x07\0\x01a\0\x01\x001" + b"\x32\x07\0\x01b\0\x02\x002"


def test_a_full_socket_keeps_the_rest_for_later():
    with Peer() as peer:
        payload = b"x" * 2_000_000
        peer.client.send("a", payload, retain=False, more=False)
        assert peer.client.want_write()
        got = b""
        while len(got) < len(payload):
            got += peer.far.recv(1 << 20)
            peer.client.loop_write()
        assert got.endswith(payload)
        assert not peer.client.want_write()


def test_a_batch_that_the_socket_takes_in_parts_arrives_whole_and_in_order():
    with Peer() as peer, Peer() as whole:
        whole.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        peer.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for one in (peer, whole):
            for number in range(12):
                one.client.send("t", bytes((number,)) * 5000, retain=False, more=number < 11)
        assert peer.client.want_write(), "the batch fits in the socket: nothing is proven"
        peer.client.send("t", b"an alarm", retain=False, more=False)
        got = b""
        while peer.client.want_write():
            got += peer.far.recv(1 << 20)
            peer.client.loop_write()
        got += peer.far.recv(1 << 20)
        batch = whole.far.recv(1 << 20)
        assert got[: len(batch)] == batch
        assert got.endswith(b"an alarm")


def test_a_link_that_dies_in_the_middle_of_a_batch_is_noticed_by_the_next_read():
    with Peer() as peer:
        peer.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for number in range(12):
            peer.client.send("t", bytes(5000), retain=False, more=number < 11)
        peer.far.sendall(puback(1))
        peer.far.close()
        reads = [peer.client.loop_read() for _ in range(3)]
        assert any(reads), "nobody heard that the link died"


def test_answers_before_the_end_are_told():
    with Peer() as peer:
        peer.far.sendall(puback(2) + puback(1))
        peer.far.close()
        assert peer.client.loop_read() == 0
        assert peer.client.loop_read() != 0
        assert peer.answers == [(2, 0), (1, 0)]


def test_every_form_of_a_puback_is_told():
    forms = [puback(1), puback(2, 0), puback(3, 0x10), puback(4, 0x87, b""), puback(5, 0x97, REASON_STRING)]
    with Peer() as peer:
        assert peer.hear(b"".join(forms)) == 0
        assert peer.answers == [(1, 0), (2, 0), (3, 0x10), (4, 0x87), (5, 0x97)]


def test_a_puback_with_a_long_reason_is_told():
    with Peer() as peer:
        assert peer.hear(puback(7, 0x87, b"\x1f\x01\x2c" + b"x" * 300)) == 0
        assert peer.answers == [(7, 0x87)]


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=30, unique=True), st.integers(1, 17))
def test_pubacks_are_told_however_they_are_cut(mids, size):
    stream = b"".join(puback(mid, *((0x10, REASON_STRING) if mid % 3 == 0 else ())) for mid in mids)
    with Peer() as peer:
        for start in range(0, len(stream), size):
            assert peer.hear(stream[start : start + size]) == 0
        assert peer.answers == [(mid, 0x10 if mid % 3 == 0 else 0) for mid in mids]


def test_other_packets_between_pubacks_go_their_way():
    with Peer() as peer:
        came = []
        peer.client.on_message = lambda _client, _data, message: came.append((message.topic, message.payload))
        publication = b"\x30\x06\0\x01t\0hi"
        assert peer.hear(puback(1) + publication + puback(2) + b"\xd0\0" + publication + puback(3)) == 0
        assert came == [("t", b"hi"), ("t", b"hi")]
        assert peer.answers == [(1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize("rubbish", [b"\x40\0", b"\x40\x01\0", b"\x70\x02\0\x01"])
def test_an_answer_that_is_none_ends_the_connection(rubbish):
    with Peer() as peer:
        assert peer.hear(rubbish) == paho.MQTT_ERR_PROTOCOL
        assert peer.answers == []


def test_it_knows_that_it_has_read_more_than_was_looked_at():
    with Peer() as peer:
        peer.far.sendall(puback(1) + puback(2))
        peer.client.loop_read()
        peer.client.loop_read()
        while peer.client.has_unread:
            peer.client.loop_read()
        assert peer.answers == [(1, 0), (2, 0)]
