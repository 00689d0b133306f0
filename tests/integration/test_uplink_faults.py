"""Links of the field: frozen, killed, cut, swallowing, slow, and brokers that are none."""

import socket
import threading
import time

import pytest
from rigs.broker import ServerTls
from rigs.schema import Tap
from rigs.tcp_proxy import TcpProxy
from rigs.uplink import ListBacklog, UplinkRig

from firmware.adapters.backlog import Wake
from firmware.config import TlsConfig
from firmware.core.facts import Beat, Brokered, PathDown, PathUp, Refused, Trouble
from firmware.core.patience import ANSWER_S


@pytest.fixture
def proxy(broker):
    between = TcpProxy((broker.host, broker.port))
    yield between
    between.close()


@pytest.fixture
def tap(broker):
    listening = Tap(broker.host, broker.port)
    yield listening
    listening.close()


@pytest.fixture
def start():
    """Starts uplinks and stops them at the end."""
    running = []

    def start_one(port, **arguments):
        running.append(UplinkRig(port, **arguments).start())
        return running[-1]

    yield start_one
    for rig in running:
        rig.stop()


@pytest.fixture
def impostor():
    """A listener that answers every connection with the same bytes, and can be asked to hang up after them."""
    stop, listeners = threading.Event(), []

    def listen(reply: bytes, *, hang_up: bool = False) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            kept = []
            while not stop.is_set():
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                sock.recv(4096)
                sock.sendall(reply)
                if hang_up:
                    sock.close()
                kept.append(sock)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield listen
    stop.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# ── the broker ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_frozen_broker_is_noticed_by_the_missing_answer_and_the_alarm_arrives_once_it_thaws(
    broker, tap, start, protocol
):
    rig = start(broker.port, protocol=protocol)
    rig.expect(PathUp)
    broker.freeze()
    alarm = rig.press()
    down = rig.expect(PathDown)
    assert down.why == "path main: the broker owes its answer to a report for too long; connecting anew"
    assert rig.clock.now().mono_s - alarm.raised.mono_s >= ANSWER_S
    broker.thaw()
    assert rig.expect(Brokered).id == alarm.id
    found = tap.wait(lambda found: len(found) >= 1, kind="report")
    assert {packet.body["seq"] for packet in found} == {alarm.id.seq}


def at_rest(rig):
    deadline_s = time.monotonic() + 15
    while rig.uplink.link.under_way and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not rig.uplink.link.under_way


def end_in_order(broker):
    broker.stop()


def end_by_kill(broker):
    broker.kill()


@pytest.mark.parametrize("end", [end_in_order, end_by_kill])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_ends_is_known_to_have_lived_until_then(end, protocol, broker, start):
    rig = start(broker.port, protocol=protocol)
    rig.expect(Beat)
    at_rest(rig)  # what a broker has not read when it dies turns its goodbye into a reset
    end(broker)
    assert rig.expect(PathDown).closed


def test_a_connection_that_was_reset_on_the_way_proves_nothing_of_the_broker(proxy, start):
    rig = start(proxy.port)
    rig.expect(PathUp)
    proxy.cut()
    assert not rig.expect(PathDown).closed


def test_a_killed_broker_that_comes_back_gets_the_alarm_of_the_time_between(broker, start):
    rig = start(broker.port)
    rig.expect(PathUp)
    broker.kill()
    rig.expect(PathDown)
    alarm = rig.press()
    broker.start()
    rig.expect(PathUp)
    assert rig.expect(Refused, lambda fact: fact.id == alarm.id).reason == 0x10  # the receiver is not back yet
    tap = Tap(broker.host, broker.port)
    rig.transmit(alarm, attempt=2)  # the core's timer
    assert rig.expect(Brokered).id == alarm.id
    (packet,) = tap.wait(lambda found: len(found) == 1, kind="report")
    assert packet.body["attempt"] == 2
    tap.close()


