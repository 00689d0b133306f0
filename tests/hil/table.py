"""Measurement records as the table of a page: `python -m hil.table build/hil/measurements.jsonl`."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any


def newest(lines: list[str]) -> list[dict[str, Any]]:
    """The last record of each figure and bench, in the order in which they were first measured."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        record = json.loads(line)
        found[record["bench"], record["name"]] = record
    return list(found.values())


def table(records: list[dict[str, Any]]) -> str:
    """The records as Markdown."""
    rows = ["| what | bench | value | worst | limit | commit |", "|---|---|---|---|---|---|"]
    for one in records:
        value, worst, limit = (_shown(one.get(key), one["unit"]) for key in ("value", "worst", "limit"))
        rows.append(f"| {one['name']} | {one['bench']} | {value} | {worst} | {limit} | {one['commit']} |")
    return "\n".join(rows)


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"


if __name__ == "__main__":
    print(table(newest(pathlib.Path(sys.argv[1]).read_text().splitlines())))
