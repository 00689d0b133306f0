"""A real board on a table: relays at its buttons and its supply, a sense box at its outputs, cables and a network."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NoReturn, TypeVar

from hil.api import BOOTH_BUTTON, LID, PATIENCE_S, Can, Touch
from hil.panel_file import OUTPUTS, Wiring, buttons, zones
from hil.real.board import CONFIG, STATE, Board
from hil.real.lines import RealConsole, RealOutput, SenseBox, Steps
from hil.real.link import KernelLink, unable

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from hil.api import Setup
    from hil.desk import Heard
    from hil.house import House
    from hil.real.parts import Contact, Parts, Supply

Line = TypeVar("Line", SenseBox, RealConsole, Steps)
OFF_S = 3.0
"""The supply's capacitors hold a Pi for a second or two."""


def abilities(parts: Parts) -> frozenset[Can]:
    """What a table can do, by what stands on it."""
    can = {Can.POWER, Can.HONEST_DISK, Can.KILL, Can.SUPERVISOR, Can.CLOCK, Can.DISK_FULL}
    can |= {Can.HARDWARE_WATCHDOG, Can.KERNEL_PANIC, Can.WHOLE_MACHINE}
    table = parts.table
    optional = {
        Can.LINK: not unable(parts.host, table.interface),
        Can.OUTPUTS: parts.sense is not None and set(OUTPUTS) <= table.sense_pins.keys(),
        Can.CONSOLE: parts.console is not None and bool(table.console),
        Can.STEPS: parts.steps is not None and bool(table.steps),
        Can.CAMERA: bool(table.camera),
        Can.MICROPHONE: bool(table.microphone),
        Can.CAMERA_DISCONNECT: bool(table.camera) and "camera" in parts.plugs,
        Can.MICROPHONE_UNPLUG: bool(table.microphone) and "microphone" in parts.plugs,
        Can.TEN_ZONES: len(parts.contacts) > 10,
    }
    return frozenset(can | {ability for ability, there in optional.items() if there})


