"""Plays a scenario: jumps from one moment at which something happens to the next."""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.sim.actions import Hands
from firmware.sim.conditions import States, check_names
from firmware.sim.judge import HEAL_S, Judge
from firmware.sim.language import BEFORE_S, Demand, Do, ScenarioError
from firmware.sim.trial import Trial
from firmware.sim.witness import LogTap
from firmware.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.sim.events import Event
    from firmware.sim.language import Scenario

TAIL_S = 1.0
"""A scenario goes on for this long after its last line."""
SHOWN_EVENTS = 20
HEAL_STEP_S = 5.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Files in memory: nothing of a simulated card must wear a real one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario ended.

    Attributes:
        name: Of the scenario.
        failures: What did not hold; empty when all did.
        events: All that happened.
        virtual_s: How much time passed in it.
        payloads: Topic and bytes of every publication.
    """

    name: str
    failures: tuple[str, ...]
    events: tuple[Event, ...]
    virtual_s: float
    payloads: tuple[tuple[str, bytes], ...]


def play(scenario: Scenario, *, show: Callable[[Event], None] | None = None, keep: Path | None = None) -> Outcome:
    """Play a scenario to its end, or to its first failure.

    Args:
        scenario: What to play.
        show: Called with every event as it happens.
        keep: Folder for the files of panel and receivers; without it they are thrown away.

    Raises:
        ScenarioError: It names what its configuration does not have.
    """
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return _Run(scenario, keep, show).play()
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="gatebooth-sim-", dir=where) as folder:
        return _Run(scenario, Path(folder), show).play()


class _Failed(Exception):  # noqa: N818 - the end of a run, and no error
    """A demand did not hold."""


class _Run:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, folder: Path, show: Callable[[Event], None] | None) -> None:
        self._scenario = scenario
        self._world = World(scenario, folder)
        problems = check_names(scenario, self._world)
        if problems:
            raise ScenarioError(problems)
        self._hands = Hands(self._world)
        self._states = States(self._world)
        self._judge = Judge(self._world)
        self._trials: list[Trial] = []
        self._anchor = 0
        self._seen = 0
        if show is not None:
            self._world.log.watch(show)

    def play(self) -> Outcome:
        """Play it."""
        failures: list[str] = []
        with _tapped(LogTap(self._world.log)):
            try:
                self._perform()
                self._heal()
            except _Failed as failure:
                failures.append(str(failure))
            else:
                verdict = self._judge.verdict(allow_loss="loss" in self._scenario.allow)
                failures += [self._explain(f"{self._scenario.name}.scn", text) for text in verdict]
            finally:
                self._world.machine.stop()
        world = self._world
        payloads = tuple(pair for broker in world.brokers.values() for pair in broker.sent)
        return Outcome(self._scenario.name, tuple(failures), tuple(world.log.events), world.clock.now_s, payloads)

    def _perform(self) -> None:
        items = self._scenario.items
        for item in items:
            if isinstance(item, Do) and item.at_s == BEFORE_S:
                self._do(item)
        self._world.machine.start()
        for item in items:
            if item.at_s == BEFORE_S:
                continue
            self._run_until(item.at_s)
            if isinstance(item, Do):
                self._do(item)
                self._settle()
            else:
                self._open(item)
        last_s = max((item.at_s for item in items), default=0.0)
        ends = [trial.end_s for trial in self._trials if trial.end_s != math.inf]
        self._run_until(max([last_s + TAIL_S, *ends]))
        for trial in self._trials:
            trial.end()
        self._judge_trials()

    def _do(self, item: Do) -> None:
        self._anchor = len(self._world.log.events)
        if item.name:
            self._world.log.add("script", item.line.text)
            self._hands.do(item.name, item.values)
            self._world.machine.touch()

    def _open(self, demand: Demand) -> None:
        trial = Trial(demand, self._states, self._world.desks.by_name, self._world.clock.now_s)
        for event in self._world.log.events[self._anchor : self._seen]:
            trial.see(event)
        self._trials.append(trial)
        trial.look(self._world.clock.now_s)
        self._judge_trials()

    def _run_until(self, end_s: float) -> None:
        """Let time pass, one moment after another, to `end_s`."""
        world = self._world
        while True:
            self._settle()
            next_s = min(world.next_s(), *(trial.until_s for trial in self._trials), math.inf)
            if next_s >= end_s:
                break
            # A moment that has just been settled wants nothing any more, unless somebody asks for it again.
            world.clock.now_s = max(next_s, math.nextafter(world.clock.now_s, math.inf))
        if world.clock.now_s < end_s:
            world.clock.now_s = end_s
            self._settle()

    def _settle(self) -> None:
        self._world.settle()
        if self._world.machine.defects:
            raise _Failed(self._explain(f"{self._scenario.name}.scn", self._world.machine.defects[0]))
        self._see()
        self._judge.look()
        now_s = self._world.clock.now_s
        for trial in self._trials:
            trial.look(now_s)
        self._judge_trials()

    def _judge_trials(self) -> None:
        for trial in [trial for trial in self._trials if trial.verdict is not None]:
            self._trials.remove(trial)
            if trial.verdict:
                raise _Failed(self._explain(str(trial.demand.line), trial.verdict))

    def _see(self) -> None:
        """Show what happened to all who judge it; not while it happens, for their errors are not the panel's."""
        events = self._world.log.events
        while self._seen < len(events):
            event = events[self._seen]
            self._seen += 1
            self._judge.see(event)
            for trial in self._trials:
                trial.see(event)

    def _heal(self) -> None:
        """Mend everything and let time run until nothing is owed."""
        self._world.log.add("script", "everything is mended")
        self._world.heal()
        end_s = self._world.clock.now_s + HEAL_S
        while self._world.clock.now_s < end_s:
            self._run_until(self._world.clock.now_s + HEAL_STEP_S)
            if self._judge.at_peace():
                return

    def _explain(self, where: str, why: str) -> str:
        events = "\n".join(f"  {event}" for event in self._world.log.events[-SHOWN_EVENTS:])
        return f"{where}\n  at {self._world.clock.now_s:.3f} s: {why}\n  the last events:\n{events}"


class _tapped:  # noqa: N801 - used as a function
    """The panel's log goes to the scenario, and nowhere else."""

    def __init__(self, tap: LogTap) -> None:
        self._tap = tap
        self._kept: list[tuple[logging.Logger, int, bool]] = []

    def __enter__(self) -> None:
        for name in ("firmware", "hal"):
            logger = logging.getLogger(name)
            self._kept.append((logger, logger.level, logger.propagate))
            logger.setLevel(logging.INFO)
            logger.propagate = False
            logger.addHandler(self._tap)

    def __exit__(self, *_: object) -> None:
        for logger, level, propagate in self._kept:
            logger.removeHandler(self._tap)
            logger.setLevel(level)
            logger.propagate = propagate


def scenario_files(path: Path) -> Iterator[Path]:
    """The file itself, or all scenarios in a folder."""
    yield from sorted(path.glob("*.scn")) if path.is_dir() else [path]
