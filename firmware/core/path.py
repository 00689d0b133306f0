"""Supervision: a path is up while a receiver echoes over it, and for no other reason.

A leading path sends a beat every 10 s, a resting one every 15 min. A beat that nobody echoes in time, or a connection
that stays away, makes the path lost: within 20 s of its death while it leads. The first path that is not lost and
carries faults and status leads; when all are lost, the first one does.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

BEAT_S = 10.0
REST_BEAT_S = 900.0
ECHO_S = 9.0
"""A beat after the death comes within 10 s, its echo is awaited for 9 s: together below the 20 s of EN 50136 SP6."""
AWAY_S = 15.0
"""A connection that is back within this time was a flap, not a loss. It may have been dead for some seconds already."""
CLOSED_AWAY_S = BEAT_S + ECHO_S
"""The same where the far end itself ended the connection: it was alive until then, and a broker that is restarted is
given all the time there is."""


class PathState(enum.StrEnum):
    """What is known of a path."""

    UNPROVEN = "unproven"
    UP = "up"
    WAITING = "waiting"
    LOST = "lost"


class PathEvent(enum.StrEnum):
    """What changes it."""

    BEAT = "beat"
    ECHO = "echo"
    AWAY = "away"
    LATE = "late"


MOVES: dict[tuple[PathState, PathEvent], PathState] = {
    (PathState.UNPROVEN, PathEvent.ECHO): PathState.UP,
    (PathState.UNPROVEN, PathEvent.LATE): PathState.LOST,
    (PathState.UP, PathEvent.BEAT): PathState.WAITING,
    (PathState.UP, PathEvent.AWAY): PathState.WAITING,
    (PathState.WAITING, PathEvent.ECHO): PathState.UP,
    (PathState.WAITING, PathEvent.LATE): PathState.LOST,
    (PathState.LOST, PathEvent.ECHO): PathState.UP,
}
"""The whole specification; an event that is not here for a state changes nothing."""

ALIVE = frozenset({PathState.UP, PathState.WAITING})


@dataclass(frozen=True, slots=True)
class PathSpec:
    """What supervision has to know of a path.

    Attributes:
        name: As in the configuration.
        interval_s: Longest pause between two frames that the far end answers, whether the path leads or rests; None
            for a path that beats as it is told.
        receiver: The only one that it reaches; empty for one that reaches all.
        carries: Whether it carries faults and status, so that it can lead.
    """

    name: str
    interval_s: float | None = None
    receiver: str = ""
    carries: bool = True

    def pace_s(self, *, leads: bool) -> float:
        """How often something is to be heard over it."""
        if self.interval_s is not None:
            return self.interval_s
        return BEAT_S if leads else REST_BEAT_S


@dataclass(slots=True)
class _Path:
    state: PathState
    late_s: float


class Supervision:
    """All paths of a panel.

    Args:
        paths: First choice first.

    Synchronization: one thread.
    """

    def __init__(self, paths: tuple[PathSpec, ...]) -> None:
        self._paths = {path.name: _Path(PathState.UNPROVEN, math.inf) for path in paths}
        self._leaders = [path.name for path in paths if path.carries] or list(self._paths)

    def start(self, now_s: float) -> None:
        """From now on a first echo is awaited on every path; one that nobody ever echoes over is lost after a while."""
        for path in self._paths.values():
            path.late_s = now_s + AWAY_S

    def state(self, name: str) -> PathState:
        """What is known of a path."""
        return self._paths[name].state

    @property
    def alive(self) -> bool:
        """Whether a receiver echoes over any path."""
        return any(path.state in ALIVE for path in self._paths.values())

    @property
    def leader(self) -> str:
        """The path that beats quickly and carries reports other than alarms: the first that can and is not lost."""
        living = (name for name in self._leaders if self._paths[name].state is not PathState.LOST)
        return next(living, self._leaders[0])

    def next_deadline(self) -> float:
        """When some path becomes lost if nothing is heard; monotonic seconds."""
        return min((path.late_s for path in self._paths.values()), default=math.inf)

    def beat(self, name: str, now_s: float) -> None:
        """A beat went out."""
        self._move(name, PathEvent.BEAT, now_s + ECHO_S)

    def away(self, name: str, now_s: float, *, closed: bool = False) -> None:
        """The connection is gone; `closed`: the far end itself ended it."""
        self._move(name, PathEvent.AWAY, now_s + (CLOSED_AWAY_S if closed else AWAY_S))

    def echo(self, name: str) -> bool:
        """A receiver was heard over a path; True when that path was lost before."""
        was = self._move(name, PathEvent.ECHO, math.inf)
        self._paths[name].late_s = math.inf
        return was is PathState.LOST

    def late(self, now_s: float) -> list[str]:
        """The paths that became lost by now."""
        due = [name for name, path in self._paths.items() if path.late_s <= now_s]
        for name in due:
            self._move(name, PathEvent.LATE, math.inf)
            self._paths[name].late_s = math.inf
        return due

    def _move(self, name: str, event: PathEvent, late_s: float) -> PathState:
        path = self._paths[name]
        was, after = path.state, MOVES.get((path.state, event))
        if after is not None:
            path.state, path.late_s = after, late_s
        return was
