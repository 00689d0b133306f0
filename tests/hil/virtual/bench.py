"""One virtual board under test; see `hil.api.Bench`."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from hil.api import LID, PATIENCE_S, Change, Touch
from hil.desk import Heard
from hil.outputs import moments
from hil.panel_file import buttons
from hil.virtual import contracts
from hil.virtual.devices import VirtualCamera, VirtualLoudspeaker, VirtualMicrophone, VirtualSoundCard
from hil.virtual.disk import WAYS
from hil.virtual.inside import CGROUP, UNIT, Inside, wires
from hil.virtual.machine import BOOT_S, LINES
from hil.whole import ASK, read_load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.api import Setup
    from hil.house import House
    from hil.virtual.disk import ForgetfulDisk
    from hil.virtual.machine import Machine
    from hil.whole import Load

STATE_DIR: Final = "/var/lib/gatebooth"
COLD_S: Final = 150.0
"""A cold start takes 10 s on a quiet test machine, and a minute beside much other work."""
SEEN_S: Final = 0.02
"""By then the board has seen an edge, unless it waits for a processor."""


class VirtualBench:
    """Everything a test may do to one virtual board.

    Synchronization: one thread.
    """

    name = "virtual"

    def __init__(self, house: House, setup: Setup, machine: Machine, disk: ForgetfulDisk) -> None:
        self.setup, self.house, self.machine = setup, house, machine
        self.buttons = buttons(setup, LINES)
        self.inside = Inside(machine)
        self.link = VirtualLink(self)
        self.console = VirtualConsole(machine)
        self.power = VirtualPower(self, disk)
        self.panel = VirtualPanel(self)
        self.clock = VirtualClock(self.inside)
        self.disk = VirtualDisk(machine, disk)
        self.sound_card = VirtualSoundCard(machine)
        self.microphone = VirtualMicrophone(machine, self.sound_card)
        self.loudspeaker = VirtualLoudspeaker(machine, self.sound_card)
        self.camera = VirtualCamera(machine)
        self._wires = wires(setup)
        self._config = ""

    def begin(self) -> None:
        """Set the clock, which stood still with the machine; install the test's panel and start it."""
        self.inside.set_clock(time.time(), synced=True)
        self._config = self.inside.install(self.setup, self.house.keys)
        if self.setup.media:
            self.microphone.begin()
        self.inside.start_panel()
        if self.setup.media:
            self.inside.wait_media()

    def button(self, name: str = "booth-button") -> VirtualButton:
        """A loop."""
        return VirtualButton(self.machine, self._wires.loops[name], rests_high=name != LID)

    def output(self, name: str) -> VirtualOutput:
        """A relay or lamp."""
        return VirtualOutput(self.machine, name, self._wires.outputs[name])

    def contract(self, *suites: str) -> str:
        """Run contract suites inside."""
        return contracts.run(self, suites)

    def attachments(self) -> Mapping[str, str]:
        """The guest's journal, its console, the technician's line, QEMU's events, what the pins did."""
        names = {line: name for name, line in self._wires.outputs.items()}
        edges = [f"{e.at_s:.3f} {names.get(e.line, e.line)} {'on' if e.high else 'off'}" for e in self.machine.edges]
        return {
            "journal.txt": self.inside.journal() if self.machine.on else "the virtual board is off",
            "kernel-console.txt": self.machine.console.text(),
            "technician.txt": self.machine.cable.text(),
            "qemu-events.txt": "\n".join(f"{e.at_s:.3f} {e.name} {e.data}" for e in self.machine.all_events()),
            "outputs.txt": "\n".join(edges),
            "panel.toml": self._config,
        }


