"""The real bench over a table of fakes: what it does to relays, cables, networks and shells."""

from __future__ import annotations

import io
import queue
import re
import runpy
import socket
import sys
import time
import types
from pathlib import Path

import pytest
from hil.api import Can, Setup
from hil.panel_file import OUTPUTS
from hil.real import bench as bench_module
from hil.real.bench import RealBench, RealButton, abilities
from hil.real.lines import RealConsole
from hil.real.link import KernelLink
from hil.real.parts import Parts, Table
from rigs.broker import free_port

EXAMPLE = Path(__file__).parents[1] / "hil" / "real" / "example.yaml"
SENSE_BOX = EXAMPLE.with_name("sense_box.py")
TABLE = Table(
    address="127.0.0.1",
    interface="eth9",
    loop_pins=(17, 27, 22),
    output_pins=dict(zip(OUTPUTS, (23, 24, 25, 12, 16), strict=True)),
    sense_pins={"siren": 2, "strobe": 3},
    console="/dev/ttyAMA0",
    steps="/dev/ttyAMA2",
)


class Contact:
    """A relay that remembers."""

    def __init__(self):
        self.states = []

    def set(self, status):
        self.states.append(status)


class Supply:
    """A switch that remembers."""

    def __init__(self):
        self.orders = []

    def on(self):
        self.orders.append("on")

    def off(self):
        self.orders.append("off")


class Serial:
    """A cable whose far end is the test."""

    def __init__(self):
        self.sent = b""
        self._come = queue.Queue()

    def come(self, text):
        self._come.put(text.encode())

    def read(self, size=1, timeout=0.0):
        return self._come.get(timeout=timeout)

    def write(self, data):
        self.sent += data
        return len(data)


class Shell:
    """A board that answers the bench's questions and keeps what it was told."""

    def __init__(self):
        self.commands = []
        self.files = {}
        self.answers = {"ActiveEnterTimestampMonotonic": ["9000000", "active", "10.0"]}
        self.status = 0

    def run(self, command, *, timeout=None):
        self.commands.append(command)
        answer = next((answer for part, answer in self.answers.items() if part in command), [])
        return answer, [], self.status

    def put(self, filename, remotepath):
        self.files[remotepath] = Path(filename).read_text()


class Host:
    """The bench's machine, whose commands only are written down."""

    def __init__(self):
        self.commands = []

    def run(self, *command):
        self.commands.append(" ".join(command))


class House:
    """Keys and a port."""

    def __init__(self, folder):
        self.keys = folder / "keys"
        self.keys.mkdir()
        for name in ("panel", "110", "station"):
            (self.keys / f"{name}.key").write_text(f"key of {name}\n")
        self.port = free_port()


@pytest.fixture
def parts():
    return Parts(
        table=TABLE,
        contacts=(Contact(), Contact(), Contact()),
        supply=Supply(),
        shell=Shell(),
        host=Host(),
        console=Serial(),
        sense=Serial(),
        steps=Serial(),
    )


@pytest.fixture
def table_bench(tmp_path, parts):
    made = RealBench(House(tmp_path), tmp_path, Setup(two_state_lid=True), parts)
    made.begin()
    yield made
    made.close()


def test_a_table_can_what_stands_on_it(parts):
    can = abilities(parts)
    assert {Can.OUTPUTS, Can.CONSOLE, Can.STEPS, Can.POWER, Can.HONEST_DISK} <= can
    assert not {Can.FOUR_STATES, Can.TEN_ZONES, Can.CAMERA, Can.DISK_ERROR, Can.TLS} & can


def test_the_panel_gets_the_tests_configuration_and_keys(table_bench, parts):
    files = parts.shell.files
    assert files["/etc/gatebooth/110.key"] == "key of 110\n"
    toml = files["/etc/gatebooth/panel.toml"]
    assert 'board = "pi"' in toml
    assert f"port = {table_bench.link.port}" in toml
    assert re.search(r'\[zone.lid\]\npin = 22\ntype = "tamper"\ncontact = "opens"', toml)
    assert "--json-steps" in files["/etc/systemd/system/gatebooth.service.d/bench.conf"]


def test_a_button_is_a_relay_that_closes_and_a_lid_one_that_opens(table_bench, parts):
    table_bench.button("booth-button").press()
    table_bench.button("lid").press()
    assert [contact.states for contact in parts.contacts] == [[False, True], [False], [True, False]]


def test_touches_are_as_many_as_asked_and_never_shorter(table_bench, parts):
    touches = table_bench.button().touch(0.01, times=3, every_s=0.03)
    assert parts.contacts[0].states == [False, *[True, False] * 3]
    assert all(touch.span_s >= 0.01 for touch in touches)


