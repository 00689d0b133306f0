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
from firmware.adapters.journal_events import GAP_CODE
from firmware.adapters.journal_reader import Gap, JournalReader, Kept, Row, Start
from firmware.config_file import ConfigError, load
from firmware.core.report import Mark, Report, ReportId, Scalar
from firmware.core.words import pick
from firmware.language import language
from firmware.receiver.words import Words
from firmware.wire.fields import UNPRINTABLE
from firmware.wire.sign import KeyFileError, load_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from firmware.config import Config
    from hal.types import Instant

GOOD, BAD, REFUSED = 0, 1, 2
USUAL_CONFIG = Path("/etc/gatebooth/panel.toml")
"""Where a panel's configuration lies that was put into a booth as deploy/README.md says."""
POLL_S = 0.5

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
_TEXTS = {
    "finished": ("已完成", "finished"),
    "drill": ("演练", "drill"),
    "covert": ("静默", "silent"),
    "over": ("经路径 {path}", "over {path}"),
    "start": ("主机启动，纪元 {epoch}", "panel started, epoch {epoch}"),
    "gap": ("较早的报告已被丢弃", "older reports were dropped"),
    "gap-of": ("丢弃 {count} 条：{first} 至 {last}", "{count} reports dropped: {first} to {last}"),
    "unset": ("时钟未校准", "clock not set"),
    "no-config": (
        "没有 {file}：请用 --config 指定主机的配置文件，或用 --dir 指定状态文件夹",
        "{file} is not there: name the panel's file with --config, or its state folder with --dir",
    ),
    "no-journal": (
        "{folder}：这里没有日志；主机第一次运行时才会建立",
        "{folder}: no journal here; it is made when the panel first runs",
    ),
    "no-right": (
        "{file}：{why}；请以主机的用户或 root 身份读取",
        "{file}: {why}; read it as the panel's user, or as root",
    ),
    "covert-how": (
        "--covert 需要 --config 文件 和 --key-file 文件：要核对密钥",
        "--covert needs --config FILE and --key-file FILE: the key is compared",
    ),
    "covert-no-key": (
        "--covert：没有设置 panel.key_file，无从核对密钥",
        "--covert: panel.key_file is not set, so there is no key to compare with",
    ),
    "covert-wrong-key": (
        "--covert：{file} 不是主机 {panel} 的密钥",
        "--covert: {file} is not the key of panel {panel}",
    ),
}
"""Key to the words in (Chinese, English)."""


def _say(spoken: str, key: str, **values: object) -> str:
    return pick(spoken, _TEXTS[key]).format(**values)


