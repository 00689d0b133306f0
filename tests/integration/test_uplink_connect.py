"""Connections that cannot be made: the sentence that a technician reads, and TLS as it should be."""

import contextlib
import errno
import re
import socket
import ssl
import time
import warnings

import pytest
from rigs.broker import ServerTls, free_port
from rigs.schema import SCHEMAS, Tap
from rigs.uplink import DESK_KEY, PANEL, RigClock, UplinkRig

from firmware.adapters.mqtt_client import ConnectOptions, connect_options
from firmware.adapters.outbound import Outbound
from firmware.adapters.pipe import PipeError
from firmware.config import PathConfig, TlsConfig
from firmware.core.effects import Health
from firmware.core.facts import Brokered, PathDown, PathUp, Receipt, Refused, Trouble, TroubleOver
from firmware.core.report import Step
from firmware.wire import topics
from firmware.wire.receipt import encode_receipt


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
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


# ── where the broker should be ─────────────────────────────────────────────────────────────────────────────────────


def test_a_port_where_nobody_listens(start):
    port = free_port()
    assert start(port).expect(PathDown).why == (
        f"path main: 127.0.0.1:{port} refuses connections: no broker listens there; check path.port"
    )


def test_a_name_that_nobody_has(start):
    assert start(1883, host="broker.invalid").expect(PathDown).why == (
        "path main: host name 'broker.invalid' is not found: check path.host, and the name server"
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ETIMEDOUT, "192.0.2.1:1883 does not answer in time: unreachable; check the network"),
        (errno.ENETUNREACH, "is unreachable: Network is unreachable; check cable and network"),
        (errno.EHOSTUNREACH, "is unreachable: No route to host; check cable and network"),
        (errno.ECONNRESET, "ends the connection at once: another service, or TLS on one side only?"),
    ],
)
def test_a_network_that_leads_nowhere(start, mocker, code, message):
    mocker.patch("socket.socket.connect_ex", return_value=code)
    assert message in start(1883, host="192.0.2.1").expect(PathDown).why


def test_the_same_reason_is_told_once_and_a_new_one_again(start, make_broker):
    broker = make_broker()
    rig = start(broker.port)
    rig.expect(PathUp)
    broker.kill()
    rig.expect(PathDown, lambda fact: "lost" in fact.why)
    rig.expect(PathDown, lambda fact: "refuses connections" in fact.why)
    broker.start()
    rig.expect(PathUp)
    assert len(rig.of(PathDown)) == 2


# ── who this panel is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text("right\n")
    return path


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_right_password_opens(start, make_broker, password, protocol):
    broker = make_broker(users={"panel": "right"})
    rig = start(broker.port, username="panel", password_file=password, protocol=protocol)
    rig.expect(PathUp)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_told_with_the_file_and_never_with_its_content(start, make_broker, password, protocol):
    broker = make_broker(users={"panel": "left"})
    why = start(broker.port, username="panel", password_file=password, protocol=protocol).expect(PathDown).why
    assert why == (
        f"path main: the broker refuses this panel, Not authorized: "
        f"it came as user 'panel' with the password in {password}"
    )


def test_no_user_name_where_one_is_wanted(start, make_broker):
    broker = make_broker(users={"panel": "right"})
    assert "it came as no user name (path.username)" in start(broker.port).expect(PathDown).why


def test_a_password_file_that_is_not_there(start, tmp_path):
    gone = tmp_path / "gone"
    why = start(free_port(), username="panel", password_file=gone).expect(PathDown).why
    assert why == f"path main: path.password_file {gone} is not there: make it, or correct the path"


