"""The journal and its peers behind one face: what each accepts, and what a new start finds of it.

Every one gets the same messages of 1 KiB, one after another, as fast as it accepts them. *Accepted* is what its own
interface calls done: the journal's `Stored`, a queue's `put` that returned, a broker's PUBACK.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proof.image import Told
from rigs.broker import Mosquitto, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).parents[1]
READY_S = 20.0
STOP_S = 10.0
_ENV = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
WINDOW = 20


class Writer:
    """A subject that is a process of its own, which tells each message on its standard output."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.told = Told()
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = Path()
        self._rest = b""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.told, self._rest = Told(), b""
        self._errors = folder.parent / f"{folder.name}.errors"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command(folder), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=errors, env=_ENV
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._until(time.monotonic() + READY_S, first=True)

    def run(self, seconds: float) -> None:
        self._until(time.monotonic() + seconds)

    def _until(self, deadline: float, *, first: bool = False) -> None:
        assert self._process is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and not (first and self.told.accepted):
                if selector.select(left):
                    assert self._process.poll() is None, f"{self.name} ended by itself: {self._errors.read_text()}"
                    self.drain()
        assert self.told.accepted, f"{self.name} accepted nothing in {READY_S} s"

    def drain(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := self._process.stdout.read(1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line.decode())

    def _take(self, line: str) -> None:
        kind, _, ident = line.partition(" ")
        {"A": self.told.asked, "S": self.told.accepted, "F": self.told.finishing}.get(kind, set()).add(ident)

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_S)
        self.drain()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def count(self, folder: Path) -> set[str]:
        done = subprocess.run(
            [*self._command(folder), "found"], env=_ENV, capture_output=True, text=True, timeout=READY_S, check=False
        )
        if done.returncode:
            raise AssertionError(f"{self.name}: nothing can be read after the cut: {done.stderr[-500:]}")
        return set(done.stdout.splitlines())

    def _command(self, folder: Path) -> list[str]:
        return [sys.executable, "-m", "proof.writers", self._kind, str(folder)]


class JournalSubject(Writer):
    """The journal of this firmware, at its default size."""

    def __init__(self) -> None:
        super().__init__("Gatebooth journal", "journal")


class PahoSubject(Writer):
    """The MQTT client alone, without a link: what it queues is in memory."""

    def __init__(self) -> None:
        super().__init__("paho-mqtt, link down", "paho")

    def count(self, folder: Path) -> set[str]:
        # A new client has nothing to read: if it ever kept a file, this must be looked at again.
        assert not folder.exists() or not list(folder.iterdir())
        return set()


