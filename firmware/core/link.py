"""One path's connection as a pure machine: what is sent next, what is under way, when to give up, when to try again.

The machine knows nothing of sockets. Its owner asks `due` what to do with the connection and `pull` what to send, and
tells it what came of both. Three lanes wait here, in this order: alarms, notes (health, results of commands), events
(faults and status). Alarms are first in, first out; four places under way are theirs alone.

Nothing is lost here: an alarm stays until the broker answers for it, and what was under way when a connection broke is
unsent again. Events belong to the backlog: after a break it takes all of them back.
"""

from __future__ import annotations

import collections
import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from firmware.core.patience import Patience
from firmware.core.retry import PAUSE_CAP_S, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from firmware.core.report import Report, ReportId

WINDOW_MAX = 16
ALARM_PLACES = 4
"""Places under way that only alarms may take."""
ALARMS_MAX = 4096
"""Alarms that may wait here; the core keeps them all and repeats them, so a refused one is not lost."""
NOTES_MAX = 64

REFUSED_FIRST_S = 5.0
REFUSED_CAP_S = 60.0

EVENTS_HZ = 1000.0
"""Well below what the slowest receiver known to us reads, well above what a panel's link carries."""
EVENTS_BURST = 8
"""Events that may follow each other without a pause."""
BRISK_S = 0.5
"""A report answered within this time lets one more event be under way, or as many as would be answered within it one
after another if each took as long: so no slow link has more in front of an alarm. One answered after `SLOW_S` halves
their number."""
SLOW_S = 1.0


class State(enum.StrEnum):
    """Where a connection stands."""

    DOWN = "down"
    OPENING = "opening"
    UP = "up"


class Move(enum.StrEnum):
    """What changes where it stands."""

    TRY = "try"
    OPENED = "opened"
    LOST = "lost"
    OVERDUE = "overdue"


MOVES: Mapping[tuple[State, Move], State] = {
    (State.DOWN, Move.TRY): State.OPENING,
    (State.OPENING, Move.OPENED): State.UP,
    (State.OPENING, Move.LOST): State.DOWN,
    (State.OPENING, Move.OVERDUE): State.DOWN,
    (State.UP, Move.LOST): State.DOWN,
    (State.UP, Move.OVERDUE): State.DOWN,
}
"""The whole specification; a move that is not here raises `LinkError` and changes nothing."""


class LinkError(RuntimeError):
    """The owner moved the link in a way that its table does not have: a defect of the owner."""


class Due(enum.Enum):
    """What the owner is to do with the connection now."""

    NOTHING = enum.auto()
    OPEN = enum.auto()
    CLOSE = enum.auto()


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm on its way."""

    report: Report
    attempt: int


@dataclass(frozen=True, slots=True)
class Note:
    """Anything that is no report: health, results. Of two with one key only the newer is sent."""

    key: str
    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A fault or status out of the backlog."""

    report: Report


Item = Alarm | Note | Event


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One item under way; the broker's answer names its token, which is never used twice."""

    token: int
    item: Item
    sent_s: float