class JournalCliError(Exception):
    """The order cannot be obeyed; the key of the text that says why and what to do, and what belongs into it."""

    def __init__(self, status: int, key: str, **values: object) -> None:
        super().__init__(key)
        self.status, self.key, self.values = status, key, values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth journal`."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--config", type=Path, help=f"the panel's TOML file (default: {USUAL_CONFIG})")
    where.add_argument("--dir", type=Path, help="the panel's state folder, or the journal's own")
    parser.add_argument("--follow", action="store_true", help="go on showing what comes")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the configuration's, or the system's)")
    parser.add_argument("--covert", action="store_true", help="show silent alarms too; needs --config and --key-file")
    parser.add_argument("--key-file", type=Path, help="a file with the panel's key, to be let in for --covert")


def main(args: argparse.Namespace) -> int:
    """0 shown; 1 no configuration or no journal; 2 silent alarms were asked for without the right."""
    try:
        config = None if args.dir else _config(args.config, language(args.lang))
        if args.covert:
            _let_in(config, args.key_file)
        folder = _folder(config, args.dir)
        spoken = args.lang or (config.panel.language if config else language(None))
        names = _Names(plain=args.covert)
        show = _JsonLines(names) if args.json else _TextLines(spoken, names)
        _print(JournalReader(folder), show, covert=args.covert, follow=args.follow)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return BAD
    except JournalCliError as error:
        sys.stderr.write(_say(language(args.lang), error.key, **error.values) + "\n")
        return error.status
    except KeyFileError as error:
        sys.stderr.write(f"--covert: {error}\n")
        return REFUSED
    except OSError as error:
        sys.stderr.write(_say(language(args.lang), "no-right", file=error.filename, why=error.strerror) + "\n")
        return BAD
    return GOOD


def _config(given: Path | None, spoken: str) -> Config:
    if given is None and not USUAL_CONFIG.exists():
        raise JournalCliError(BAD, "no-config", file=USUAL_CONFIG)
    return load(given or USUAL_CONFIG, spoken)


def _folder(config: Config | None, given: Path | None) -> Path:
    folder = config.panel.state_dir / FOLDER if config else given or Path()
    if config is None and (folder / FOLDER).is_dir():
        folder /= FOLDER
    if not folder.is_dir():
        raise JournalCliError(BAD, "no-journal", folder=folder)
    return folder


def _let_in(config: Config | None, presented: Path | None) -> None:
    if config is None or presented is None:
        raise JournalCliError(REFUSED, "covert-how")
    if config.panel.key_file is None:
        raise JournalCliError(REFUSED, "covert-no-key")
    if not hmac.compare_digest(load_key(presented), load_key(config.panel.key_file)):
        raise JournalCliError(REFUSED, "covert-wrong-key", file=presented, panel=config.panel.id)


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


class _Names:
    """What reports are called in a listing: by a running count of its own.

    Identities have numbers that the panel counts; where one is missing there was a report that is not shown.

    Args:
        plain: Whether identities are shown all the same, since nothing is left out.
    """

    def __init__(self, *, plain: bool) -> None:
        self.plain = plain
        self._counts: dict[ReportId, int] = {}

    def of(self, identity: ReportId) -> str | int:
        """The name of a report that is shown."""
        return str(identity) if self.plain else self._counts.setdefault(identity, len(self._counts) + 1)

    def known(self, identity: ReportId | None) -> str | int | None:
        """The name of a report that was perhaps shown."""
        if identity is None or self.plain:
            return None if identity is None else str(identity)
        return self._counts.get(identity)

    def detail(self, report: Report) -> dict[str, Scalar]:
        """A report's detail; of dropped reports neither numbers nor how many: silent ones are among them."""
        return dict(report.detail) if self.plain or report.code != GAP_CODE else {}


# ---- JSON


class _JsonLines:
    """One JSON object a line, for programs."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._key = "id" if names.plain else "n"

    def __call__(self, part: Row | Mark | ReportId) -> str:
        # ASCII: whatever a receiver or a command wrote into a text must not stop the listing.
        return json.dumps(self._object(part))

    def _object(self, part: Row | Mark | ReportId) -> dict[str, Any]:
        match part:
            case Kept():
                return self._kept(part)
            case Gap(first, last, count):
                run = {"first": str(first), "last": str(last), "count": count} if self._names.plain else {}
                return {"kind": "gap", **run}
            case Start(epoch):
                return {"kind": "start", "epoch": epoch}
            case Mark():
                return {"kind": "mark", self._key: self._names.of(part.id), **_mark_object(part)}
            case ReportId():
                return {"kind": "finish", self._key: self._names.of(part)}
            case _:
                assert_never(part)

    def _kept(self, kept: Kept) -> dict[str, Any]:
        report = kept.report
        return {
            "kind": "report",
            self._key: self._names.of(report.id),
            "class": report.cls.value,
            "code": report.code,
            "event": report.kind.en,
            "zone": report.zone,
            **_times(report.raised),
            "incident": self._names.known(report.incident),
            "covert": report.covert,
            "drill": report.drill,
            "detail": self._names.detail(report),
            "marks": [_mark_object(mark) for mark in kept.marks],
            "finished": kept.finished,
        }


def _mark_object(mark: Mark) -> dict[str, Any]:
    return {"step": mark.step.value, "by": mark.by, "path": mark.path, "person": mark.person, **_times(mark.at)}


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

    def __init__(self, spoken: str, names: _Names) -> None:
        self._spoken = spoken
        self._names = names
        self._words = Words(spoken)

    def __call__(self, part: Row | Mark | ReportId) -> str:
        text = self._text(part)
        return "\n".join(UNPRINTABLE.sub("?", line) for line in text)

    def _text(self, part: Row | Mark | ReportId) -> list[str]:
        match part:
            case Kept():
                return [self._report(part), *(self._mark(mark) for mark in part.marks)]
            case Gap(first, last, count):
                return [self._say("gap-of" if self._names.plain else "gap", first=first, last=last, count=count)]
            case Start(epoch):
                return [self._say("start", epoch=epoch)]
            case Mark():
                return [self._name(part.id), self._mark(part)]
            case ReportId():
                return [f"{self._name(part)}  [{self._say('finished')}]"]
            case _:
                assert_never(part)

    def _say(self, key: str, **values: object) -> str:
        return _say(self._spoken, key, **values)

    def _name(self, identity: ReportId) -> str:
        name = self._names.of(identity)
        return name if isinstance(name, str) else f"#{name}"

    def _report(self, kept: Kept) -> str:
        report = kept.report
        event = self._words.event(report.kind.zh, report.kind.en)
        flags = [("drill", report.drill), ("covert", report.covert), ("finished", kept.finished)]
        tags = "".join(f"  [{self._say(name)}]" for name, on in flags if on)
        told = tuple(self._names.detail(report).items())
        detail = f"  {self._words.detail(told)}" if told else ""
        name = self._name(report.id)
        return f"{self._time(report.raised)}  {report.code} {event}  {report.zone or '-'}  {name}{tags}{detail}"

    def _mark(self, mark: Mark) -> str:
        person = f" ({mark.person})" if mark.person else ""
        path = f"  {self._say('over', path=mark.path)}" if mark.path else ""
        return f"    {self._time(mark.at)}  {self._words(mark.step.value)}  {mark.by}{person}{path}"

    def _time(self, at: Instant) -> str:
        moment = _moment(at)
        text = f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "????-??-?? ??:??:??"
        return text if at.synced else f"{text} ({self._say('unset')})"
