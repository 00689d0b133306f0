"""An alarm receiver that speaks DC-09 and fails without saying so: a black hole, silence, bad answers of every kind.

The whole panel as a process, with a DC-09 path and no other. While the receiver is bad every press must be stored and
none may count as received; once it is good it must have acknowledged every press.
"""

from __future__ import annotations

import collections
import random
import re
import threading
from typing import TYPE_CHECKING

from proof.links import BAD_S, BadLink, Mode, ride_out
from proof.oracle import Verdict
from proof.storms import ZONE_TABLES, ZONES, Presser
from rigs.dc09 import ACCOUNT, Scripted, number, say
from rigs.panel import panel_toml

from firmware.config_file import parse
from firmware.config_paths import zone_numbers

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    Answer = Callable[[bytes], bytes | None]

PATH = f"""
kind = "dc09"
[path.dc09]
account = "{ACCOUNT}"
receiver = "110"
reports = "all"
answer_s = 1.0
"""
ARRIVE_S = 120.0
"""Who was told that the receiver has no use for an alarm (DUH) offers it again after a minute."""


def acknowledge(frame: bytes) -> bytes:
    """The good answer."""
    return say("ACK", frame)


BAD: tuple[Answer, ...] = (
    lambda _: b'"NAK"',
    lambda _: b"\x15\x00\xff no frame\r\n",
    lambda frame: acknowledge(frame)[:17],
    lambda frame: acknowledge(frame).replace(b"ACK", b"ACk"),
    lambda frame: acknowledge(frame.replace(number(frame), b"7777")),
    lambda frame: say("NAK", frame),
    lambda frame: say("DUH", frame),
    lambda frame: say("ACK", frame, account="BBB2"),
    lambda _: None,
)
FAULTS = ("black hole", "silence", "bad answers")


class Station:
    """The receiver, which counts what it acknowledged.

    Attributes:
        spoilt: How it answers while it is bad; None: it is good.

    Synchronization: `spoilt` and `taken` from any thread.
    """

    def __init__(self) -> None:
        self.spoilt: Answer | None = None
        self.acknowledged: collections.Counter[int] = collections.Counter()
        self._scripted = Scripted(self._answer)
        self.port: int = self._scripted.port
        self._changed = threading.Condition()

    def close(self) -> None:
        """Hang up and listen no more."""
        self._scripted.close()

    def _answer(self, frame: bytes) -> bytes | None:
        if self.spoilt is not None:
            return self.spoilt(frame)
        if found := re.search(rb"/PA(\d+)", frame):
            self.acknowledged[int(found[1])] += 1
        return acknowledge(frame)


def bad_receiver(folder: pathlib.Path, fault: str, trials: int, seed: int) -> Verdict:
    """Let a receiver fail so many times, with a press each time.

    Args:
        folder: Of its own.
        fault: One of `FAULTS`.
        trials: How many times.
        seed: Of answers and durations.
    """
    rng = random.Random(f"{seed}/dc09 {fault}")
    station = Station()
    link = BadLink(station.port)
    toml = panel_toml(folder, link.port, path=PATH, more=ZONE_TABLES, receivers=1)
    it = Presser(folder, toml)
    pressed: collections.Counter[int] = collections.Counter()
    numbers = zone_numbers(parse(toml.encode(), "panel.toml"))

    def spoil() -> None:
        if fault == "black hole":
            link.mode = Mode.SWALLOW
        else:
            station.spoilt = rng.choice(BAD) if fault == "bad answers" else lambda _: b""

    def heal() -> None:
        link.mode, station.spoilt = Mode.GOOD, None

    slowest_s = 0.0
    try:
        it.start()
        for trial in range(trials):
            zone = ZONES[trial % len(ZONES)]
            pressed[numbers[zone]] += 1
            took_s = ride_out(it, zone, spoil, heal, bad_s=rng.uniform(*BAD_S), patience_s=ARRIVE_S)
            slowest_s = max(slowest_s, took_s)
    finally:
        it.panel.stop()
        link.close()
        station.close()
    lost = pressed - station.acknowledged
    verdict = Verdict(trials, len(it.accepted), lost.total(), slowest_s=slowest_s)
    verdict.invented = sum(count for zone, count in station.acknowledged.items() if zone not in pressed)
    verdict.failures += [f"dc09 {fault}, seed {seed}: zone {zone} was never acknowledged" for zone in lost]
    return verdict