class Link:
    """The life of one path's connection and of all that it carries.

    Args:
        window: Items under way at once, 5 to 16.
        events_hz: Events a second at the most. The broker's answers say nothing of how quickly a receiver reads:
            without a limit a backlog piles up in front of the receiver, and a new alarm stands behind it.
        idle_cap_s: Longest pause while no alarm waits.

    Synchronization: one thread.
    """

    def __init__(self, window: int = WINDOW_MAX, events_hz: float = EVENTS_HZ, idle_cap_s: float = PAUSE_CAP_S) -> None:
        if not ALARM_PLACES < window <= WINDOW_MAX:
            raise ValueError(f"window is {window}, but must be {ALARM_PLACES + 1} to {WINDOW_MAX}")
        self.state = State.DOWN
        self._configured = window
        self._window = window
        self._alarms: dict[ReportId, Alarm] = {}
        self._notes: dict[str, Note] = {}
        self._events: collections.deque[Event] = collections.deque()
        self._flying: dict[int, Outgoing] = {}
        self._count: dict[type[Item], int] = {Alarm: 0, Note: 0, Event: 0}
        self._token = 0
        self.patience = Patience()
        self._retry = Retry(idle_cap_s)
        self._moved_s = -math.inf
        self._pace = 1
        self._refused_s = 0.0
        self._resume_s = math.inf
        self._event_gap_s = 1 / events_hz
        self._next_event_s = -math.inf

    # ── what is to be sent ─────────────────────────────────────────────────────────────────────────────────────────

    def alarm(self, report: Report, attempt: int, now: float) -> bool:
        """Take an alarm; one that is already under way on this connection is not taken twice.

        Returns:
            False when `ALARMS_MAX` wait already: the core has to repeat it.
        """
        if any(isinstance(out.item, Alarm) and out.item.report.id == report.id for out in self._flying.values()):
            return True
        known = report.id in self._alarms
        if not known and len(self._alarms) >= ALARMS_MAX:
            return False
        self._alarms[report.id] = Alarm(report, attempt)
        if self.state is State.DOWN and not known:
            self._retry.hurry(now)
        return True

    def note(self, note: Note) -> None:
        """Take a note; the oldest is dropped when `NOTES_MAX` wait (a result that nobody can be told any more)."""
        self._notes[note.key] = note
        if len(self._notes) > NOTES_MAX:
            del self._notes[next(iter(self._notes))]

    def feed(self, reports: Iterable[Report]) -> None:
        """Take events out of the backlog, no more than `appetite` said."""
        self._events.extend(Event(report) for report in reports)

    def forget_events(self) -> None:
        """Let go of the events that are not under way: another path takes them."""
        self._events.clear()

    def appetite(self) -> int:
        """How many events could be used: one window of them under way, and one at hand for when it is answered for."""
        if self.state is not State.UP or self._alarms or self._paused:
            return 0
        return max(0, 2 * self._others_max() - len(self._events) - self._count[Event])

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> Due:
        """What to do with the connection; OPEN has begun the try, CLOSE asks for `lost` with `overdue`."""
        if now >= self._resume_s:
            self._resume_s = math.inf
        match self.state:
            case State.DOWN:
                if now < self._retry.next_s:
                    return Due.NOTHING
                self._move(Move.TRY, now)
                self._retry.begin(now)
                return Due.OPEN
            case State.OPENING | State.UP:
                return Due.CLOSE if now >= self._give_up_s() else Due.NOTHING
            case _:
                assert_never(self.state)

    def greeted(self, now: float, took_s: float) -> None:
        """The far end took the connection, which took it so long; the time for the greeting counts from here."""
        self._moved_s = now
        self._retry.reached(took_s)

    def welcomed(self, now: float) -> None:
        """The broker took the session; the time for its answer to the subscriptions counts from here."""
        self._retry.reached(now - self._moved_s)
        self._moved_s = now

    def opened(self, receive_maximum: int, now: float) -> None:
        """The connection carries reports.

        Args:
            receive_maximum: How many unanswered items the broker allows (MQTT 5, 3.2.2.3.3).
            now: Monotonic seconds.
        """
        self._retry.greeted(now - self._moved_s)
        self.patience.greeted(self._retry.usual_s)
        self._move(Move.OPENED, now)
        self._window = max(1, min(self._configured, receive_maximum))
        self._pace = 1

    def lost(self, now: float, jitter: float, *, overdue: bool = False) -> None:
        """The connection is gone; the owner gives its events back to the backlog.

        Args:
            now: Monotonic seconds.
            jitter: A random number, 0 to 1: the share of the pause that is waited.
            overdue: Whether this side gave it up at a deadline.
        """
        held_s = now - self._moved_s if self.state is State.UP else None
        if overdue and held_s is not None:
            self.patience.betrayed()
        self._move(Move.OVERDUE if overdue else Move.LOST, now)
        self._unsend()
        eager = overdue or self.hurried
        self._retry.lost(now, jitter, held_s=held_s, hurried=self.hurried, eager=eager)

    # ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

    def pull(self, now: float) -> Outgoing | None:
        """The next item to send, from now on under way; None when nothing may be sent."""
        if self.state is not State.UP or len(self._flying) >= self._window:
            return None
        item = self._next_item(now)
        if item is None:
            return None
        self._token += 1
        out = Outgoing(self._token, item, now)
        self._flying[out.token] = out
        self._count[type(item)] += 1
        return out

    def acked(self, token: int, now: float, *, accepted: bool) -> Item | None:
        """The broker answered for an item.

        Args:
            token: The item's.
            now: Monotonic seconds.
            accepted: Whether it is on its way to somebody. A refused event is kept and sent again after a pause; a
                refused alarm is the core's to repeat.

        Returns:
            What was answered for; None when nothing of that token is under way.
        """
        out = self._flying.pop(token, None)
        if out is None:
            return None
        self._count[type(out.item)] -= 1
        in_turn = next(iter(self._flying), math.inf) > token
        self.patience.answered(token, out.sent_s, now, in_turn=in_turn)
        if not accepted:
            self._refused(out.item, now)
        elif not isinstance(out.item, Note):
            self._learn(now - out.sent_s)
            if isinstance(out.item, Event):
                self._refused_s = 0.0
        return out.item

    def next_deadline(self) -> float:
        """Monotonic seconds at which `due` must be asked; infinite when never."""
        match self.state:
            case State.DOWN:
                return self._retry.next_s
            case State.OPENING:
                return self._give_up_s()
            case State.UP:
                return min(self._give_up_s(), self._resume_s, self._next_event_s if self._event_is_next() else math.inf)
            case _:
                assert_never(self.state)

    @property
    def hurried(self) -> bool:
        """Whether an alarm waits for a connection."""
        return bool(self._alarms)

    @property
    def step_s(self) -> float:
        """How long a step of the connection that begins now may take."""
        return self._retry.step_s(hurried=self.hurried)

    @property
    def alarms_waiting(self) -> int:
        """Alarms that are not under way."""
        return len(self._alarms)

    @property
    def under_way(self) -> int:
        """Items that the broker has not answered for."""
        return len(self._flying)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _paused(self) -> bool:
        return self._resume_s < math.inf

    def _move(self, move: Move, now: float) -> None:
        after = MOVES.get((self.state, move))
        if after is None:
            raise LinkError(f"a link that is {self.state} was told {move}")
        self.state = after
        self._moved_s = now

    def _give_up_s(self) -> float:
        if self.state is State.OPENING:
            return self._moved_s + self.step_s
        if not self._flying:
            return math.inf
        oldest = next(iter(self._flying.values()))
        first = isinstance(oldest.item, Alarm) or not (self._alarms or self._count[Alarm])
        return self.patience.until_s(oldest.token, oldest.sent_s, first=first)

    def _others_max(self) -> int:
        return max(1, self._window - ALARM_PLACES)

    def _others(self) -> int:
        return len(self._flying) - self._count[Alarm]

    def _next_item(self, now: float) -> Item | None:
        if self._alarms:
            return self._alarms.pop(next(iter(self._alarms)))
        if self._notes and self._others() < self._others_max():
            return self._notes.pop(next(iter(self._notes)))
        if now < self._next_event_s or not self._event_is_next():
            return None
        burst_s = EVENTS_BURST * self._event_gap_s
        self._next_event_s = max(self._next_event_s, now - burst_s) + self._event_gap_s
        return self._events.popleft()

    def _event_is_next(self) -> bool:
        """Whether nothing but time keeps an event from being sent."""
        if not self._events or self._paused or self._alarms or self._notes or len(self._flying) >= self._window:
            return False
        return self._others() < self._others_max() and self._count[Event] < self._pace

    def _unsend(self) -> None:
        flying = [out.item for out in self._flying.values()]
        self._flying.clear()
        self.patience.forget()
        self._count = dict.fromkeys(self._count, 0)
        self._events.clear()
        self._resume_s = math.inf
        self._alarms = {item.report.id: item for item in flying if isinstance(item, Alarm)} | self._alarms
        self._notes = {item.key: item for item in flying if isinstance(item, Note)} | self._notes

    def _refused(self, item: Item, now: float) -> None:
        if not isinstance(item, Event):
            return
        self._events.append(item)  # behind the others: what this one is refused for need not stop them
        if not self._paused:
            self._refused_s = min(max(2 * self._refused_s, REFUSED_FIRST_S), REFUSED_CAP_S)
            self._resume_s = now + self._refused_s

    def _learn(self, took_s: float) -> None:
        """How many events may be under way, from the time that one report took."""
        if took_s <= BRISK_S:
            in_turn = int(BRISK_S / max(took_s, BRISK_S / WINDOW_MAX))
            self._pace = min(max(self._pace + 1, in_turn), WINDOW_MAX)
        elif took_s > SLOW_S:
            self._pace = max(1, self._pace // 2)
