"""Paths that leave by a named interface or from an address of this machine, over real interfaces."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
import time

import pytest
from rigs.broker import Mosquitto, free_port
from rigs.dc09 import path_config
from rigs.netns import Machine, wire
from rigs.schema import Tap
from rigs.uplink import UplinkRig

from firmware.adapters.dc09_line import LineError, TcpLine
from firmware.adapters.names import OutboundError
from firmware.adapters.outbound import Outbound
from firmware.config import PathConfig
from firmware.core.facts import Brokered, PathDown, PathUp
from firmware.media.uploader import MediaPipe
from hal.clock import SystemClock

FAR, FAR6 = "10.77.0.1", "fd77::1"
"""Both brokers have these addresses: only the interface tells them apart."""
NEAR = {"wire0": "10.77.0.2", "lte0": "10.77.0.3"}
NEAR6 = {"wire0": "fd77::2", "lte0": "fd77::3"}

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
"""Whoever is started by this has no privilege."""


class Listener:
    """Tells from where it was called."""

    def __init__(self, host, family=socket.AF_INET):
        self._sock = socket.create_server((host, 0), family=family)
        self.port = self._sock.getsockname()[1]
        self.peers = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                sock, peer = self._sock.accept()
            except OSError:
                return
            self.peers.put(peer[0])
            sock.close()

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@pytest.fixture
def listen():
    made = []

    def make(host, family=socket.AF_INET):
        made.append(Listener(host, family))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Town:
    """A booth with two interfaces, each on a wire to a broker of its own; the brokers have the same address."""

    def __init__(self, folder):
        self.booth, self.far, self.brokers, self.rigs = Machine(), {}, {}, []
        self.port = free_port()
        for name, near in NEAR.items():
            far = self.far[name] = Machine()
            wire(self.booth, name, far, "far0")
            self.booth.address(name, f"{near}/24", f"{NEAR6[name]}/64")
            far.address("far0", f"{FAR}/24", f"{FAR6}/64")
            (folder / name).mkdir()
            self.brokers[name] = Mosquitto(folder / name, host="0.0.0.0", port=self.port)
            with far.inside():
                self.brokers[name].start()

    def start(self, name, **path):
        """One path of the booth by an interface; it is called by its interface's name."""
        with self.booth.inside():
            rig = UplinkRig(self.port, host=FAR, name=name, bind=name, **path).start()
        self.rigs.append(rig)
        return rig

    def tap(self, name):
        with self.far[name].inside():
            return Tap(FAR, self.port)

    def close(self):
        for rig in self.rigs:
            rig.stop()
        for broker in self.brokers.values():
            broker.stop()
        for machine in (self.booth, *self.far.values()):
            machine.close()


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    yield made
    made.close()


@pytest.fixture
def booth():
    made = Machine()
    yield made
    made.close()


def fault(way):
    with pytest.raises(OutboundError) as caught:
        way.connect()
    return str(caught.value)


# ── from an address ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_comes_from_the_address_that_the_path_names(listen):
    far = listen("127.0.0.1")
    for own in ("127.0.0.2", "127.0.0.3"):
        Outbound("127.0.0.1", far.port, own).connect().close()
        assert far.peers.get(timeout=10) == own


def test_without_an_address_the_system_chooses(listen):
    far = listen("127.0.0.1")
    Outbound("127.0.0.1", far.port).connect().close()
    assert far.peers.get(timeout=10) == "127.0.0.1"


def test_an_address_of_ipv6(listen):
    far = listen("::1", socket.AF_INET6)
    Outbound("::1", far.port, "::1").connect().close()
    assert far.peers.get(timeout=10) == "::1"


def test_a_path_comes_to_its_broker_from_its_address_and_its_media_too(broker):
    rig = UplinkRig(broker.port, bind="127.0.0.2").start()
    rig.expect(PathUp)
    media = MediaPipe(PathConfig(name="main", host=broker.host, port=broker.port, bind="127.0.0.3"), "p", SystemClock())
    media.connect((), hurried=False)
    rig.stop()
    media.close(orderly=True)
    broker.stop()
    assert "New client connected from 127.0.0.2:" in broker.log()
    assert "New client connected from 127.0.0.3:" in broker.log()


def test_a_dc09_path_comes_from_its_address(listen):
    far = listen("127.0.0.1")
    line = TcpLine(path_config(far.port, bind="127.0.0.2"))
    line.open(hurried=False)
    assert far.peers.get(timeout=10) == "127.0.0.2"
    line.close()


def test_an_address_of_another_machine_is_a_path_fault_with_its_remedy(broker):
    rig = UplinkRig(broker.port, bind="192.0.2.9").start()
    assert rig.expect(PathDown).why == (
        "path main: path.bind '192.0.2.9': no interface of this machine has this address: "
        "correct it, or name the interface instead"
    )
    rig.stop()


def test_an_address_of_the_other_kind_than_the_host_s_is_told():
    assert fault(Outbound("127.0.0.1", 1883, "::1")) == (
        "path.bind '::1': 127.0.0.1 has no IPv6 address: correct one of them"
    )


# ── by an interface ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_interface_that_is_not_there_is_told_with_those_that_are(broker):
    rig = UplinkRig(broker.port, bind="wwan7").start()
    why = rig.expect(PathDown).why
    assert why.startswith("path main: path.bind 'wwan7': no such network interface; there are ")
    assert " lo" in why
    rig.stop()
    line = TcpLine(path_config(broker.port, bind="wwan7"))
    with pytest.raises(LineError, match="no such network interface"):
        line.open(hurried=False)