class VirtualButton:
    """See `hil.api.Button`. A contact joins its line and ground; the controller has no pull-up, so the bench is it."""

    def __init__(self, machine: Machine, line: int, *, rests_high: bool) -> None:
        self._machine = machine
        self._line = line
        self._rests_high = rests_high

    def press(self) -> float:
        """Push and hold."""
        return self._machine.drive(self._line, high=not self._rests_high)

    def release(self) -> float:
        """Let go."""
        return self._machine.drive(self._line, high=self._rests_high)

    def touch(self, span_s: float, *, times: int = 1, every_s: float = 0.2) -> tuple[Touch, ...]:
        """Push for so long, so many times.

        In doubt is what the board waited meanwhile for processors of the test machine: its kernel dates an edge when
        it runs.
        """
        began_s, pause, done = time.monotonic(), threading.Event(), []
        for number in range(times):
            pause.wait(max(0.0, began_s + number * every_s - time.monotonic()))
            waited_s, at_s = self._machine.waited_s(), self.press()
            pause.wait(max(0.0, at_s + span_s - time.monotonic()))
            self.release()
            held_s = time.monotonic() - at_s
            pause.wait(min(SEEN_S, every_s / 4))
            done.append(Touch(at_s, held_s, self._machine.waited_s() - waited_s))
        return tuple(done)

    def bounce(self, *, times: int, span_s: float) -> tuple[Touch, ...]:
        """Chatter, then stay pushed."""
        visits = self.touch(span_s, times=times, every_s=2 * span_s)
        self.press()
        return visits

    def cut(self) -> float:
        """Cut the wire: the line goes up, which only a contact that opens shows."""
        return self._machine.drive(self._line, high=True)

    def short(self) -> float:
        """Join the wires: the line goes down."""
        return self._machine.drive(self._line, high=False)

    def mend(self) -> float:
        """Make the wires whole."""
        return self.release()

    def lose(self) -> NoReturn:
        """The controller's driver is part of the kernel."""
        raise AssertionError("the virtual bench cannot take pins away; mark the test @needs(Can.INPUT_LOSS)")

    find = lose


class VirtualOutput:
    """See `hil.api.Output`; read at the controller's lines."""

    def __init__(self, machine: Machine, name: str, line: int) -> None:
        self._machine = machine
        self._name = name
        self._line = line

    def read(self) -> bool:
        """Whether it is on now."""
        changes = self.history()
        return bool(changes) and changes[-1].on

    def wait(self, *, on: bool, after_s: float = 0.0, timeout_s: float = PATIENCE_S) -> float:
        """Await a state."""

        def found() -> list[float]:
            return moments(self._changes(), after_s, on=on)

        with self._machine.news:
            came = self._machine.news.wait_for(found, timeout_s)
            assert came, f"{self._name} was not {'on' if on else 'off'} within {timeout_s} s: {self._changes()[-8:]}"
            return found()[0]

    def history(self, since_s: float = 0.0) -> tuple[Change, ...]:
        """Every change."""
        with self._machine.news:
            return tuple(change for change in self._changes() if change.at_s >= since_s)

    def _changes(self) -> list[Change]:
        return [Change(edge.at_s, edge.high) for edge in self._machine.edges if edge.line == self._line]


class VirtualConsole:
    """See `hil.api.Console`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._start = 0

    def type(self, text: str) -> None:
        """Type a line."""
        self._start = self._machine.cable.length
        self._machine.cable.send(f"{text}\r".encode())

    def expect(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Await a text."""
        return self._machine.cable.expect(text, self._start, timeout_s)


class VirtualLink:
    """See `hil.api.Link`: the cable is the card's own, what lies behind it is the house's."""

    def __init__(self, bench: VirtualBench) -> None:
        self._bench = bench

    def cut(self) -> None:
        """Pull the cable: the card has no carrier."""
        self._bench.machine.plug(in_=False)

    def black_hole(self) -> None:
        """Swallow everything: what is connected hears nothing more, and nothing new is connected."""
        self._bench.house.link.black_hole()
        self._bench.machine.swallow(on=True)

    def slow(self, bits_s: int) -> None:
        """Carry only so many bits a second."""
        self._bench.house.link.slow(bits_s)

    def restore(self) -> None:
        """Be whole and quick."""
        self._bench.machine.swallow(on=False)
        self._bench.machine.plug(in_=True)
        self._bench.house.link.restore()


class VirtualPower:
    """See `hil.api.Power`. What of the unflushed writes survives is drawn from the seed of the cut."""

    def __init__(self, bench: VirtualBench, disk: ForgetfulDisk) -> None:
        self._bench = bench
        self._disk = disk

    def cut(self, seed: int) -> None:
        """Off."""
        self._bench.machine.cut()
        chance = random.Random(seed)
        self._disk.lose_power(chance.choice(WAYS), chance.getrandbits(32))

    def on(self) -> float:
        """A cold start."""
        at_s = self._bench.machine.start()
        self._bench.sound_card.power_on()
        return at_s


