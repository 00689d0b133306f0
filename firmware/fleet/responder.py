"""The receiver that a fleet brings along: it acknowledges every alarm and echoes every beat. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, Pipe, PipeError, PipeEvent, Ready, Subscribed
from firmware.core.facts import Receipt
from firmware.core.report import Step
from firmware.wire import topics
from firmware.wire.beat import decode_beat, encode_echo
from firmware.wire.fields import Fields, WireError, parse_object
from firmware.wire.receipt import encode_receipt

if TYPE_CHECKING:
    from hal.ports import Clock

RETRY_S = 0.05
"""It is one, and the first that must be back."""
REPORT_MAX = 64 * 1024


class Responder:
    """One connection to the broker, for all panels.

    Args:
        name: The receiver's.
        prefix: Panels with other names are left alone.
        pipe: The connection.
        clock: Both clocks.

    Attributes:
        ups: When its connection came up, each time; monotonic seconds.
        reports: How many reports came.

    Synchronization: one thread.
    """

    def __init__(self, name: str, prefix: str, *, pipe: Pipe, clock: Clock) -> None:
        self.ups: list[float] = []
        self.reports = 0
        self._name = name
        self._prefix = f"{topics.ROOT}/{prefix}"
        self._pipe = pipe
        self._clock = clock
        self._try_s = clock.now().mono_s
        self._open = False
        self._token = 0

    def step(self) -> None:
        """Do all that is due now."""
        now_s = self._clock.now().mono_s
        for event in self._pipe.drive():
            self._on(event, now_s)
        if not self._open and now_s >= self._try_s:
            self._try_s = now_s + RETRY_S
            try:
                self._pipe.open((f"{topics.ROOT}/+/report/+", f"{topics.ROOT}/+/beat"), None)
            except PipeError:
                return
            self._open = True

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        return self._pipe.next_deadline() if self._open else self._try_s

    def close(self) -> None:
        """Say goodbye to the broker."""
        self._pipe.close(orderly=True)

    def _on(self, event: PipeEvent, now_s: float) -> None:
        match event:
            case Ready():
                self.ups.append(now_s)
            case Lost():
                self._open, self._try_s = False, now_s + RETRY_S
            case Incoming(topic, payload, _) if topic.startswith(self._prefix):
                self._answer(topic, payload)
            case Incoming() | Answered() | Subscribed():
                pass

    def _answer(self, topic: str, payload: bytes) -> None:
        panel, _, kind = topic.removeprefix(f"{topics.ROOT}/").partition("/")
        try:
            if kind == "beat":
                pulse = decode_beat(payload, None)
                self._say(topics.echo(panel, self._name), encode_echo(pulse, receiver=self._name, key=None))
            else:
                self._receive(panel, payload)
        except WireError:
            return

    def _receive(self, panel: str, payload: bytes) -> None:
        self.reports += 1
        ident = Fields(parse_object(payload, "report", REPORT_MAX), "report").identity("id")
        receipt = Receipt(self._name, ident, Step.RECEIVED, "")
        at_ms = round(self._clock.now().utc_s * 1000)
        self._say(topics.receipt(panel, self._name), encode_receipt(receipt, at_utc_ms=at_ms, key=None))

    def _say(self, topic: str, payload: bytes) -> None:
        self._token += 1
        self._pipe.publish(self._token, Letter(topic, payload))
