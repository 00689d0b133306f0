"""Live sound and evidence over the media child's own connection, so that neither stands in front of an alarm."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, PipeError, Ready, Subscribed, Welcomed
from firmware.config_paths import MEDIA
from firmware.core.facts import Trouble, TroubleOver
from firmware.core.retry import PAUSE_CAP_S, Asking, Retry
from firmware.media.items import Confirmed, Item
from firmware.media.orders import Live, LiveRuns
from firmware.media.outbox import WINDOW, WINDOW_LIVE, Outbox
from firmware.wire import topics
from firmware.wire.media import Chunk, MediaWireError, decode_evidence_receipt, encode_chunk, encode_live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.adapters.pipe import PipeEvent
    from firmware.config import PathConfig
    from firmware.core.facts import Fact
    from firmware.media.outbox import Piece
    from hal.ports import Clock

log = logging.getLogger(__name__)

STALE_S = 1.0
"""Live sound older than this is dropped: who listens wants the present."""
SOCKET_BYTES = 65536
"""Room in the kernel for what a slow link has not taken; more would only be delay of live sound."""
QUIET_S = 60.0
"""No connection for this long is a trouble: twice the pause with which a whole fleet comes back to its broker."""
NEVER = float("inf")


FRESH_S = 60.0
"""An incident that made a file within this time is going on, and its connection hurries."""


class MediaPort(Protocol):
    """The connection, as the uploader sees it.

    Synchronization: one thread.
    """

    def connect(self, subscribe: tuple[str, ...], *, hurried: bool) -> float:
        """Begin a connection; how long the broker took to take it, in seconds. Raises `PipeError`."""
        ...

    def ask(self) -> None:
        """Ask once more for what was refused; `Subscribed` follows."""
        ...

    def publish(self, token: int, letter: Letter) -> None:
        """QoS 1; `Answered` follows."""
        ...

    def publish_live(self, letter: Letter) -> None:
        """QoS 0, dropped when the link has not taken what came before."""
        ...

    def drive(self) -> list[PipeEvent]:
        """What came."""
        ...

    def next_deadline(self) -> float:
        """When `drive` is wanted."""
        ...

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait for `fd`, the connection or the time."""
        ...

    def close(self, *, orderly: bool = False) -> None:
        """End the connection."""
        ...


class MediaPipe(MqttPipe):
    """The real connection: the same broker and options as the path's own, under another client identity.

    Args:
        path: The path.
        panel: This panel.
        clock: For certificates and keep-alive.

    Synchronization: one thread.
    """

    def __init__(self, path: PathConfig, panel: str, clock: Clock) -> None:
        super().__init__(dataclasses.replace(path, name=f"{path.name}{MEDIA}"), panel, clock)

    def connect(self, subscribe: tuple[str, ...], *, hurried: bool) -> float:
        """See `MediaPort.connect`."""
        took_s = self.open(subscribe, None, hurried=hurried)
        sock: Any = None if self._client is None else self._client.socket()
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        return took_s

    def publish_live(self, letter: Letter) -> None:
        """See `MediaPort.publish_live`."""
        if self._client is not None and not self._client.want_write():
            self._client.publish(letter.topic, letter.payload, qos=0)


