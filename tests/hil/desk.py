"""A receiver as a stranger sees it: `gatebooth watch` as a process of its own, every line it prints with its time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hil.api import PATIENCE_S
from hil.panel_file import PANEL

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One line of a desk.

    Attributes:
        at_s: When it came, monotonic.
        fields: The JSON object; docs/receiver.md tells what there is.
    """

    at_s: float
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


class Desk:
    """A desk that is open.

    Args:
        name: `110` or `station`.
        port: The broker's, unencrypted.
        keys: Folder with the panel's and the receiver's key.
        folder: Where it saves evidence, and its log.

    Synchronization: any thread.
    """

    def __init__(self, name: str, port: int, keys: pathlib.Path, folder: pathlib.Path) -> None:
        self.name = name
        self.evidence_folder = folder / "evidence"
        self._log = folder / "desk.log"
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        folder.mkdir(parents=True)
        arguments = ["watch", "--broker", f"127.0.0.1:{port}", "--as", name, "--json", "--control-stdin"]
        arguments += ["--panel", PANEL, "--key-file", str(keys / "panel.key"), "--lang", "en"]
        arguments += ["--receiver-key-file", str(keys / f"{name}.key"), "--evidence", str(self.evidence_folder)]
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "firmware.cli", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        threading.Thread(target=self._read, daemon=True).start()

    def wait_open(self) -> None:
        """Return when it hears the broker."""
        self.wait("link", link="reports", up=True)
        self.wait("link", link="media", up=True)

    @property
    def heard(self) -> list[Heard]:
        """Everything so far, oldest first."""
        with self._news:
            return list(self._heard)

    def all(self, event: str, after_s: float = 0.0, **fields: Any) -> list[Heard]:
        """Every line of an event since a moment whose fields are these."""
        return [line for line in self.heard if line.at_s >= after_s and _fits(line, event, fields)]

    def wait(self, event: str, *, after_s: float = 0.0, timeout_s: float = PATIENCE_S, **fields: Any) -> Heard:
        """The first line of an event since a moment whose fields are these.

        Raises:
            AssertionError: None came in time; the message holds the last lines.
        """
        return self.wait_for(lambda line: _fits(line, event, fields), f"{event} {fields}", after_s, timeout_s)

    def wait_for(
        self, wanted: Callable[[Heard], bool], what: str, after_s: float = 0.0, timeout_s: float = PATIENCE_S
    ) -> Heard:
        """The first line since a moment that a function takes."""
        deadline_s, read = time.monotonic() + timeout_s, 0
        with self._news:
            while True:
                for line in self._heard[read:]:
                    if line.at_s >= after_s and wanted(line):
                        return line
                read = len(self._heard)
                left_s = deadline_s - time.monotonic()
                last = "\n".join(str(line.fields) for line in self._heard[-12:])
                assert left_s > 0, f"desk {self.name}: no {what} within {timeout_s} s; the last lines:\n{last}"
                self._news.wait(left_s)

    def report(self, code: str, *, after_s: float = 0.0, timeout_s: float = PATIENCE_S, **fields: Any) -> Heard:
        """The first report of a code, no repetition."""
        return self.wait("report", after_s=after_s, timeout_s=timeout_s, code=code, duplicate=False, **fields)

    def reports(self, code: str, after_s: float = 0.0, **fields: Any) -> list[Heard]:
        """All reports of a code so far, without repetitions."""
        return self.all("report", after_s, code=code, duplicate=False, **fields)

    def health(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = PATIENCE_S) -> Heard:
        """The first health that a function takes; the present one counts."""
        present = [line for line in self.heard if line["event"] == "health"][-1:]
        after_s = present[0].at_s if present else 0.0
        return self.wait_for(
            lambda line: line["event"] == "health" and wanted(line.fields), "such health", after_s, timeout_s
        )

    def trouble(self, source: str, timeout_s: float = PATIENCE_S) -> Heard:
        """Await that the panel's health names a trouble whose text holds this."""
        return self.health(lambda health: any(source in trouble for trouble in health["troubles"]), timeout_s)

    def no_trouble(self, source: str, timeout_s: float = PATIENCE_S) -> Heard:
        """Await that the panel is there and its health names no such trouble."""
        return self.health(
            lambda health: health["online"] and not any(source in trouble for trouble in health["troubles"]), timeout_s
        )

    def say(self, line: str) -> None:
        """What a person at the desk does: `accept NAME`, `reset REASON` and so on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def text(self) -> str:
        """Everything it printed, for a failing test."""
        return "\n".join(f"{line.at_s:.3f} {json.dumps(line.fields, ensure_ascii=False)}" for line in self.heard)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for text in self._process.stdout:
                heard = Heard(time.monotonic(), json.loads(text))
                with self._news:
                    self._heard.append(heard)
                    self._news.notify_all()


def _fits(line: Heard, event: str, fields: dict[str, Any]) -> bool:
    missing = object()
    return line["event"] == event and all(line.fields.get(name, missing) == value for name, value in fields.items())