def test_outputs_are_what_the_sense_box_says(table_bench, parts):
    assert parts.sense.sent == b"?\n"
    parts.sense.come("2 1\r\n3 0\r\nrubbish\n2")
    at_s = table_bench.output("siren").wait(on=True, timeout_s=5)
    parts.sense.come(" 0\n")
    assert table_bench.output("siren").wait(on=False, after_s=at_s, timeout_s=5) >= at_s
    assert not table_bench.output("strobe").read()
    with pytest.raises(AssertionError, match="strobe was not on within 0"):
        table_bench.output("strobe").wait(on=True, timeout_s=0.01)


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


def test_armed_is_what_systemd_heard_on_the_benchs_own_clock(table_bench, parts):
    armed_s = table_bench.panel.wait_armed()
    assert table_bench.panel.wait_armed() == pytest.approx(armed_s, abs=0.5)
    parts.shell.answers["ActiveEnterTimestampMonotonic"] = ["0", "activating", "10.0"]
    with pytest.raises(AssertionError, match="not armed within"):
        table_bench.panel.wait_armed(0.1)


def test_the_whole_board_is_weighed_by_its_own_kernel(table_bench, parts):
    parts.shell.answers["/proc/stat"] = ["cpu  100 0 100 9000 0 0 0 0 0 0", "MemAvailable:  512000 kB"]
    load = table_bench.panel.machine()
    assert (load.available_mib, load.busy_s) == (500.0, 2.0)


def test_a_power_cut_waits_for_the_capacitors(table_bench, parts, monkeypatch):
    waits = []
    monkeypatch.setattr(bench_module.time, "sleep", waits.append)
    table_bench.power.cut(7)
    table_bench.power.on()
    assert parts.supply.orders == ["on", "off", "on"]
    assert waits == [bench_module.OFF_S]


def test_a_command_that_fails_on_the_board_fails_the_test_by_name(table_bench, parts):
    parts.shell.status = 1
    with pytest.raises(AssertionError, match="on the board: systemctl kill --kill-who=main --signal=STOP gatebooth"):
        table_bench.panel.hang()
    parts.shell.status = 0


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


def test_the_example_of_an_environment_binds_in_labgrid():
    labgrid = pytest.importorskip("labgrid", reason="labgrid is not installed: the extra gatebooth[bench]")
    target = labgrid.Environment(str(EXAMPLE)).get_target("main")
    names = {driver.name for driver in target.drivers}
    assert {"loop-1", "loop-2", "loop-3", "supply", "shell", "console", "sense", "steps"} <= names
    options = target.env.config.get_target_option("main", "table")
    assert Table(**options).sense_pins.keys() == set(OUTPUTS)


LABGRID_TABLE = """
imports: [labgrid.driver.fake]
targets:
  main:
    resources:
      - NetworkSerialPort: {{name: console, host: 127.0.0.1, port: {port}, protocol: raw}}
    drivers:
      - FakeCommandDriver: {{name: shell}}
      - SerialDriver: {{name: console, bindings: {{port: console}}}}
      - FileDigitalOutputDriver: {{name: loop-1, filepath: {folder}/loop}}
      - FileDigitalOutputDriver: {{name: supply-relay, filepath: {folder}/supply}}
      - DigitalOutputPowerDriver: {{name: supply, bindings: {{output: supply-relay}}, delay: 0.1}}
    options:
      table: {{address: 127.0.0.1, interface: eth9, loop_pins: [17], output_pins: {{siren: 23}}}}
"""


def test_labgrids_drivers_work_relays_supply_and_cable(tmp_path):
    pytest.importorskip("labgrid", reason="labgrid is not installed: the extra gatebooth[bench]")
    from hil.real.labgrid_parts import load  # noqa: PLC0415 - needs labgrid

    (tmp_path / "loop").touch()
    (tmp_path / "supply").touch()
    with socket.create_server(("127.0.0.1", 0)) as far_end:
        environment = tmp_path / "table.yaml"
        environment.write_text(LABGRID_TABLE.format(port=far_end.getsockname()[1], folder=tmp_path))
        parts = load(environment)
        line, _ = far_end.accept()
        with line:
            RealButton(parts.contacts[0], opens=False).press()
            parts.supply.on()
            console = RealConsole(parts.console)
            console.type("status")
            assert line.recv(100) == b"status\r"
            line.sendall(b"armed\r\n")
            assert console.expect("armed", 5) == "armed"
            console.close()
    assert (tmp_path / "loop").read_text() == (tmp_path / "supply").read_text() == "1\n"
    assert parts.sense is None
    assert parts.table.loop_pins == (17,)
