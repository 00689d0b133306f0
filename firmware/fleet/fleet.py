"""N real panels in one process: who joins when, who presses, and what came of an outage."""

from __future__ import annotations

import bisect
import resource
from typing import TYPE_CHECKING

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.config import PathConfig
from firmware.fleet.booth import Booth
from firmware.fleet.crowd import Crowd
from firmware.fleet.responder import Responder
from firmware.fleet.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock

PREFIX = "fleet-"
PATH = "main"
RAMP_HZ = 200.0
"""Panels that join a second."""
SPARE_FILES = 64
"""Files that the process has open besides."""
KEEPALIVE_S = 60
"""Long: heartbeats notice a dead broker, and so many keep-alives are of no use."""


class FleetError(RuntimeError):
    """The fleet cannot be had; the message says what to change."""


class Fleet:
    """Panels `fleet-0001` and so on, each with its own connection.

    Args:
        panels: How many.
        host: The broker's.
        port: The broker's.
        receiver: Who must acknowledge.
        answers: Whether the fleet brings that receiver along.
        clock: Both clocks.
        random01: Random numbers, 0 to 1.

    Raises:
        FleetError: The system does not allow so many sockets.

    Synchronization: one thread.
    """

    def __init__(
        self,
        panels: int,
        host: str,
        port: int,
        *,
        receiver: str,
        answers: bool,
        clock: Clock,
        random01: Callable[[], float],
    ) -> None:
        _allow_files(panels + SPARE_FILES)
        self.booths: list[Booth] = []
        self.responder: Responder | None = None
        self._panels = panels
        self._clock = clock
        self._random01 = random01
        self._receiver = receiver
        self._path = PathConfig(name=PATH, host=host, port=port, keepalive_s=KEEPALIVE_S)
        self._crowd = Crowd(clock)
        now = clock.now()
        self._epoch = round(now.utc_s)
        if answers:
            pipe = MqttPipe(self._path, f"{PREFIX}receiver-{receiver}", clock)
            self.responder = Responder(receiver, PREFIX, pipe=pipe, clock=clock)
            self._crowd.join(self.responder, pipe)
        for number in range(panels):
            self._crowd.at(now.mono_s + number / RAMP_HZ, self._join)

    def turn(self) -> None:
        """Wait for what comes first, at most half a second, and do it."""
        self._crowd.turn()

    def press(self) -> None:
        """Somebody presses somewhere."""
        if self.booths:
            booth = self.booths[int(self._random01() * len(self.booths))]
            booth.press()
            self._crowd.wake(booth)

    def close(self) -> None:
        """Everybody says goodbye."""
        self._crowd.close()

    @property
    def up(self) -> int:
        """Panels whose connection carries reports."""
        return sum(booth.up for booth in self.booths)

    @property
    def complete(self) -> bool:
        """Whether all have joined and are up."""
        return self.up == self._panels

    @property
    def pending(self) -> int:
        """Alarms without an acknowledgement."""
        return sum(booth.pending for booth in self.booths)

    def ups_between(self, from_s: float, to_s: float) -> int:
        """Connections made in a span of monotonic seconds."""
        return sum(from_s <= up_s < to_s for booth in self.booths for up_s in booth.ups)

    def tally(self) -> Tally | None:
        """What the first outage came to; None while there was none, or while it lasts."""
        downs = [booth.downs[0] for booth in self.booths if booth.downs]
        if not downs:
            return None
        return_s = self._return_s(min(downs))
        if return_s is None:
            return None
        back = [_first_after(booth.ups, return_s) for booth in self.booths if booth.downs]
        ended = [
            (booth.acked.get(ident), raised_s) for booth in self.booths for ident, raised_s in booth.raised.items()
        ]
        late = [acked_s - max(return_s, raised_s) for acked_s, raised_s in ended if acked_s and acked_s >= return_s]
        return Tally(
            panels=self._panels,
            lost=len(downs),
            back=tuple(up_s - return_s for up_s in back if up_s is not None),
            through=tuple(late),
            pending=self.pending,
            tries=(),
        )

    def _return_s(self, lost_s: float) -> float | None:
        """When anybody was first let in again: the receiver knocks twenty times a second."""
        ups = [booth.ups for booth in self.booths] + ([self.responder.ups] if self.responder else [])
        found = [up_s for up_s in (_first_after(item, lost_s) for item in ups) if up_s is not None]
        return min(found, default=None)

    def _join(self) -> None:
        panel = f"{PREFIX}{len(self.booths) + 1:04}"
        pipe = MqttPipe(self._path, panel, self._clock)
        booth = Booth(
            panel,
            epoch=self._epoch,
            path=self._path,
            receiver=self._receiver,
            pipe=pipe,
            clock=self._clock,
            random01=self._random01,
        )
        self.booths.append(booth)
        self._crowd.join(booth, pipe)


def _first_after(times: list[float], when_s: float) -> float | None:
    found = bisect.bisect_left(times, when_s)
    return times[found] if found < len(times) else None


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard < wanted:
        raise FleetError(
            f"{wanted} open files are needed, {hard} are allowed: raise it with ulimit -Hn, or LimitNOFILE"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
