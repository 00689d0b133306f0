"""The dialer: the pure state of one SIA DC-09 path. It says what to send under which number; the adapter does it.

DC-09 has one frame under way at a time. The receiver answers it by number: ACK (it has it), NAK (it does not trust the
frame, mostly its time), DUH (it understands and cannot use it), RSP (ACK with content). Without a good answer it is
sent again under the same number, on a new connection when the old one was silent; after three tries the number is given
up. An alarm stays here, and the connection rests: all paths carry alarms at once, and this one tries again later. A
fault or status report must not cost the path: after a silence a link test tells whether the receiver is there at all,
and one that answers for the test and not for the report in three tries has *refused* it, so that another path takes it.

Sources: ANSI/SIA DC-09 as two public receivers read it (`docs/dc09.md`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from firmware.core.calls import STRAY, Answer, Call, Outcome, Seal, Verdict, Word
from firmware.core.dial_phases import TURNS, Phase, Turn
from firmware.core.dial_rests import Rests
from firmware.core.far_clock import FarClock
from firmware.core.link import ALARMS_MAX, Due, LinkError
from firmware.core.retry import PAUSE_CAP_S, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.core.dial_numbers import Numbers
    from firmware.core.report import Report, ReportId
    from hal.types import Instant

TRIES_MAX = 3
REFUSED_S = 60.0
"""An alarm that was answered by DUH is offered again after this long. Who said so may be out of order, may be put right
by then, or may be a forger, as DUH comes in clear: an accepted press ends with a receipt and with nothing else."""


class Dialer:
    """The life of one DC-09 path.

    Args:
        interval_s: A link test follows any other frame after this long.
        answer_s: How long the receiver may take to answer.
        numbers: Those of its frames.
        idle_cap_s: Longest pause while no alarm waits.

    Attributes:
        phase: Where the connection stands.
        up: Whether the receiver has answered since the path was last lost.
        doubted: Whether the receiver did not trust this frame for something else than its time.

    Synchronization: one thread.
    """

    def __init__(self, interval_s: float, answer_s: float, numbers: Numbers, idle_cap_s: float = PAUSE_CAP_S) -> None:
        self.phase = Phase.CLOSED
        self.up = False
        self.doubted = False
        self._clock = FarClock()
        self._interval_s = interval_s
        self._answer_s = answer_s
        self._numbers = numbers
        self._alarms: dict[ReportId, Report] = {}
        self._events: dict[ReportId, Report] = {}
        self._call: Call | None = None
        self._parked: Call | None = None
        self._under_way = False
        self._sent_s = -math.inf
        self._excused = False
        self._served = False
        self._rests = Rests()
        self._retry = Retry(idle_cap_s)
        self._moved_s = -math.inf
        self._up_s = -math.inf
        self._test_s = -math.inf

    # ── what is to be sent ─────────────────────────────────────────────────────────────────────────────────────────

    def alarm(self, report: Report, now_s: float) -> bool:
        """Take an alarm; one that waits, was answered for or was refused of late is not taken twice.

        Returns:
            False when `ALARMS_MAX` wait already: the core has to repeat it.
        """
        if self._rests.holds(report.id, now_s) or report.id in self._alarms:
            return True
        if len(self._alarms) >= ALARMS_MAX:
            return False
        self._alarms[report.id] = report
        if self.phase is Phase.CLOSED:
            self._retry.hurry(now_s)
        return True

    def settle(self, report: ReportId) -> None:
        """The receiver has this alarm, over whichever path: it is not sent here any more."""
        self._rest(report, math.inf)

    def _rest(self, report: ReportId, until_s: float) -> None:
        self._rests.add(report, until_s)
        self._alarms.pop(report, None)
        if self._call is not None and not self._under_way and _of(self._call, report):
            self._call = None

    def feed(self, reports: Iterable[Report]) -> None:
        """Take events out of the backlog, no more than `appetite` said."""
        self._events.update((report.id, report) for report in reports)

    def appetite(self) -> int:
        """How many events could be used now: one, and none while an alarm waits."""
        idle = self.up and self.phase is Phase.OPEN and self._call is None
        return int(idle and not self._alarms and not self._events)

    def forget_events(self) -> bool:
        """Another path carries them now; False while one is under way, whose answer is awaited."""
        if self._under_way and self._carries_event():
            return False
        self._events.clear()
        self._parked = None
        if self._carries_event():
            self._call = None
        return True

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now_s: float) -> Due:
        """What to do with the connection; OPEN has begun the try, CLOSE asks for `lost` with `overdue`."""
        match self.phase:
            case Phase.CLOSED:
                if now_s < self._open_s():
                    return Due.NOTHING
                self._turn(Turn.TRY, now_s)
                self._retry.begin(now_s)
                return Due.OPEN
            case Phase.OPENING | Phase.OPEN:
                return Due.CLOSE if now_s >= self._give_up_s() else Due.NOTHING
            case _:
                assert_never(self.phase)

    def opened(self, now_s: float) -> None:
        """The receiver took the connection. That alone proves nothing."""
        self._served = False
        self._turn(Turn.OPENED, now_s)

    def lost(self, now_s: float, jitter: float, *, overdue: bool = False) -> bool:
        """The connection is gone.

        Args:
            now_s: Monotonic seconds.
            jitter: A random number, 0 to 1: the share of the pause that is waited.
            overdue: Whether this side gave it up.

        Returns:
            Whether the path is lost by it. It is not when the receiver hung up after an answer, as many do after each
            frame: the next frame, or the same once more, opens a new connection. Nor is it when an event was under
            way: the link test that begins the next connection tells whether the event or the path is to blame.
        """
        polite = self.phase is Phase.OPEN and not overdue and self._hung_up_politely()
        doubtful = self.up and self._under_way and self._carries_event()
        self._turn(Turn.LOST, now_s)
        if polite or doubtful:
            self._under_way = False
            if not polite:
                self._park()
            return False
        held_s = now_s - self._up_s if self.up else None
        self.up = False
        spent = self._put_back()
        self._test_s = -math.inf
        hurried = bool(self._alarms)
        eager = not spent and (overdue or hurried)
        self._retry.lost(now_s, jitter, held_s=held_s, hurried=hurried, eager=eager)
        return True

    # ── frames and answers ─────────────────────────────────────────────────────────────────────────────────────────

    def pull(self, now_s: float) -> Call | None:
        """The frame to send now, from here on under way; None when nothing is to be sent."""
        if self.phase is not Phase.OPEN or self._under_way or self._spent():
            return None
        call = self._call or self._next_call(now_s)
        if call is None:
            return None
        self._call = Call(call.number, call.report, call.attempt + 1)
        self._under_way = True
        self._sent_s = now_s
        self._test_s = now_s + self._interval_s
        return self._call

    def answer(self, answer: Answer, now: Instant) -> Outcome:
        """The receiver said something."""
        off_s = self._clock.hear(answer, now)
        if off_s:
            return Outcome(self.rubbish().verdict, off_s=off_s)
        match answer.word:
            case Word.ACK | Word.RSP:
                return self._acknowledged(answer.number, now.mono_s)
            case Word.DUH:
                return self._not_understood(answer, now.mono_s)
            case Word.NAK:
                return self._distrusted(answer.utc_s, now)
            case _:
                assert_never(answer.word)

    def rubbish(self) -> Outcome:
        """Something came that is no answer: the frame under way goes out once more."""
        return self._fails() if self._under_way else STRAY

    def stamp(self, now: Instant) -> float:
        """The present moment as the receiver counts it, in seconds since 1970."""
        return self._clock.stamp(now)

    def next_deadline(self) -> float:
        """Monotonic seconds at which `due` or `pull` must be asked; infinite when never."""
        match self.phase:
            case Phase.CLOSED:
                return self._open_s()
            case Phase.OPENING:
                return self._give_up_s()
            case Phase.OPEN:
                return self._give_up_s() if self._under_way or self._spent() else self._test_s
            case _:
                assert_never(self.phase)

    @property
    def holds_event(self) -> bool:
        """Whether something out of the backlog has not been answered for."""
        return bool(self._events)

    @property
    def current(self) -> Report | None:
        """The report of the frame under way, if it carries one."""
        return self._call.report if self._call is not None else None

    @property
    def waiting(self) -> int:
        """Alarms that no receiver has answered for on this path."""
        return len(self._alarms)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, turn: Turn, now_s: float) -> None:
        after = TURNS.get((self.phase, turn))
        if after is None:
            raise LinkError(f"a dialer whose line is {self.phase} was told {turn}")
        self.phase = after
        self._moved_s = now_s

    def _open_s(self) -> float:
        wanted = self._alarms or self._events or self._call or not self.up
        return self._retry.next_s if wanted else max(self._retry.next_s, self._test_s)

    def _give_up_s(self) -> float:
        if self.phase is Phase.OPENING:
            return self._moved_s + self._retry.step_s(hurried=bool(self._alarms))
        if self._under_way:
            return self._sent_s + self._answer_s
        return -math.inf if self._spent() else math.inf

    def _spent(self) -> bool:
        return self._call is not None and not self._under_way and self._call.attempt >= TRIES_MAX

    def _hung_up_politely(self) -> bool:
        if not self._under_way:
            return (self.up or self._call is not None) and not self._spent()
        # The first frame after an answer may have crossed with the end of the connection.
        return self.up and self._served and self._call is not None and self._call.attempt == 1

    def _put_back(self) -> bool:
        """The frame under way failed with its connection; whether its number was given up after all its tries."""
        if self._carries_event():
            self._park()
        call, self._call = self._call, None
        self._under_way = False
        spent = call is not None and call.attempt >= TRIES_MAX
        if call is None or call.report is None or call.report.id not in self._alarms:
            return spent
        if not spent:
            self._call = call  # the same number on the next connection, so that a receiver can tell it from a new alarm
            return False
        self._numbers.give_up(call.number, call.report)
        # The others first: what this one fails for need not stop them.
        self._alarms[call.report.id] = self._alarms.pop(call.report.id)
        return True

    def _carries_event(self) -> bool:
        return self._call is not None and self._call.report is not None and self._call.report.id in self._events

    def _park(self) -> None:
        """Keep the event's number and count, and ask by a link test whether the receiver is there."""
        self._parked, self._call = self._call, None
        self._test_s = -math.inf
        if self._parked is not None and self._parked.report is not None:
            self._numbers.give_up(self._parked.number, self._parked.report)  # until it goes again, if it does

    def _fails(self) -> Outcome:
        """The try under way came to nothing, and the connection lives."""
        self._under_way = False
        if self._carries_event() and self._spent():
            self._park()
        return Outcome(Verdict.AGAIN)

    def _on_trial(self) -> bool:
        return self._parked is not None and self._parked.attempt >= TRIES_MAX

    def _refused(self) -> Report | None:
        """The receiver answered for something else; the event that it did not answer for in all its tries."""
        call = self._parked
        if call is None or call.report is None or not self._on_trial():
            return None
        self._parked = None
        return self._events.pop(call.report.id, None)

    def _next_call(self, now_s: float) -> Call | None:
        if self._alarms:
            return self._new_call(next(iter(self._alarms.values())))
        if now_s >= self._test_s or self._on_trial():
            self._excused = self.doubted = False
            return Call(0, None, 0)
        if not (self.up and self._events):
            return None
        call, self._parked = self._parked, None
        return call or self._new_call(next(iter(self._events.values())))

    def _new_call(self, report: Report) -> Call:
        self._excused = self.doubted = False
        return Call(self._numbers.next(), report, 0)

    def _heard(self, now_s: float) -> None:
        self._call = None
        self._under_way = False
        self._served = True
        if not self.up:
            self.up = True
            self._up_s = now_s

    def _open_call(self, number: int | None) -> Call | None:
        call = self._call
        return call if call is not None and number == call.number else None

    def _acknowledged(self, number: int | None, now_s: float) -> Outcome:
        call = self._open_call(number)
        if call is not None:
            self._heard(now_s)
            return Outcome(Verdict.TAKEN, self._finish(call.report), self._refused())
        late = self._numbers.late(number)
        if late is None or self._rests.settled(late.id):
            return STRAY
        return Outcome(Verdict.TAKEN, self._finish(late))

    def _not_understood(self, answer: Answer, now_s: float) -> Outcome:
        call = self._open_call(answer.number)
        if call is None:
            return STRAY
        if answer.seal is Seal.MISSING:
            return self._perhaps_not_understood(call, now_s)
        self._heard(now_s)
        return self._unusable(call, now_s)

    def _perhaps_not_understood(self, call: Call, now_s: float) -> Outcome:
        """Anybody could have written it: it ends the try, and three of them the number, but it proves nothing."""
        if not self._under_way:
            return STRAY
        again = self._fails()
        if call.report is None or self._call is None or not self._spent():
            return again
        self._call = None
        self._test_s = -math.inf
        return self._unusable(call, now_s)

    def _unusable(self, call: Call, now_s: float) -> Outcome:
        if call.report is not None:
            self._events.pop(call.report.id, None)
            self._rest(call.report.id, now_s + REFUSED_S)
        return Outcome(Verdict.UNKNOWN, call.report)

    def _distrusted(self, utc_s: float | None, now: Instant) -> Outcome:
        call = self._call
        if call is None or not self._under_way:
            return STRAY
        if not self._clock.learn(utc_s, now):
            self.doubted = True
        elif not self._excused:  # our clock was to blame, once: that try does not count
            self._excused = True
            self._call = Call(call.number, call.report, call.attempt - 1)
        return self._fails()

    def _finish(self, report: Report | None) -> Report | None:
        if report is not None:
            self._events.pop(report.id, None)
            if self._parked is not None and _of(self._parked, report.id):
                self._parked = None
            self.settle(report.id)
        return report


def _of(call: Call, report: ReportId) -> bool:
    return call.report is not None and call.report.id == report
