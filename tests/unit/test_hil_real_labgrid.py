"""The real bench with labgrid's own drivers, over sockets and files: what it holds on to when a board goes away."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hil.api import BenchMissingError
from hil.panel_file import OUTPUTS
from hil.reading import until
from hil.real.bench import RealButton, RealPower
from hil.real.board import Board
from hil.real.lines import RealConsole, SenseBox, Steps
from hil.real.parts import BoardGoneError, Table

labgrid = pytest.importorskip("labgrid", reason="labgrid is not installed: the extra gatebooth[bench]")

pytest_plugins = ("rigs.sshd",)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "hil" / "real" / "example.yaml"
COMMANDS = 15
SAY_EVERY_S = 0.005
TABLE = """
targets:
  main:
    resources:
      - NetworkService: {{name: board, address: 127.0.0.1, port: {ssh}, username: {user}}}
      - NetworkSerialPort: {{name: console, host: 127.0.0.1, port: {console}, protocol: raw}}
      - NetworkSerialPort: {{name: steps, host: 127.0.0.1, port: {steps}, protocol: raw}}
      - NetworkSerialPort: {{name: sense, host: 127.0.0.1, port: {sense}, protocol: raw}}
    drivers:
      - SSHDriver: {{name: shell, bindings: {{networkservice: board}}, keyfile: {key}, connection_timeout: 5.0}}
      - SerialDriver: {{name: console, bindings: {{port: console}}}}
      - SerialDriver: {{name: steps, bindings: {{port: steps}}}}
      - SerialDriver: {{name: sense, bindings: {{port: sense}}}}
      - FileDigitalOutputDriver: {{name: loop-1, filepath: {folder}/loop}}
      - FileDigitalOutputDriver: {{name: supply-relay, filepath: {folder}/supply}}
      - DigitalOutputPowerDriver: {{name: supply, bindings: {{output: supply-relay}}, delay: 0.1}}
    options:
      table:
        {{address: 127.0.0.1, interface: eth9, loop_pins: [17], output_pins: {{siren: 23}}, sense_pins: {{siren: 2}}}}
"""
LAME_CABLE = """
imports: [labgrid.driver.fake]
targets:
  main:
    resources: [RawSerialPort: {name: console, port: /dev/none}]
    drivers:
      - SerialDriver: {name: console}
      - FakePowerDriver: {name: supply}
      - FakeCommandDriver: {name: shell}
    options: {table: {address: 127.0.0.1, interface: eth9, loop_pins: [], output_pins: {}}}
