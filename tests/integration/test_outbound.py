"""Calling a host: several addresses, dead ones among them, and packets that vanish."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from firmware.adapters import outbound
from firmware.adapters.outbound import Outbound

HOST = "broker.gatebooth.test"


class Deaf:
    """A port whose queue is full: the kernel drops every call, as a network does that packets vanish in."""

    def __init__(self, host="127.0.0.1", port=0):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._callers = []
        for _ in range(4):
            caller = socket.socket()
            caller.settimeout(0)
            caller.connect_ex((host, self.port))
            self._callers.append(caller)

    def hear(self):
        """Take whoever waits, and everybody from now on."""
        for caller in self._callers:
            caller.close()
        self._listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        kept = []
        while True:
            try:
                kept.append(self._listener.accept())
            except OSError:
                return

    def close(self):
        for caller in self._callers:
            caller.close()
        self._listener.close()


@pytest.fixture
def deaf():
    made = Deaf()
    yield made
    made.close()


@pytest.fixture
def addresses(mocker):
    """What the host's name means; the addresses of loopback all lead to this machine."""
    found = []
    real = socket.getaddrinfo

    def ask(host, port, *args, flags=0, **kwargs):
        if host != HOST or flags & socket.AI_NUMERICHOST:
            return real(host, port, *args, flags=flags, **kwargs)
        return [entry for address in found for entry in real(address, port, *args, **kwargs)]

    mocker.patch("socket.getaddrinfo", ask)
    return found


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.2", 0)) as listening:
        yield listening


def test_a_dead_address_does_not_use_up_the_time_of_a_living_one(addresses):
    dead = Deaf("127.0.0.1")
    addresses += ["127.0.0.1", "127.0.0.2"]
    with socket.create_server(("127.0.0.2", dead.port)):
        way = Outbound(HOST, dead.port)
        began_s = time.monotonic()
        sock = way.connect()
        assert sock.getpeername()[0] == "127.0.0.2"
        assert outbound.NEXT_S <= time.monotonic() - began_s < outbound.LIMIT_S
        sock.close()
    dead.close()


def test_an_address_that_refuses_is_followed_by_the_next_at_once(addresses, listener):
    addresses += ["127.0.0.1", "127.0.0.2"]
    sock = Outbound(HOST, listener.getsockname()[1]).connect()
    assert sock.getpeername()[0] == "127.0.0.2"
    sock.close()


def test_when_all_refuse_that_is_the_reason(addresses):
    addresses += ["127.0.0.1", "127.0.0.2"]
    with socket.create_server(("127.0.0.3", 0)) as other, pytest.raises(ConnectionRefusedError):
        Outbound(HOST, other.getsockname()[1]).connect()


@pytest.mark.parametrize("hurried", [False, True])
def test_a_host_that_answers_nothing_is_given_up_in_time(deaf, mocker, hurried):
    mocker.patch.object(outbound, "LIMIT_S", 0.3)
    mocker.patch.object(outbound, "LIMIT_HURRIED_S", 0.5)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        Outbound("127.0.0.1", deaf.port).connect(hurried=hurried)
    assert time.monotonic() - began_s >= (0.5 if hurried else 0.3)


@pytest.mark.parametrize(("hurried", "calls"), [(True, 4), (False, 1)])
def test_only_with_an_alarm_a_silent_host_is_called_afresh(deaf, mocker, hurried, calls):
    mocker.patch.object(outbound, "LIMIT_S", 1.0)
    mocker.patch.object(outbound, "LIMIT_HURRIED_S", 1.0)
    mocker.patch.object(outbound, "AGAIN_S", 0.25)
    made = mocker.spy(outbound.Outbound, "_call")
    with pytest.raises(TimeoutError):
        Outbound("127.0.0.1", deaf.port).connect(hurried=hurried)
    assert made.call_count == calls


def test_when_the_way_is_back_in_the_middle_of_a_call_it_is_used(deaf):
    timer = threading.Timer(1.2, deaf.hear)
    timer.start()
    began_s = time.monotonic()
    sock = Outbound("127.0.0.1", deaf.port).connect(hurried=True)
    assert time.monotonic() - began_s < outbound.LIMIT_HURRIED_S
    sock.close()
    timer.join()


def test_what_a_round_trip_takes_is_measured(listener):
    way = Outbound("127.0.0.2", listener.getsockname()[1])
    way.connect().close()
    assert 0 < way.took_s < 1


def test_a_lost_race_leaves_no_socket_open(addresses, mocker):
    dead = Deaf("127.0.0.1")
    addresses += ["127.0.0.1", "127.0.0.2"]
    made = []
    real = socket.socket

    def count(*args, **kwargs):
        sock = real(*args, **kwargs)
        if threading.current_thread() is threading.main_thread():  # not those that listeners of other tests take
            made.append(sock)
        return sock

    with socket.create_server(("127.0.0.2", dead.port)):
        mocker.patch("firmware.adapters.outbound.socket.socket", count)
        winner = Outbound(HOST, dead.port).connect()
    assert [sock for sock in made if sock.fileno() >= 0] == [winner]
    winner.close()
    dead.close()