class VirtualPanel:
    """See `hil.api.Panel`."""

    def __init__(self, bench: VirtualBench) -> None:
        self._inside = bench.inside
        self._machine = bench.machine

    def wait_armed(self, timeout_s: float = COLD_S, *, after_s: float = 0.0) -> float:
        """Await READY."""
        return self._inside.wait_armed(after_s, timeout_s)

    def kill(self) -> float:
        """SIGKILL."""
        return self._signal("KILL")

    def hang(self) -> float:
        """SIGSTOP."""
        return self._signal("STOP")

    def restart(self) -> None:
        """Stop and start."""
        self._machine.hand.run(f"systemctl restart {UNIT}", BOOT_S)

    def bites(self) -> int:
        """Of systemd and of the hardware watchdog."""
        # grep ends with 1 when it counts none
        said = self._machine.hand.run("journalctl --no-pager | grep -c 'gatebooth.service: Watchdog timeout' || true")
        return int(said) + sum(event.name == "WATCHDOG" for event in self._machine.all_events())

    def crash_kernel(self) -> float:
        """Panic."""
        return self._machine.hand.shout("echo c >/proc/sysrq-trigger")

    def freeze_machine(self) -> float:
        """Both processors in loops of the highest priority, which nothing may interrupt."""
        loop = "taskset {0} chrt -f 99 sh -c 'while :; do :; done' & "
        return self._machine.hand.shout(
            "echo -1 >/proc/sys/kernel/sched_rt_runtime_us; " + loop.format(1) + loop.format(2) + "wait"
        )

    def stop(self) -> None:
        """Stop in order."""
        self._machine.hand.run(f"systemctl stop {UNIT}", BOOT_S)

    def machine(self) -> Load:
        """The guest's own count."""
        return read_load(self._machine.hand.run(ASK))

    def said(self, after_s: float = 0.0) -> tuple[Heard, ...]:
        """Steps that the panel told; a line that a power cut tore says nothing."""
        told = self._machine.steps.lines(after_s)
        return tuple(Heard(at_s, json.loads(line)) for at_s, line in told if line.endswith("}"))

    def memory_mib(self) -> float:
        """Of the unit's processes."""
        rollups = f"$(sed 's|.*|/proc/&/smaps_rollup|' {CGROUP}/cgroup.procs)"
        return int(self._machine.hand.run(f"cat {rollups} | awk '/^Pss:/ {{s += $2}} END {{print s}}'")) / 1024

    def cpu_s(self) -> float:
        """Of the unit's processes."""
        return int(self._machine.hand.run(f"awk '/^usage_usec/ {{print $2}}' {CGROUP}/cpu.stat")) / 1e6

    def _signal(self, name: str) -> float:
        pid = self._inside.main_pid()
        at_s = time.monotonic()
        self._machine.hand.run(f"kill -{name} {pid}")
        return at_s


class VirtualClock:
    """See `hil.api.WallClock`."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def set(self, utc_s: float, *, synced: bool = True) -> None:
        """Step it."""
        self._inside.set_clock(utc_s, synced=synced)


class VirtualDisk:
    """See `hil.api.Disk`."""

    def __init__(self, machine: Machine, disk: ForgetfulDisk) -> None:
        self._machine = machine
        self._disk = disk

    def fill(self) -> None:
        """Another program takes all the room that there is for anybody but root."""
        self._machine.hand.run("fallocate -l $(df --output=avail -B1 /var | tail -1) /var/hog; sync")

    def fail(self) -> None:
        """Places of the card go bad: those that hold the journal, as worn flash does."""
        self._disk.fail(self._places())

    def mend(self) -> None:
        """Be sound and have room."""
        self._disk.fail([])
        self._machine.hand.run("rm -f /var/hog")

    def _places(self) -> list[tuple[int, int]]:
        told = self._machine.hand.run(f"python3 -I -S /opt/bench/places.py {STATE_DIR}")
        return [(int(begin), int(end)) for begin, end in (line.split() for line in told.splitlines())]
