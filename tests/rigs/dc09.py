"""Alarm receivers that speak DC-09: one that others wrote, and one that answers whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from pysiaalarm import SIAAccount
from pysiaalarm.aio import SIAClient
from rigs.broker import free_port
from rigs.uplink import RigClock

from firmware.adapters.dc09 import Dc09Path
from firmware.adapters.dc09_line import TcpLine
from firmware.config import PathConfig
from firmware.config_dc09 import Dc09Config
from firmware.core.effects import Transmit
from firmware.core.report import Report, ReportId
from firmware.wire import dc09
from firmware.wire.dc09_key import Cipher
from firmware.wire.report import Site
from firmware.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.adapters.backlog import Backlog

ACCOUNT = "AAA1"
RECEIVER = "110"
SITE = Site("No. 1 School", "East gate", "39.905", "116.3916667")
ZONES = {"booth-button": 1, "foot-bar": 2}
PATIENCE_S = 15.0


def first(source: queue.Queue[Any], fits: Callable[[Any], bool], seen: list[Any]) -> Any:
    """The first that fits of what comes out of a queue; link tests do not prolong a test's patience."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            item = source.get(timeout=left_s)
            seen.append(item)
            if fits(item):
                return item
    raise AssertionError(f"not within {PATIENCE_S} s; came: {seen}")


class Centre:
    """The receiver of the `pysiaalarm` package, on a thread of its own.

    Args:
        key: Its key as text, or None.
        band: Seconds that a frame's time may be behind and ahead; None takes any time.
        account: The account that it knows.
    """

    def __init__(self, key: str | None = None, band: tuple[int, int] | None = (40, 20), account: str = ACCOUNT) -> None:
        self.port = free_port()
        self.events: queue.Queue[Any] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._client = SIAClient("127.0.0.1", self.port, [SIAAccount(account, key, band)], self._take)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._client.async_start())

    async def _take(self, event: Any) -> None:
        self.events.put(event)

    def wait(self, code: str) -> Any:
        """The next event with a code; link tests (RP) are read past."""
        seen: list[Any] = []
        found = first(self.events, lambda event: event.code != "RP", seen)
        assert found.code == code, seen
        return found

    def count(self, what: str) -> int:
        """How many bad frames it counted: "crc", "format", "timestamp", "account" or "code"."""
        return self._client.counts.get(what) or 0

    def close(self) -> None:
        self._run(self._client.async_stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


class Scripted:
    """A receiver that answers each frame as a function says; what it returns goes out as it is.

    Args:
        answer: Takes the frame, gives the bytes of the answer; None hangs up, b"" says nothing.
        port: Where it listens; 0 takes any free one.

    Attributes:
        polite: Whether the connection stays open after an answer.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None], port: int = 0) -> None:
        self.answer = answer
        self.polite = True
        self.frames: queue.Queue[bytes] = queue.Queue()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def frame(self, kind: bytes = b"SIA-DCS") -> bytes:
        """The next frame of a kind."""
        return first(self.frames, lambda frame: kind in frame, [])

    def close(self) -> None:
        for sock in [self._listener, *self._open]:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            while data := sock.recv(4096):
                self.frames.put(data)
                said = self.answer(data)
                if said is None:
                    break
                sock.sendall(said)
                if not self.polite:
                    break
        except OSError:
            return
        sock.close()


def number(frame: bytes) -> bytes:
    """The four digits of a frame's number."""
    return frame.split(b'"')[2][:4]


def say(word: str, frame: bytes, *, extra: str = "", account: str = ACCOUNT) -> bytes:
    """A receiver's framed answer to a frame."""
    body = f'"{word}"{number(frame).decode()}R0L0#{account}[]{extra}'.encode()
    return b"\n%04X%04X%b\r" % (dc09.checksum(body), len(body), body)


def say_sealed(word: str, frame: bytes, key: str, utc_s: float) -> bytes:
    """A receiver's encrypted answer to a frame, at a time by its own clock."""
    plain = f"]_{dc09.format_time(utc_s)}"
    sealed = Cipher(key.encode()).encrypt(plain.zfill(32).encode()).hex().upper()
    body = f'"*{word}"{number(frame).decode()}R0L0#{ACCOUNT}[{sealed}'.encode()
    return b"\n%04X%04X%b\r" % (dc09.checksum(body), len(body), body)


def path_config(port: int, *, host: str = "127.0.0.1", bind: str = "", **settings: Any) -> PathConfig:
    """A DC-09 path, to this machine unless told otherwise, whose receiver has to answer quickly."""
    named: dict[str, Any] = {"account": ACCOUNT, "receiver": RECEIVER, "answer_s": 1.0, **settings}
    return PathConfig(name="dial", host=host, kind="dc09", port=port, bind=bind, dc09=Dc09Config(**named))


class DialRig:
    """One DC-09 path of a panel on its own thread, with its facts in hand."""

    def __init__(
        self,
        port: int,
        *,
        clock: RigClock | None = None,
        backlog: Backlog | None = None,
        epoch: int = 3,
        host: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        self.clock = clock or RigClock()
        self.facts: queue.Queue[Any] = queue.Queue()
        self.seen: list[Any] = []
        self._epoch = epoch
        self._seq = 0
        self.path = Dc09Path(
            path_config(port, **settings),
            epoch=epoch,
            site=SITE,
            zones=ZONES,
            backlog=backlog,
            line=TcpLine(path_config(port, host=host)),
            clock=self.clock,
            post=self.facts.put,
            random01=lambda: 0.01,
        )
        self.worker = Worker(self.path, self.clock, self.facts.put, self.path.wait)

    def start(self) -> DialRig:
        self.worker.start()
        return self

    def stop(self) -> None:
        assert self.worker.stop(10), "the path's thread hangs"

    def expect(self, kind: type, test: Callable[[Any], bool] = lambda _: True) -> Any:
        """The next fact of a kind that passes a test."""
        return first(self.facts, lambda fact: isinstance(fact, kind) and test(fact), self.seen)

    def report(self, code: str = "PA", *, covert: bool = False, zone: str = "booth-button", **more: Any) -> Report:
        """A new report of now."""
        self._seq += 1
        ident = ReportId("p1", self._epoch, self._seq)
        return Report(ident, code, more.pop("raised", self.clock.now()), zone, ident, covert=covert, **more)

    def press(self, code: str = "PA", **more: Any) -> Report:
        """Transmit an alarm."""
        alarm = self.report(code, **more)
        self.worker.put(Transmit("dial", alarm, 1))
        return alarm
