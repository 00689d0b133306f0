"""Name servers that do not answer, and what an alarm on such a path does."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest
from rigs.dc09 import DialRig, Scripted, say
from rigs.netns import Machine
from rigs.panel import Desk, PanelProcess, panel_toml
from rigs.schema import Tap
from rigs.uplink import UplinkRig

from firmware.adapters import names
from firmware.adapters.address_book import FILE
from firmware.adapters.names import Names, OutboundError
from firmware.core.facts import Brokered, PathDown, PathUp, Receipt, Trouble, TroubleOver
from firmware.wire.sign import load_key

HOST = "broker.gatebooth.test"


class Resolver:
    """The system's resolver: answers, knows nothing, or hangs until it is let go."""

    def __init__(self, mocker):
        self.address = "127.0.0.1"
        self.hang = threading.Event()
        self.hang.set()
        self.asked = 0
        self._real = socket.getaddrinfo
        mocker.patch("socket.getaddrinfo", self.ask)

    def ask(self, host, port, *args, flags=0, **kwargs):
        if host != HOST or flags & socket.AI_NUMERICHOST:
            return self._real(host, port, *args, flags=flags, **kwargs)
        self.asked += 1
        assert self.hang.wait(60)
        if not self.address:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real(self.address, port, *args, **kwargs)


@pytest.fixture
def resolver(mocker):
    made = Resolver(mocker)
    yield made
    made.hang.set()


def targets(found):
    return [target[0] for _, target in found]


def test_an_address_is_no_name_and_nobody_is_asked(resolver):
    assert targets(Names("192.0.2.1", 1883).find()) == ["192.0.2.1"]
    assert targets(Names("fe80::1%lo", 1883).find()) == ["fe80::1"]
    assert resolver.asked == 0


def test_a_name_server_that_never_answers_is_waited_for_once_and_briefly(resolver, mocker):
    mocker.patch.object(names, "LOOKUP_S", 0.2)
    resolver.hang.clear()
    known = Names(HOST, 1883)
    for _ in range(3):
        with pytest.raises(OutboundError) as caught:
            known.find()
    assert str(caught.value) == f"no name server answers for host name '{HOST}': check path.host, and the name server"
    assert resolver.asked == 1, "one question at a time"
    resolver.hang.set()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert targets(known.find()) == ["127.0.0.1"]
            break
        except OutboundError:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("how", ["hangs", "knows nothing"])
def test_without_a_name_server_the_address_that_worked_is_used_and_told(resolver, mocker, how):
    mocker.patch.object(names, "LOOKUP_KNOWN_S", 0.2)
    known = Names(HOST, 1883)
    (address,) = known.find()
    known.remember(address)
    assert known.notice == ""
    if how == "hangs":
        resolver.hang.clear()
    resolver.address = ""
    assert known.find() == [address]
    assert known.notice.endswith(": check the name server; the address from before is used, 127.0.0.1")


def test_a_name_that_moved_is_found_at_its_new_address(resolver):
    known = Names(HOST, 1883)
    known.remember(known.find()[0])
    resolver.address = "127.0.0.7"
    assert targets(known.find()) == ["127.0.0.7"]


def test_a_name_that_cannot_be_one_is_not_found():
    with pytest.raises(OutboundError, match=r"is not found: check path\.host"):
        Names("a" * 70 + ".example", 1883).find()


def test_an_alarm_goes_out_though_the_name_server_died_and_the_fault_is_told(broker, resolver):
    rig = UplinkRig(broker.port, host=HOST).start()
    rig.expect(PathUp)
    resolver.hang.clear()
    broker.kill()
    rig.expect(PathDown)
    broker.start()
    tap = Tap(broker.host, broker.port)
    alarm = rig.press()
    trouble = rig.expect(Trouble)
    assert trouble.source == "path main resolver"
    assert trouble.why.startswith(f"no name server answers for host name '{HOST}': check the name server; the address")
    assert rig.expect(Brokered).id == alarm.id
    resolver.hang.set()
    broker.restart()
    assert rig.expect(TroubleOver).source == "path main resolver"
    rig.stop()
    tap.close()


