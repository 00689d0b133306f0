"""The real bench over a table of fakes: what it does to relays, cables, networks and shells."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import runpy
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from hil.api import BenchMissingError, Can, Setup
from hil.real.bench import RealBench, abilities
from hil.real.lines import READ_S, SenseBox
from hil.real.link import KernelLink, LocalHost, sweep, unable
from hil.real.parts import BoardGoneError, HostError
from hil.real.stand import RealStand
from rigs.bench_table import Host, House, fakes
from rigs.broker import free_port
from rigs.netns import Machine

SENSE_BOX = Path(__file__).parents[1] / "hil" / "real" / "sense_box.py"


@pytest.fixture
def parts():
    return fakes()


@pytest.fixture
def table_bench(tmp_path, parts):
    made = RealBench(House(tmp_path), tmp_path, Setup(two_state_lid=True), parts)
    made.begin()
    yield made
    made.close()


def test_a_table_can_what_stands_on_it(parts):
    can = abilities(parts)
    assert {Can.OUTPUTS, Can.CONSOLE, Can.STEPS, Can.POWER, Can.HONEST_DISK, Can.LINK} <= can
    half = dataclasses.replace(parts.table, sense_pins={"siren": 2}, console="", steps="")
    assert not {Can.OUTPUTS, Can.CONSOLE, Can.STEPS} & abilities(dataclasses.replace(parts, table=half))
    assert not {Can.FOUR_STATES, Can.TEN_ZONES, Can.CAMERA, Can.DISK_ERROR, Can.TLS} & can


def test_the_panel_gets_the_tests_configuration_and_keys(table_bench, parts):
    files = parts.shell.files
    assert files["/etc/gatebooth/110.key"] == "key of 110\n"
    toml = files["/etc/gatebooth/panel.toml"]
    assert 'board = "pi"' in toml
    assert f"port = {table_bench.link.port}" in toml
    assert re.search(r'\[zone.lid\]\npin = 22\ntype = "tamper"\ncontact = "opens"', toml)


def test_a_button_is_a_relay_that_closes_and_a_lid_one_that_opens(table_bench, parts):
    table_bench.button("booth-button").press()
    table_bench.button("lid").press()
    assert [contact.states for contact in parts.contacts] == [[False, True], [False], [True, False]]


def test_touches_are_as_many_as_asked_and_never_shorter(table_bench, parts):
    touches = table_bench.button().touch(0.01, times=3, every_s=0.03)
    assert parts.contacts[0].states == [False, *[True, False] * 3]
    assert all(touch.span_s >= 0.01 for touch in touches)


def test_outputs_are_what_the_sense_box_says(table_bench, parts):
    parts.sense.come("rubbish\n2")
    parts.sense.come(" 1\r\n3 0\r\n")
    at_s = table_bench.output("siren").wait(on=True, timeout_s=5)
    parts.sense.change(2, 0)
    assert table_bench.output("siren").wait(on=False, after_s=at_s, timeout_s=5) >= at_s
    assert not table_bench.output("strobe").read()
    with pytest.raises(AssertionError, match="strobe was not on within 0"):
        table_bench.output("strobe").wait(on=True, timeout_s=0.01)


def test_a_silent_sense_box_is_no_proof_that_nothing_showed(table_bench, parts, monkeypatch):
    monkeypatch.setattr(SenseBox.ask, "__defaults__", (0.05,))
    assert table_bench.output("siren").history() == ()
    parts.sense.silent = True
    for look in (table_bench.output("siren").history, table_bench.output("siren").read):
        with pytest.raises(AssertionError, match=r"sense box says nothing of \['siren', "):
            look()
    parts.sense.come("")
    with pytest.raises(AssertionError, match="the cable is gone"):
        table_bench.output("siren").wait(on=True, timeout_s=READ_S)


def test_the_console_types_and_expects(table_bench, parts):
    table_bench.console.type("status")
    parts.console.come("panel bench-1: armed\r\n")
    assert table_bench.console.expect("armed", 5) == "panel bench-1: armed"
    assert parts.console.sent == b"status\r"


def test_the_panels_own_words_are_kept_and_half_a_word_is_none(table_bench, parts):
    parts.steps.come('{"step": "stored", "id": "a/1/2"}\n{"step": "brok')
    parts.steps.come("\n")
    parts.steps.come("{}\n")
    deadline_s = time.monotonic() + 20
    while len(table_bench.panel.said()) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert [word.fields for word in table_bench.panel.said()] == [{"step": "stored", "id": "a/1/2"}, {}]


def test_faults_of_the_network_are_undone_newest_first():
    host = Host()
    link = KernelLink(host, "eth9", "127.0.0.1", free_port())
    link.slow(64_000)
    link.black_hole()
    faults, host.commands = host.commands, []
    link.restore()
    assert "tc qdisc replace dev eth9 root tbf rate 64000bit burst 4kb latency 300ms" in faults
    assert any(f'iifname "eth9" tcp dport {link.port} drop' in command for command in faults)
    assert host.commands == [
        "nft delete table inet gatebooth_bench",
        "tc qdisc del dev eth9 ingress",
        "tc qdisc del dev eth9 root",
    ]
    link.cut()
    link.close()
    assert host.commands[-2:] == ["ip link set eth9 down", "ip link set eth9 up"]


def test_the_sense_box_tells_changes_and_everything_when_asked(monkeypatch, capsys):
    class Pin:
        IN = PULL_UP = 0
        low = 3

        def __init__(self, number, *_):
            self.number = number

        def value(self):
            return int(self.number != self.low)

    class Poll:
        def register(self, *_):
            pass

        def poll(self, _):
            return [1]

    monkeypatch.setitem(sys.modules, "machine", types.SimpleNamespace(Pin=Pin))
    monkeypatch.setitem(sys.modules, "select", types.SimpleNamespace(poll=Poll, POLLIN=1))
    runpy.run_path(str(SENSE_BOX))["main"](io.StringIO("?\n"))
    assert capsys.readouterr().out.splitlines() == [f"{number} {int(number == 3)}" for number in range(2, 10)]


def test_a_machine_that_may_not_make_faults_has_no_link_to_fault(parts):
    for program in ("ip", "tc", "nft"):
        parts.host.without = program
        assert Can.LINK not in abilities(parts)
    parts.host.without = ""
    assert Can.LINK in abilities(parts)


def test_what_a_killed_run_left_is_swept_before_the_board_is_asked(parts):
    parts.host.without = "nft"  # where nothing was left, sweeping fails, and nobody minds
    parts.shell.answers["true"] = BoardGoneError("no route")
    with pytest.raises(BenchMissingError, match="not ready"):
        RealStand(parts, boot_s=0.0)
    assert parts.host.commands == ["tc qdisc del dev eth9 root", "tc qdisc del dev eth9 ingress", "ip link set eth9 up"]
    parts.host.without = ""
    sweep(parts.host, "eth9")
    assert "nft delete table inet gatebooth_bench" in parts.host.commands


def test_the_kernel_takes_the_faults_of_a_link_and_a_later_run_sweeps_them(tmp_path):
    if shutil.which("nft") is None or shutil.which("tc") is None:
        pytest.skip("needs nft and tc (apt-get install nftables iproute2)")
    machine, host = Machine(), LocalHost()
    machine.ip("link", "add", "eth9", "type", "veth", "peer", "name", "board")
    machine.address("eth9", "192.0.2.1/24")

    def said(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with machine.inside():
        assert unable(host, "eth9") == ""
        assert "does not exist" in unable(host, "eth7")
        link = KernelLink(host, "eth9", "192.0.2.1", free_port())
        with contextlib.suppress(HostError):  # its last word needs act_police, which not every kernel has
            link.slow(64_000)
        link.black_hole()
        link.cut()
        assert {"tbf", "ingress"} <= set(said("tc", "qdisc", "show", "dev", "eth9").split())
        assert f"tcp dport {link.port} drop" in said("nft", "list", "ruleset")
        assert "UP" not in said("ip", "-br", "link", "show", "eth9").split("<")[1]
        sweep(host, "eth9")
        assert not {"tbf", "ingress"} & set(said("tc", "qdisc", "show", "dev", "eth9").split())
        assert said("nft", "list", "ruleset") == ""
        assert "UP" in said("ip", "-br", "link", "show", "eth9").split("<")[1]
        with pytest.raises(HostError, match="Cannot delete"):
            link.close()


def test_a_table_that_is_ready_says_what_it_runs(parts):
    stand = RealStand(parts)
    assert stand.image == "gatebooth 0.1.0 Linux 6.12 aarch64"
    assert parts.supply.orders == ["on"]
    stand.close()
    assert parts.shell.closed


def _no_address(parts, monkeypatch):
    return dataclasses.replace(parts, table=dataclasses.replace(parts.table, address="192.0.2.1"))


def _no_shell(parts, monkeypatch):
    parts.shell.answers["true"] = BoardGoneError("the board's shell: Connection refused")
    return parts


def _no_panel(parts, monkeypatch):
    parts.shell.answers["--version"] = AssertionError("on the board: gatebooth --version: status 127")
    return parts


def _no_supply(parts, monkeypatch):
    monkeypatch.setattr(parts.supply, "on", lambda: 1 / 0)
    return parts


def _no_sense(parts, monkeypatch):
    monkeypatch.setattr(SenseBox.ask, "__defaults__", (0.05,))
    parts.sense.silent = True
    return parts


@pytest.mark.parametrize(
    ("lame", "why"),
    [
        (_no_address, "assign requested address"),
        (_no_shell, "did not answer within 0.1 s.*Connection refused"),
        (_no_panel, "status 127"),
        (_no_supply, "ZeroDivisionError"),
        (_no_sense, "the sense box says nothing"),
    ],
)
def test_a_table_that_is_not_ready_is_a_missing_bench_that_says_what_is_missing(parts, monkeypatch, lame, why):
    with pytest.raises(BenchMissingError, match=why):
        RealStand(lame(parts, monkeypatch), boot_s=0.1)


def test_attachments_show_what_there_is_and_in_its_place_why_the_rest_is_not(tmp_path, parts):
    bench = RealBench(House(tmp_path), tmp_path, Setup(), dataclasses.replace(parts, sense=None))
    parts.shell.answers["journalctl"] = BoardGoneError("no route to host")
    texts = bench.attachments()
    bench.close()
    assert "no route to host" in texts["panel.log"]
    assert texts["console.txt"] == texts["outputs.txt"] == ""


def test_a_board_that_never_comes_back_leaves_no_relay_pressed_and_no_fault_behind(tmp_path, parts):
    bench = RealBench(House(tmp_path), tmp_path, Setup(), parts)
    bench.begin()
    bench.button().press()
    bench.link.cut()
    bench.camera.disconnect()
    parts.shell.answers["systemctl stop"] = BoardGoneError("no route to host")
    with pytest.raises(BoardGoneError):
        bench.close()
    assert parts.contacts[0].states[-1] is False
    assert parts.host.commands[-1] == "ip link set eth9 up"
    assert parts.plugs["camera"].orders == ["on", "off", "on"]
