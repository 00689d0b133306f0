"""Rows of a measurement and the table they are printed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Row:
    """One measured thing.

    Attributes:
        what: The thing, in words.
        p50: Median; for a count or a size, the value itself.
        p99: 99th percentile; None where there is one value only.
        unit: "ms", "us", "B", "1/s" …
        ratio: Against the reference that was measured in the same run; None where there is none.
        limit: What it should reach, in words; empty where nothing is asked.
        note: How it was measured, against what.
    """

    what: str
    p50: float
    p99: float | None
    unit: str
    ratio: float | None = None
    limit: str = ""
    note: str = ""


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of all values lie; the nearest one that was really seen."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row_of(
    what: str, values: Sequence[float], unit: str, *, ratio: float | None = None, limit: str = "", note: str = ""
) -> Row:
    """A row with the median and the 99th percentile of what was measured."""
    return Row(what, quantile(values, 0.5), quantile(values, 0.99), unit, ratio, limit, note)


def print_table(rows: Iterable[Row]) -> None:
    """Print rows as a Markdown table, which a terminal shows readably too."""
    head = ("what", "p50", "p99", "unit", "ratio", "reach", "note")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    for number, line in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    p99 = "" if row.p99 is None else _number(row.p99)
    return (row.what, _number(row.p50), p99, row.unit, ratio, row.limit, row.note)


def _number(value: float) -> str:
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
