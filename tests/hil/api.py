"""What a test may do to a panel from outside, whatever the panel runs on.

Three benches implement this: the simulated board as a process (`hil.mock_bench`), Debian arm64 with real kernel drivers
in QEMU (`hil.virtual`), and a real board over labgrid (`hil.real`). A test names the abilities that it needs with
`@needs(Can.X, ...)` and the panel that it wants with `@panel(media=True)`; a bench that lacks an ability skips the test
by that ability's name. Broker, link and desk are the same real ones on every bench (`hil.house`).

All times are seconds of the test machine's monotonic clock. One file, though a long one: it is the reference of whoever
writes a test or a bench.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from hil.desk import Heard
    from hil.house import House
    from hil.whole import Load

PATIENCE_S = 60.0
"""How long a test waits for what must come: generous, because a slow machine is no failure. Figures are measured, not
awaited."""
BOOTH_BUTTON, FOOT_BAR, LID = "booth-button", "foot-bar", "lid"


class Can(enum.Enum):
    """What a bench is able to do; the value is what a skipped test says."""

    OUTPUTS = "read relays and lamps"
    SHORT_TOUCHES = "touch a contact for 15 ms and know how long it was"
    FOUR_STATES = "tell a cut or shorted wire from a press (end-of-line resistors)"
    TEN_ZONES = "wire ten buttons"
    INPUT_LOSS = "take the driver of an input away and give it back"
    CONSOLE = "type on the technician's line"
    MICROPHONE = "play into the microphone"
    MICROPHONE_UNPLUG = "unplug the microphone and plug it in under another card number"
    LOUDSPEAKER = "hear the loudspeaker"
    CAMERA = "show the camera something"
    CAMERA_PICTURE = "show the camera a chosen picture, a black one or one that never changes"
    CAMERA_DISCONNECT = "disconnect the camera and connect it again"
    CAMERA_DROP = "have the camera drop buffers"
    CAMERA_STREAM_ERROR = "have the camera's stream fail"
    CAMERA_FREEZE = "have the camera send nothing more while it stays connected"
    LINK = "cut, slow and black-hole the panel's network"
    POWER = "cut the power; what the panel had handed to the operating system survives"
    HONEST_DISK = "cut the power of the disk too: what was not flushed is gone"
    STEPS = "hear the panel's own word on each alarm's steps, up to the moment of a power cut"
    KILL = "kill and stop the panel's process"
    SUPERVISOR = "restart a panel that died or that pets its watchdog no more"
    HARDWARE_WATCHDOG = "reset a machine that froze"
    KERNEL_PANIC = "crash the kernel"
    CLOCK = "set the panel's wall clock"
    TLS = "speak TLS to the broker"
    DISK_FULL = "fill the panel's disk"
    WHOLE_MACHINE = "stop the panel and weigh the machine without it"
    CONTRACTS = "run the contract suites of the board inside it"
    DISK_ERROR = "have the panel's disk answer EIO"


@dataclass(frozen=True, slots=True)
class Setup:
    """The panel that a test wants; see `hil.panel_file` for what it comes to.

    Attributes:
        buttons: Panic buttons: `booth-button`, then `button-2` and so on. A bench with fewer lines gives as many as it
            has; `Bench.buttons` tells how many that is.
        two_state_lid: Whether there is a `lid` whose contact opens for an alarm.
        media: With the camera `gate` and a microphone.
        tls: Whether the path is encrypted.
        broker_cert: Which certificate of `rigs.tls.Certificates` the broker shows.
        pre_roll_s: Sound and picture kept from before an alarm.
        journal_kib: Room for alarms.
        reaches: Whether it can reach its broker: the test then begins when the desk has heard of it.
        more: Further lines of TOML, at the end.
    """

    buttons: int = 1
    two_state_lid: bool = False
    media: bool = False
    tls: bool = False
    broker_cert: str = "server"
    pre_roll_s: float = 4.0
    journal_kib: int = 256
    reaches: bool = True
    more: str = ""


@dataclass(frozen=True, slots=True)
class Touch:
    """One visit of a contact.

    Attributes:
        at_s: When it closed.
        span_s: How long it was closed, seconds.
        doubt_s: By how much the panel may have seen it longer or shorter, as far as the bench knows.
    """

    at_s: float
    span_s: float
    doubt_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """An output went on or off."""

    at_s: float
    on: bool


class Button(Protocol):
    """A loop and the button at its end; works with the power off too, so that a button may be held at power-on."""

    def press(self) -> float:
        """Push and hold; when the contact closed."""
        ...

    def release(self) -> float:
        """Let go; when the contact opened."""
        ...

    def touch(self, span_s: float, *, times: int = 1, every_s: float = 0.2) -> tuple[Touch, ...]:
        """Push for `span_s`, so many times, from one beginning to the next `every_s`; returns when it is over.

        `Touch.span_s` is what it really was, `Touch.doubt_s` what is not sure of it: tests of touches judge by both.
        """
        ...

    def bounce(self, *, times: int, span_s: float) -> tuple[Touch, ...]:
        """Chatter, `times` visits of `span_s`, then stay pushed; the visits."""
        ...

    def cut(self) -> float:
        """Cut the wire; `Can.FOUR_STATES`, or a contact that opens for an alarm."""
        ...

    def short(self) -> float:
        """Join the wires; `Can.FOUR_STATES`."""
        ...

    def mend(self) -> float:
        """Make the wires whole."""
        ...

    def lose(self) -> None:
        """Take the input's driver away; `Can.INPUT_LOSS`."""
        ...

    def find(self) -> None:
        """Give it back."""
        ...