def test_a_broker_killed_in_the_middle_of_a_drain_is_sent_again_all_that_it_did_not_answer_for(make_broker, start):
    broker = make_broker("max_queued_messages 0")
    backlog = ListBacklog()
    rig = start(broker.port, backlog=backlog)
    events = [rig.report("RR") for _ in range(3000)]
    tap = Tap(broker.host, broker.port)
    backlog.add(events)
    rig.worker.put(Wake())
    tap.wait(lambda found: len(found) > 200, kind="report")
    broker.kill()
    rig.expect(PathDown)
    tap.close()
    answered = {ident.seq for ident in backlog.finished}
    unanswered = {event.id.seq for event in events} - answered
    assert answered
    assert unanswered
    broker.start()
    tap = Tap(broker.host, broker.port)
    found = tap.wait(lambda found: {packet.body["seq"] for packet in found} >= unanswered, 30, "report")
    assert not {packet.body["seq"] for packet in found} & answered, "what was answered for is not sent again"
    tap.close()


def test_two_paths_of_one_panel_live_side_by_side_at_one_broker(broker, tap, start):
    rigs = [start(broker.port, name=name) for name in ("main", "spare")]
    for rig in rigs:
        rig.expect(PathUp)
        rig.press()
        rig.expect(Brokered)
        assert rig.of(PathDown) == []


# ── the network ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_link_that_swallows_everything_is_noticed_by_the_missing_answer(broker, tap, proxy, start):
    rig = start(proxy.port)
    rig.expect(PathUp)
    proxy.swallow = True
    alarm = rig.press()
    assert "owes its answer to a report" in rig.expect(PathDown).why
    proxy.swallow = False
    proxy.cut()
    assert rig.expect(Brokered).id == alarm.id


def test_a_greeting_that_is_swallowed_is_given_up_in_words(broker, tap, proxy, start):
    proxy.swallow = True
    rig = start(proxy.port)
    assert rig.expect(PathDown).why == (
        "path main: the broker owes an answer to the connection for too long; connecting anew"
    )


def test_a_cut_link_is_back_at_once_when_an_alarm_waits(broker, tap, proxy, start):
    rig = start(proxy.port)
    rig.expect(PathUp)
    proxy.swallow = True
    alarm = rig.press()
    proxy.cut()
    proxy.swallow = False
    assert rig.expect(PathDown).why == f"path main: connection to 127.0.0.1:{proxy.port} lost"
    assert rig.expect(Brokered).id == alarm.id


def test_a_link_that_flaps_all_the_time_delivers_every_alarm(broker, tap, proxy, start):
    rig = start(proxy.port)
    alarms = []
    for _ in range(8):
        rig.expect(PathUp)
        alarms.append(rig.press())
        proxy.cut()
    wanted = {alarm.id.seq for alarm in alarms}
    tap.wait(lambda found: {packet.body["seq"] for packet in found} == wanted, 30, "report")


RECOVERED_S = 5.0
"""Promised from the end of a black hole until the alarm is through."""
MARGIN_S = 3.0
"""For a machine that is busy with other things."""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_after_a_black_hole_behind_a_router_that_forgets_the_alarm_is_through_in_seconds(
    broker, tap, proxy, start, protocol
):
    rig = start(proxy.port, protocol=protocol)
    rig.expect(PathUp)
    proxy.swallow = True
    alarm = rig.press()
    rig.expect(PathDown, lambda fact: "its answer to a report" in fact.why)
    assert rig.clock.now().mono_s - alarm.raised.mono_s <= ANSWER_S + MARGIN_S
    rig.expect(PathDown, lambda fact: "an answer to the connection" in fact.why)
    tries = proxy.connections
    while proxy.connections < tries + 2:
        time.sleep(0.01)
    proxy.swallow = False
    whole_s = time.monotonic()
    assert rig.expect(Brokered).id == alarm.id
    assert time.monotonic() - whole_s <= RECOVERED_S + MARGIN_S


def test_a_link_of_two_seconds_round_trip_connects_with_an_alarm_waiting_from_the_start(broker, tap, proxy, start):
    proxy.delay_s = 1.0
    rig = start(proxy.port)
    alarm = rig.press()
    assert rig.expect(Brokered, timeout_s=30).id == alarm.id
    assert proxy.connections == 1


def test_so_does_one_with_tls(make_broker, certificates, start):
    broker = make_broker(tls=ServerTls(certificates.ca, certificates.server.cert, certificates.server.key))
    proxy = TcpProxy((broker.host, broker.port))
    proxy.delay_s = 1.0
    rig = start(proxy.port, tls=TlsConfig(certificates.ca))
    rig.press()
    rig.expect(PathUp, timeout_s=30)
    assert proxy.connections == 1
    proxy.close()


