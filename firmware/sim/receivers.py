"""Receivers as they stand at the 110 desk and the station: the real desk's logic over a simulated broker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from firmware.core.report import Step
from firmware.receiver import events as e
from firmware.receiver.desk import ORDER_VALID_MS, Desk
from firmware.receiver.evidence import EvidenceError, EvidenceStore
from firmware.receiver.mail import MailRoom, PanelKeys
from firmware.receiver.show import as_lines
from firmware.receiver.words import Words
from firmware.wire import media, topics
from firmware.wire.command import encode_command
from firmware.wire.sign import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from firmware.core.report import Report, ReportId
    from firmware.sim.clock import WorldClock
    from firmware.sim.events import Log
    from firmware.sim.grammar import Values
    from firmware.sim.network import Broker

STEPS = {
    "accepts": Step.ACCEPTED,
    "dispatches": Step.DISPATCHED,
    "arrives": Step.ARRIVED,
    "closes": Step.CLOSED,
}
PERSON = "Li Wei"
REASON = "false alarm"
EXPIRED_MS = 5_000
REST_S = 0.001
"""A desk is asked what is due at most this often: sums of seconds may be off by their last digit."""


class SimReceiver:
    """One receiver.

    Args:
        name: As the panel's `[[receiver]]` has it.
        panel: The panel's identity.
        world: Time.
        log: What happened.
        panel_key: File with the panel's key.
        key: Shared with the panel.
        folder: Where its evidence goes.

    Attributes:
        present: Whether it is connected.
        mute: It takes everything and answers nothing; what people at it do goes out all the same.
        seen: Identities of all reports that came.

    Synchronization: one thread.
    """

    def __init__(
        self, name: str, panel: str, *, world: WorldClock, log: Log, panel_key: Path, key: bytes, folder: Path
    ) -> None:
        self.name = name
        self.present = True
        self.mute = False
        self.seen: set[str] = set()
        self.brokers: list[Broker] = []
        self.desk = Desk(name, PERSON, self._new_id)
        self._panel = panel
        self._world = world
        self._log = log
        self._keys = PanelKeys(panel_key)
        self._key = key
        self._mail = MailRoom(self.desk, name, keys=self._keys, receiver_key=key, now=self.now)
        self._evidence = EvidenceStore(folder, free_bytes_min=0)
        self._orders = 0
        self._last_command = b""
        self._stale = True
        self._due_s = float("inf")
        self._rested_s = 0.0

    def now(self) -> e.Moment:
        """The desk's own clocks, which are right."""
        return e.Moment(self._world.now_s, round(self._world.true_utc_s * 1000))

    def next_s(self) -> float:
        """When `run_due` is wanted."""
        if self._stale:
            self._stale = False
            self._due_s = max(self.desk.next_deadline(), self._rested_s)
        return self._due_s

    def run_due(self) -> bool:
        """What time alone brings."""
        if self.next_s() > self._world.now_s:
            return False
        self._rested_s = self._world.now_s + REST_S
        self._do(self.desk.due(self.now()), self.brokers)
        return True

    # ── from the broker ────────────────────────────────────────────────────────────────────────────────────────────

    def wants(self, topic: str) -> bool:
        """See `Subscriber.wants`."""
        kind, _, rest = topic.removeprefix(f"{topics.ROOT}/{self._panel}/").partition("/")
        return kind in ("report", "health", "beat", "evidence", "live") or (kind == "result" and rest == self.name)

    def take(self, broker: Broker, topic: str, payload: bytes, *, retained: bool) -> None:
        """See `Subscriber.take`."""
        kind = topic.removeprefix(f"{topics.ROOT}/{self._panel}/").partition("/")[0]
        if kind == "evidence":
            self._take_evidence(broker, payload)
        elif kind == "live":
            self._log.add("live", f"sound at {self.name}", receiver=self.name)
        else:
            letters, shown = self._mail.take(topic, payload, retained)
            self._answer([(letter.topic, letter.payload) for letter in letters], broker)
            self._show(shown)

    def _take_evidence(self, broker: Broker, payload: bytes) -> None:
        chunk = media.decode_chunk(payload, self._keys.of(self._panel))
        try:
            saved = self._evidence.add(chunk)
        except EvidenceError as error:
            self._log.add("evidence", f"{self.name} refuses: {error}", receiver=self.name, kind="refused")
            return
        if saved is None:
            return
        if not saved.again:
            self.desk.evidence(saved.incident)
            text = f"{saved.kind} {saved.name} ({saved.size} bytes) at {self.name}"
            self._log.add("arrived", text, kind=saved.kind, of=saved.source, receiver=self.name, path=str(saved.path))
        receipt = media.EvidenceReceipt(saved.incident, saved.name, saved.sha256, self.name)
        answer = media.encode_evidence_receipt(receipt, self._key)
        self._answer([(topics.evidence_receipt(self._panel, self.name), answer)], broker)

    # ── from its alarm receiver ──────────────────────────────────────────────────────────────────────────────────────

    def take_call(self, report: Report, *, late: bool) -> None:
        """An event that this receiver's DC-09 machine took; the desk's own logic sees nothing of it."""
        ident = str(report.id)
        if ident in self.seen:
            return
        self.seen.add(ident)
        text = f"{report.code} {ident} {report.zone or '-'} at {self.name}, dialled"
        known = {"code": report.code, "id": ident, "zone": report.zone, "receiver": self.name}
        self._log.add("report", text, **known, again=False, late=late, attempt=0)

    # ── people at the desk ─────────────────────────────────────────────────────────────────────────────────────────

    def step(self, word: str, values: Values) -> str:
        """A person takes a step; a complaint when there is no incident to take it for."""
        step = STEPS[word]
        incident = self._incident(step, values.get("zone", ""))
        if incident is None:
            return f"{self.name} has no open incident to mark as {step.value}"
        self._do(self.desk.answer(incident, step, self.now(), values.get("person", "")), self.brokers)
        return ""

    def _incident(self, step: Step, zone: str) -> ReportId | None:
        if not zone:
            newest = self.desk.newest(step)
            return None if newest is None else newest.id
        known = [item for item in self.desk.incidents.values() if item.open and item.zone == zone]
        return known[-1].id if known else None

    def command(self, values: Values) -> str:
        """Send an order, or what looks like one; a complaint when the desk cannot."""
        target = values.get("zone", "")
        actor = values.get("person", PERSON)
        acts = self.desk.order(
            values["verb"],
            self._panel,
            target="" if target == "all" else target,
            reason=values.get("reason", REASON),
            now=self.now(),
            actor=actor,
        )
        orders = [act for act in acts if isinstance(act, e.Order)]
        if not orders:
            return "; ".join(act.text for act in acts if isinstance(act, e.Warned))
        self._last_command = self._encode(orders[0], values.get("word", ""))
        self.replay()
        return ""

    def _encode(self, order: e.Order, fault: str) -> bytes:
        not_after_ms, epoch, key = order.not_after_mono_ms, order.epoch, self._key
        match fault:
            case "expired":
                not_after_ms = max(0, not_after_ms - ORDER_VALID_MS - EXPIRED_MS)
            case "stale":
                epoch -= 1
            case "forged":
                key = bytes(byte ^ 0xFF for byte in key)
            case _:
                pass
        payload = encode_command(order.command, panel=self._panel, epoch=epoch, not_after_mono_ms=not_after_ms, key=key)
        return canonical(json.loads(payload)) if fault == "unsigned" else payload

    def replay(self) -> None:
        """The last command's bytes (once more)."""
        self._send([(topics.command(self._panel, self.name), self._last_command)], self.brokers)

    def send_rubbish(self) -> None:
        """Everything that a panel must not believe."""
        receipt, command = topics.receipt(self._panel, self.name), topics.command(self._panel, self.name)
        letters = [(topic, payload) for payload in rubbish(self._panel, self.name) for topic in (receipt, command)]
        letters.append((topics.receipt(self._panel, "stranger"), b'{"v":1}'))
        self._send(letters, self.brokers)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _new_id(self) -> str:
        self._orders += 1
        return f"{self.name}-{self._orders}"

    def _do(self, acts: Iterable[e.Act], brokers: list[Broker]) -> None:
        letters, shown = self._mail.seal(acts)
        self._send(((letter.topic, letter.payload) for letter in letters), brokers)
        self._show(shown)

    def _answer(self, letters: list[tuple[str, bytes]], broker: Broker) -> None:
        if not self.mute:
            self._send(letters, [broker])

    def _send(self, letters: Iterable[tuple[str, bytes]], brokers: list[Broker]) -> None:
        if not self.present:
            return
        for topic, payload in letters:
            for broker in brokers:
                broker.from_receiver(topic, payload)

    def _show(self, shown: Iterable[e.Shown]) -> None:
        self._stale = True
        for item in shown:
            self._show_one(item)

    def _show_one(self, item: e.Shown) -> None:
        me = self.name
        match item:
            case e.ReportCame():
                self._show_report(item)
            case e.StepTaken():
                self._log.add("step", f"{item.step.value} at {me}", receiver=me, step=item.step.value)
            case e.HealthCame(health):
                text = f"{'online' if health.online else 'gone'} at {me}: {', '.join(health.troubles) or 'no trouble'}"
                self._log.add("health", text, receiver=me)
            case e.ResultCame(result):
                word = "ok" if result.ok else "refused"
                self._log.add("result", f"{word} at {me}: {result.text}", receiver=me, word=word, says=result.text)
            case e.Lost():
                text = f"numbers {item.epoch}/{item.first} to {item.epoch}/{item.last} never came to {me}"
                self._log.add("gap", text, receiver=me)
            case e.Warned():
                self._log.add("warning", f"{me}: {item.text}", receiver=me, says=item.text)
            case e.Unsigned() | e.SignedAgain():
                (text,) = as_lines(item, Words("en"))
                self._log.add("warning", f"{me}: {text}", receiver=me, says=text)
            case e.FileSaved() | e.Sealed() | e.LinkChanged() | e.Restored():
                pass
            case _:
                assert_never(item)

    def _show_report(self, item: e.ReportCame) -> None:
        report = item.report
        ident = str(report.id)
        again = item.duplicate or ident in self.seen
        self.seen.add(ident)
        notes = [word for word, on in (("again", again), ("late", report.late), ("covert", report.covert)) if on]
        text = " ".join(
            [f"{report.code} {ident} {report.zone or '-'} at {self.name}, attempt {report.attempt}", *notes]
        )
        detail = {f"with {key}": str(value) for key, value in report.detail}
        self._log.add(
            "report",
            text,
            code=report.code,
            id=ident,
            zone=report.zone,
            receiver=self.name,
            again=again,
            late=report.late,
            attempt=report.attempt,
            **detail,
        )


@dataclass(frozen=True, slots=True)
class Desks:
    """All receivers by name."""

    by_name: dict[str, SimReceiver]

    def run_due(self) -> bool:
        """What time alone brings to any of them."""
        return sum(desk.run_due() for desk in self.by_name.values()) > 0

    def next_s(self) -> float:
        """When `run_due` is wanted."""
        return min(desk.next_s() for desk in self.by_name.values())


def rubbish(panel: str, receiver: str) -> list[bytes]:
    """Payloads that are no receipt and no command of this receiver."""
    fields = {"v": 1, "report": f"{panel}/1/1", "receiver": receiver, "step": "received", "person": "", "at_utc_ms": 0}
    bad: list[dict[str, object]] = [
        fields,
        fields | {"mac": "00" * 32},
        fields | {"report": "another/1/1"},
        fields | {"step": 7, "at_utc_ms": "now"},
        fields | {"receiver": "stranger"},
        {"v": 1, "command": "x", "verb": "reset", "target": "", "actor": "nobody", "reason": "none"},
    ]
    texts = [json.dumps(item).encode() for item in bad]
    return [*texts, b"", b"not json", b"\xff\xfe\x00\x01" * 64, b"[" * 4096, b'{"v":1,"v":1}', b"1" * 20_000]