class Output(Protocol):
    """A relay or lamp, read where the load would be."""

    def read(self) -> bool:
        """Whether it is on now."""
        ...

    def wait(self, *, on: bool, after_s: float = 0.0, timeout_s: float = PATIENCE_S) -> float:
        """Await that it is on, or off, at some moment from `after_s` on; the moment of the change.

        Raises:
            AssertionError: It did not become so in time; the message holds its history.
        """
        ...

    def history(self, since_s: float = 0.0) -> tuple[Change, ...]:
        """Every change that was seen, oldest first."""
        ...


class Microphone(Protocol):
    """What the microphone hears; a bench plays the synthesised voice until it is told otherwise."""

    def play(self, wav: pathlib.Path) -> None:
        """Play a WAV file (mono, 16 bit) over and over from now on."""
        ...

    def unplug(self) -> None:
        """Take it off the bus."""
        ...

    def replug(self) -> None:
        """Plug it in again, under another card number."""
        ...


class Loudspeaker(Protocol):
    """What the loudspeaker plays."""

    def hear(self, seconds: float) -> bytes:
        """Listen for so long; mono samples of 16 bit, 16 kHz."""
        ...


class Camera(Protocol):
    """The camera `gate`."""

    def show(self, luma: bytes, width: int, height: int) -> None:
        """Show a grey picture, one byte a pixel, that never changes."""
        ...

    def black(self) -> None:
        """Cover the lens."""
        ...

    def stand_still(self) -> None:
        """Send the present picture for ever, as a camera with a hung sensor does."""
        ...

    def freeze(self) -> None:
        """Send nothing more and stay connected."""
        ...

    def disconnect(self) -> None:
        """Vanish from the bus or the network."""
        ...

    def drop(self, percent: int) -> None:
        """Lose so many of a hundred buffers."""
        ...

    def stream_error(self) -> None:
        """Fail once, as a driver does that lost its sensor."""
        ...

    def well(self) -> None:
        """Be there, with the moving test picture, as at the start."""
        ...


