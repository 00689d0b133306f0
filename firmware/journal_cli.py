"""`gatebooth journal`: what the journal keeps, read beside a running panel; it writes nothing.

Silent alarms, and everything that belongs to them, are shown only to whoever presents the panel's own key.
"""

from __future__ import annotations

import hmac
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from firmware.adapters.journal import FOLDER
from firmware.adapters.journal_reader import Gap, JournalReader, Kept, Row, Start
from firmware.config_file import ConfigError, load
from firmware.core.report import Mark, ReportId
from firmware.receiver.words import Words
from firmware.wire.fields import UNPRINTABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from firmware.config import Config
    from hal.types import Instant

GOOD, BAD, REFUSED = 0, 1, 2
POLL_S = 0.5
_KEY_MAX = 4096

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
_TEXTS = {
    "finished": ("已完成", "finished"),
    "drill": ("演练", "drill"),
    "covert": ("静默", "silent"),
    "start": ("主机启动，纪元 {epoch}", "panel started, epoch {epoch}"),
    "gap": ("丢弃 {count} 条：{first} 至 {last}", "{count} reports dropped: {first} to {last}"),
    "unset": ("时钟未校准", "clock not set"),
}
"""Key to the words in (Chinese, English)."""


class JournalCliError(Exception):
    """The order cannot be obeyed; the text says why and what to do."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth journal`."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", type=Path, help="the panel's TOML file")
    where.add_argument("--dir", type=Path, help="the panel's state folder, or the journal's own")
    parser.add_argument("--follow", action="store_true", help="go on showing what comes")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--lang", choices=("zh", "en"), help="language; the configuration's if not given, or English")
    parser.add_argument("--covert", action="store_true", help="show silent alarms too; needs --config and --key-file")
    parser.add_argument("--key-file", type=Path, help="a file with the panel's key, to be let in for --covert")


def main(args: argparse.Namespace) -> int:
    """0 shown; 1 no configuration or no journal; 2 silent alarms were asked for without the right."""
    try:
        config = load(args.config) if args.config else None
        if args.covert:
            _let_in(config, args.key_file)
        folder = _folder(config, args.dir)
        language = args.lang or (config.panel.language if config else "en")
        show = _json_line if args.json else _TextLines(language)
        _print(JournalReader(folder), show, covert=args.covert, follow=args.follow)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return BAD
    except JournalCliError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}; read it as the panel's user, or as root\n")
        return BAD
    return GOOD


def _folder(config: Config | None, given: Path | None) -> Path:
    folder = config.panel.state_dir / FOLDER if config else given or Path()
    if config is None and (folder / FOLDER).is_dir():
        folder /= FOLDER
    if not folder.is_dir():
        raise JournalCliError(BAD, f"{folder}: no journal here; it is made when the panel first runs")
    return folder


def _let_in(config: Config | None, presented: Path | None) -> None:
    if config is None or presented is None:
        raise JournalCliError(REFUSED, "--covert needs --config FILE and --key-file FILE: the key is compared")
    if config.panel.key_file is None:
        raise JournalCliError(REFUSED, "--covert: panel.key_file is not set, so there is no key to compare with")
    if not hmac.compare_digest(_key(presented), _key(config.panel.key_file)):
        raise JournalCliError(REFUSED, f"--covert: {presented} is not the key of panel {config.panel.id}")


def _key(path: Path) -> bytes:
    with path.open("rb") as file:
        key = file.read(_KEY_MAX).strip().lower()
    if not key:
        raise JournalCliError(REFUSED, f"--covert: {path} holds no key")
    return key


def _print(reader: JournalReader, show: Callable[[Row | Mark | ReportId], str], *, covert: bool, follow: bool) -> None:
    """Show all there is; following, whatever was not there a moment ago."""
    seen: dict[object, Row] = {}
    while True:
        for row in reader.rows(covert=covert):
            name = row.report.id if isinstance(row, Kept) else row
            for part in _news(seen.get(name), row):
                sys.stdout.write(f"{show(part)}\n")
            seen[name] = row
        sys.stdout.flush()
        if not follow:
            return
        time.sleep(POLL_S)


def _news(before: Row | None, row: Row) -> list[Row | Mark | ReportId]:
    """What of a row was not shown yet: all of it, or the marks and the end that came since."""
    if before is None:
        return [row]
    if not (isinstance(row, Kept) and isinstance(before, Kept)):
        return []
    fresh: list[Row | Mark | ReportId] = [mark for mark in row.marks if mark not in before.marks]
    return [*fresh, row.report.id] if row.finished and not before.finished else fresh


# ---- JSON


def _json_line(part: Row | Mark | ReportId) -> str:
    # ASCII: whatever a receiver or a command wrote into a text must not stop the listing.
    return json.dumps(_object(part))


def _object(part: Row | Mark | ReportId) -> dict[str, Any]:
    match part:
        case Kept():
            return _kept_object(part)
        case Gap(first, last, count):
            return {"kind": "gap", "first": str(first), "last": str(last), "count": count}
        case Start(epoch):
            return {"kind": "start", "epoch": epoch}
        case Mark():
            return {"kind": "mark", "id": str(part.id), **_mark_object(part)}
        case ReportId():
            return {"kind": "finish", "id": str(part)}
        case _:
            assert_never(part)


def _kept_object(kept: Kept) -> dict[str, Any]:
    report = kept.report
    return {
        "kind": "report",
        "id": str(report.id),
        "class": report.cls.value,
        "code": report.code,
        "event": report.kind.en,
        "zone": report.zone,
        **_times(report.raised),
        "incident": None if report.incident is None else str(report.incident),
        "covert": report.covert,
        "drill": report.drill,
        "detail": dict(report.detail),
        "marks": [_mark_object(mark) for mark in kept.marks],
        "finished": kept.finished,
    }


def _mark_object(mark: Mark) -> dict[str, Any]:
    return {"step": mark.step.value, "by": mark.by, "person": mark.person, **_times(mark.at)}


def _times(at: Instant) -> dict[str, Any]:
    moment = _moment(at)
    utc = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
    return {"utc": utc, "clock_synced": at.synced, "mono_ms": round(at.mono_s * 1000)}


def _moment(at: Instant) -> datetime | None:
    """None for a wall clock beyond all calendars."""
    try:
        return datetime.fromtimestamp(at.utc_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


# ---- text


class _TextLines:
    """Lines for a person, in one language, times as on the wall."""

    def __init__(self, language: str) -> None:
        self._column = 0 if language == "zh" else 1
        self._words = Words(language)

    def __call__(self, part: Row | Mark | ReportId) -> str:
        text = self._text(part)
        return "\n".join(UNPRINTABLE.sub("?", line) for line in text)

    def _text(self, part: Row | Mark | ReportId) -> list[str]:
        match part:
            case Kept():
                return [self._report(part), *(self._mark(mark) for mark in part.marks)]
            case Gap(first, last, count):
                return [self._say("gap", first=first, last=last, count=count)]
            case Start(epoch):
                return [self._say("start", epoch=epoch)]
            case Mark():
                return [f"{part.id}", self._mark(part)]
            case ReportId():
                return [f"{part}  [{self._say('finished')}]"]
            case _:
                assert_never(part)

    def _say(self, key: str, **values: object) -> str:
        return _TEXTS[key][self._column].format(**values)

    def _report(self, kept: Kept) -> str:
        report = kept.report
        event = self._words.event(report.kind.zh, report.kind.en)
        flags = [("drill", report.drill), ("covert", report.covert), ("finished", kept.finished)]
        tags = "".join(f"  [{self._say(name)}]" for name, on in flags if on)
        detail = "".join(f"  {name}={value}" for name, value in report.detail)
        return f"{self._time(report.raised)}  {report.code} {event}  {report.zone or '-'}  {report.id}{tags}{detail}"

    def _mark(self, mark: Mark) -> str:
        person = f" ({mark.person})" if mark.person else ""
        return f"    {self._time(mark.at)}  {self._words(mark.step.value)}  {mark.by}{person}"

    def _time(self, at: Instant) -> str:
        moment = _moment(at)
        text = f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "????-??-?? ??:??:??"
        return text if at.synced else f"{text} ({self._say('unset')})"