def test_a_slow_link_that_trickles_still_delivers(broker, tap, proxy, start):
    proxy.delay_s, proxy.chunk = 0.05, 64
    backlog = ListBacklog()
    rig = start(proxy.port, backlog=backlog)
    rig.expect(PathUp)
    backlog.add([rig.report("RR") for _ in range(20)])
    rig.worker.put(Wake())
    alarm = rig.press()
    assert rig.expect(Brokered).id == alarm.id
    tap.wait(lambda found: len(found) >= 21, kind="report")
    assert rig.of(PathDown) == []


# ── what is no broker ──────────────────────────────────────────────────────────────────────────────────────────────

CONNACK_OK = b"\x20\x03\x00\x00\x00"
IMPOSTORS = {
    "a web server": (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "5", "ended the connection before it answered"),
    "binary rubbish": (bytes(range(255, 0, -1)) * 40, False, "5", "sends what is no MQTT 5: another service, or"),
    "a length without end": (
        b"\x20\xff\xff\xff\xff\xff\xff",
        False,
        "5",
        "sends what is no MQTT 5: another service, or",
    ),
    "silence and a hang-up": (b"", True, "5", "ended the connection before it answered: it may want TLS"),
    "a broker of MQTT 3.1.1 only": (b"\x20\x02\x00\x01", True, "5", "does not speak MQTT 5: set path.protocol"),
    "a broker of MQTT 5 only": (b"\x20\x02\x00\x01", True, "3.1.1", "a broker of the other version (path.protocol)?"),
    "a broker that says so": (b"\x20\x03\x00\x84\x00", True, "5", "does not speak MQTT 5: set path.protocol"),
    "a broker with other users": (b"\x20\x03\x00\x86\x00", True, "5", "refuses this panel, Bad user name or password"),
    "a broker that is full": (b"\x20\x03\x00\x97\x00", True, "5", "the broker refuses this panel: Quota exceeded"),
    "a huge packet": (CONNACK_OK + b"\x30\xff\xff\xff\x7f", False, "5", "a packet of 268435455 bytes"),
    "a broker that forbids one topic": (
        CONNACK_OK + b"\x90\x06\x00\x01\x00\x01\x87\x01",
        False,
        "5",
        "the broker refuses subscriptions: gatebooth/v1/school-17/command/+ (Not authorized); reports go out, but no",
    ),
    "a broker that another panel came to": (
        CONNACK_OK + b"\x90\x06\x00\x01\x00\x01\x01\x01\xe0\x02\x8e\x00",
        True,
        "5",
        "another client came to the broker as 'gatebooth-school-17-main': is there a second panel of this id?",
    ),
    "a broker that stops": (
        CONNACK_OK + b"\x90\x06\x00\x01\x00\x01\x01\x01\xe0\x02\x8b\x00",
        True,
        "5",
        "the broker ended the connection: Server shutting down",
    ),
    "a greeting and rubbish": (CONNACK_OK + b"\x90\x02\x00\x01" + b"\xff" * 50, False, "5", "sends what is no MQTT 5"),
}


@pytest.mark.parametrize("case", IMPOSTORS.values(), ids=IMPOSTORS)
def test_what_is_no_broker_is_a_path_down_in_words_and_no_exception(impostor, start, case, caplog):
    reply, hang_up, protocol, message = case
    rig = start(impostor(reply, hang_up=hang_up), protocol=protocol)
    why = rig.expect(PathDown).why
    assert why.startswith("path main: ")
    assert message in why
    assert rig.of(Trouble) == []
    assert not [record for record in caplog.records if record.exc_info]


def test_an_idle_link_that_swallows_everything_is_noticed_by_keep_alive_or_heartbeat(proxy, start):
    rig = start(proxy.port, keepalive_s=5)
    rig.expect(PathUp)
    proxy.swallow = True
    why = rig.expect(PathDown, timeout_s=25).why
    assert why.endswith(f":{proxy.port} answers no keep-alive for 5 s") or "owes its answer" in why
