"""SIGKILL at random instants under a load of presses: on the panel, on the broker, on both.

Whatever the panel had told as stored or brokered must reach the desk once all is running again, under one identity, and
the desk must not see more alarms than there were presses.
"""

from __future__ import annotations

import contextlib
import queue
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from proof.image import mounted, new_image
from proof.oracle import Verdict
from rigs.broker import Mosquitto
from rigs.panel import PATIENCE_S, Desk, PanelProcess, panel_toml

from firmware.wire.sign import load_key

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

ZONES = [f"z{pin}" for pin in range(28, 44)]
ZONE_TABLES = "".join(f'[zone.{zone}]\npin = {zone[1:]}\ntype = "panic"\n' for zone in ZONES)
KILL_WITHIN_S = 0.25
"""After the first press of a round; the debounce filter takes 30 ms of it."""
REST_S = 0.06
"""A contact must rest for the filter's 30 ms before it can be pressed again."""
ARRIVE_S = 90.0


class Presser:
    """A panel process, whose buttons are pushed, and what it says it has taken."""

    def __init__(self, folder: pathlib.Path, toml: str) -> None:
        self.panel = PanelProcess(folder, toml)
        self.raised: set[str] = set()
        self.accepted: set[str] = set()
        self.presses = 0
        self._steps: set[tuple[str, str]] = set()
        self._readers: list[threading.Thread] = []

    def start(self) -> None:
        """Start the panel; returns when it is armed."""
        before = set(threading.enumerate())
        self.panel.start()
        self._readers = [thread for thread in threading.enumerate() if thread not in before]

    def press(self, zones: list[str]) -> None:
        """Push buttons at once."""
        self.presses += len(zones)
        self.panel.say("\n".join(f"press {zone}" for zone in zones))

    def release(self, zones: list[str]) -> None:
        """Let buttons go, for as long as the filter needs to see it."""
        self.panel.say("\n".join(f"release {zone}" for zone in zones))
        threading.Event().wait(REST_S)

    def kill_panel(self) -> None:
        """SIGKILL, and note what it had still told."""
        self.panel.signal(signal.SIGKILL)
        # The readers end with the pipes: only then has everything been taken in.
        for thread in self._readers:
            thread.join(PATIENCE_S)
        self.panel.kill()
        self.note()

    def note(self) -> None:
        """Take in every line that has come."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self.panel.lines.get_nowait())

    def _take(self, line: dict[str, Any]) -> None:
        self._steps.add((line.get("step", ""), line.get("id", "")))
        if line.get("step") == "raised":
            self.raised.add(line["id"])
        elif line.get("step") in ("stored", "brokered"):
            self.accepted.add(line["id"])

    def until(self, ident: str, step: str, patience_s: float = PATIENCE_S) -> float:
        """Await a step of one alarm, unless it has come already; when it was seen."""

        def fits(line: dict[str, Any]) -> bool:
            self._take(line)
            return line.get("step") == step and line.get("id") == ident

        if (step, ident) not in self._steps:
            self.panel.wait(fits, patience_s)
        return time.monotonic()


class Booth(Presser):
    """A panel process, its broker and a desk that remembers."""

    def __init__(self, folder: pathlib.Path, *, port: int | None = None, broker: Mosquitto | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "broker").mkdir(exist_ok=True)
        self.broker = broker or Mosquitto(folder / "broker").start()
        super().__init__(folder, panel_toml(folder, port or self.broker.port, more=ZONE_TABLES, receivers=1))
        self.desk = Desk(
            "110", self.broker.port, key=load_key(folder / "110.key"), panel_key=load_key(folder / "panel.key")
        )
        self.desk._client.reconnect_delay_set(1, 1)
        self.arrived: set[str] = set()

    def missing(self, patience_s: float = ARRIVE_S) -> set[str]:
        """Accepted alarms that have not come to the desk when the time is over, or when all have."""
        deadline = time.monotonic() + patience_s
        while self.accepted - self.arrived and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                _, report = self.desk.reports.get(timeout=left)
                if report.code == "PA":
                    self.arrived.add(str(report.id))
        return self.accepted - self.arrived

    def close(self) -> None:
        """End all."""
        self.panel.stop()
        self.desk.close()
        self.broker.stop()


@contextlib.contextmanager
def booth(folder: pathlib.Path) -> Iterator[Booth]:
    """A running booth."""
    made = Booth(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()


def storm(folder: pathlib.Path, victims: str, kills: int, seed: int) -> Verdict:
    """Kill so many times.

    Args:
        folder: Of its own.
        victims: "panel", "broker" or "both".
        kills: Rounds.
        seed: Of zones and instants; the instants of the machine are its own.
    """
    rng = random.Random(f"{seed}/{victims}")
    pause = threading.Event()
    with booth(folder) as it:
        for _ in range(kills):
            zones = rng.sample(ZONES, rng.randint(1, 6))
            it.press(zones)
            pause.wait(rng.uniform(0, KILL_WITHIN_S))
            if victims in ("broker", "both"):
                it.broker.kill()
            if victims in ("panel", "both"):
                it.kill_panel()
            if victims in ("broker", "both"):
                it.broker.start()
            if victims in ("panel", "both"):
                it.start()
            else:
                it.release(zones)
                it.note()
        it.note()
        lost = it.missing()
        verdict = Verdict(trials=kills, lost=len(lost), invented=max(0, len(it.arrived) - it.presses))
    verdict.failures += [f"{victims}, seed {seed}: {ident} was accepted and never came" for ident in sorted(lost)]
    verdict.failures += [] if it.accepted else [f"{victims}, seed {seed}: nothing was accepted: no proof"]
    verdict.accepted = len(it.accepted)
    return verdict


def full_disk(folder: pathlib.Path, rounds: int) -> Verdict:
    """A real file system that another process fills to the last byte; each round a press and SIGKILL."""
    state = folder / "panel" / "state"
    state.mkdir(parents=True)
    with mounted(new_image(folder / "disk.img", mib=16), state), booth(folder / "panel") as it:
        _fill(state / "somebody-elses")
        for zone in ZONES[:rounds]:
            _press_and_kill(it, zone)
        return _arrived(it, rounds, "disk full")


def deleted_files(folder: pathlib.Path, rounds: int) -> Verdict:
    """The journal's files are deleted; once the panel has made them anew, it is killed."""
    with booth(folder / "panel") as it:
        for zone in ZONES[:rounds]:
            it.desk.answering = False  # so that an alarm from before the deletion is still owed
            before = _press(it, zone)
            for file in (folder / "panel" / "state" / "journal").iterdir():
                file.unlink()
            it.panel.told("gone or cut; made anew")
            it.panel.errors = ""
            it.kill_panel()
            it.desk.answering = True
            it.start()
            it.until(before, "received")
        return _arrived(it, rounds, "files deleted")


def _fill(path: pathlib.Path) -> None:
    for size in (1 << 20, 4096, 1):
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while file.write(bytes(size)) == size:
                pass


def _press(it: Booth, zone: str) -> str:
    it.press([zone])
    ident: str = it.panel.step("raised")["id"]
    it.until(ident, "stored")
    return ident


def _press_and_kill(it: Booth, zone: str) -> None:
    it.desk.answering = False
    ident = _press(it, zone)
    it.kill_panel()
    it.desk.answering = True
    it.start()
    it.until(ident, "received")


def _arrived(it: Booth, rounds: int, fault: str) -> Verdict:
    lost = it.missing()
    failures = [f"{fault}: {ident} was stored and never came" for ident in sorted(lost)]
    return Verdict(rounds, len(it.accepted), len(lost), failures=failures)
