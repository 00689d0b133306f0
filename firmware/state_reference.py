"""Writes `docs/states.md` from the tables that the code runs on: `python -m firmware.state_reference`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from firmware.core import dial_phases, link, path
from firmware.core.codes import CODES
from firmware.core.effects import PATTERNS
from firmware.core.report import CHAIN
from firmware.core.sounder import LAMP
from firmware.core.zone import ZONE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

Was = TypeVar("Was", bound=StrEnum)
How = TypeVar("How", bound=StrEnum)

HEAD = """# States and tables

Drawn from the literals in the code (`python -m firmware.state_reference`); a test fails where page and code differ.
"""


def page() -> str:
    """The whole page."""
    sections = (HEAD, _chain(), _lamp(), _link(), _dialer(), _path(), _zones(), _codes())
    return "\n".join(sections)


def _chain() -> str:
    steps = " --> ".join(step.value for step in CHAIN)
    return f"## Chain of receipt\n\n```mermaid\nflowchart LR\n  {steps}\n```\n"


def _lamp() -> str:
    rows = "".join(f"| {step.value} | {pattern.value} | {_beats(pattern)} |\n" for step, pattern in LAMP.items())
    return f"## The receipt lamp\n\n| newest open alarm is | lamp | seconds on, off, … |\n|---|---|---|\n{rows}"


def _beats(pattern: object) -> str:
    beats = PATTERNS[pattern]  # type: ignore[index]
    return ", ".join(map(str, beats)) or "without pause"


def _link() -> str:
    return f"## A path's connection\n\n{_diagram(link.MOVES)}"


def _dialer() -> str:
    return f"## A DC-09 path's connection\n\n{_diagram(dial_phases.TURNS)}"


def _path() -> str:
    return f"## What is known of a path\n\n{_diagram(path.MOVES)}"


def _diagram(moves: Mapping[tuple[Was, How], Was]) -> str:
    rows = "".join(f"  {was.value} --> {now.value}: {move.value}\n" for (was, move), now in moves.items())
    return f"```mermaid\nstateDiagram-v2\n{rows}```\n"


def _zones() -> str:
    rows = "".join(
        f"| {kind.value} | {row.alarm} | {row.released} | {row.reset} | {row.trouble} / {row.trouble_over} |"
        f" {'nothing' if row.covert else 'strobe, siren, lamp'} |\n"
        for kind, row in ZONE_KINDS.items()
    )
    head = (
        "| zone type | alarm | released | reset | loop trouble / over | the booth shows |\n|---|---|---|---|---|---|\n"
    )
    return f"## Zones\n\n{head}{rows}"


def _codes() -> str:
    rows = "".join(
        f"| {code.sia} | {3 if code.restore else 1}{code.cid} | {code.cls.value} | {code.en} | {code.zh} |\n"
        for code in CODES.values()
    )
    head = "| SIA | Contact ID (qualifier and number) | class | English | 中文 |\n|---|---|---|---|---|\n"
    return f"## Event codes\n\n{head}{rows}"


if __name__ == "__main__":
    sys.stdout.write(page())
