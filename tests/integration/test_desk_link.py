"""A desk's link to a broker that is slow to let it read: what a cluster does while it elects a leader."""

import socket
import threading
import time

import pytest

from firmware.receiver.link import Link, LinkConfig

PATIENCE_S = 20.0
GRANTED, REFUSED = 0x01, 0x80
ALL = "gatebooth/v1/+/report/+"
CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture
def cluster_that_answers():
    """Starts a broker of MQTT 3.1.1 that answers the desk's subscriptions with these codes, one a connection."""
    door = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve(answers):
        for code in answers:
            wire, _ = door.accept()
            kept.append(wire)
            wire.recv(1024)
            wire.sendall(CONNACK)
            packet = wire.recv(1024)
            wire.sendall(b"\x90\x03" + packet[2:4] + bytes([code]))

    def start(*answers):
        threading.Thread(target=serve, args=(answers,), daemon=True).start()
        return door.getsockname()[1]

    yield start
    for wire in (door, *kept):
        wire.close()


@pytest.mark.parametrize("answers", [(REFUSED, GRANTED), (GRANTED, REFUSED, GRANTED)])
def test_a_desk_that_may_not_read_yet_is_not_up_and_tries_again(cluster_that_answers, answers):
    port, told = cluster_that_answers(*answers), []
    link = Link(
        LinkConfig("127.0.0.1", port, "desk", protocol="3.1.1"),
        ((ALL, 1),),
        lambda *_: None,
        lambda up, why: told.append((up, why)),
    )
    wanted, pause, deadline = answers.count(GRANTED), threading.Event(), time.monotonic() + PATIENCE_S
    while (ups := sum(up for up, _ in told)) < wanted and time.monotonic() < deadline:
        link.step(time.monotonic())
        pause.wait(0.01)
        if link.up and ups < wanted:
            link._client.socket().shutdown(socket.SHUT_RDWR)
    link.close()
    assert told[-1][0]
    assert told[-2] == (False, f"the broker does not let this desk read {ALL}: correct its access list")