class Uploader:
    """Obeys `Item` (offer a file), `Live` and `LiveRuns`.

    Args:
        panel: This panel.
        port: The connection.
        receivers: Their keys by name; one that has a key must sign.
        key: Signs chunks.
        clock: Monotonic time.
        post: Takes troubles.
        confirm: Takes what a receiver confirmed.
        random: A number from 0 to 1, for the pause before a new connection.
        scatter_s: Longest pause while no incident goes on.

    Synchronization: one thread.
    """

    def __init__(
        self,
        panel: str,
        port: MediaPort,
        receivers: Mapping[str, bytes | None],
        *,
        key: bytes | None,
        clock: Clock,
        post: Callable[[Fact], None],
        confirm: Callable[[Confirmed], None],
        random: Callable[[], float],
        scatter_s: float = PAUSE_CAP_S,
    ) -> None:
        self._panel = panel
        self._port = port
        self._receivers = receivers
        self._key = key
        self._clock = clock
        self._post = post
        self._confirm = confirm
        self._random = random
        self._outbox = Outbox()
        self._ready = False
        self._open = False
        self._retry = Retry(scatter_s)
        self._asking = Asking(scatter_s)
        self._live = False
        self._fresh_until_s = -NEVER
        self._moved_s = self._lost_s = clock.now().mono_s
        self._why = ""
        self._complained = False
        self._refusals = 0

    @property
    def name(self) -> str:
        """For logs and troubles."""
        return "uploader"

    def handle(self, order: object) -> None:
        """Obey one order."""
        match order:
            case Live(incident, frame):
                if self._ready and self._clock.now().mono_s - frame.mono_ms / 1000 < STALE_S:
                    self._port.publish_live(Letter(topics.live_audio(incident), encode_live(frame)))
            case LiveRuns(on):
                self._outbox.window = WINDOW_LIVE if on else WINDOW
                self._live = on
                self._hurry()
            case Item():
                self._outbox.add(order)
                self._fresh_until_s = self._clock.now().mono_s + FRESH_S
                self._hurry()
            case _:
                raise TypeError(f"uploader: {order!r} is no order for it")

    def tick(self) -> None:
        """Read what came, send what may go, connect when it is time."""
        now_s = self._clock.now().mono_s
        if not self._open and now_s >= self._retry.next_s:
            self._connect()
        elif self._open and now_s >= self._overdue_s():
            self._lost("the broker owes an answer to the connection for too long; connecting anew")
        for event in self._port.drive() if self._open else ():
            self._take(event)
        if self._ready and now_s >= self._asking.due_s(hurried=self._hurried):
            self._ask(now_s)
        if self._ready:
            self._send()
        elif not self._complained and now_s >= self._lost_s + QUIET_S:
            self._complained = True
            self._post(Trouble("media", f"no connection for evidence and live sound: {self._why}"))

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        quiet = NEVER if self._ready or self._complained else self._lost_s + QUIET_S
        if not self._open:
            return min(self._retry.next_s, quiet)
        sending = self._outbox.next_deadline(self._clock.now().mono_s) if self._ready else NEVER
        asking = self._asking.due_s(hurried=self._hurried)
        return min(self._port.next_deadline(), sending, quiet, asking, self._overdue_s())

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait for orders or the connection; for `Worker(wait=…)`."""
        self._port.wait(fd, timeout_s)

    def close(self) -> None:
        """End the connection; what was not confirmed stays on disk."""
        self._port.close(orderly=True)
        self._open = self._ready = False

    @property
    def _hurried(self) -> bool:
        """Whether an incident goes on; evidence that some receiver has not fetched for days hurries nobody."""
        return self._live or self._clock.now().mono_s < self._fresh_until_s

    def _hurry(self) -> None:
        if self._hurried and not self._open:
            self._retry.hurry(self._clock.now().mono_s)

    def _overdue_s(self) -> float:
        return self._asking.overdue_s if self._ready else self._moved_s + self._retry.step_s(hurried=self._hurried)

    def _connect(self) -> None:
        self._retry.begin(self._clock.now().mono_s)
        try:
            took_s = self._port.connect((topics.evidence_receipt(self._panel, "+"),), hurried=self._hurried)
        except PipeError as error:
            self._lost(str(error))
            return
        self._open = True
        self._moved_s = self._clock.now().mono_s
        self._retry.reached(took_s)

    def _take(self, event: PipeEvent) -> None:
        now_s = self._clock.now().mono_s
        match event:
            case Welcomed():
                self._retry.reached(now_s - self._moved_s)
                self._moved_s = now_s
            case Ready(complaint=complaint):
                self._retry.greeted(now_s - self._moved_s)
                self._ready, self._moved_s = True, now_s
                self._outbox.connected(now_s)
                self._subscribed(complaint, now_s)
            case Subscribed(complaint):
                self._subscribed(complaint, now_s)
            case Answered(token, reason):
                self._outbox.answered(token, reason, now_s)
            case Incoming(topic, payload, why):
                if not why:
                    self._receipt(topic, payload, now_s)
            case Lost(why):
                self._lost(why)

    def _subscribed(self, complaint: str, now_s: float) -> None:
        """Without receipts evidence is sent again and again: a refusal is told, and asked about again."""
        if complaint:
            self._asking.refused(now_s, self._random())
            if not self._complained:
                self._post(Trouble("media", complaint))
        else:
            self._asking.granted()
            if self._complained:
                self._post(TroubleOver("media"))
        self._complained = bool(complaint)

    def _ask(self, now_s: float) -> None:
        if self._asking.in_vain:
            self._lost("the broker refuses subscriptions; connecting anew")
        else:
            self._asking.asked(now_s)
            self._port.ask()

    def _lost(self, why: str) -> None:
        now_s = self._clock.now().mono_s
        held_s = now_s - self._moved_s if self._ready else None
        if self._ready:
            self._lost_s = now_s
        self._port.close()
        self._open, self._ready, self._why = False, False, why
        self._asking.rest()
        self._outbox.disconnected()
        hurried = self._hurried
        self._retry.lost(now_s, self._random(), held_s=held_s, hurried=hurried, eager=hurried)

    def _send(self) -> None:
        now_s = self._clock.now().mono_s
        while (chosen := self._outbox.next(now_s)) is not None:
            token, piece = chosen
            try:
                data = _read(piece)
            except OSError as error:
                self._outbox.drop(piece.item)
                log.warning("a file of evidence cannot be read back: %s", error.strerror or error)
                continue
            chunk = Chunk(
                piece.item.incident,
                piece.item.kind,
                piece.item.source,
                piece.item.name,
                piece.item.size,
                piece.item.sha256,
                piece.offset,
                data,
            )
            topic = topics.evidence(piece.item.incident, piece.item.name)
            self._port.publish(token, Letter(topic, encode_chunk(chunk, self._key)))

    def _receipt(self, topic: str, payload: bytes, now_s: float) -> None:
        receiver = topic.rpartition("/")[2]
        if receiver not in self._receivers:
            return
        try:
            receipt = decode_evidence_receipt(payload, self._receivers[receiver])
        except MediaWireError:
            # Its text may name an incident that nothing in a log may show.
            if not self._refusals:
                log.warning(
                    "a receipt of receiver %s is refused: form or signature wrong; is its key the same?", receiver
                )
            self._refusals += 1
            return
        if receipt.receiver == receiver and self._outbox.receipt(receipt, now_s):
            self._confirm(Confirmed(receipt.incident, receipt.name, receiver))


def _read(piece: Piece) -> bytes:
    if piece.item.path is None:
        return piece.item.data[piece.offset : piece.offset + piece.length]
    fd = os.open(piece.item.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, piece.length, piece.offset)
    finally:
        os.close(fd)
    if len(data) != piece.length:
        raise OSError(f"{len(data)} bytes where {piece.length} should be")
    return data