def test_a_password_never_shows_in_the_options(password):
    path = PathConfig(name="main", host="h", username="panel", password_file=password)
    options = connect_options(path)
    assert options.password == "right"
    assert "right" not in repr(options)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_forbids_to_read_still_takes_the_alarm(start, make_broker, tmp_path, password, protocol):
    acl = tmp_path / "acl"
    acl.write_text("user panel\ntopic write gatebooth/#\nuser desk\ntopic readwrite gatebooth/#\n")
    acl.chmod(0o600)
    broker = make_broker(f"acl_file {acl}", users={"panel": "right", "desk": "desk"})
    tap = Tap(broker.host, broker.port, lambda client: client.username_pw_set("desk", "desk"))
    rig = start(broker.port, username="panel", password_file=password, protocol=protocol)
    alarm = rig.press()
    assert rig.expect(Brokered).id == alarm.id
    tap.wait(lambda found: len(found) == 1, kind="report")
    tap.close()


@pytest.fixture
def documented_broker(make_broker, tmp_path):
    """A broker with the access list that the documentation recommends."""
    page = (SCHEMAS.parent / "mqtt-api.md").read_text(encoding="utf-8")
    acl = tmp_path / "acl"
    acl.write_text(re.search(r"```\n(# /etc/mosquitto/acl.*?)```", page, re.DOTALL)[1])
    acl.chmod(0o600)
    return make_broker(f"acl_file {acl}", users={PANEL: "right", "other": "right", "desk-110": "right"})


def test_the_documented_access_list_lets_a_panel_and_its_desk_do_all_they_must(documented_broker, start, password):
    broker = documented_broker
    tap = Tap(broker.host, broker.port, lambda client: client.username_pw_set("desk-110", "right"))
    rig = start(broker.port, username=PANEL, password_file=password)
    rig.expect(PathUp)
    rig.worker.put(Health(0, 0, ()))
    alarm = rig.press()
    assert rig.expect(Brokered).id == alarm.id
    told = Receipt("110", alarm.id, Step.RECEIVED, "", "main")
    tap.publish(topics.receipt(PANEL, "110"), encode_receipt(told, at_utc_ms=1, key=DESK_KEY))
    assert rig.expect(Receipt) == told
    tap.wait(lambda found: {packet.kind for packet in found} >= {"report", "health"})
    tap.close()


def test_the_documented_access_list_keeps_a_panel_out_of_another_s_topics(documented_broker, start, password):
    rig = start(documented_broker.port, username="other", password_file=password)
    rig.press()
    assert rig.expect(Refused).why == "path main: the broker refuses reports: Not authorized (reason 0x87)"


# ── TLS ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tls_broker(make_broker, certificates):
    """Makes brokers that speak TLS with a named certificate."""

    def make(server="server", *, require_client=False):
        pair = getattr(certificates, server)
        return make_broker(tls=ServerTls(certificates.ca, pair.cert, pair.key, require_client))

    return make


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_both_sides_show_certificates_and_an_alarm_travels(start, tls_broker, certificates, protocol):
    broker = tls_broker(require_client=True)
    ours = TlsConfig(certificates.ca, certificates.client.cert, certificates.client.key)
    tap = Tap(
        broker.host,
        broker.port,
        lambda client: client.tls_set(
            str(certificates.ca), str(certificates.client.cert), str(certificates.client.key)
        ),
    )
    rig = start(broker.port, tls=ours, protocol=protocol)
    rig.expect(PathUp)
    alarm = rig.press()
    assert rig.expect(Brokered).id == alarm.id
    tap.wait(lambda found: len(found) == 1, kind="report")
    tap.close()


def test_an_unknown_authority(start, tls_broker, certificates):
    rig = start(tls_broker().port, tls=TlsConfig(certificates.other_ca))
    assert rig.expect(PathDown).why == (
        "path main: TLS: the broker's certificate is not signed by the authority in "
        f"path.tls.ca_file {certificates.other_ca}"
    )


def test_a_certificate_for_another_host(start, tls_broker, certificates):
    rig = start(tls_broker("server_elsewhere").port, tls=TlsConfig(certificates.ca))
    assert "TLS: the broker's certificate is not for '127.0.0.1'" in rig.expect(PathDown).why


