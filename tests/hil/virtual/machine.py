"""One virtual board: QEMU with pins, sound, camera, serial line, watchdog, network, and a disk that forgets."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil.virtual.boot import BOARD
from hil.virtual.hand import Hand
from hil.virtual.lines import SerialLine
from hil.virtual.monitor import Event, MachineGoneError, Monitor, PinLines, connect, pin_controller

if TYPE_CHECKING:
    import socket

    from hil.virtual.disk import ForgetfulDisk
    from hil.virtual.image import Image

LINES: Final = 8
BROKER: Final = ("10.0.2.100", 1883)
"""Where the board finds the broker: the only address that its network leads to."""
BOOT_S: Final = 120.0
_LOOK_S: Final = 0.01
_APPEND: Final = "console=ttyAMA0 loglevel=5 net.ifnames=0 panic=0"
# A kernel that panics stays so until the hardware watchdog bites: that is what the watchdog is for.


@dataclass(frozen=True, slots=True)
class Edge:
    """An output line changed."""

    at_s: float
    line: int
    high: bool


class Machine:
    """A virtual board that can be switched on and off.

    Args:
        image: What it boots.
        folder: For its sockets and logs, empty; its path must be short, as those of all sockets.
        disk: Its card.
        port: Where on this machine's loopback the broker is.

    Attributes:
        levels: What the bench drives, by line; outlasts the power.
        plugged: Whether the network cable is in; outlasts the power.
        edges: What the board drove, oldest first; guarded by `news`.
        console: The kernel's.
        cable: The technician's line.
        outside: The port by which contract suites inside ask for what lies outside.
        steps: What `gatebooth run --json-steps` prints.

    Synchronization: one thread; `edges` may be read from any under `news`.
    """

    def __init__(self, image: Image, folder: Path, disk: ForgetfulDisk, port: int) -> None:
        # What lies at a line before the board drives it: the controller would show it for a moment.
        self.levels = dict.fromkeys(range(LINES), False)
        self.plugged = True
        self.edges: list[Edge] = []
        self.news = threading.Condition()
        self.console, self.cable, self.steps = SerialLine(), SerialLine(), SerialLine()
        self.events: list[Event] = []
        self.outside: socket.socket | None = None
        self._image, self._folder, self._disk, self._port = image, folder, disk, port
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None
        self._pins: PinLines | None = None
        self._hand: Hand | None = None
        self._waits_ns: dict[Path, int] = {}
        self._swallows = False

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self._process is not None and self._process.poll() is None

    @property
    def monitor(self) -> Monitor:
        """QEMU's."""
        assert self._monitor is not None, "the virtual board is off"
        return self._monitor

    @property
    def hand(self) -> Hand:
        """Inside."""
        assert self._hand is not None, "the virtual board is off"
        return self._hand

    def start(self, state: Path | None = None) -> float:
        """Switch on, or go on from a saved state; the moment from which it runs.

        Raises:
            MachineGoneError: QEMU does not run; the message holds its words.
        """
        for path in self._folder.glob("*.sock"):
            if path != self._disk.socket:
                path.unlink()
        incoming = ["-incoming", f"exec:zstd -dcq {state}"] if state else []
        with (self._folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._line(), *incoming], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            return self._take_hold()
        except MachineGoneError as error:
            self.cut()
            raise MachineGoneError(f"{error}; QEMU said: {(self._folder / 'qemu.log').read_text()}") from error

    def drive(self, line: int, *, high: bool) -> float:
        """Bring an input to a level, now or at the next power-on."""
        self.levels[line] = high
        if self._pins is not None and self.on:
            return self._pins.drive(line, high=high)
        return time.monotonic()

    def waited_s(self) -> float:
        """How long its threads have stood in line for a processor of the test machine together; never less than before.

        Raises:
            AssertionError: The test machine's kernel does not count that.
        """
        assert self._process is not None, "the virtual board is off"
        for count in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
                self._waits_ns[count] = int(count.read_text().split()[1])
        assert self._waits_ns, "this kernel has no /proc/…/schedstat"
        return sum(self._waits_ns.values()) / 1e9

    def plug(self, *, in_: bool) -> None:
        """Put the network cable in or out, now or at the next power-on."""
        self.plugged = in_
        if self._monitor is not None and self.on:
            self._monitor.order("set_link", name=_CARD, up=in_)

    def swallow(self, *, on: bool) -> None:
        """Let no packet of either way through while the cable shows a carrier, until it is taken away again."""
        if on is self._swallows or not self.on:
            return
        self._swallows = on
        if on:
            self.monitor.order("object-add", qom_type="filter-buffer", id=_HOLE, netdev=_NET, interval=_FOR_EVER_US)
        else:
            self.monitor.order("object-del", id=_HOLE)

    def save(self, state: Path) -> None:
        """Stop, and keep the running machine in a file."""
        self.monitor.order("stop")
        self.monitor.order("migrate-set-parameters", max_bandwidth=1 << 40)
        self.monitor.order("migrate", uri=f"exec:zstd -3 -q > {state}")
        while (status := self.monitor.order("query-migrate")["status"]) not in ("completed", "failed"):
            threading.Event().wait(_LOOK_S)
        if status == "failed":
            raise MachineGoneError(f"the running machine could not be saved to {state}")

    def cut(self) -> float:
        """Take the power away; the moment. What the disk forgets is told to the disk."""
        at_s = time.monotonic()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._keep_events()
            self._fall()
        self._process = self._monitor = self._pins = self._hand = None
        self._swallows = False
        return at_s

    def all_events(self) -> list[Event]:
        """What QEMU told, of all its runs."""
        return [*self.events, *(self._monitor.events if self._monitor is not None else [])]

    def _take_hold(self) -> float:
        line = {name: connect(self._folder / f"{name}.sock", lambda: self.on) for name in _SOCKETS}
        self.console.attach(line["con"])
        self.cable.attach(line["tech"])
        self.steps.attach(line["steps"])
        self.outside = line["outside"]
        self._hand = Hand(line["hand"])
        self._monitor = Monitor(line["qmp"])
        while self._monitor.order("query-status")["status"] == "inmigrate":
            threading.Event().wait(_LOOK_S)
        self._pins = PinLines(line["qtest"], pin_controller(self._monitor), self._note)
        self._monitor.on_event = self._react
        self._drive_all()
        if not self.plugged:
            self.plug(in_=False)
        self._monitor.order("cont")
        return time.monotonic()

    def _drive_all(self) -> None:
        assert self._pins is not None
        for line, high in self.levels.items():
            self._pins.drive(line, high=high)

    def _react(self, event: Event) -> None:
        # A reset brings every driven line down, as if all buttons were pressed at once.
        if event.name == "RESET":
            with contextlib.suppress(MachineGoneError):
                self._drive_all()

    def _note(self, line: int, high: bool, at_s: float) -> None:  # noqa: FBT001 - an edge is a line and a bit
        with self.news:
            self.edges.append(Edge(at_s, line, high))
            self.news.notify_all()

    def _fall(self) -> None:
        """Without power no line is driven."""
        with self.news:
            last = {edge.line: edge.high for edge in self.edges}
            now_s = time.monotonic()
            self.edges += [Edge(now_s, line, high=False) for line, high in last.items() if high]
            self.news.notify_all()

    def _keep_events(self) -> None:
        if self._monitor is not None:
            self.events += self._monitor.events

    def _line(self) -> list[str]:
        served = "server=on,wait=off"
        sockets = {name: f"socket,id={name},path={self._folder}/{name}.sock,{served}" for name in _SERIAL}
        host, port = BROKER
        forward = f"guestfwd=tcp:{host}:{port}-cmd:socat -lf /dev/null - TCP4:127.0.0.1:{self._port}"
        return [
            # A machine whose test is killed would run for ever.
            *("setpriv", "--pdeathsig", "KILL", "qemu-system-aarch64", *BOARD, "-accel", "tcg,thread=multi", "-S"),
            *("-display", "none", "-nodefaults", "-no-user-config", "-action", "watchdog=reset"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-dtb", str(self._image.device_tree), "-append", _APPEND),
            *("-chardev", sockets["con"], "-serial", "chardev:con"),
            *("-qmp", f"unix:{self._folder}/qmp.sock,server=on,wait=off"),
            *("-qtest", f"unix:{self._folder}/qtest.sock,server=on,wait=off", "-qtest-log", "/dev/null"),
            *("-drive", f"if=none,id=card,file=nbd+unix:///?socket={self._disk.socket},format=raw,cache=none"),
            *("-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci"),
            *("-device", "virtio-serial-pci", "-chardev", sockets["hand"]),
            *("-device", "virtserialport,chardev=hand,name=hand"),
            *("-chardev", sockets["steps"], "-device", "virtserialport,chardev=steps,name=steps"),
            *("-chardev", sockets["outside"], "-device", "virtserialport,chardev=outside,name=outside"),
            *("-chardev", sockets["tech"], "-device", "pci-serial,chardev=tech", "-device", "i6300esb"),
            *("-netdev", f"user,id={_NET},restrict=on,{forward}"),
            *("-device", f"virtio-net-pci,netdev={_NET},id={_CARD},romfile="),
        ]


_CARD: Final = "wired"
_NET: Final = "net"
_HOLE: Final = "hole"
_FOR_EVER_US: Final = 4_000_000_000
"""QEMU's filter lets its packets go after an interval: an hour is longer than any test."""
_SERIAL: Final = ("con", "tech", "hand", "steps", "outside")
_SOCKETS: Final = (*_SERIAL, "qmp", "qtest")
