"""A whole panel as a process of its own on the simulated board, and a desk that answers it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rigs.schema import judge

from firmware.core.facts import Receipt
from firmware.core.report import Step
from firmware.wire import topics
from firmware.wire.beat import decode_beat, encode_echo
from firmware.wire.receipt import encode_receipt
from firmware.wire.report import ReceivedReport, decode_report

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

PATIENCE_S = 20.0
SMALL = """
[journal]
alarm_kib = 256
event_kib = 512
"""
SOURCES = """
[camera.gate]
url = "test:"
width = 640
height = 360

[microphone]
device = "test:"
"""


def write_keys(folder: pathlib.Path, *names: str) -> None:
    """Key files as commissioning leaves them."""
    for name in names:
        file = folder / f"{name}.key"
        file.write_text(secrets.token_hex(32) + "\n")
        file.chmod(0o600)


def panel_toml(
    folder: pathlib.Path, port: int, *, path: str = "", more: str = "", receivers: int = 2, journal: str = SMALL
) -> str:
    """A configuration on the simulated board; `path` are further lines of [[path]], `more` further tables."""
    entries = "".join(
        f'[[receiver]]\nname = "{name}"\nkey_file = "{folder}/{name}.key"\n' for name in ("110", "station")[:receivers]
    )
    return f"""
[panel]
id = "p1"
state_dir = "{folder}/state"
board = "mock"
language = "en"
key_file = "{folder}/panel.key"
name = "No. 1 School"

[zone.booth-button]
pin = 17
type = "panic"

[zone.foot-bar]
pin = 27
type = "hold-up"

[output.strobe]
pin = 5
role = "strobe"

[[path]]
name = "main"
host = "127.0.0.1"
port = {port}
{path}
{entries}
{journal}
{more}
"""


class PanelProcess:
    """`gatebooth run` with a button that the test presses and steps that it awaits."""

    def __init__(self, folder: pathlib.Path, toml: str, *, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "panel.toml"
        self.config.write_text(toml)
        if not (folder / "panel.key").exists():
            write_keys(folder, "panel", "110", "station")
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self.armed_s = 0.0
        self.errors = ""
        self._said = threading.Condition()
        self._prefix: tuple[str, ...] = ()
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[str] | None = None
        self._error_reader: threading.Thread | None = None

    def start(self) -> PanelProcess:
        """Start and return when armed; `armed_s` is how long that took, the interpreter's start included."""
        began = time.monotonic()
        self._process = subprocess.Popen(
            [
                *self._prefix,
                sys.executable,
                "-m",
                "firmware.cli",
                "run",
                "--config",
                self.config,
                "--json-steps",
                "--control-stdin",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._env,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        self._error_reader = threading.Thread(target=self._read_errors, args=(self._process,), daemon=True)
        self._error_reader.start()
        self.wait(lambda line: line.get("armed") is True)
        self.armed_s = time.monotonic() - began
        return self

    @property
    def pid(self) -> int:
        """Of the running panel."""
        assert self._process is not None
        return self._process.pid

    def say(self, text: str) -> None:
        """One line to the simulated board."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def click(self, zone: str = "booth-button") -> None:
        """Press; the button goes back when the alarm is decided."""
        self.say(f"press {zone}")
        self.step("raised")
        self.say(f"release {zone}")

    def step(self, name: str, by: str = "") -> dict[str, Any]:
        """Await a step of the chain of receipt."""
        return self.wait(lambda line: line.get("step") == name and by in ("", line.get("by")))

    def wait(self, wanted: Callable[[dict[str, Any]], bool], patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next line that fits; what came before it is thrown away."""
        deadline, seen = time.monotonic() + patience_s, []
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=left)
                if wanted(line):
                    return line
                seen.append(line)
        raise AssertionError(f"not seen within {patience_s} s; seen: {seen}\n{self.errors}")

    def told(self, text: str, patience_s: float = PATIENCE_S) -> str:
        """Await a text in what the technician reads; the line it stands in."""
        with self._said:
            assert self._said.wait_for(lambda: text in self.errors, patience_s), f"{text!r} not in:\n{self.errors}"
            return next(line for line in self.errors.splitlines() if text in line)

    def inside(self, *prefix: str) -> PanelProcess:
        """Start it by another program, as one that mounts a small disk first."""
        self._prefix = prefix
        return self

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """As a power cut ends it."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End in order; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(number)
        status = self._process.wait(PATIENCE_S)
        assert self._error_reader is not None
        self._error_reader.join(PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process = None
        return status

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for text in process.stdout:
                self.lines.put(json.loads(text))

    def _read_errors(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with contextlib.suppress(ValueError, OSError):
            for text in process.stderr:
                with self._said:
                    self.errors += text
                    self._said.notify_all()


class Desk:
    """A receiver that acknowledges every alarm at once, and keeps everything it got."""

    def __init__(
        self,
        name: str,
        port: int,
        *,
        key: bytes | None,
        panel_key: bytes | None = None,
        tls: Any = None,
        strict: bool = True,
    ) -> None:
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5  # noqa: PLC0415 - a test's own client

        self.name = name
        self.answering = True
        self.reports: queue.Queue[tuple[float, ReceivedReport]] = queue.Queue()
        self.faults: list[str] = []
        self._strict = strict
        self._key = key
        self._panel_key = panel_key
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"desk-{name}", protocol=MQTTv5)
        if tls is not None:
            self._client.tls_set(**tls)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{topics.ROOT}/+/report/#", 1), (f"{topics.ROOT}/+/beat", 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def wait(self, code: str, patience_s: float = PATIENCE_S) -> ReceivedReport:
        """The next report with a code; every packet before it has fitted its schema."""
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0:
            assert not self.faults, self.faults
            with contextlib.suppress(queue.Empty):
                _, report = self.reports.get(timeout=left)
                if report.code == code:
                    return report
        raise AssertionError(f"{self.name} saw no {code} within {patience_s} s")

    def _echo(self, client: Any, payload: bytes) -> None:
        pulse = decode_beat(payload, self._panel_key)
        if self.answering:
            answer = encode_echo(pulse, receiver=self.name, key=self._key)
            client.publish(topics.echo(pulse.panel, self.name), answer, qos=1)

    def count(self, code: str) -> int:
        """How many reports of a code have come and not been taken."""
        return sum(report.code == code for _, report in list(self.reports.queue))

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, client: Any, _: Any, message: Any) -> None:
        try:
            if self._strict:
                judge(message.topic, message.payload)
        except AssertionError as error:
            self.faults.append(str(error))
        if message.topic.endswith("/beat"):
            self._echo(client, message.payload)
            return
        report = decode_report(message.payload, self._panel_key)
        if self.answering and report.cls.value == "alarm":
            word = Receipt(self.name, report.id, Step.RECEIVED, "")
            payload = encode_receipt(word, at_utc_ms=int(time.time() * 1000), key=self._key)
            client.publish(topics.receipt(report.id.panel, self.name), payload, qos=1)
        self.reports.put((time.monotonic(), report))
