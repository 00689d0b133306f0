"""The composition root: builds the panel from its configuration, starts it in order, stops it in reverse.

The only place that knows both the board and the core. `Parts` says what the outside world is made of: threads, sockets
and a child process on a panel; a virtual clock, a simulated broker and an inline engine in the simulator.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from firmware.adapters.backlog import Wake
from firmware.adapters.console import Console
from firmware.adapters.dc09 import Dc09Path
from firmware.adapters.dc09_line import TcpLine
from firmware.adapters.inputs import Inputs
from firmware.adapters.journal import FOLDER, Journal
from firmware.adapters.outputs import Outputs
from firmware.adapters.ring_files import REAL, Disk
from firmware.adapters.uplink import Uplink
from firmware.config_paths import DC09, carries, dial_places, zone_numbers
from firmware.core import effects as e
from firmware.core.commands import CONSOLE
from firmware.core.facts import Fact, Trouble
from firmware.core.panel import Panel, PanelSpec
from firmware.core.path import PathSpec
from firmware.core.zone import ZoneSpec
from firmware.loop import Inbox, Owner
from firmware.version import own_version
from firmware.wire.command import CommandGate
from firmware.wire.report import Site
from firmware.wire.sign import KEY_BYTES, load_key
from hal.board import BoardSpec, ConsoleSpec, LoopSpec, OutputSpec

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.adapters.dc09_line import Line
    from firmware.adapters.pipe import Pipe
    from firmware.config import Config, PathConfig, ReceiverConfig
    from firmware.worker import Actor
    from hal.board import Board
    from hal.ports import Clock

log = logging.getLogger(__name__)


class Hand(Protocol):
    """Takes orders for an actor."""

    def put(self, order: object) -> None:
        """Hand over an order; never blocks."""
        ...


class Crew(Protocol):
    """How actors are run: on threads, or stepped in virtual time."""

    def take_on(self, actor: Actor, wait: Callable[[int, float], None] | None = None) -> Hand:
        """Give an actor its place; orders may be put at once, work begins with `start`."""
        ...

    def start(self) -> None:
        """Let everybody who has been taken on work; may be called again for those who came later."""
        ...

    def stop(self) -> None:
        """Let everybody finish, those who came last first."""
        ...


MakeMedia = Callable[[int, Callable[[Fact], None]], tuple["Actor", Callable[[int, float], None] | None]]
"""Epoch and the place to post facts, to the link to the media child and how its thread waits."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is put together from.

    Attributes:
        board: Opened already.
        clock: The one clock of everything.
        crew: Who runs the actors; made with the inbox that they post to.
        pipe: Makes the pipe of one path, which says whether it is the only path at its broker.
        media: Makes the link to the media child from the epoch and the place to post facts; None without sources.
        random01: Uniform in [0, 1), for pauses between connections.
        random53: 53 random bits, for the epoch when nothing else is known.
        watch: Sees every effect after it was handed on.
        disk: What the journal asks of the operating system.
        line: Makes the connection of one DC-09 path.
    """

    board: Board
    clock: Clock
    crew: Callable[[Callable[[Fact], None]], Crew]
    pipe: Callable[[PathConfig], Pipe]
    media: MakeMedia | None
    random01: Callable[[], float]
    random53: Callable[[], int]
    watch: Callable[[e.Effect], None]
    disk: Disk = REAL
    line: Callable[[PathConfig], Line] = TcpLine


class App:
    """One panel.

    Args:
        config: What it guards and whom it tells.
        parts: What it is made of.

    Synchronization: one thread, which becomes the owner's.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        board, clock = parts.board, parts.clock
        self.inbox = Inbox(clock)
        self._config = config
        self._parts = parts
        self._crew = parts.crew(self.inbox.post)
        self.journal, self._recovery = Journal.open(
            config.panel.state_dir / FOLDER,
            config.journal,
            clock,
            self.inbox.post,
            random53=parts.random53,
            notify=self._wake_paths,
            disk=parts.disk,
        )
        self.epoch = self._recovery.epoch
        self.panel = Panel(panel_spec(config), self.epoch)
        self.owner = Owner(self.panel, self.inbox, clock, self._obey, board.watchdog)
        self.inputs = Inputs(board.loops, clock, self.inbox.post, self._tell_supervisor)
        roles = {name: output.role for name, output in config.output.items()}
        self._keeper = self._crew.take_on(self.journal)
        self._outputs = self._crew.take_on(Outputs(board.outputs, roles, clock, self.inbox.post))
        self._crew.take_on(self.inputs)
        self.console = Console(board.console, config.panel.language, self.inbox.post) if board.console else None
        self._console = self._crew.take_on(self.console) if self.console else None
        self._dials: dict[str, list[Hand]] = {}
        self._uplinks = self._connect()
        self._media = None
        if parts.media is not None:
            link, wait = parts.media(self.epoch, self.inbox.post)
            self._media = self._crew.take_on(link, wait)

    def arm(self) -> None:
        """From here on a press is decided, annunciated, stored and sent."""
        self.inputs.arm()
        for trouble in self._recovery.troubles:
            self.inbox.post(trouble)
        for name, why in self._parts.board.faults:
            self.inbox.post(Trouble(name, why))
        for effect in self.panel.start(self._recovery.reports, self._recovery.marks, self._parts.clock.now()):
            self._obey(effect)
        self._crew.start()
        self._parts.board.watchdog.ready()
        self._tell_supervisor()

    def _tell_supervisor(self) -> None:
        """What is guarded, again whenever a loop is lost or comes: who guards nothing must not look armed."""
        lost, count = self.inputs.lost, len(self.panel.zones)
        zones = f"{count - len(lost)} of {count} zones, not watched: {', '.join(lost)}" if lost else f"{count} zones"
        armed = f"armed: panel {self._config.panel.id} epoch {self.epoch}, {zones}"
        self._parts.board.watchdog.status(armed)
        log.info("%s", armed)

    def _connect(self) -> dict[str, Hand]:
        """An uplink for every path; the core tells which one carries faults and status."""
        panel = self._config.panel
        panel_key = self._key("panel key", panel.key_file)
        keys = {receiver.name: self._receiver_key(receiver) for receiver in self._config.receiver}
        gate = CommandGate(panel.id, self.epoch, keys)
        site = Site(panel.name, panel.address, panel.latitude, panel.longitude)
        hands: dict[str, Hand] = {}
        for path in self._config.path:
            if path.kind == DC09:
                hands[path.name] = self._dial(path, site)
                continue
            pipe = self._parts.pipe(path)
            uplink = Uplink(
                path,
                panel_id=panel.id,
                epoch=self.epoch,
                site=site,
                panel_key=panel_key,
                receivers=keys,
                backlog=self.journal.backlog.share(path.name, self._wake_paths),
                pipe=pipe,
                clock=self._parts.clock,
                post=self.inbox.post,
                random01=self._parts.random01,
                gate=gate,
            )
            hands[path.name] = self._crew.take_on(uplink, pipe.wait)
        return hands

    def _dial(self, path: PathConfig, site: Site) -> Hand:
        """A DC-09 path; it is told what its receiver has already, for that machine knows no identity of a report."""
        line = self._parts.line(path)
        backlog = self.journal.backlog.share(path.name, self._wake_paths) if carries(path) else None
        dial = Dc09Path(
            path,
            epoch=self.epoch,
            site=site,
            zones=zone_numbers(self._config),
            backlog=backlog,
            line=line,
            clock=self._parts.clock,
            post=self.inbox.post,
            random01=self._parts.random01,
            place=dial_places(self._config)[path.name],
        )
        hand = self._crew.take_on(dial, line.wait)
        self._dials.setdefault(dial.receiver, []).append(hand)
        for mark in self._recovery.marks:
            hand.put(e.Note(mark))
        return hand

    def stop(self) -> None:
        """End everything in reverse; what is open stays latched in the journal."""
        self._crew.stop()
        self._parts.board.close()

    def _obey(self, effect: e.Effect) -> None:  # noqa: C901 - the table of effects
        match effect:
            case e.Drive():
                self._outputs.put(effect)
            case e.Store() | e.Note() | e.Finish():
                self._keep(effect)
            case e.Transmit() | e.Lead():
                self._uplinks[effect.path].put(effect)
            case e.Capture() | e.Seal():
                if self._media is not None:
                    self._media.put(effect)
            case e.Health():
                self._tell_paths(effect)
            case e.Reply():
                self._answer(effect)
            case e.Say():
                log.info("%s", effect.text)
                if self._console is not None:
                    self._console.put(effect)
            case e.Progress():
                pass
            case _:
                assert_never(effect)
        self._parts.watch(effect)

    def _keep(self, effect: e.Store | e.Note | e.Finish) -> None:
        self._keeper.put(effect)
        if isinstance(effect, e.Note):
            for dial in self._dials.get(effect.mark.by, ()):
                dial.put(effect)

    def _answer(self, reply: e.Reply) -> None:
        if reply.origin != CONSOLE:
            self._tell_paths(reply)
        elif self._console is not None:
            self._console.put(reply)

    def _tell_paths(self, order: e.Health | e.Reply) -> None:
        for uplink in self._uplinks.values():
            uplink.put(order)

    def _wake_paths(self) -> None:
        for uplink in self._uplinks.values():
            uplink.put(Wake())

    def _key(self, source: str, file: Path | None) -> bytes | None:
        if file is None:
            return None
        try:
            return load_key(file)
        except (OSError, ValueError) as error:
            self.inbox.post(Trouble(source, str(error)))
            return None

    def _receiver_key(self, receiver: ReceiverConfig) -> bytes | None:
        """A receiver whose key cannot be read is not trusted unsigned instead: nothing of it is believed."""
        key = self._key(f"receiver {receiver.name} key", receiver.key_file)
        return os.urandom(KEY_BYTES) if key is None and receiver.key_file is not None else key


