"""A path's heartbeat: when the next one is due, what it says, and whether an echo answers a beat of ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.core.path import BEAT_S, REST_BEAT_S
from firmware.wire.beat import Pulse, encode_beat
from firmware.wire.fields import WireError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.report import Report, ReportId
    from hal.types import Instant

CARRIED_MAX = 256
"""Alarms of which the first receipt is awaited; one that is forgotten is no sign of life, and no more than that."""
ECHOES_OPEN = 3
"""Beats back that an echo may answer; an older one is a recording, or of no use."""


class Heart:
    """The beats of one path in one epoch.

    Args:
        panel: This panel.
        epoch: Its present epoch.
        path: The path's name.
        key: The panel's; None leaves beats unsigned.

    Attributes:
        due_s: When the next beat is due; infinite while there is no connection.

    Synchronization: one thread.
    """

    def __init__(self, panel: str, epoch: int, path: str, key: bytes | None) -> None:
        self.due_s = math.inf
        self._panel = panel
        self._epoch = epoch
        self._path = path
        self._key = key
        self._count = 0
        self._carried: dict[ReportId, set[str]] = {}
        self._echoed: dict[str, int] = {}

    def hurry(self, now_s: float) -> None:
        """Beat at once: a connection is new, or this path's part has changed."""
        self.due_s = now_s

    def rest(self) -> None:
        """Beat no more until there is a connection."""
        self.due_s = math.inf

    def beat(self, now: Instant, *, leads: bool) -> bytes:
        """The payload of a beat that goes out now; the next is due after the interval of this path's part."""
        self._count += 1
        self.due_s = now.mono_s + (BEAT_S if leads else REST_BEAT_S)
        pulse = Pulse(self._panel, self._epoch, self._path, self._count, round(now.mono_s * 1000))
        return encode_beat(pulse, key=self._key)

    def carry(self, alarm: Report, receivers: Iterable[str]) -> None:
        """This path carries an alarm now. A silent one is to prove nothing: a lamp that changes would give it away."""
        if alarm.covert or alarm.id in self._carried:
            return
        self._carried[alarm.id] = set(receivers)
        if len(self._carried) > CARRIED_MAX:
            del self._carried[next(iter(self._carried))]

    def answered(self, alarm: ReportId, receiver: str) -> bool:
        """Whether a receipt proves that its receiver lives: its first word on an alarm does, a later one may be old."""
        awaited = self._carried.get(alarm, set())
        first = receiver in awaited
        awaited.discard(receiver)
        return first

    def hear(self, echo: Pulse, receiver: str) -> bool:
        """Whether an echo proves that its receiver lives: one of a beat that it has not echoed yet, nor a later one.

        What comes again is passed over: an echo played back would else keep a dead receiver alive for three beats more.

        Raises:
            WireError: It answers another epoch or path, a beat that never was, or one of long ago.
        """
        if (echo.epoch, echo.path) != (self._epoch, self._path):
            raise WireError("echo", "epoch and path", f"{echo.epoch} {echo.path}", f"{self._epoch} {self._path}")
        oldest = max(1, self._count - ECHOES_OPEN + 1)
        if not oldest <= echo.count <= self._count:
            raise WireError("echo", "count", echo.count, f"one of the last beats, {oldest} to {self._count}")
        new = echo.count > self._echoed.get(receiver, 0)
        if new:
            self._echoed[receiver] = echo.count
        return new
