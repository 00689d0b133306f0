"""How the demonstration looks: JSON lines, plain lines, or a screen."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from firmware.demo.stage import RECEIVERS
from firmware.demo.story import BY_RECEIVER, CHAIN
from firmware.demo.words import say

if TYPE_CHECKING:
    from firmware.demo.story import Story

FILES_SHOWN = 8
TROUBLES_SHOWN = 3
ALARMS_SHOWN = 6
LINKS = tuple((step, by) for step in CHAIN for by in (RECEIVERS if step in BY_RECEIVER else ("",)))
"""Columns of the screen: steps, and who took them where several must."""


class Show(Protocol):
    """Somewhere to show the play.

    Synchronization: one thread.
    """

    def say(self, key: str, **values: object) -> None:
        """Tell what goes on, by a key of the demonstration's words."""
        ...

    def step(self, line: dict[str, Any]) -> None:
        """Tell a step of the chain, or a file."""
        ...

    def refresh(self, story: Story) -> None:
        """Draw the present state, if this way of showing has one."""
        ...

    def result(self, why: str, folder: Path) -> None:
        """Tell the end: `why` is "" when all went well."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""
        ...


class JsonShow:
    """One JSON object a line, nothing else."""

    def say(self, key: str, **values: object) -> None:
        """Nothing: steps, files and the result say it all."""

    def step(self, line: dict[str, Any]) -> None:
        """Tell a step of the chain, or a file."""
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def refresh(self, story: Story) -> None:
        """Nothing: lines do not change."""

    def result(self, why: str, folder: Path) -> None:  # noqa: ARG002 - the last line says nothing but the result
        """Tell the end."""
        self.step({"result": "failed", "why": why} if why else {"result": "ok"})

    def close(self) -> None:
        """Nothing."""


class LineShow:
    """One line of text for everything that happens."""

    def __init__(self, language: str) -> None:
        self._language = language

    def say(self, key: str, **values: object) -> None:
        """Tell what goes on."""
        self._line(say(self._language, key, **values))

    def step(self, line: dict[str, Any]) -> None:
        """Tell a step of the chain, or a file."""
        if "step" in line:
            self._line(f"{line['ms']:>10.1f} ms  {say(self._language, line['step']):<9} {line['by']}")
        else:
            self._line(f"{say(self._language, line['kind']):>13}  {_short(line['evidence'])}")

    def refresh(self, story: Story) -> None:
        """Nothing: lines do not change."""

    def result(self, why: str, folder: Path) -> None:
        """Tell the end."""
        self.say("failed", why=why) if why else self.say("kept", folder=_short(folder))

    def close(self) -> None:
        """Nothing."""

    @staticmethod
    def _line(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class ScreenShow:
    """A screen that is drawn anew whenever something happens. Needs rich.

    Args:
        language: "zh" or "en".

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(self, language: str) -> None:
        from rich.live import Live  # noqa: PLC0415 - the other two ways need no rich

        self._language = language
        self._now = ""
        self._live = Live(auto_refresh=False, screen=True)
        self._live.start()

    def say(self, key: str, **values: object) -> None:
        """Tell what goes on; it stands until the next."""
        self._now = say(self._language, key, **values)

    def step(self, line: dict[str, Any]) -> None:
        """Nothing: `refresh` draws the whole chain."""

    def refresh(self, story: Story) -> None:
        """Draw the present state."""
        from rich.console import Group  # noqa: PLC0415
        from rich.rule import Rule  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        word = self._word
        parts: list[Any] = [Text(word("title"), style="bold reverse"), Text(self._now, style="bold yellow"), Text()]
        parts += [Rule(word("chain"), align="left"), self._chains(story), Text()]
        parts.append(Rule(f"{word('evidence')}: {len(story.files)}", align="left"))
        parts += [Text(f"{word(file.kind):>8}  {file.size:>9} B  {file.name}") for file in story.files[-FILES_SHOWN:]]
        parts += [Text(f"{word('trouble')}: {text}", style="red") for text in story.troubles[-TROUBLES_SHOWN:]]
        self._live.update(Group(*parts, Text(), Text(word("keys"), style="bold")), refresh=True)

    def result(self, why: str, folder: Path) -> None:
        """Tell the end on the ordinary screen."""
        self.close()
        LineShow(self._language).result(why, folder)

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""
        self._live.stop()

    def _chains(self, story: Story) -> Any:
        from rich.table import Table  # noqa: PLC0415

        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for step, by in LINKS:
            table.add_column(f"{self._word(step)}\n{by}", justify="right", style="bold green")
        for alarm in tuple(story.alarms.values())[-ALARMS_SHOWN:]:
            reached: dict[tuple[str, str], float] = {}
            for (step, by), ms in alarm.steps.items():
                reached.setdefault((step, by if step in BY_RECEIVER else ""), ms)
            cells = (f"{reached[link]:.1f}" if link in reached else "…" for link in LINKS)
            table.add_row(f"{alarm.code} {alarm.id.rpartition('/')[2]}", *cells)
        return table

    def _word(self, key: str) -> str:
        return say(self._language, key)


def _short(path: str | Path) -> Path:
    """The path as a person would type it from here."""
    whole = Path(path)
    return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole


def open_show(language: str, *, as_json: bool, screen: bool) -> Show:
    """The best way to show that there is."""
    if as_json:
        return JsonShow()
    if screen:
        with contextlib.suppress(ImportError):
            return ScreenShow(language)
    return LineShow(language)
