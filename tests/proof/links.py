"""Links that fail without saying so: a frozen peer, a black hole, one byte a second, a reset in the middle of a packet.

While the link is bad every press must be stored; once it is good every press must reach the desk.
"""

from __future__ import annotations

import contextlib
import enum
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

from proof.oracle import Verdict
from proof.storms import ZONES, Booth, Presser
from rigs.broker import Mosquitto

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

CHUNK = 65536
BAD_S = (0.2, 5.0)
"""How long a link stays bad."""
PACKET = 900
"""A little more than an alarm report takes on the wire."""
ARRIVE_S = 60.0
RESET = b"\1\0\0\0\0\0\0\0"


class Mode(enum.Enum):
    """What a link does with what it is given."""

    GOOD = "good"
    SWALLOW = "swallow"
    TRICKLE = "trickle"


class BadLink:
    """A TCP proxy that can be told to fail in the ways of the field.

    A connection that has swallowed a byte stays dead for ever, as behind a router that has forgotten it.

    Synchronization: public methods from any thread.
    """

    def __init__(self, port: int) -> None:
        self.mode = Mode.GOOD
        self.cut_after: list[int] = []
        """For each of the next connections, or the present one: bytes towards the broker until it is reset."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._live: list[_Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more, and reset what there is."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._live:
            connection.reset()

    def take_limit(self) -> int | None:
        """How much the connection that asks may carry."""
        return self.cut_after.pop(0) if self.cut_after else None

    def pause(self, seconds: float) -> None:
        """Wait, unless the link is closed meanwhile."""
        self._closing.wait(seconds)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closing.is_set():
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._live.append(_Connection(self, near, far))


class _Connection:
    """Two sockets and a thread for each way."""

    def __init__(self, link: BadLink, near: socket.socket, far: socket.socket) -> None:
        self._link = link
        self._ends = near, far
        self._dead = False
        self._left: int | None = None
        for sock in self._ends:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._pump, args=(near, far), kwargs={"up": True}, daemon=True).start()
        threading.Thread(target=self._pump, args=(far, near), kwargs={"up": False}, daemon=True).start()

    def reset(self) -> None:
        """Both ends get an RST."""
        for sock in self._ends:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.shutdown(socket.SHUT_RD)
            sock.close()

    def _pump(self, source: socket.socket, target: socket.socket, *, up: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if not self._carry(target, data, up=up):
                    break
        except OSError:
            pass
        self.reset()

    def _carry(self, target: socket.socket, data: bytes, *, up: bool) -> bool:
        """False when the connection ends with this."""
        if self._dead or self._link.mode is Mode.SWALLOW:
            self._dead = True
            return True
        if self._link.mode is Mode.TRICKLE:
            return self._trickle(target, data)
        if up:
            self._left = self._link.take_limit() if self._left is None else self._left
            if self._left is not None and len(data) >= self._left:
                target.sendall(data[: self._left])
                return False
            self._left = None if self._left is None else self._left - len(data)
        target.sendall(data)
        return True

    def _trickle(self, target: socket.socket, data: bytes) -> bool:
        for offset in range(len(data)):
            if self._link.mode is not Mode.TRICKLE:
                target.sendall(data[offset:])
                break
            target.sendall(data[offset : offset + 1])
            self._link.pause(1.0)
        return True


@contextlib.contextmanager
def _linked(folder: pathlib.Path) -> Iterator[tuple[Booth, BadLink]]:
    (folder / "broker").mkdir(parents=True)
    broker = Mosquitto(folder / "broker").start()
    link = BadLink(broker.port)
    it = Booth(folder, port=link.port, broker=broker)
    try:
        it.start()
        it.press([ZONES[0]])  # the link is proven before it fails
        first = it.panel.step("raised")["id"]
        it.until(first, "received")
        it.accepted.add(first)
        it.release([ZONES[0]])
        yield it, link
    finally:
        link.close()
        it.close()


def bad_link(folder: pathlib.Path, fault: str, trials: int, seed: int) -> Verdict:
    """Let a link fail so many times, with a press each time.

    Args:
        folder: Of its own.
        fault: "frozen peer", "black hole", "one byte a second" or "reset in a packet".
        trials: How many times.
        seed: Of zones and lengths.
    """
    rng = random.Random(f"{seed}/{fault}")
    slowest = 0.0
    with _linked(folder) as (it, link):
        for number in range(trials):
            zone = ZONES[1 + number % (len(ZONES) - 1)]
            slowest = max(slowest, _one(it, link, fault, zone, rng))
        it.note()
        lost = it.missing()
    verdict = Verdict(trials=trials, accepted=len(it.accepted), lost=len(lost))
    verdict.invented = max(0, len(it.arrived) - it.presses)
    verdict.failures += [f"{fault}, seed {seed}: {ident} was stored and never came" for ident in sorted(lost)]
    verdict.slowest_s = slowest
    return verdict


def _one(it: Booth, link: BadLink, fault: str, zone: str, rng: random.Random) -> float:
    """One failure and its end; seconds from the end to the receipt."""

    def spoil() -> None:
        match fault:
            case "frozen peer":
                it.broker.freeze()
            case "black hole":
                link.mode = Mode.SWALLOW
            case "one byte a second":
                link.mode = Mode.TRICKLE
            case _:
                link.cut_after = [rng.randint(1, PACKET) for _ in range(rng.randint(1, 3))]

    def heal() -> None:
        it.broker.thaw()
        link.mode = Mode.GOOD

    bad_s = rng.uniform(*BAD_S) if fault != "reset in a packet" else 0.0
    return ride_out(it, zone, spoil, heal, bad_s=bad_s)


def ride_out(
    it: Presser,
    zone: str,
    spoil: Callable[[], None],
    heal: Callable[[], None],
    *,
    bad_s: float,
    patience_s: float = ARRIVE_S,
) -> float:
    """Press while the link is bad; seconds from its end to the receipt.

    Args:
        it: Who presses.
        zone: Where.
        spoil: Makes the link bad.
        heal: Makes it good.
        bad_s: How long it stays bad once the alarm is stored; 0: it heals by itself, and is not waited for.
        patience_s: How long the receipt may take.
    """
    spoil()
    it.press([zone])
    ident = it.panel.step("raised")["id"]
    if bad_s:
        it.until(ident, "stored")
        threading.Event().wait(bad_s)
    heal()
    healed_s = time.monotonic()
    received_s = it.until(ident, "received", patience_s)
    it.accepted.add(ident)
    it.release([zone])
    return received_s - healed_s
