"""A table of fakes for the real bench: relays that remember, cables and a board whose far end is the test."""

from __future__ import annotations

import queue
import subprocess
from pathlib import Path

from hil.panel_file import OUTPUTS
from hil.real.parts import HostError, Parts, Table
from rigs.broker import free_port

SENSE_PINS = dict(zip(OUTPUTS, range(2, 7), strict=True))
TABLE = Table(
    address="127.0.0.1",
    interface="eth9",
    loop_pins=(17, 27, 22),
    output_pins=dict(zip(OUTPUTS, (23, 24, 25, 12, 16), strict=True)),
    sense_pins=SENSE_PINS,
    console="/dev/ttyAMA0",
    steps="/dev/ttyAMA3",
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
        self.forgotten = 0
        self._come = queue.Queue()

    def come(self, text):
        self._come.put(text.encode())

    def read(self, timeout_s):
        try:
            came = self._come.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if came == b"":
            raise OSError("the cable is gone")
        return came

    def write(self, data):
        self.sent += data

    def forget(self):
        self.forgotten += 1


class Sense(Serial):
    """A sense box; silent if it is told to be."""

    def __init__(self):
        super().__init__()
        self.levels = dict.fromkeys(SENSE_PINS.values(), 0)
        self.silent = False

    def change(self, number, level):
        self.levels[number] = level
        self.come(f"{number} {level}\r\n")

    def write(self, data):
        super().write(data)
        if not self.silent:
            self.come("".join(f"{number} {level}\r\n" for number, level in self.levels.items()))


class Shell:
    """A board that answers the bench's questions and keeps what it was told, if a shell can read it.

    Attributes:
        answers: Lines, by a part of the command; an exception in their place is raised.
    """

    def __init__(self):
        self.commands = []
        self.files = {}
        self.answers = {
            "ActiveEnterTimestampMonotonic": ["9000000", "active", "10.0"],
            "boot_id": ["boot-1", "0"],
            "--version": ["gatebooth 0.1.0", "Linux 6.12 aarch64"],
        }
        self.status = 0
        self.closed = 0

    def run(self, command, *, timeout=None):
        checked = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{command}: {checked.stderr}"
        self.commands.append(command)
        answer = next((answer for part, answer in self.answers.items() if part in command), [])
        if isinstance(answer, Exception):
            raise answer
        return answer, [], self.status

    def put(self, filename, remotepath):
        self.files[remotepath] = Path(filename).read_text()

    def close(self):
        self.closed += 1


class Host:
    """The bench's machine, whose commands only are written down; `without` names a program that may not be run."""

    def __init__(self, without=""):
        self.commands = []
        self.without = without

    def run(self, *command):
        if command[0] == self.without:
            raise HostError(f"{command[0]}: a password is required")
        self.commands.append(" ".join(command))


class House:
    """Keys and a port."""

    def __init__(self, folder):
        self.keys = folder / "keys"
        self.keys.mkdir()
        for name in ("panel", "110", "station"):
            (self.keys / f"{name}.key").write_text(f"key of {name}\n")
        self.port = free_port()


def fakes():
    """A whole table."""
    return Parts(
        table=TABLE,
        contacts=(Contact(), Contact(), Contact()),
        supply=Supply(),
        shell=Shell(),
        host=Host(),
        console=Serial(),
        sense=Sense(),
        steps=Serial(),
        plugs={"camera": Supply()},
    )