class Console(Protocol):
    """The technician's line."""

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        ...

    def expect(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Await a text in what the panel writes from the last `type` on; the line that holds it."""
        ...


class Link(Protocol):
    """The panel's only network."""

    def cut(self) -> None:
        """Pull the cable: everything ends, and whoever looks knows it."""
        ...

    def black_hole(self) -> None:
        """Swallow everything and stay connected: the link that looks alive."""
        ...

    def slow(self, bits_s: int) -> None:
        """Carry only so many bits a second, each way."""
        ...

    def restore(self) -> None:
        """Be whole and quick; what was connected through a black hole is reset."""
        ...


class Power(Protocol):
    """The panel's supply."""

    def cut(self, seed: int) -> None:
        """Off, at this instant.

        Args:
            seed: For what is left to chance: with `Can.HONEST_DISK`, which unflushed writes are lost.
        """
        ...

    def on(self) -> float:
        """On; the moment. Buttons are as they were left."""
        ...


class Panel(Protocol):
    """The panel's process and who supervises it."""

    def wait_armed(self, timeout_s: float = PATIENCE_S, *, after_s: float = 0.0) -> float:
        """Await that the panel guards its loops in a run that began after `after_s`; the moment it said so."""
        ...

    def kill(self) -> float:
        """SIGKILL; the moment. The supervisor starts it again."""
        ...

    def hang(self) -> float:
        """Stop it from working without ending it; the moment."""
        ...

    def restart(self) -> None:
        """Stop in order and start again; returns when armed."""
        ...

    def stop(self) -> None:
        """Stop in order and stay away, the machine on; `Can.WHOLE_MACHINE`."""
        ...

    def machine(self) -> Load:
        """What the whole machine has left; `Can.WHOLE_MACHINE`."""
        ...

    def said(self, after_s: float = 0.0) -> tuple[Heard, ...]:
        """Lines of `gatebooth run --json-steps` that got out since a moment, before a power cut too; `Can.STEPS`."""
        ...

    def bites(self) -> int:
        """How often the supervisor or the hardware watchdog ended a panel that did not pet it."""
        ...

    def crash_kernel(self) -> float:
        """Panic the kernel; the moment. `Can.KERNEL_PANIC`."""
        ...

    def freeze_machine(self) -> float:
        """Stop everything that pets the hardware watchdog; the moment. `Can.HARDWARE_WATCHDOG`."""
        ...

    def memory_mib(self) -> float:
        """Proportional set size of the panel with its children."""
        ...

    def cpu_s(self) -> float:
        """Processor time of the panel with its children since their start."""
        ...


class WallClock(Protocol):
    """The panel's wall clock."""

    def set(self, utc_s: float, *, synced: bool = True) -> None:
        """Step it; durations must not care."""
        ...


class Disk(Protocol):
    """Where the panel keeps its journal."""

    def fill(self) -> None:
        """Leave no room for anything new."""
        ...

    def fail(self) -> None:
        """Answer EIO to everything."""
        ...

    def mend(self) -> None:
        """Be sound and have room."""
        ...


class Bench(Protocol):
    """One panel on a bench, for one test.

    Attributes:
        name: "mock", "virtual" or "real".
        setup: What was asked for.
        buttons: Names of the panic buttons that there are.
        house: Broker, link and desks around the panel.

    Synchronization: one thread.
    """

    name: str
    setup: Setup
    buttons: tuple[str, ...]
    house: House
    link: Link
    microphone: Microphone
    loudspeaker: Loudspeaker
    camera: Camera
    console: Console
    power: Power
    panel: Panel
    clock: WallClock
    disk: Disk

    def begin(self) -> None:
        """Install the panel that the test wants and start it; returns when it is armed."""
        ...

    def button(self, name: str = BOOTH_BUTTON) -> Button:
        """A loop, by its zone's name."""
        ...

    def output(self, name: str) -> Output:
        """`siren`, `strobe`, `lamp`, `path-lamp` or `trouble-lamp`."""
        ...

    def contract(self, *suites: str) -> str:
        """Run files of `tests/contract` inside, without the panel, against its own drivers; what pytest printed.

        `Can.CONTRACTS`.

        Raises:
            AssertionError: A test failed.
        """
        ...

    def attachments(self) -> Mapping[str, str]:
        """What a failing test should show, by file name: logs, transcripts, events."""
        ...


class Stand(Protocol):
    """A bench for a whole run of pytest: what is built once.

    Attributes:
        name: The bench's name.
        can: What it is able to do.
        image: Hash or version of what the panel runs on, for measurement records.
        image_mib: What that takes on a disk, or None where it is not the bench's own.
    """

    name: str
    can: frozenset[Can]
    image: str
    image_mib: float | None

    def open(self, house: House, folder: pathlib.Path, setup: Setup) -> AbstractContextManager[Bench]:
        """A panel of its own for one test, until `Bench.begin` not started.

        Args:
            house: Broker, link and desks, running.
            folder: An empty folder for this test.
            setup: The panel that the test wants.
        """
        ...

    def close(self) -> None:
        """Give everything back at the end of the run."""
        ...


class BenchMissingError(Exception):
    """This machine has not what the bench needs; the message says what and how to get it."""


def needs(*abilities: Can) -> pytest.MarkDecorator:
    """Mark a test with what the bench must be able to do."""
    return pytest.mark.needs(*abilities)


def panel(**fields: Any) -> pytest.MarkDecorator:
    """Mark a test with the panel that it wants: fields of `Setup`."""
    return pytest.mark.panel(Setup(**fields))


def lacking(wanted: Iterator[Can], can: frozenset[Can]) -> str:
    """What a bench lacks, by name and in words, or ""."""
    return "; ".join(sorted(f"{ability.name} ({ability.value})" for ability in wanted if ability not in can))
