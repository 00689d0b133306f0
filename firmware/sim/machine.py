"""The panel's computer: power, processes, wires and lamps. The application inside it is the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.app import App, Parts, board_spec
from firmware.loop import PET_S
from firmware.sim.centre import SimLine
from firmware.sim.crew import InlineCrew, Seat
from firmware.sim.disk import PowerLost, SimDisk
from firmware.sim.network import SimPipe
from firmware.sim.witness import Witness
from hal.board import open_board
from hal.types import LoopState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from firmware.adapters.dc09 import Dc09Path
    from firmware.config import Config, PathConfig
    from firmware.core.facts import Fact
    from firmware.core.panel import Panel
    from firmware.core.report import Report
    from firmware.sim.centre import Centre
    from firmware.sim.clock import BoardClock, WorldClock
    from firmware.sim.events import Log
    from firmware.sim.media import SimMedia
    from firmware.sim.network import Broker
    from hal.board import Board
    from hal.mock.gpio_loop import MockLoop
    from hal.mock.output import MockOutput
    from hal.mock.serial_console import MockConsole


@dataclass(slots=True)
class Loop:
    """A pair of wires as it is in the world, whether a panel looks at it or not.

    Attributes:
        state: Of button and wires.
        disturbed: Interference turns what can be read into its opposite.
        deaf: Edges do not come.
        lost: It cannot be read or, at the panel's start, not be opened.
        since_s: World time of its last change.
        back_s: World time since which it can be read.
    """

    state: LoopState = LoopState.NORMAL
    disturbed: bool = False
    deaf: bool = False
    lost: bool = False
    since_s: float = 0.0
    back_s: float = -math.inf

    def find(self, now_s: float) -> None:
        """It can be read again."""
        if self.lost:
            self.lost, self.back_s = False, now_s

    @property
    def reads(self) -> LoopState:
        """What a panel reads."""
        if not self.disturbed:
            return self.state
        return LoopState.NORMAL if self.state is LoopState.ALARM else LoopState.ALARM


class Machine:
    """One panel's computer.

    Args:
        config: What it runs.
        world: Time.
        clock: Its own clocks.
        log: What happened.
        brokers: Its networks, by path.
        centres: The same for DC-09 paths.
        random: For everything that is random on a panel.
        media: Cameras, microphone and the child that records them; None without.
        defects: Where what must never happen is written.

    Attributes:
        loops: The wires.
        witness: Sees what the panel does.
        outputs_lost: Outputs that cannot be driven.
        console_lost: The serial adapter is out.
        disk: The card under the journal.
        journal_lag_s: How long every order to the journal takes.
        journal_hung: The journal's thread waits for its disk for ever.
        powered: Whether there is power.
        media: Devices of sound and picture.
        defects: What must never happen in any scenario.

    Synchronization: one thread.
    """

    def __init__(
        self,
        config: Config,
        *,
        world: WorldClock,
        clock: BoardClock,
        log: Log,
        brokers: dict[str, Broker],
        centres: dict[str, Centre],
        random: random.Random,
        media: SimMedia | None,
        defects: list[str],
    ) -> None:
        self.config = config
        self.loops = {name: Loop() for name in config.zone}
        self.witness = Witness(config, world, clock, log)
        self.outputs_lost = dict.fromkeys(config.output, False)
        self.console_lost = False
        self.disk = SimDisk(random)
        self.defects = defects
        self.journal_lag_s = 0.0
        self.journal_hung = False
        self.powered = True
        self.media = media
        self._world = world
        self._clock = clock
        self._log = log
        self._brokers = brokers
        self._centres = centres
        self._random = random
        self._app: App | None = None
        self._board: Board | None = None
        self._crew: InlineCrew | None = None
        self._ways: list[SimPipe | SimLine] = []
        self._pet_s = 0.0

    # ── power and processes ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def panel(self) -> Panel | None:
        """The core, while the panel runs."""
        return None if self._app is None else self._app.panel

    def start(self) -> None:
        """Start the panel's process."""
        if self._app is not None or not self.powered:
            return
        board = self._board = open_board(board_spec(self.config, self.config.panel.state_dir), clock=self._clock)
        self._wire(board)
        parts = Parts(
            board=board,
            clock=self._clock,
            crew=self._make_crew,
            pipe=self._make_pipe,
            line=self._make_line,
            media=None if self.media is None else self.media.make,
            random01=self._random.random,
            random53=lambda: self._random.getrandbits(53),
            watch=self.witness.see_effect,
            disk=self.disk.disk(),
        )
        self.witness.begin()
        try:
            self._app = App(self.config, parts)
            self.apply_journal_faults()
            self._app.arm()
        except PowerLost:
            self.cut_power()
            return
        self._pet_s = 0.0
        self._log.add("process", f"armed, epoch {self._app.epoch}", armed=True)

    def stop(self) -> None:
        """Stop the process in order, as the supervisor does."""
        if self._app is None:
            return
        app = self._app
        try:
            app.inbox.close()
            while app.owner.step(0.0):
                pass
            app.stop()
        except PowerLost:
            self.cut_power()
            return
        self._drop("stopped in order")

    def kill(self) -> None:
        """SIGKILL: memory is gone, files stay, the kernel closes the sockets."""
        if self._app is None:
            return
        for way in self._ways:
            way.die(quietly=False)
        if self.media is not None:
            self.media.die(quietly=False)
        self._drop("killed")

    def cut_power(self) -> None:
        """Everything that is not on disk is gone; nobody is told."""
        self.powered = False
        for way in self._ways:
            way.die(quietly=True)
        if self.media is not None:
            self.media.die(quietly=True)
        self._drop("without power")

    def restore_power(self) -> None:
        """The board starts anew."""
        if not self.powered:
            self.powered = True
            self._clock.power_on()
            self.start()

    def _drop(self, how: str) -> None:
        self.disk.drop()
        if self._board is not None:
            self._board.close()
            self.witness.see_lamps(self._board)
        self.witness.begin()
        self._app = self._board = self._crew = None
        self._ways = []
        self._log.add("process", how, armed=False)

    # ── wires ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_loop(self, zone: str, state: LoopState) -> None:
        """Something happens to a pair of wires."""
        loop = self.loops[zone]
        if loop.state is not state:
            loop.state, loop.since_s = state, self._world.now_s
        self._wire_loop(zone)

    def disturb(self, zone: str, *, on: bool) -> None:
        """Interference begins or ends."""
        self.loops[zone].disturbed = on
        self._wire_loop(zone)

    def wire(self) -> None:
        """Bring the running panel's board in line with the world."""
        if self._board is not None:
            self._wire(self._board)

    def _wire(self, board: Board) -> None:
        for zone in self.loops:
            self._wire_loop(zone)
        for name, lost in self.outputs_lost.items():
            output: MockOutput = board.outputs[name]  # type: ignore[assignment]
            (output.lose if lost else output.find)()
        console: MockConsole | None = board.console  # type: ignore[assignment]
        if console is not None:
            (console.lose if self.console_lost else console.find)()

    def _wire_loop(self, zone: str) -> None:
        if self._board is None:
            return
        wired, loop = self.loops[zone], self._board.loops[zone]
        mock: MockLoop = loop  # type: ignore[assignment]
        mock.deaf = wired.deaf
        (mock.lose if wired.lost else mock.find)()
        mock.set(wired.reads)

    def apply_journal_faults(self) -> None:
        """Slow down, hang or free the journal's thread."""
        if self._crew is not None:
            seat: Seat = self._crew.seats["journal"]
            if not self.journal_hung and not self.journal_lag_s:
                seat.hurry()
            seat.lag_s, seat.hung = self.journal_lag_s, self.journal_hung

    def type(self, text: str) -> None:
        """The technician types a line."""
        if self._board is None or self._board.console is None or self._app is None or self._app.console is None:
            return
        console: MockConsole = self._board.console  # type: ignore[assignment]
        console.type(text)
        self._app.console.read(0.0)

    def poll_console(self) -> None:
        """The reading thread looks at the line, as it does all the time."""
        if self._app is not None and self._app.console is not None:
            self._app.console.read(0.0)

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self) -> bool:
        """Do what is due now; whether anything was."""
        if self._app is None or self._crew is None or self._board is None:
            return False
        try:
            done = self._crew.step()
            if self.media is not None and self.media.step():
                self._crew.touch()
                done = True
            decided = self._decide(self._app)
        except PowerLost:
            self.cut_power()
            return True
        if decided:
            self._crew.touch()
            self.witness.see_panel(self._app.panel)
        if done:
            self.witness.see_lamps(self._board)
            self.witness.see_console(self._board)
        return done | decided

    def touch(self) -> None:
        """Something happened outside the panel that it may have to look at."""
        if self._crew is not None:
            self._crew.touch()

    def who_is_due(self) -> list[str]:
        """Who wants to be stepped now."""
        if self._app is None or self._crew is None:
            return []
        now_s = self._clock.now().mono_s
        due = [f"adapter {name}" for name, seat in self._crew.seats.items() if seat.next_s() <= now_s]
        return due + (["the core"] if self._app.owner.next_deadline() <= now_s else [])

    def next_s(self) -> float:
        """World time at which `step` is wanted."""
        if self._app is None or self._crew is None:
            return math.inf
        mono_s = min(self._crew.next_s(), self._app.owner.next_deadline(), self._pet_s)
        if self.media is not None:
            mono_s = min(mono_s, self.media.next_s())
        return self._clock.world_s(mono_s)

    def _decide(self, app: App) -> bool:
        now_s = self._clock.now().mono_s
        done = False
        while app.inbox.waiting:
            app.owner.step(0.0)
            done = True
        if now_s >= min(app.owner.next_deadline(), self._pet_s):
            app.owner.step(0.0)
            done = True
        if done:
            self._pet_s = now_s + PET_S
        return done

    def _make_crew(self, post: Callable[[Fact], None]) -> InlineCrew:
        crew = self._crew = InlineCrew(self._clock, post, self.defects.append)
        return crew

    def _make_pipe(self, path: PathConfig) -> SimPipe:
        pipe = SimPipe(path, self._brokers[path.name], self._clock)
        self._ways.append(pipe)
        return pipe

    def _make_line(self, path: PathConfig) -> SimLine:
        line = SimLine(self._centres[path.name], self._clock, lambda: self._dialled(path.name))
        self._ways.append(line)
        return line

    def _dialled(self, path: str) -> Report | None:
        """The report of the frame that a DC-09 path sends now."""
        if self._crew is None:
            return None
        actor: Dc09Path = self._crew.seats[f"dc09 {path}"].actor  # type: ignore[assignment]
        return actor.dialer.current