class RealBench:
    """One panel on the table; see `hil.api.Bench`.

    Args:
        house: Broker and desks.
        folder: Of the test.
        setup: What it wants.
        parts: The table.
    """

    name = "real"

    def __init__(self, house: House, folder: pathlib.Path, setup: Setup, parts: Parts) -> None:
        table = parts.table
        self.house, self.setup = house, setup
        self.buttons = buttons(setup, len(parts.contacts))
        names = zones(setup, len(parts.contacts))
        self._loops = {
            name: RealButton(contact, opens=name == LID) for name, contact in zip(names, parts.contacts, strict=False)
        }
        self._parts = parts
        self.board = Board(parts, folder)
        with contextlib.ExitStack() as undo:
            self.link = KernelLink(parts.host, table.interface, table.address, house.port)
            undo.callback(self.link.close)
            self._outputs = _kept(undo, SenseBox(parts.sense, table.sense_pins)) if parts.sense else None
            self._console = _kept(undo, RealConsole(parts.console)) if parts.console else None
            self._steps = _kept(undo, Steps(parts.steps)) if parts.steps else None
            self._undo = undo.pop_all()
        self.power = RealPower(parts.supply, self.board)
        self.panel = RealPanel(self.board, self._steps)
        self.clock = RealClock(self.board)
        self.disk = RealDisk(self.board)
        self.camera = RealCamera(parts.plugs.get("camera"))
        self.microphone = RealMicrophone(parts.plugs.get("microphone"))

    def begin(self) -> None:
        """Install what the test wants, and start it."""
        for button in self._loops.values():
            button.release()
        self._give_power()
        if self._outputs:
            self._outputs.ask()
        self.board.install(self.house, self.setup, self._wiring())
        self.board.start()
        self.panel.wait_armed()

    def _give_power(self) -> None:
        for supply in (self._parts.supply, *self._parts.plugs.values()):
            supply.on()

    def _wiring(self) -> Wiring:
        table = self._parts.table
        return Wiring(
            board="pi",
            folder=CONFIG,
            state_dir=STATE,
            host=table.address,
            port=self.link.port,
            loop_pins=table.loop_pins[: len(self._parts.contacts)],
            output_pins=table.output_pins,
            camera=table.camera,
            microphone=table.microphone,
            console=table.console,
        )

    @property
    def console(self) -> RealConsole:
        """The technician's cable."""
        assert self._console is not None, "the table has no serial cable; mark the test @needs(Can.CONSOLE)"
        return self._console

    @property
    def loudspeaker(self) -> NoReturn:
        """The panel plays nothing yet."""
        raise AssertionError("the table hears no loudspeaker; mark the test @needs(Can.LOUDSPEAKER)")

    def button(self, name: str = BOOTH_BUTTON) -> RealButton:
        """A relay across a button."""
        return self._loops[name]

    def output(self, name: str) -> RealOutput:
        """An input of the sense box."""
        assert name in OUTPUTS
        assert self._outputs is not None, "the table has no sense box; mark the test @needs(Can.OUTPUTS)"
        return RealOutput(self._outputs, name)

    def attachments(self) -> Mapping[str, str]:
        """The unit's journal, the console and the outputs; in the place of what is not to be had stands why."""
        texts = {"panel.log": self.board.log, "console.txt": self._console_text, "outputs.txt": self._outputs_text}
        return {name: _or_why_not(text) for name, text in texts.items()}

    def _console_text(self) -> str:
        return "\n".join(self._console.written) if self._console else ""

    def _outputs_text(self) -> str:
        if self._outputs is None:
            return ""
        changes = [(one, name) for name in self._parts.table.sense_pins for one in self._outputs.changes(name)]
        return "\n".join(f"{one.at_s:.3f} {name} {'on' if one.on else 'off'}" for one, name in changes)

    def close(self) -> None:
        """Leave the table as it was found: released, whole, powered, without the bench's files."""
        with self._undo as last:
            last.callback(self.board.leave)
            last.callback(self._give_power)
            for button in self._loops.values():
                last.callback(button.release)
            last.callback(self.link.restore)


def _kept(undo: contextlib.ExitStack, line: Line) -> Line:
    undo.callback(line.close)
    return line


def _or_why_not(text: Callable[[], str]) -> str:
    try:
        return text()
    except Exception as error:  # noqa: BLE001 - a failing test shows what there is, whatever else has failed
        return f"not to be had: {error!r}"


class RealButton:
    """See `hil.api.Button`. A relay takes some 5 ms to close, which no figure of this bench leaves out."""

    def __init__(self, contact: Contact, *, opens: bool) -> None:
        self._contact = contact
        self._opens = opens

    def press(self) -> float:
        """Push: join the wires, or part them where the contact opens for an alarm."""
        return self._set(pressed=True)

    def release(self) -> float:
        """Let go."""
        return self._set(pressed=False)

    def touch(self, span_s: float, *, times: int = 1, every_s: float = 0.2) -> tuple[Touch, ...]:
        """Push for so long, so many times; how long is measured at the bench."""
        touches = []
        start_s = time.monotonic()
        for number in range(times):
            time.sleep(max(0.0, start_s + number * every_s - time.monotonic()))
            began_s = time.monotonic()
            self.press()
            time.sleep(max(0.0, began_s + span_s - time.monotonic()))
            self.release()
            touches.append(Touch(began_s, time.monotonic() - began_s))
        return tuple(touches)

    def bounce(self, *, times: int, span_s: float) -> tuple[Touch, ...]:
        """Chatter, then stay pushed."""
        visits = self.touch(span_s, times=times, every_s=2 * span_s)
        self.press()
        return visits

    def cut(self) -> float:
        """Part the wires: of a contact that opens this is its alarm; a two-state loop that closes cannot tell it."""
        return self._switch(closed=False)

    def short(self) -> float:
        """Join the wires."""
        return self._switch(closed=True)

    def mend(self) -> float:
        """Be at rest."""
        return self.release()

    def lose(self) -> NoReturn:
        """No."""
        raise AssertionError("a real driver stays; mark the test @needs(Can.INPUT_LOSS)")

    def find(self) -> NoReturn:
        """No."""
        raise AssertionError("a real driver stays; mark the test @needs(Can.INPUT_LOSS)")

    def _set(self, *, pressed: bool) -> float:
        return self._switch(closed=pressed is not self._opens)

    def _switch(self, *, closed: bool) -> float:
        at_s = time.monotonic()
        self._contact.set(closed)
        return at_s


