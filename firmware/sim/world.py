"""A whole simulated world: a panel, its networks, its receivers, and the hands of fate."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from firmware.config_paths import zone_numbers
from firmware.sim.booths import PANEL_KEY, build, key_of
from firmware.sim.centre import Centre
from firmware.sim.clock import BoardClock, WorldClock
from firmware.sim.events import Log
from firmware.sim.language import ScenarioError
from firmware.sim.machine import Machine
from firmware.sim.network import Broker
from firmware.sim.receivers import Desks, SimReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.sim.language import Scenario
    from firmware.sim.media import SimMedia

ROUNDS_MAX = 5000
"""Rounds at one moment before somebody is said to ask for the same moment again and again."""


class World:
    """Everything that a scenario plays in.

    Args:
        scenario: What is to be built.
        folder: Where the panel's and the receivers' files go.

    Raises:
        ScenarioError: Its configuration does not hold.

    Synchronization: one thread.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.clock = WorldClock()
        self.board_clock = BoardClock(self.clock)
        self.log = Log(self.clock)
        self.config = build(scenario, folder)
        mqtt = [path.name for path in self.config.path if path.dc09 is None]
        self.brokers = {name: Broker(name, self.clock, self.log) for name in mqtt}
        self.desks = Desks({item.name: self._receiver(item.name, folder) for item in self.config.receiver})
        for receiver in self.desks.by_name.values():
            receiver.brokers = list(self.brokers.values())
            for broker in self.brokers.values():
                broker.subscribers.append(receiver)
        self._defects: list[str] = []
        numbers = {number: name for name, number in zone_numbers(self.config).items()}
        self.centres = {
            path.name: Centre(
                path.name,
                path.dc09.account.upper(),
                self.desks.by_name[path.dc09.receiver],
                numbers,
                self.clock,
                self.log,
                self._defects.append,
            )
            for path in self.config.path
            if path.dc09 is not None
        }
        self.media = self._make_media(scenario.seed + 1) if scenario.media else None
        self.machine = Machine(
            self.config,
            world=self.clock,
            clock=self.board_clock,
            log=self.log,
            brokers=self.brokers,
            centres=self.centres,
            random=random.Random(scenario.seed),  # noqa: S311 - repeatable on purpose
            media=self.media,
            defects=self._defects,
        )

    @property
    def ways(self) -> dict[str, Broker | Centre]:
        """What is at the end of each path."""
        return {**self.brokers, **self.centres}

    def _make_media(self, seed: int) -> SimMedia:
        try:
            from firmware.sim.media import SimMedia  # noqa: PLC0415 - loads FFmpeg
        except ImportError as error:
            raise ScenarioError([f"MEDIA on needs a library: {error}; install the extra gatebooth[media]"]) from error
        return SimMedia(
            self.config,
            clock=self.board_clock,
            log=self.log,
            broker=self.brokers[self.config.media.path or next(iter(self.brokers))],
            random=random.Random(seed),  # noqa: S311 - repeatable on purpose
            defect=self._defects.append,
        )

    def _receiver(self, name: str, folder: Path) -> SimReceiver:
        return SimReceiver(
            name,
            self.config.panel.id,
            world=self.clock,
            log=self.log,
            panel_key=folder / PANEL_KEY,
            key=key_of(name),
            folder=folder / "received" / name,
        )

    def settle(self) -> None:
        """Let everything happen that is due at this moment."""
        for _ in range(ROUNDS_MAX):
            happened = self.clock.run_due() | self.desks.run_due()
            if happened:
                self.machine.touch()
            if not (self.machine.step() or happened):
                return
        names = " and ".join(self.machine.who_is_due()) or "somebody"
        self.machine.defects.append(
            f"at {self.clock.now_s:.3f} s {names} wants to be woken at the same moment for ever"
        )

    def next_s(self) -> float:
        """When something happens next."""
        return min(self.clock.next_s(), self.desks.next_s(), self.machine.next_s())

    def heal(self) -> None:
        """Everything that was broken is whole again, so that what is owed can be delivered."""
        for way in self.ways.values():
            way.set_link("up")
        for broker in self.brokers.values():
            broker.set_mode("up")
        for centre in self.centres.values():
            centre.set_mode("answers")
        for receiver in self.desks.by_name.values():
            receiver.present, receiver.mute = True, False
            for broker in self.brokers.values():
                broker.welcome(receiver)
        machine = self.machine
        machine.disk.mode, machine.disk.cut_next = "ok", False
        machine.journal_lag_s, machine.journal_hung = 0.0, False
        machine.apply_journal_faults()
        machine.console_lost = False
        for loop in machine.loops.values():
            loop.deaf = loop.disturbed = False
            loop.find(self.clock.now_s)
        machine.outputs_lost = dict.fromkeys(machine.outputs_lost, False)
        machine.wire()
        machine.poll_console()
        if self.media is not None:
            self.media.heal()
        machine.restore_power()
        machine.start()