def test_a_kernel_that_lets_only_root_choose_is_told(mocker):
    mocker.patch("socket.socket.setsockopt", side_effect=PermissionError(1, "Operation not permitted"))
    assert "Linux 5.7 or newer" in fault(Outbound("127.0.0.1", 1883, "lo"))


def test_two_paths_over_two_interfaces_each_reach_their_own_broker(town):
    taps = {name: town.tap(name) for name in NEAR}
    for name, tap in taps.items():
        rig = town.start(name)
        rig.expect(PathUp)
        alarm = rig.press()
        assert rig.expect(Brokered).id == alarm.id
        tap.wait(lambda found: len(found) == 1, kind="report")
        tap.close()
    for name, broker in town.brokers.items():
        came = [line for line in broker.log().splitlines() if "as gatebooth-" in line]
        assert len(came) == 1
        assert f"connected from {NEAR[name]}:" in came[0]
        assert f"as gatebooth-school-17-{name} " in came[0]


def test_with_one_interface_off_the_alarm_arrives_over_the_other_and_later_over_both(town):
    taps = {name: town.tap(name) for name in NEAR}
    rigs = {name: town.start(name) for name in NEAR}
    for rig in rigs.values():
        rig.expect(PathUp)
    town.booth.ip("link", "set", "wire0", "down")
    alarms = [rig.press() for rig in rigs.values()]
    rigs["lte0"].expect(Brokered)
    taps["lte0"].wait(lambda found: len(found) == 1, kind="report")
    rigs["wire0"].expect(PathDown)
    rigs["wire0"].expect(PathDown, lambda fact: "the interface is off: switch it on" in fact.why)
    assert taps["wire0"].packets("report") == []
    town.booth.ip("link", "set", "wire0", "up")
    assert rigs["wire0"].expect(Brokered).id == alarms[0].id
    found = taps["wire0"].wait(lambda found: len(found) >= 1, kind="report")
    assert {packet.body["seq"] for packet in found} == {alarms[0].id.seq}
    for tap in taps.values():
        tap.close()


def test_an_interface_without_a_link_is_told_as_such(town):
    rig = town.start("lte0")
    rig.expect(PathUp)
    town.far["lte0"].ip("link", "set", "far0", "down")
    rig.press()
    rig.expect(PathDown, lambda fact: "the interface has no link: check cable, aerial and SIM card" in fact.why)


def test_an_interface_that_vanishes_and_comes_back_works_again(town):
    rig = town.start("lte0")
    rig.expect(PathUp)
    town.booth.ip("link", "delete", "lte0")
    alarm = rig.press()
    rig.expect(PathDown, lambda fact: "no such network interface; there are" in fact.why)
    wire(town.booth, "lte0", town.far["lte0"], "far0")
    town.booth.address("lte0", f"{NEAR['lte0']}/24")
    town.far["lte0"].address("far0", f"{FAR}/24")
    tap = town.tap("lte0")
    assert tap.wait(lambda found: len(found) >= 1, 20, "report")[0].body["seq"] == alarm.id.seq
    tap.close()


def test_after_packets_vanished_without_a_word_the_alarm_is_through_in_seconds(town):
    rig, far = town.start("wire0"), town.far["wire0"]
    tap = town.tap("wire0")
    rig.expect(PathUp)
    far.ip("route", "add", "blackhole", f"{NEAR['wire0']}/32")
    alarm = rig.press()
    rig.expect(PathDown)
    time.sleep(8.3)  # all of a try into nothing, and the beginning of the next
    far.ip("route", "delete", "blackhole", f"{NEAR['wire0']}/32")
    whole_s = time.monotonic()
    assert rig.expect(Brokered).id == alarm.id
    assert time.monotonic() - whole_s <= 5.0 + 3.0
    tap.close()


def test_an_interface_without_address_or_way_is_told(booth):
    booth.ip("link", "add", "lte0", "type", "veth", "peer", "name", "far0")
    booth.ip("link", "set", "far0", "up")
    booth.ip("link", "set", "lte0", "up")
    with booth.inside():
        way = Outbound("10.9.9.9", 1883, "lte0")
        assert "the interface has no IPv4 address: check DHCP, or the SIM card and its APN" in fault(way)
        booth.address("lte0", "10.77.0.2/24")
        assert "no way to 10.9.9.9 from there: check router and default route" in fault(way)


def test_an_interface_of_ipv6(town):
    for name, far in town.far.items():
        with far.inside():
            listener = Listener("::", socket.AF_INET6)
        with town.booth.inside():
            Outbound(FAR6, listener.port, name).connect().close()
        assert listener.peers.get(timeout=10) == NEAR6[name]
        listener.close()


def test_an_interface_needs_no_privilege(town):
    """As the service runs: another user, no capability."""
    code = (
        "import sys\n"
        "from firmware.adapters.outbound import Outbound\n"
        f"print(Outbound({FAR!r}, {town.port}, sys.argv[1]).connect().getsockname()[0])"
    )
    with town.booth.inside():
        for name, near in NEAR.items():
            done = subprocess.run(
                [*NOBODY, sys.executable, "-c", code, name],
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.stdout, done.stderr) == (f"{near}\n", "")