class BridgeSubject:
    """A mosquitto on the panel that bridges to the centre, which cannot be reached."""

    def __init__(self, name: str, *lines: str) -> None:
        self.name = name
        self.told = Told()
        self._lines = lines
        self._remote_port = free_port()
        self._broker: Mosquitto | None = None
        self._publisher: _Publisher | None = None
        self._turn = 0
        self._base = Path()

    @property
    def pid(self) -> int:
        assert self._broker is not None
        assert self._broker._process is not None
        return self._broker._process.pid

    def start(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.told = Told()
        self._base = folder.parents[1]
        self._broker = self._bridge(folder, self._lines).start()
        self._publisher = _Publisher(self._broker.port, self.told)

    def _bridge(self, store: Path, lines: Sequence[str]) -> Mosquitto:
        self._turn += 1
        conf = self._base / f"bridge{self._turn}"
        conf.mkdir()
        return Mosquitto(
            conf,
            [
                "persistence true",
                f"persistence_location {store}/",
                "max_queued_messages 0",
                *lines,
                "connection centre",
                f"address 127.0.0.1:{self._remote_port}",
                "remote_clientid booth",
                "cleansession false",
                "notifications false",
                "restart_timeout 1",
                "topic alarm/# out 1",
            ],
        )

    def run(self, seconds: float) -> None:
        assert self._publisher is not None
        self._publisher.run(seconds)

    def drain(self) -> None:
        """Its PUBACKs come by themselves."""

    def kill(self) -> None:
        if self._broker is not None:
            self._broker.kill()
        if self._publisher is not None:
            self._publisher.close()
        self._broker = self._publisher = None

    def count(self, folder: Path) -> set[str]:
        """What the centre gets once it can be reached again and the broker was started on what the cut left."""
        self._turn += 1
        conf = self._base / f"centre{self._turn}"
        conf.mkdir()
        centre = Mosquitto(conf, ["max_queued_messages 0"])
        centre.port, text = self._remote_port, (conf / "mosquitto.conf").read_text()
        (conf / "mosquitto.conf").write_text(
            text.replace(f"listener {_port_of(text)} ", f"listener {self._remote_port} ")
        )
        centre.start()
        desk = _Desk(self._remote_port)
        again = self._bridge(folder, self._lines)
        try:
            again.start()
            return desk.until_sentinel(again.port)
        finally:
            again.kill()
            desk.close()
            centre.kill()


def _port_of(conf: str) -> str:
    return next(line.split()[1] for line in conf.splitlines() if line.startswith("listener "))


def _client(name: str) -> Any:
    from paho.mqtt.client import CallbackAPIVersion, Client  # noqa: PLC0415 - a test's own client

    return Client(CallbackAPIVersion.VERSION2, client_id=name)


class _Publisher:
    """Publishes with a window, as fast as the broker acknowledges."""

    def __init__(self, port: int, told: Told) -> None:
        self._told = told
        self._next = 0
        self._window = threading.Semaphore(WINDOW)
        self._mids: dict[int, str] = {}
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self._client = _client("button")
        self._client.on_publish = self._acked
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._window.acquire(timeout=left):
                return
            self._next += 1
            ident = str(self._next)
            self._told.asked.add(ident)
            mid = self._client.publish("alarm/1", ident.encode().ljust(1024), qos=1).mid
            with self._lock:
                self._mids[mid] = ident
                if mid in self._early:
                    self._early.discard(mid)
                    self._told.accepted.add(self._mids.pop(mid))

    def _acked(self, _client: Any, _data: Any, mid: int, *_: Any) -> None:
        with self._lock:
            if mid in self._mids:
                self._told.accepted.add(self._mids.pop(mid))
            else:
                self._early.add(mid)
        self._window.release()

    def close(self) -> None:
        self._client.loop_stop()
        with contextlib.suppress(OSError):
            self._client.disconnect()


class _Desk:
    """Everything that reaches the centre."""

    def __init__(self, port: int) -> None:
        self._got: queue.Queue[str] = queue.Queue()
        ready = threading.Event()
        self._client = _client("desk")
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _c, _d, message: self._got.put(message.payload.decode().strip())
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("alarm/#", qos=1)
        assert ready.wait(READY_S)

    def until_sentinel(self, local_port: int) -> set[str]:
        """What comes before a last message that is published behind everything the broker still has."""
        last = _client("last")
        last.connect("127.0.0.1", local_port)
        last.loop_start()
        last.publish("alarm/1", b"last", qos=1).wait_for_publish(READY_S)
        last.loop_stop()
        there: set[str] = set()
        deadline = time.monotonic() + READY_S
        while (ident := self._got.get(timeout=max(0.0, deadline - time.monotonic()))) != "last":
            there.add(ident)
        return there

    def close(self) -> None:
        self._client.loop_stop()


def peers() -> list[Any]:
    """Everybody that the journal is compared with."""
    return [
        PahoSubject(),
        BridgeSubject("mosquitto bridge, default"),
        BridgeSubject("mosquitto bridge, autosave_interval 1", "autosave_interval 1"),
        BridgeSubject(
            "mosquitto bridge, autosave_interval 1, autosave_on_changes",
            "autosave_interval 1",
            "autosave_on_changes true",
        ),
        Writer("persist-queue, SQLiteAckQueue", "sqlite-ack"),
        Writer("persist-queue, file Queue, autosave", "file"),
        Writer("litequeue", "lite"),
    ]
