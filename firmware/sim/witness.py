"""What can be seen of a running panel: lamps, the technician's line, the log, and what the core decided."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.core import effects as e

if TYPE_CHECKING:
    from firmware.config import Config
    from firmware.core.panel import Panel
    from firmware.core.report import Report
    from firmware.sim.clock import BoardClock, WorldClock
    from firmware.sim.events import Log
    from hal.board import Board
    from hal.mock.output import MockOutput
    from hal.mock.serial_console import MockConsole

FLASH_S = 0.7
"""Longest dark time of a pattern that goes on, and a little."""


@dataclass(slots=True)
class Lamp:
    """An output as somebody in the booth sees it.

    Attributes:
        on: Driven now.
        on_s: World time of the last moment at which it was on; -inf if never.
        pattern: What was ordered last.
        until_s: Monotonic end of that order.
        told: Changes of the board's output that were taken notice of.
    """

    on: bool = False
    on_s: float = -math.inf
    pattern: e.Pattern = e.Pattern.OFF
    until_s: float = 0.0
    told: int = 0


@dataclass(slots=True)
class Decided:
    """What the core decided, over all runs of the panel.

    Attributes:
        reports: Every report by identity.
        twice: Identities that stood for two different reports.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)


class Witness:
    """Sees and writes down.

    Args:
        config: The panel's.
        world: Time.
        clock: The panel's.
        log: Where it is written.

    Attributes:
        lamps: The outputs.
        decided: What the core decided.

    Synchronization: one thread.
    """

    def __init__(self, config: Config, world: WorldClock, clock: BoardClock, log: Log) -> None:
        self.lamps = {name: Lamp() for name in config.output}
        self.decided = Decided()
        self._roles = {name: output.role for name, output in config.output.items()}
        self._world = world
        self._clock = clock
        self._log = log
        self._paths_up: set[str] = set()
        self._troubles: set[str] = set()
        self._read = 0
        self._marked: set[tuple[str, str, str]] = set()

    def begin(self) -> None:
        """A panel starts: its board and its memory are fresh."""
        self._paths_up, self._troubles, self._read = set(), set(), 0
        for lamp in self.lamps.values():
            lamp.pattern, lamp.told = e.Pattern.OFF, 0

    def see_lamps(self, board: Board) -> None:
        """Look at the outputs."""
        for name, lamp in self.lamps.items():
            output: MockOutput = board.outputs[name]  # type: ignore[assignment]
            new = output.journal[lamp.told :]
            lamp.told += len(new)
            if lamp.on or any(on for _, on in new):
                lamp.on_s = self._world.now_s
            if new:
                lamp.on = new[-1][1]

    def see_console(self, board: Board) -> None:
        """Look at what was written to the technician."""
        console: MockConsole | None = board.console  # type: ignore[assignment]
        if console is not None and len(console.written) > self._read:
            new, self._read = console.written[self._read :], len(console.written)
            for line in new.splitlines():
                self._log.add("console", line, says=line)

    def see_panel(self, panel: Panel) -> None:
        """Look at what the core believes."""
        if panel.ledger.paths_up != self._paths_up:
            for path in sorted(panel.ledger.paths_up ^ self._paths_up):
                word = "up" if path in panel.ledger.paths_up else "down"
                self._log.add("path", f"{path} {word}", path=path, word=word)
            self._paths_up = set(panel.ledger.paths_up)
        if set(panel.troubles) != self._troubles:
            for source in sorted(set(panel.troubles) ^ self._troubles):
                over = source not in panel.troubles
                self._log.add("trouble", f"{source}{' over' if over else ''}", source=source, over=over)
            self._troubles = set(panel.troubles)

    def see_effect(self, effect: e.Effect) -> None:
        """Take notice of what the core asked for."""
        match effect:
            case e.Drive():
                self._see_order(effect)
            case e.Store(report):
                self._see_report(report)
            case e.Progress():
                self._see_step(str(effect.id), effect.zone, effect.step.value, effect.by)
            case e.Note(mark):
                known = self.decided.reports.get(str(mark.id))
                self._see_step(str(mark.id), known.zone if known else "", mark.step.value, mark.by)
            case _:
                pass

    def _see_order(self, order: e.Drive) -> None:
        for name, role in self._roles.items():
            lamp = self.lamps[name]
            if role is order.role:
                if lamp.pattern is not order.pattern:
                    self._log.add("output", f"{name} {order.pattern.value}")
                lamp.pattern, lamp.until_s = order.pattern, order.until_s

    def _see_report(self, report: Report) -> None:
        ident = str(report.id)
        known = self.decided.reports.setdefault(ident, report)
        if known is not report and known != report:
            self.decided.twice.append(ident)
        text = f"{report.code} {ident} {report.zone or '-'} {dict(report.detail) or ''}".rstrip()
        self._log.add("decided", text, code=report.code, zone=report.zone)

    def _see_step(self, ident: str, zone: str, step: str, by: str) -> None:
        if (ident, step, by) not in self._marked:
            self._marked.add((ident, step, by))
            self._log.add("chain", f"{step} by {by}: {ident} {zone}", step=step, who=by, zone=zone, id=ident)

    def shows(self, name: str) -> e.Pattern:
        """What an output was ordered to show, if the order has not ended."""
        lamp = self.lamps[name]
        return e.Pattern.OFF if self._clock.now().mono_s >= lamp.until_s else lamp.pattern

    def lit(self, name: str, since_s: float) -> bool:
        """Whether an output is on (also between two flashes of its pattern), or has been since a moment."""
        lamp = self.lamps[name]
        if lamp.on or lamp.on_s > since_s:
            return True
        return self.shows(name) is not e.Pattern.OFF and self._world.now_s - lamp.on_s <= FLASH_S


class LogTap(logging.Handler):
    """Shows the panel's local log to the scenario.

    Args:
        log: Where lines go.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._events = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        text = f"{record.name}: {record.getMessage()}"
        self._events.add("log", text, says=text)
