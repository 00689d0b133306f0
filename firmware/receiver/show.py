"""What happens at the desk as JSON lines for programs, and as plain lines for people."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Protocol, TextIO, assert_never

from firmware.core.codes import CODES
from firmware.core.report import Step
from firmware.receiver import events as e

if TYPE_CHECKING:
    from firmware.receiver.desk import Desk
    from firmware.receiver.words import Words
    from firmware.wire.report import ReceivedReport


class Show(Protocol):
    """Somewhere to show what happens.

    Synchronization: one thread.
    """

    def show(self, event: e.Shown) -> None:
        """Tell one event."""
        ...

    def refresh(self, desk: Desk, prompt: str) -> None:
        """Draw the present state, if this way of showing has one; `prompt` is a line being typed."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""
        ...


class JsonShow:
    """One JSON object a line, nothing else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: e.Shown) -> None:
        """Tell one event."""
        self._out.write(json.dumps(as_object(event), ensure_ascii=False) + "\n")
        self._out.flush()

    def refresh(self, desk: Desk, prompt: str) -> None:
        """Nothing: events say it all."""

    def close(self) -> None:
        """Nothing."""


class LineShow:
    """One line of text an event."""

    def __init__(self, out: TextIO, words: Words) -> None:
        self._out = out
        self._words = words

    def show(self, event: e.Shown) -> None:
        """Tell one event."""
        for line in as_lines(event, self._words):
            self._out.write(line + "\n")
        self._out.flush()

    def refresh(self, desk: Desk, prompt: str) -> None:
        """Nothing: lines do not change."""

    def close(self) -> None:
        """Nothing."""


def as_object(event: e.Shown) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - the table of events
    """An event as the JSON object that `gatebooth watch --json` prints."""
    match event:
        case e.ReportCame():
            return {
                "event": "report",
                **_report(event.report),
                "duplicate": event.duplicate,
                "delayed_ms": event.delayed_ms,
            }
        case e.StepTaken():
            incident, person = str(event.incident), event.person
            return {"event": "step", "incident": incident, "step": event.step.value, "person": person, "ms": event.ms}
        case e.FileSaved(saved=saved):
            return {
                "event": "evidence",
                "incident": str(saved.incident),
                "kind": saved.kind,
                "source": saved.source,
                "name": saved.name,
                "evidence": str(saved.path.absolute()),
                "size": saved.size,
                "sha256": saved.sha256,
                "signed": event.signed,
            }
        case e.Sealed():
            return {
                "event": "sealed",
                "incident": str(event.incident),
                "files": event.files,
                "missing": list(event.missing),
                "complete": event.complete,
                "signed": event.signed,
            }
        case e.HealthCame(health=health):
            return {
                "event": "health",
                "panel": health.panel,
                "epoch": health.epoch,
                "online": health.online,
                "retained": event.retained,
                "open_incidents": health.open_incidents,
                "pending_alarms": health.pending_alarms,
                "troubles": list(health.troubles),
                "glitches": dict(health.glitches),
            }
        case e.ResultCame(result=result):
            panel, command = result.panel, result.command
            return {"event": "result", "panel": panel, "command": command, "ok": result.ok, "text": result.text}
        case e.Lost():
            first, last = event.first, event.last
            return {"event": "lost", "panel": event.panel, "epoch": event.epoch, "first": first, "last": last}
        case e.Warned():
            return {"event": "warning", "panel": event.panel, "text": event.text}
        case e.Unsigned():
            return {
                "event": "unsigned",
                "panel": event.panel,
                "since_utc_ms": event.since_utc_ms,
                "proved_utc_ms": event.proved_utc_ms,
                "alive": event.alive,
                "alarm": event.alarm,
            }
        case e.SignedAgain():
            return {"event": "signed-again", "panel": event.panel, "since_utc_ms": event.since_utc_ms}
        case e.Restored():
            return {"event": "restored", "incidents": event.incidents}
        case e.LinkChanged():
            return {"event": "link", "link": event.link, "up": event.up, "why": event.why}
        case _:
            assert_never(event)


def as_lines(event: e.Shown, words: Words) -> list[str]:  # noqa: C901, PLR0911, PLR0912 - the table of events
    """An event as a person reads it."""
    match event:
        case e.ReportCame():
            return [_report_line(event, words)]
        case e.StepTaken():
            who = f" {event.person}" if event.person else ""
            ms = "" if event.ms is None else f" {event.ms} ms"
            return [f"{event.incident}  {words(event.step.value)}{ms}{who}"]
        case e.FileSaved(saved=saved):
            return [f"{saved.incident}  {words('evidence')} {saved.path} ({saved.size} B)"]
        case e.Sealed():
            return [_sealed_line(event, words)]
        case e.HealthCame(health=health):
            return [f"{words('health')} {health.panel}: {health_text(event, words)}"]
        case e.ResultCame(result=result):
            return [f"{result.panel}  {words('result-ok' if result.ok else 'result-no')}: {result.text}"]
        case e.Lost():
            return [f"{event.panel}  {words('lost', epoch=event.epoch, first=event.first, last=event.last)}"]
        case e.Warned():
            return [
                f"{words('warning')} {event.panel}: {words.reason(event.text)}"
                if event.panel
                else f"{words('warning')}: {words.reason(event.text)}"
            ]
        case e.Unsigned():
            return [f"{words('warning')} {event.panel}: {unsigned_text(event, words)}"]
        case e.SignedAgain():
            return [f"{event.panel}  {words('signed-again', since=_local(event.since_utc_ms))}"]
        case e.Restored():
            return [words("restored", count=event.incidents)]
        case e.LinkChanged():
            link = words(event.link)
            return [
                words("link-up", link=link)
                if event.up and not event.why
                else words("link-down", link=link, why=words.reason(event.why))
            ]
        case _:
            assert_never(event)


def unsigned_text(event: e.Unsigned, words: Words) -> str:
    """What somebody without a panel's key does under its name, and how the panel itself fares."""
    said = [words("unsigned", since=_local(event.since_utc_ms))]
    if event.alarm:
        said.append(words("unsigned-alarm"))
    if event.alive:
        said.append(words("unsigned-other"))
    elif event.proved_utc_ms is None:
        said.append(words("unsigned-never"))
    else:
        said.append(words("unsigned-lost", proved=_local(event.proved_utc_ms)))
    return words("then").join(said)


