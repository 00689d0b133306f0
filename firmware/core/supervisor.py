"""The panel's view of its ways out: which path is lost, which leads, which receiver is silent, and what is told of it.

`Supervision` knows when a path counts as lost; here stands what follows from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from firmware.core import facts as f
from firmware.core.effects import Effect, Lead, Store
from firmware.core.path import BEAT_S, PathSpec, PathState, Supervision
from firmware.core.timers import Timers

if TYPE_CHECKING:
    from firmware.core.ledger import Ledger
    from firmware.core.maker import Maker
    from firmware.core.troubles import Troubles
    from hal.types import Instant

SILENT_BEATS = 3
"""A receiver that is not heard for so many beats, while another one is, is out of order."""


class Supervisor:
    """Paths and receivers of a panel.

    Args:
        paths: All ways out, first choice first.
        receivers: All that must acknowledge for themselves.
        ledger: Which paths are up, and what goes out again when one comes.
        troubles: Where losses and silence are listed.
        make: Makes reports.

    Synchronization: one thread.
    """

    def __init__(
        self,
        paths: tuple[PathSpec, ...],
        receivers: tuple[str, ...],
        *,
        ledger: Ledger,
        troubles: Troubles,
        make: Maker,
    ) -> None:
        self._specs = paths
        self._paths = Supervision(paths)
        self._heard_s = dict.fromkeys(receivers, 0.0)
        self._timers: Timers[str] = Timers()
        self._ledger = ledger
        self._troubles = troubles
        self._make = make
        self._why: dict[str, str] = {}
        self._leader = ""

    @property
    def alive(self) -> bool:
        """Whether a receiver echoes over any path."""
        return self._paths.alive

    def start(self, now_s: float) -> None:
        """From now on every path and receiver is to be heard: each says something as soon as it is reached."""
        self._paths.start(now_s)
        for receiver in self._heard_s:
            self._heard_s[receiver] = now_s
            self._timers.set(receiver, now_s + SILENT_BEATS * BEAT_S)

    def next_deadline(self) -> float:
        """When `due` is wanted; monotonic seconds."""
        return min(self._paths.next_deadline(), self._timers.next())

    def handle(self, fact: f.PathUp | f.PathDown | f.Beat | f.Echo, now: Instant) -> list[Effect]:
        """What follows from a word of a path."""
        match fact:
            case f.PathUp():
                return self._up(fact.path)
            case f.PathDown():
                return self._down(fact, now)
            case f.Beat():
                self._paths.beat(fact.path, now.mono_s)
                return []
            case f.Echo():
                return self._echo(fact, now)
            case _:
                assert_never(fact)

    def due(self, now: Instant) -> list[Effect]:
        """What is lost or silent by now."""
        effects: list[Effect] = []
        for path in self._paths.late(now.mono_s):
            self._troubles.note(f"path {path}", self._why.get(path) or self._make.words("no-answer"))
            effects += [Store(self._make.report("YC", now, detail=(("path", path),)))]
            effects += [self._make.say("path-lost", path=path)]
        while (receiver := self._timers.pop(now.mono_s)) is not None:
            effects += self._silent(receiver, now)
        return effects

    def lead(self, now_s: float) -> list[Effect]:
        """Tell every path whether it leads, when that changes."""
        if self._paths.leader == self._leader:
            return []
        self._leader = self._paths.leader
        for receiver in self._heard_s:
            self._timers.set_sooner(receiver, now_s + self.limit_s(receiver))
        return [Lead(path.name, path.name == self._leader) for path in self._specs]

    def limit_s(self, receiver: str) -> float:
        """How long a receiver may be silent: three beats of the quickest way to it that is not lost."""
        paces = [
            path.pace_s(leads=path.name == self._paths.leader)
            for path in self._specs
            if path.receiver in ("", receiver) and self._paths.state(path.name) is not PathState.LOST
        ]
        return SILENT_BEATS * max(BEAT_S, min(paces, default=BEAT_S))

    def _up(self, path: str) -> list[Effect]:
        if path in self._ledger.paths_up:
            return []
        self._ledger.paths_up.add(path)
        self._ledger.paths_deaf.discard(path)
        self._why.pop(path, None)
        return [*self._ledger.resend(path), self._make.say("path-up", path=path)]

    def _down(self, fact: f.PathDown, now: Instant) -> list[Effect]:
        path = fact.path
        self._why[path] = why = fact.why.removeprefix(f"path {path}: ")
        told = self._make.say("path-down", path=path, why=why)
        up, deaf = self._ledger.paths_up, self._ledger.paths_deaf
        if path in up:
            self._paths.away(path, now.mono_s, closed=fact.closed)
        changed = path in up or (path in deaf) is not fact.stands
        up.discard(path)
        deaf.discard(path)
        if fact.stands:
            deaf.add(path)
        # Whoever connects hurries only for alarms that it holds: not for those that a broker took or refused.
        return [*self._ledger.resend(path), told] if changed else [told]

    def _echo(self, fact: f.Echo, now: Instant) -> list[Effect]:
        back = self._paths.echo(fact.path)
        self._heard_s[fact.receiver] = now.mono_s
        self._timers.set(fact.receiver, now.mono_s + self.limit_s(fact.receiver))
        effects = self._troubles.end(f"receiver {fact.receiver}", now)
        if effects:  # it was away, and is told at once what it missed
            effects = self._ledger.resend(fact.path, fact.receiver) + effects
        if back:
            self._troubles.forget(f"path {fact.path}")
            effects += [Store(self._make.report("YK", now, detail=(("path", fact.path),)))]
            effects += [self._make.say("path-back", path=fact.path)]
        return effects

    def _silent(self, receiver: str, now: Instant) -> list[Effect]:
        limit_s = self.limit_s(receiver)
        due_s = self._heard_s[receiver] + limit_s
        if now.mono_s < due_s:  # slower ways to it are left than when it was last heard
            self._timers.set(receiver, due_s)
            return []
        self._timers.set(receiver, now.mono_s + limit_s)
        if not self._paths.alive:  # the paths' own losses say it already
            return []
        why = self._make.words("silent", receiver=receiver, seconds=round(limit_s))
        return self._troubles.begin(f"receiver {receiver}", why, now)
