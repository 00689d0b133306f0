"""The uplink: one path's actor. It owns the link (what to send when) and the pipe (how it travels).

Transmit, Health, Reply, Lead, Wake ─▶ Link ─▶ wire ─▶ Pipe ─▶ broker
PathUp, PathDown, Beat, Echo, Brokered, Refused, Receipt, Command ◀─ wire ◀─ Pipe ◀─ broker
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from firmware.adapters.backlog import Backlog, Wake
from firmware.adapters.heart import Heart
from firmware.adapters.path_actor import PathActor
from firmware.adapters.pipe import (
    Answered,
    Incoming,
    Letter,
    Lost,
    Pipe,
    PipeError,
    PipeEvent,
    Ready,
    Subscribed,
    Welcomed,
)
from firmware.core.effects import Health, Lead, Reply, Transmit
from firmware.core.facts import Beat, Brokered, Echo, Refused
from firmware.core.link import Alarm, Due, Event, Link, Note, State
from firmware.core.patience import LIGHT
from firmware.core.retry import Asking
from firmware.wire import topics
from firmware.wire.beat import decode_echo
from firmware.wire.command import CommandGate, CommandRefused, encode_result
from firmware.wire.fields import WireError
from firmware.wire.health import encode_gone, encode_health
from firmware.wire.receipt import decode_receipt
from firmware.wire.report import encode_report, fixed_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.config import PathConfig
    from firmware.core.facts import Fact
    from firmware.core.link import Item
    from firmware.core.report import Report, ReportId
    from firmware.wire.report import Fixed, Site
    from hal.ports import Clock
    from hal.types import Instant

log = logging.getLogger(__name__)

NOBODY = 0x10
"""MQTT 5 reason code: the broker took it, and nobody is subscribed."""
ASKED_MAX = 256


class Uplink(PathActor[PipeEvent]):
    """One path.

    Args:
        config: The path.
        panel_id: This panel.
        epoch: Its present epoch.
        site: Where it stands.
        panel_key: Signs reports, health and results; None leaves them unsigned.
        receivers: The configured receivers with the keys shared with them.
        backlog: Where faults and status come from while this path leads; with one, it leads until it is told otherwise.
        pipe: The connection.
        clock: Both clocks.
        post: Where facts go.
        random01: Random numbers, 0 to 1, for the pauses between tries.
        gate: One for all paths, so that a command cannot be replayed on another; None makes one of its own.

    Synchronization: one thread.
    """

    def __init__(
        self,
        config: PathConfig,
        *,
        panel_id: str,
        epoch: int,
        site: Site,
        panel_key: bytes | None,
        receivers: dict[str, bytes | None],
        backlog: Backlog | None,
        pipe: Pipe,
        clock: Clock,
        post: Callable[[Fact], None],
        random01: Callable[[], float],
        gate: CommandGate | None = None,
    ) -> None:
        super().__init__(config.name, pipe, clock, post)
        self.name = f"uplink {config.name}"
        self.link = Link(config.window, config.events_hz, config.scatter_s)
        self._panel = panel_id
        self._epoch = epoch
        self._site = site
        self._key = panel_key
        self._receivers = receivers
        self._backlog = backlog
        self._leads = backlog is not None
        self._asking = Asking(config.scatter_s)
        self._prepared: dict[ReportId, Fixed] = {}
        self._arrived: list[ReportId] = []
        self._heart = Heart(panel_id, epoch, config.name, panel_key)
        self._pipe = pipe
        self._random01 = random01
        self._gate = gate or CommandGate(panel_id, epoch, receivers)
        self._health: Health | None = None
        self._asked: dict[tuple[str, str], None] = {}

    # ── the actor ──────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, order: object) -> None:
        """Obey a `Transmit` of this path, a `Health`, a `Reply`, a `Lead` or a `Wake`.

        Raises:
            TypeError: Any other order.
        """
        match order:
            case Transmit():
                self._transmit(order)
            case Health():
                self._health = order
                self._note_health()
            case Reply():
                if (order.origin, order.command) in self._asked:
                    del self._asked[order.origin, order.command]
                    self._note_reply(order)
            case Lead():
                self._lead(order)
            case Wake():
                pass
            case _:
                raise TypeError(f"{self.name} knows no order {type(order).__name__}")
        self._pump()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        asking_s = min(self._asking.due_s(hurried=self._hurried), self._asking.overdue_s)
        return min(self.link.next_deadline(), self._heart.due_s, asking_s, super().next_deadline())

    def close(self) -> None:
        """Say goodbye to the broker; idempotent."""
        if self.link.state is State.UP:
            gone = encode_gone(panel=self._panel, epoch=self._epoch, key=self._key)
            self._pipe.publish(0, Letter(topics.health(self._panel), gone, retain=True))
        self._pipe.close(orderly=True)

    # ── orders ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _transmit(self, order: Transmit) -> None:
        if not self.link.alarm(order.report, order.attempt, self._clock.now().mono_s):
            self._refuse(order.report)

    def _lead(self, order: Lead) -> None:
        """Take over faults and status reports, or give back what this path holds of them."""
        if not order.leading:
            self.link.forget_events()
            self._give_back()
        self._leads = order.leading
        if self.link.state is State.UP:
            self._heart.hurry(self._clock.now().mono_s)

    def _due(self, now_s: float) -> Due:
        self._ask(now_s)
        return self.link.due(now_s)

    def _beat(self) -> None:
        now = self._clock.now()
        if self.link.state is not State.UP or now.mono_s < self._heart.due_s:
            return
        self.link.note(Note("beat", topics.beat(self._panel), self._heart.beat(now, leads=self._leads)))
        self._post(Beat(self._path))

    def _note_health(self) -> None:
        if self._health is None or self.link.state is not State.UP:
            return
        payload = encode_health(
            self._health, panel=self._panel, epoch=self._epoch, now=self._clock.now(), key=self._key
        )
        self.link.note(Note("health", topics.health(self._panel), payload, retain=True))

    def _note_reply(self, reply: Reply) -> None:
        payload = encode_result(reply, panel=self._panel, key=self._key)
        topic = topics.result(self._panel, reply.origin)
        self.link.note(Note(f"result {reply.origin} {reply.command}", topic, payload))

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        kinds = (topics.receipt, topics.command, topics.echo)
        subscribe = tuple(topic(self._panel, "+") for topic in kinds)
        gone = encode_gone(panel=self._panel, epoch=self._epoch, key=self._key)
        try:
            will = Letter(topics.health(self._panel), gone, retain=True)
            took_s = self._pipe.open(subscribe, will, hurried=self.link.hurried, step_s=self.link.step_s)
        except PipeError as error:
            self._lost(str(error))
        else:
            self.link.greeted(self._clock.now().mono_s, took_s)

    def _give_up(self, what: str = "") -> None:
        what = what or ("an answer to the connection" if self.link.state is State.OPENING else "its answer to a report")
        self._pipe.close()
        self._lost(f"path {self._path}: the broker owes {what} for too long; connecting anew", overdue=True)

    def _lost(self, why: str, *, overdue: bool = False, closed: bool = False) -> None:
        self._forget(overdue=overdue)
        self._tell_down(why, closed=closed)

    def _forget(self, *, overdue: bool) -> None:
        self.link.lost(self._clock.now().mono_s, self._random01(), overdue=overdue)
        self._heart.rest()
        self._asking.rest()
        self._give_back()

    def _ready(self, event: Ready) -> None:
        self.link.opened(event.receive_maximum, self._clock.now().mono_s)
        self._stand("certificate", event.notice)
        self._stand("resolver", event.lookup)
        self._note_health()
        self._subscribed(event.complaint)

    # ── what the broker refused to bring ───────────────────────────────────────────────────────────────────────────

    def _subscribed(self, complaint: str) -> None:
        if complaint:
            self._asking.refused(self._clock.now().mono_s, self._random01())
            self._tell_down(complaint, stands=True)
            return
        self._asking.granted()
        self._tell_up()
        self._heart.hurry(self._clock.now().mono_s)

    def _ask(self, now_s: float) -> None:
        """Ask for refused subscriptions again when it is time; a reason told already is not told again."""
        if now_s >= self._asking.overdue_s:
            self._give_up("its answer to subscriptions")
        elif now_s >= self._asking.due_s(hurried=self._hurried):
            if self._asking.in_vain:
                self._pipe.close(orderly=True)
                self._forget(overdue=True)  # what it may do was known when it came: it comes anew, at once
            else:
                self._asking.asked(now_s)
                self._pipe.ask()

    @property
    def _hurried(self) -> bool:
        """Whether an alarm waits for the broker, or for a receiver."""
        return self.link.hurried or (self._health is not None and self._health.pending_alarms > 0)

    # ── what the pipe tells ────────────────────────────────────────────────────────────────────────────────────────

    def _on(self, event: PipeEvent) -> None:
        match event:
            case Answered():
                self._answered(event)
            case Welcomed():
                self.link.welcomed(self._clock.now().mono_s)
            case Ready():
                self._ready(event)
            case Subscribed(complaint):
                self._subscribed(complaint)
            case Incoming():
                self._incoming(event)
            case Lost():
                self._lost(event.why, closed=event.closed)
            case _:
                assert_never(event)

    def _answered(self, event: Answered) -> None:
        accepted = event.reason == 0
        item = self.link.acked(event.token, self._clock.now().mono_s, accepted=accepted)
        match item:
            case Alarm(report):
                fact = Brokered(self._path, report.id) if accepted else self._refused(report, event)
                self._post(fact)
            case Event(report):
                self._event_answered(report, event, accepted=accepted)
            case Note() | None:
                pass
            case _:
                assert_never(item)

    def _event_answered(self, report: Report, event: Answered, *, accepted: bool) -> None:
        if accepted:
            self._arrived.append(report.id)
        if not report.covert:  # what a silent alarm brought must change nothing that shows
            self._stand("receiver", "" if accepted else self._refused(report, event).why)

    def _refused(self, report: Report, event: Answered) -> Refused:
        if event.reason == NOBODY:
            topic = topics.report(self._panel, report.cls)
            why = f"path {self._path}: nobody is subscribed to {topic}: is the receiver running?"
        else:
            why = f"path {self._path}: the broker refuses reports: {event.why} (reason {event.reason:#04x})"
        return Refused(self._path, report.id, event.reason, why)

    def _incoming(self, event: Incoming) -> None:
        now = self._clock.now()
        try:
            self._read(event)
        except CommandRefused as refused:
            self._note_reply(Reply(refused.command, refused.origin, ok=False, text=str(refused)))
            self._doorman.refuse(str(refused), now.mono_s)
        except WireError as error:
            self._doorman.refuse(str(error), now.mono_s)

    def _read(self, event: Incoming) -> None:
        if event.why:
            raise WireError("message", "payload", event.why, "a receipt or command of this panel")
        kind, _, receiver = event.topic.removeprefix(f"{topics.ROOT}/{self._panel}/").partition("/")
        if kind == "receipt":
            word = decode_receipt(
                event.payload, receiver=receiver, panel=self._panel, receivers=self._receivers, path=self._path
            )
            self._post(word)
            if self._heart.answered(word.id, receiver):
                self._post(Echo(self._path, receiver))
        elif kind == "echo":
            pulse = decode_echo(event.payload, receiver=receiver, panel=self._panel, receivers=self._receivers)
            if self._heart.hear(pulse, receiver):
                self._post(Echo(self._path, receiver))
        elif kind == "command":
            command = self._gate.admit(event.payload, receiver=receiver, now=self._clock.now(), path=self._path)
            if command is None:
                return
            self._asked[command.origin, command.id] = None
            if len(self._asked) > ASKED_MAX:
                del self._asked[next(iter(self._asked))]
            self._post(command)
        else:
            raise WireError("message", "topic", event.topic, "one that this panel subscribed to")

    # ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        self._beat()
        while True:
            now = self._clock.now()
            out = self.link.pull(now.mono_s)
            while out is not None:
                letter, after = self._letter(out.item, now), self.link.pull(now.mono_s)
                if len(letter.payload) > LIGHT:
                    self.link.patience.weigh(out.token, len(letter.payload))
                together = after is not None and isinstance(out.item, Event)  # an alarm waits for nothing
                self._pipe.publish(out.token, letter, more=together)
                out = after
            if not self._feed():
                return

    def _feed(self) -> bool:
        """Settle with the backlog and take more of it, to be sent when the broker has answered; False for nothing."""
        if self._backlog is None:
            return False
        self._settle(self._backlog)
        hungry = self.link.appetite()  # a resting path gets what another one's receiver did not take
        reports = self._backlog.take(hungry, leads=self._leads) if hungry else []
        self._prepared.update((report.id, fixed_text(report, self._site)) for report in reports)
        self.link.feed(reports)
        return bool(reports)

    def _settle(self, backlog: Backlog) -> None:
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            backlog.done(arrived)

    def _give_back(self) -> None:
        """Hold nothing of the backlog any more."""
        self._prepared.clear()
        if self._backlog is not None:
            self._settle(self._backlog)
            self._backlog.give_back()

    def _letter(self, item: Item, now: Instant) -> Letter:
        match item:
            case Event(report):
                return self._report(report, 1, now)
            case Alarm(report, attempt):
                self._heart.carry(report, self._receivers)
                return self._report(report, attempt, now)
            case Note():
                return Letter(item.topic, item.payload, item.retain)
            case _:
                assert_never(item)

    def _report(self, report: Report, attempt: int, now: Instant) -> Letter:
        fixed = self._prepared.pop(report.id, None)
        payload = encode_report(
            report, site=self._site, now=now, epoch=self._epoch, attempt=attempt, key=self._key, fixed=fixed
        )
        return Letter(topics.report(self._panel, report.cls), payload)