class RealPower:
    """See `hil.api.Power`. What the card had not written is gone, as in the field."""

    def __init__(self, supply: Supply, board: Board) -> None:
        self._supply = supply
        self._board = board

    def cut(self, seed: int) -> None:
        """Off, until the capacitors are empty."""
        self._supply.off()
        self._board.lost_power()
        time.sleep(OFF_S)

    def on(self) -> float:
        """On."""
        at_s = time.monotonic()
        self._supply.on()
        return at_s


class RealPanel:
    """See `hil.api.Panel`."""

    def __init__(self, board: Board, steps: Steps | None) -> None:
        self._board = board
        self._steps = steps
        self.kill = lambda: board.signal("KILL")
        self.hang = lambda: board.signal("STOP")
        self.bites = board.bites
        self.crash_kernel = board.crash_kernel
        self.freeze_machine = board.freeze
        self.memory_mib = board.memory_mib
        self.cpu_s = board.cpu_s
        self.stop = board.stop
        self.machine = board.load

    def wait_armed(self, timeout_s: float = 5 * PATIENCE_S, *, after_s: float = 0.0) -> float:
        """Await READY."""
        return self._board.wait_armed(after_s, timeout_s)

    def restart(self) -> None:
        """Stop and start."""
        self._board.stop()
        at_s = time.monotonic()
        self._board.start()
        self.wait_armed(after_s=at_s)

    def said(self, after_s: float = 0.0) -> tuple[Heard, ...]:
        """The panel's own words."""
        assert self._steps is not None, "no cable carries the panel's words; mark the test @needs(Can.STEPS)"
        return tuple(heard for heard in self._steps.said() if heard.at_s >= after_s)


class RealClock:
    """See `hil.api.WallClock`."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def set(self, utc_s: float, *, synced: bool = True) -> None:
        """Step it."""
        self._board.set_clock(utc_s, synced=synced)


class RealDisk:
    """See `hil.api.Disk`."""

    def __init__(self, board: Board) -> None:
        self.fill = board.fill
        self.mend = board.empty

    def fail(self) -> NoReturn:
        """A real card fails when it wants to."""
        raise AssertionError("a real card cannot be told to fail; mark the test @needs(Can.DISK_ERROR)")


class RealCamera:
    """See `hil.api.Camera`: whatever stands in front of it, and its plug."""

    def __init__(self, plug: Supply | None) -> None:
        self._plug = plug

    def disconnect(self) -> None:
        """Switch its USB port off."""
        assert self._plug is not None
        self._plug.off()

    def well(self) -> None:
        """Switch it on."""
        if self._plug is not None:
            self._plug.on()

    def __getattr__(self, name: str) -> NoReturn:
        """Everything else is no matter of a plug."""
        raise AssertionError(f"a real camera does not {name} on order; mark the test with what it @needs")


class RealMicrophone:
    """See `hil.api.Microphone`: whatever is said in front of it, and its plug."""

    def __init__(self, plug: Supply | None) -> None:
        self._plug = plug

    def play(self, _wav: pathlib.Path) -> NoReturn:
        """Nobody does."""
        raise AssertionError("the table plays nothing into the microphone")

    def unplug(self) -> None:
        """Switch its USB port off."""
        assert self._plug is not None
        self._plug.off()

    def replug(self) -> None:
        """Switch it on; the kernel numbers it anew."""
        assert self._plug is not None
        self._plug.on()
