"""What a desk must still know after a restart: open incidents and what was done about them, as JSON lines in one file.

An alarm is on the disk before it is acknowledged: an acknowledgement that a crash of the desk undoes would be none.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from firmware.core.report import RECEIVER_STEPS, ReportId, Step
from firmware.files import replace_file
from firmware.receiver import events as e
from firmware.wire.report import decode_report

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.receiver.desk import Desk

REWRITE_LINES = 4096
"""The file is written anew, without what is over, when this many lines were added."""
READ_MAX = 64 * 2**20
INCIDENTS_MAX = 2000
LINES_MAX = 512
"""Lines of one incident; later presses of it are forgotten first."""


@dataclass(frozen=True, slots=True)
class KeptAlarm:
    """An alarm report as it came.

    Attributes:
        payload: As the wire brought it.
        signed: Whether its signature was checked then.
        utc_ms: When it came, on the desk's wall clock.
    """

    incident: ReportId
    payload: bytes
    signed: bool
    utc_ms: int


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step that this desk took."""

    incident: ReportId
    step: Step
    person: str
    utc_ms: int


Kept = KeptAlarm | KeptStep


class Memory:
    """The file.

    Args:
        path: Made when absent, with its folder.

    Raises:
        OSError: It cannot be read or written.

    Synchronization: one thread; one desk a file.
    """

    def __init__(self, path: Path) -> None:
        self.bad_lines = 0
        self._path = path
        self._lines: collections.OrderedDict[ReportId, list[Kept]] = collections.OrderedDict()
        self._added = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._load()
        self.tidy()

    def kept(self) -> list[Kept]:
        """Everything about incidents that are not over, oldest first."""
        return [line for lines in self._lines.values() for line in lines]

    def keep(self, line: Kept) -> None:
        """Write a line and have it on the disk when this returns.

        Raises:
            OSError: The disk failed; the line is remembered and written with the next rewrite.
        """
        lines = self._lines.setdefault(line.incident, [])
        if len(lines) < LINES_MAX:
            lines.append(line)
        if len(self._lines) > INCIDENTS_MAX:
            self._lines.popitem(last=False)
        self._added += 1
        if self._added >= REWRITE_LINES:
            self.tidy()
            return
        with self._path.open("ab") as file:
            file.write(_encode(line))
            file.flush()
            os.fdatasync(file.fileno())

    def forget(self, incident: ReportId) -> None:
        """An incident is over; its lines go at the next rewrite."""
        self._lines.pop(incident, None)

    def tidy(self) -> None:
        """Write the file anew, without what is over.

        Raises:
            OSError: The disk failed; the file is as it was.
        """
        replace_file(self._path, b"".join(_encode(line) for line in self.kept()))
        self._added = 0

    def _load(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            raw = file.read(READ_MAX)
        for text in raw.splitlines():
            try:
                line = _decode(json.loads(text))
            except (ValueError, KeyError, TypeError):
                self.bad_lines += 1
                continue
            self._lines.setdefault(line.incident, []).append(line)


def restore(desk: Desk, memory: Memory, now: e.Moment) -> int:
    """Tell a new desk what the old one knew; nothing is answered again.

    Returns:
        How many incidents are open.
    """
    for line in memory.kept():
        elapsed_s = max(0, now.utc_ms - line.utc_ms) / 1000
        then = e.Moment(now.mono_s - elapsed_s, line.utc_ms)
        with contextlib.suppress(ValueError):  # a step whose alarm's line was torn; the wire's errors are ValueErrors
            if isinstance(line, KeptAlarm):
                desk.report(replace(decode_report(line.payload, None), signed=line.signed), then)
            else:
                desk.answer(line.incident, line.step, then, line.person)
    for incident in desk.incidents.values():
        if not incident.open:
            memory.forget(incident.id)
    with contextlib.suppress(OSError):  # then it is as it was, and is tidied another time
        memory.tidy()
    return sum(incident.open for incident in desk.incidents.values())


def _encode(line: Kept) -> bytes:
    found: dict[str, Any] = {"incident": str(line.incident), "utc_ms": line.utc_ms}
    if isinstance(line, KeptAlarm):
        found |= {"alarm": line.payload.decode(), "signed": line.signed}
    else:
        found |= {"step": line.step.value, "person": line.person}
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"


def _decode(found: dict[str, Any]) -> Kept:
    incident, utc_ms = ReportId.parse(found["incident"]), int(found["utc_ms"])
    if "alarm" in found:
        return KeptAlarm(incident, str(found["alarm"]).encode(), bool(found["signed"]), utc_ms)
    step = Step(found["step"])
    if step not in RECEIVER_STEPS:
        raise ValueError(step)
    return KeptStep(incident, step, str(found["person"]), utc_ms)