def panel_spec(config: Config) -> PanelSpec:
    """What the core needs of a configuration."""
    zones = tuple(
        ZoneSpec(name, zone.type, zone.debounce_ms / 1000, zone.stuck_s) for name, zone in config.zone.items()
    )
    return PanelSpec(
        panel=config.panel.id,
        language=config.panel.language,
        zones=zones,
        paths=tuple(path_spec(path) for path in config.path),
        receivers=tuple(receiver.name for receiver in config.receiver),
        resend_s=config.alarm.resend_s,
        siren_s=config.sounder.siren_s,
        capture_s=config.media.capture_s,
        version=own_version(),
    )


def path_spec(path: PathConfig) -> PathSpec:
    """What the core needs of a path."""
    if path.dc09 is None:
        return PathSpec(path.name)
    return PathSpec(path.name, path.dc09.interval_s, path.dc09.receiver, carries=carries(path))


def board_spec(config: Config, work_dir: Path) -> BoardSpec:
    """What the board needs of a configuration."""
    return BoardSpec(
        kind=config.panel.board,
        loops=tuple(LoopSpec(name, zone.pin, zone.contact) for name, zone in config.zone.items()),
        outputs=tuple(OutputSpec(name, output.pin, output.active_high) for name, output in config.output.items()),
        console=ConsoleSpec(config.console.port, config.console.baud) if config.console else None,
        work_dir=work_dir,
    )