def test_an_expired_certificate_is_refused_while_the_clock_is_good(start, tls_broker, certificates):
    clock = RigClock(1_790_000_000.0)
    why = start(tls_broker("server_expired").port, tls=TlsConfig(certificates.ca), clock=clock).expect(PathDown).why
    assert "TLS: the broker's certificate has expired; the panel's clock says 2026-09-21 " in why


def test_an_expired_certificate_is_no_more_believed_after_a_time_without_a_clock(start, tls_broker, certificates):
    """What was taken while the clock was not set is refused once it is: nothing of it is kept."""
    port = tls_broker("server_expired").port
    options, way = _options(TlsConfig(certificates.ca), port=port), Outbound("127.0.0.1", port)
    notice = options.connect(options.client("x"), RigClock(60.0, synced=False).now(), way)
    assert "were not checked" in notice
    with pytest.raises(PipeError, match="has expired"):
        options.connect(options.client("x"), RigClock(1_790_000_000.0).now(), way)


@pytest.mark.parametrize(
    ("version", "speaks"), [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_nothing_older_than_tls_1_2_is_spoken(certificates, version, speaks):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server.cert, certificates.server.key)
    context = _options(TlsConfig(certificates.ca)).tls_context()
    for either in (server, context):
        either.set_ciphers("ALL:@SECLEVEL=0")  # else the library refuses the old ones for a reason of its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.minimum_version = server.maximum_version = ssl.TLSVersion[version]
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    panel = context.wrap_bio(ours, theirs, server_hostname="127.0.0.1")
    broker = server.wrap_bio(theirs, ours, server_side=True)
    with contextlib.nullcontext() if speaks else pytest.raises(ssl.SSLError):
        _shake_hands(panel, broker)


def test_a_certificate_of_the_future_with_a_clock_that_calls_itself_good(start, tls_broker, certificates):
    clock = RigClock(60.0, synced=True)
    why = start(tls_broker("server_early").port, tls=TlsConfig(certificates.ca), clock=clock).expect(PathDown).why
    assert "TLS: the broker's certificate is not valid yet; the panel's clock says 1970-01-01 00:01 UTC: set it" in why


@pytest.mark.parametrize("server", ["server_early", "server_expired"])
def test_a_clock_at_1970_stops_no_alarm_and_is_told(start, tls_broker, certificates, server):
    broker = tls_broker(server)
    tap = Tap(broker.host, broker.port, _trusting)
    rig = start(broker.port, tls=TlsConfig(certificates.ca), clock=RigClock(60.0, synced=False))
    trouble = rig.expect(Trouble)
    assert trouble.source == "path main certificate"
    assert trouble.why == (
        "the dates of the broker's certificate were not checked: "
        "the panel's clock says 1970-01-01 00:01 UTC and is not synchronised"
    )
    rig.expect(PathUp)
    alarm = rig.press()
    assert rig.expect(Brokered).id == alarm.id
    tap.close()


def test_a_clock_at_1970_makes_no_stranger_welcome(start, tls_broker, certificates):
    clock = RigClock(60.0, synced=False)
    rig = start(tls_broker("server_early").port, tls=TlsConfig(certificates.other_ca), clock=clock)
    assert "not signed by the authority" in rig.expect(PathDown).why
    rig = start(tls_broker("server_elsewhere").port, tls=TlsConfig(certificates.ca), clock=clock)
    assert "not for '127.0.0.1'" in rig.expect(PathDown).why


def test_the_trouble_of_unchecked_dates_is_over_with_a_certificate_that_is_good(
    start, make_broker, certificates, tmp_path
):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for source, target in ((certificates.server_early.cert, cert), (certificates.server_early.key, key)):
        target.write_bytes(source.read_bytes())
    broker = make_broker(tls=ServerTls(certificates.ca, cert, key))
    rig = start(broker.port, tls=TlsConfig(certificates.ca), clock=RigClock(60.0, synced=False))
    rig.expect(Trouble)
    broker.stop()
    for source, target in ((certificates.server.cert, cert), (certificates.server.key, key)):
        target.write_bytes(source.read_bytes())
    broker.start()
    assert rig.expect(TroubleOver).source == "path main certificate"


def test_a_broker_that_wants_a_certificate_of_this_panel(start, tls_broker, certificates):
    rig = start(tls_broker(require_client=True).port, tls=TlsConfig(certificates.ca))
    assert rig.expect(PathDown).why == (
        "path main: TLS: the broker wants a certificate of this panel: set path.tls.cert_file and key_file"
    )


def test_a_certificate_of_this_panel_by_a_stranger(start, tls_broker, certificates):
    stranger = certificates.client_stranger
    rig = start(tls_broker(require_client=True).port, tls=TlsConfig(certificates.ca, stranger.cert, stranger.key))
    assert "TLS: the broker does not know the authority that signed path.tls.cert_file" in rig.expect(PathDown).why


def test_tls_to_a_broker_that_speaks_none(start, broker, certificates):
    why = start(broker.port, tls=TlsConfig(certificates.ca)).expect(PathDown).why
    assert "TLS on one side only?" in why


def test_no_tls_to_a_broker_that_speaks_it(start, tls_broker):
    assert "it may want TLS" in start(tls_broker().port).expect(PathDown).why


@pytest.mark.parametrize("missing", ["ca_file", "cert_file", "key_file"])
def test_a_missing_certificate_file_is_named_with_its_key(start, certificates, tmp_path, missing):
    files = {"ca_file": certificates.ca, "cert_file": certificates.client.cert, "key_file": certificates.client.key}
    gone = tmp_path / "gone.pem"
    rig = start(free_port(), tls=TlsConfig(**{**files, missing: gone}))
    assert rig.expect(PathDown).why == (
        f"path main: path.tls.{missing} {gone} is not there: copy the file, or correct the path"
    )


BAD_FILES = {
    "ca_file": "holds no PEM certificate",
    "cert_file": "are not a PEM certificate and its key",
    "key_file": "are not a PEM certificate and its key",
}


@pytest.mark.parametrize(("bad", "message"), BAD_FILES.items())
def test_a_file_that_is_no_certificate_is_named(certificates, tmp_path, bad, message):
    files = {"ca_file": certificates.ca, "cert_file": certificates.client.cert, "key_file": certificates.client.key}
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(PipeError, match=message) as caught:
        _options(TlsConfig(**{**files, bad: rubbish})).tls_context()
    assert str(rubbish) in str(caught.value)


def test_a_key_of_another_certificate_is_told(certificates):
    mixed = TlsConfig(certificates.ca, certificates.client.cert, certificates.server.key)
    with pytest.raises(PipeError, match=r"key_file .* is not the key of path\.tls\.cert_file"):
        _options(mixed).tls_context()


def test_a_listener_that_never_shakes_hands_is_given_up(listener, certificates):
    port = listener.getsockname()[1]
    options = _options(TlsConfig(certificates.ca), port=port)
    began = time.monotonic()
    with pytest.raises(PipeError, match="does not answer in time"):
        options.connect(options.client("x"), RigClock().now(), Outbound("127.0.0.1", port), step_s=0.3)
    assert time.monotonic() - began < 30


def _options(tls: TlsConfig, port: int = 8883) -> ConnectOptions:
    return connect_options(PathConfig(name="main", host="127.0.0.1", port=port, tls=tls))


def _shake_hands(*ends: ssl.SSLObject) -> None:
    """Let both ends of a connection in memory speak in turn until both are content; raises what one of them does."""
    left = list(ends)
    for _ in range(20):
        for end in tuple(left):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                left.remove(end)
    assert not left


def _trusting(client):
    client.tls_set(cert_reqs=0)
    client.tls_insecure_set(value=True)