def test_so_does_one_over_dc09(resolver):
    centre = Scripted(lambda frame: say("ACK", frame))
    rig = DialRig(centre.port, host=HOST).start()
    rig.expect(PathUp)
    resolver.hang.clear()
    centre.polite = False
    alarms = [rig.press(), rig.press()]
    assert {rig.expect(Receipt).id for _ in alarms} == {alarm.id for alarm in alarms}
    assert rig.expect(Trouble).source == "path dial resolver"
    rig.stop()
    centre.close()


# ── a real one ─────────────────────────────────────────────────────────────────────────────────────────────────────


class NameServer:
    """Says 127.0.0.9 to every question for an IPv4 address, until it is told to be silent."""

    def __init__(self):
        self.silent = False
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            question, asker = self._sock.recvfrom(512)
            if not self.silent:
                self._sock.sendto(self._answer(question), asker)

    def _answer(self, question):
        end = question.index(b"\0", 12) + 5
        wants_ipv4 = question[end - 4 : end - 2] == b"\0\1"
        head = question[:2] + bytes.fromhex("8180 0001") + bytes([0, int(wants_ipv4), 0, 0, 0, 0])
        record = bytes.fromhex("c00c 0001 0001 0000003c 0004") + socket.inet_aton("127.0.0.9")
        return head + question[12:end] + (record if wants_ipv4 else b"")


OWN_RESOLV_CONF = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"')
ASKER = f"""
import sys, time
from firmware.adapters.names import Names
known = Names({HOST!r}, 1883)
for _ in sys.stdin:
    began = time.monotonic()
    found = known.find()
    known.remember(found[0])
    print(found[0][1][0], round(time.monotonic() - began, 1), known.notice, flush=True)
"""


def test_a_real_name_server_that_falls_silent(tmp_path):
    """In a machine of its own, whose resolv.conf names a server on loopback."""
    machine = Machine()
    servers = tmp_path / "resolv.conf"
    servers.write_text("nameserver 127.0.0.1\n")
    with machine.inside():
        server = NameServer()
        asker = subprocess.Popen(
            [*OWN_RESOLV_CONF, str(servers), sys.executable, "-c", ASKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask():
        asker.stdin.write("\n")
        return asker.stdout.readline().split(maxsplit=2)

    assert ask()[0] == "127.0.0.9"
    server.silent = True
    address, took_s, notice = ask()
    assert address == "127.0.0.9"
    assert notice.strip().endswith("check the name server; the address from before is used, 127.0.0.9")
    assert float(took_s) >= names.LOOKUP_KNOWN_S
    asker.kill()
    asker.wait()
    machine.close()


OWN_HOSTS = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


def test_a_panel_that_starts_with_a_dead_name_server_after_a_power_cut_alarms_over_the_address_of_before(
    tmp_path, broker
):
    Machine().close()  # skips without root
    hosts, servers = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    servers.write_text("nameserver 192.0.2.1\n")  # RFC 5737: nobody is there
    toml = panel_toml(tmp_path, broker.port).replace('host = "127.0.0.1"', f'host = "{HOST}"')
    booth = PanelProcess(tmp_path, toml).inside(*OWN_HOSTS, str(hosts)).start()
    desk = Desk("110", broker.port, key=load_key(tmp_path / "110.key"), panel_key=load_key(tmp_path / "panel.key"))
    try:
        booth.click()
        booth.step("received", "110")
        written = time.monotonic() + 10
        while not (tmp_path / "state" / FILE).exists():  # on a thread of its own: an alarm does not wait for it
            assert time.monotonic() < written
        booth.kill()
        booth.inside(*OWN_RESOLV_CONF, str(servers)).start()
        booth.click()
        booth.step("received", "110")
        assert "the address from before is used, 127.0.0.1" in booth.errors
    finally:
        booth.stop()
        desk.close()