"""


class LabgridTable:
    """A table whose board is a real sshd, and the far ends of its cables."""

    def __init__(self, folder, sshd, undo):
        from hil.real.labgrid_parts import load  # noqa: PLC0415 - needs labgrid

        for name in ("loop", "supply"):
            (folder / name).touch()
        ends = {
            name: undo.enter_context(socket.create_server(("127.0.0.1", 0))) for name in ("console", "steps", "sense")
        }
        ports = {name: end.getsockname()[1] for name, end in ends.items()}
        environment = folder / "table.yaml"
        environment.write_text(TABLE.format(ssh=sshd.road.port, user=sshd.user, key=sshd.key, folder=folder, **ports))
        self.sshd = sshd
        self.parts = load(environment)
        undo.callback(self.parts.shell.close)
        self.far = {name: undo.enter_context(end.accept()[0]) for name, end in ends.items()}


@pytest.fixture
def table(tmp_path, sshd):
    with contextlib.ExitStack() as undo:
        yield LabgridTable(tmp_path, sshd, undo)


def test_the_example_of_an_environment_binds_in_labgrid():
    target = labgrid.Environment(str(EXAMPLE)).get_target("main")
    names = {driver.name for driver in target.drivers}
    assert {"loop-1", "loop-2", "loop-3", "supply", "shell", "console", "sense", "steps"} <= names
    options = target.env.config.get_target_option("main", "table")
    assert Table(**options).sense_pins.keys() == set(OUTPUTS)


def test_labgrids_drivers_work_relays_supply_and_cable(table, tmp_path):
    RealButton(table.parts.contacts[0], opens=False).press()
    table.parts.supply.on()
    table.far["console"].sendall(b"from before\r\n")
    console = RealConsole(table.parts.console)
    console.type("status")
    assert table.far["console"].recv(100) == b"status\r"
    table.far["console"].sendall(b"armed\r\n")
    assert console.expect("armed", 5) == "armed"
    console.close()
    assert (tmp_path / "loop").read_text() == (tmp_path / "supply").read_text() == "1\n"
    assert table.parts.table.loop_pins == (17,)


def _answer(far):
    """What a sense box does."""
    while asked := far.recv(100):
        far.sendall(b"2 0\r\n" * asked.count(b"?"))


def test_cables_are_read_while_commands_run_and_relays_work_and_no_line_is_lost(table):
    said, over = [], threading.Event()

    def speak():
        while not over.wait(SAY_EVERY_S):
            table.far["steps"].sendall(b'{"n": %d}\n' % len(said))
            said.append(len(said))

    parts = table.parts
    console, steps, box = RealConsole(parts.console), Steps(parts.steps), SenseBox(parts.sense, {"siren": 2})
    far_ends = [threading.Thread(target=speak), threading.Thread(target=_answer, args=(table.far["sense"],))]
    for far_end in far_ends:
        far_end.start()
    for number in range(COMMANDS):
        assert parts.must(f"echo {number}") == [str(number)]
        parts.contacts[0].set(bool(number % 2))
        parts.supply.on()
        box.ask()
    over.set()
    table.far["sense"].shutdown(socket.SHUT_RD)
    for far_end in far_ends:
        far_end.join()
    until(lambda: len(steps.said()) >= len(said), "every line that was sent", 20.0)
    for line in (console, steps, box):
        line.close()
    assert len(said) > COMMANDS
    assert [word["n"] for word in steps.said()] == said


def test_a_board_that_started_anew_is_answered_by_again(table, tmp_path):
    board = Board(table.parts, tmp_path)
    table.parts.file(f"{tmp_path}/there", "a key\n", tmp_path, "0600")
    assert (tmp_path / "there").read_text() == "a key\n"
    table.sshd.road.refuse = True
    table.sshd.road.cut()
    with pytest.raises(BoardGoneError, match=r"board's shell|ssh failed"):
        table.parts.must("true")
    comes_back = threading.Timer(0.5, lambda: setattr(table.sshd.road, "refuse", False))
    comes_back.start()
    board.wait_shell(30.0)
    comes_back.join()
    assert table.parts.must("echo again") == ["again"]


def test_a_board_that_says_nothing_more_is_let_go_and_found_again(table, tmp_path):
    table.parts.must("true")
    table.sshd.road.swallow = True
    began_s = time.monotonic()
    with pytest.raises(BoardGoneError, match="timed out"):
        table.parts.must("true", 0.5)
    assert time.monotonic() - began_s < 20  # labgrid's own parting waits a minute for a board's last word
    table.sshd.road.swallow = False
    Board(table.parts, tmp_path).wait_shell(30.0)


def test_a_connection_that_broke_while_nobody_used_it_costs_no_command(table):
    table.parts.must("true")
    table.sshd.road.cut()
    table.parts.shell._driver._keepalive.wait(20)
    assert table.parts.must("echo there") == ["there"]


def test_a_power_cut_lets_go_of_the_shell(table, tmp_path, monkeypatch):
    monkeypatch.setattr("hil.real.bench.OFF_S", 0.0)
    table.parts.must("true")
    RealPower(table.parts.supply, Board(table.parts, tmp_path)).cut(7)
    assert (tmp_path / "supply").read_text() == "0\n"
    assert table.parts.shell._driver.state.name == "bound"


def test_a_command_whose_status_is_not_zero_is_no_board_that_went_away(table):
    with pytest.raises(AssertionError, match="status 3: oh"):
        table.parts.must("echo oh >&2; exit 3")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("targets: {}", "no target main"),
        ("targets: [", "yaml|syntax|Error"),
        ("targets: {main: {drivers: []}}", "table"),
        (LAME_CABLE, "/dev/none"),
    ],
)
def test_a_file_that_describes_no_table_is_a_missing_bench(tmp_path, text, why):
    from hil.real.labgrid_parts import load  # noqa: PLC0415 - needs labgrid

    environment = tmp_path / "table.yaml"
    environment.write_text(text)
    with pytest.raises(BenchMissingError, match=why):
        load(environment)


def test_the_documented_command_skips_by_name_where_the_table_is_not_there():
    """In the extra's own environment this also shows that the extra has everything that the suite imports."""
    command = [sys.executable, "-m", "pytest", "tests/hil", "--bench", "real", "--bench-env", str(EXAMPLE), "-rs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bench real:" in done.stdout
    assert "/dev/serial/by-id/" in done.stdout
