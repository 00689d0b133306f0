"""The desk on a terminal: incidents with their chain of receipt, panels, the latest messages. Needs rich."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from firmware.receiver import events as e
from firmware.receiver.show import CHAIN, as_lines, event_text, health_text, unsigned_text
from firmware.receiver.unsigned import AGAIN_S

if TYPE_CHECKING:
    from firmware.receiver.desk import Desk, Incident
    from firmware.receiver.words import Words

INCIDENTS_SHOWN = 8
PANELS_SHOWN = 6
LINES_SHOWN = 10
UNSIGNED_SHOWN_S = 1.5 * AGAIN_S
"""It is told anew while it lasts."""
ALARM, DONE, QUIET = "bold white on red", "green", "dim"


class ScreenShow:
    """Draws the desk.

    Args:
        words: In the person's language.
        name: The receiver's name.
        console: Where to draw; None: standard output.

    Synchronization: one thread.
    """

    def __init__(self, words: Words, name: str, console: Console | None = None) -> None:
        self._words = words
        self._name = name
        self._lines: collections.deque[str] = collections.deque(maxlen=LINES_SHOWN)
        self._links: dict[str, bool] = {}
        self._unsigned: dict[str, tuple[float, e.Unsigned]] = {}
        self._live = Live(console=console or Console(), auto_refresh=False, screen=True)
        self._live.start()

    def show(self, event: e.Shown) -> None:
        """Keep an event for the next drawing."""
        if isinstance(event, e.LinkChanged):
            self._links[event.link] = event.up
        elif isinstance(event, e.Unsigned):
            self._unsigned.pop(event.panel, None)
            self._unsigned[event.panel] = (time.monotonic(), event)
            if len(self._unsigned) > PANELS_SHOWN:
                del self._unsigned[next(iter(self._unsigned))]
        elif isinstance(event, e.SignedAgain):
            self._unsigned.pop(event.panel, None)
        clock = dt.datetime.now().astimezone().strftime("%H:%M:%S")
        self._lines.extend(f"{clock}  {line}" for line in as_lines(event, self._words))

    def refresh(self, desk: Desk, prompt: str) -> None:
        """Draw the present state."""
        lines = Text("\n".join(self._lines), overflow="ellipsis")
        keys = Text(prompt or self._words("keys"), style="bold")
        self._live.update(Group(self._head(), self._incidents(desk), self._panels(desk), lines, keys), refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""
        self._live.stop()

    def _head(self) -> Text:
        head = Text(f" {self._name} ", style="bold reverse")
        for link, up in self._links.items():
            head.append(f" {self._words(link)} {'●' if up else '○'} ", style=DONE if up else ALARM)
        return head

    def _incidents(self, desk: Desk) -> Table:
        table = Table(title=self._words("incidents"), title_justify="left", expand=True, box=None, pad_edge=False)
        for heading in (
            "",
            self._words("alarm"),
            *(self._words(step.value) for step in CHAIN),
            self._words("evidence"),
        ):
            table.add_column(heading, overflow="fold")
        newest = list(itertools.islice(reversed(desk.incidents.values()), INCIDENTS_SHOWN))
        for incident in newest:
            table.add_row(*self._incident(incident))
        if not newest:
            table.add_row(Text(self._words("none"), style=QUIET))
        return table

    def _incident(self, incident: Incident) -> list[Text]:
        style = QUIET if not incident.open else (DONE if len(incident.steps) > 1 else ALARM)
        words = self._words
        first = next(iter(incident.reports.values()), None)
        state = words("reset") if incident.reset else words("open")
        marks = [words(mark) for mark, on in (("covert", incident.covert), ("drill", incident.drill)) if on]
        what = " ".join(
            filter(None, (event_text(first, words) if first else "", incident.site.name, incident.zone, *marks))
        )
        steps = [incident.steps.get(step) for step in CHAIN]
        cells = [Text("" if step is None else f"{step.ms} ms" if step.ms is not None else "✓") for step in steps]
        files = words("files", count=incident.files) if incident.files else ""
        sealed = f" {words('sealed')}" if incident.sealed else ""
        return [Text(f"{incident.id} {state}", style=style), Text(what, style=style), *cells, Text(files + sealed)]

    def _panels(self, desk: Desk) -> Table:
        table = Table(
            title=self._words("panels"), title_justify="left", expand=True, show_header=False, box=None, pad_edge=False
        )
        table.add_column("")
        table.add_column("")
        for told_s, event in reversed(self._unsigned.values()):
            if time.monotonic() - told_s < UNSIGNED_SHOWN_S:
                table.add_row(Text(event.panel, style=ALARM), Text(unsigned_text(event, self._words), style=ALARM))
        for panel, view in itertools.islice(reversed(desk.panels.items()), PANELS_SHOWN):
            health = view.health
            said = (
                self._words("none")
                if health is None
                else health_text(e.HealthCame(health, retained=False), self._words)
            )
            site = view.site.name if view.site else ""
            good = health is not None and health.online and not health.troubles
            table.add_row(Text(f"{panel} {site}"), Text(said, style=DONE if good else ""))
        return table