def _local(utc_ms: int) -> str:
    """A moment as the clock on the wall shows it."""
    return dt.datetime.fromtimestamp(utc_ms / 1000, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def health_text(event: e.HealthCame, words: Words) -> str:
    """A panel's health in a few words."""
    health = event.health
    if not health.online:
        return words("offline")
    parts = [words("online")]
    if health.open_incidents:
        parts.append(words("open-incidents", count=health.open_incidents))
    if health.pending_alarms:
        parts.append(words("pending", count=health.pending_alarms))
    return ", ".join([*parts, *map(words.reason, health.troubles)])


def event_text(report: ReceivedReport, words: Words) -> str:
    """What a report says, in the desk's language when the code is known."""
    code = CODES.get(report.code)
    return words.event(code.zh, code.en) if code else report.event


def _report(report: ReceivedReport) -> dict[str, Any]:
    return {
        "id": str(report.id),
        "class": report.cls.value,
        "code": report.code,
        "text": report.event,
        "zone": report.zone,
        "incident": None if report.incident is None else str(report.incident),
        "covert": report.covert,
        "drill": report.drill,
        "raised_utc_ms": report.happened_utc_ms,
        "age_ms": report.age_ms,
        "late": report.late,
        "attempt": report.attempt,
        "site": report.site.name,
        "address": report.site.address,
        "detail": dict(report.detail),
        "verified": report.signed,
    }


def _report_line(event: e.ReportCame, words: Words) -> str:
    report = event.report
    marks = {
        "duplicate": event.duplicate,
        "late": report.late,
        "covert": report.covert,
        "drill": report.drill,
        "unverified": not report.signed,
    }
    tail = "".join(f" [{words(mark)}]" for mark, on in marks.items() if on)
    where = " ".join(part for part in (report.site.name, report.zone) if part)
    detail = words.detail(report.detail)
    said = " ".join(part for part in (event_text(report, words), where, detail) if part)
    return f"{report.id}  {words(report.cls.value)} {report.code} {said}{tail}"


def _sealed_line(event: e.Sealed, words: Words) -> str:
    parts = [words("sealed"), words("files", count=event.files)]
    if event.missing:
        parts.append(words("missing", names=" ".join(event.missing)))
    if not event.complete:
        parts.append(words("incomplete"))
    return f"{event.incident}  {', '.join(parts)}"


CHAIN = (Step.RECEIVED, Step.ACCEPTED, Step.DISPATCHED, Step.ARRIVED, Step.CLOSED)
"""The steps that a desk takes, as its screens show them."""
