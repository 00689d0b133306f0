"""What a reconnect storm comes to: how many in the worst second, how soon, and a plot for the terminal. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_MAX = 40
BAR = 50


@dataclass(frozen=True, slots=True)
class Tally:
    """The end of an outage in numbers; times in seconds after the broker's return.

    Attributes:
        panels: How many there are.
        lost: How many lost their connection.
        back: When each of these was back.
        through: When each alarm that was pending at the return, or was raised later, had its receipt: after the return
            or after the press, whichever was later.
        pending: Alarms that never got one.
        tries: When a connection was tried, successful or not; empty where that was not counted.
        told: How many panels told a path loss; None where that was not counted.
    """

    panels: int
    lost: int
    back: tuple[float, ...]
    through: tuple[float, ...]
    pending: int
    tries: tuple[float, ...]
    told: int | None = None

    @property
    def peak(self) -> int:
        """Most connections made in any one second, wherever that second begins."""
        return peak(self.back)

    def figures(self) -> dict[str, float | int]:
        """What is printed; -1 for a time that there is nothing of."""
        told = {} if self.told is None else {"losses_told": self.told}
        tries = {"peak_tries_per_s": peak(self.tries)} if self.tries else {}
        return {
            "panels": self.panels,
            "lost": self.lost,
            "back": len(self.back),
            **told,
            "peak_connects_per_s": self.peak,
            "peak_percent": round(100 * self.peak / self.panels, 2),
            **tries,
            "p50_back_s": share(self.back, 0.50),
            "p99_back_s": share(self.back, 0.99),
            "last_back_s": share(self.back, 1.0),
            "alarms": len(self.through) + self.pending,
            "alarms_pending": self.pending,
            "p50_alarm_s": share(self.through, 0.50),
            "last_alarm_s": share(self.through, 1.0),
        }


WORDS = {
    "panels": "panels",
    "lost": "connections lost",
    "back": "connections back",
    "losses_told": "panels that told a path loss",
    "peak_connects_per_s": "connects in the worst second",
    "peak_percent": "the same, percent of the panels",
    "peak_tries_per_s": "tries in the worst second",
    "p50_back_s": "half of them back after, s",
    "p99_back_s": "99 % of them back after, s",
    "last_back_s": "the last one back after, s",
    "alarms": "alarms pending at the return or raised later",
    "alarms_pending": "of these without a receipt",
    "p50_alarm_s": "half of the alarms through after, s",
    "last_alarm_s": "the last alarm through after, s",
}


def peak(times: Sequence[float], width_s: float = 1.0) -> int:
    """How many of the times lie in the fullest window of that width."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while ordered[first] <= time - width_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def share(times: Sequence[float], part: float) -> float:
    """The time by which that part of them is over; -1 without any."""
    ordered = sorted(times)
    return round(ordered[max(0, math.ceil(part * len(ordered)) - 1)], 3) if ordered else -1.0


def table(tally: Tally) -> list[str]:
    """The figures, one a line."""
    figures = tally.figures()
    wide = max(len(words) for words in WORDS.values())
    return [f"{words:<{wide}}  {figures[name]:>10,}" for name, words in WORDS.items() if name in figures]


def plot(times: Sequence[float], limit: float) -> list[str]:
    """Connects per second as bars, one a second or a few; `limit` a second is marked by a line.

    Args:
        times: Seconds after the broker's return.
        limit: What no second should go beyond.
    """
    if not times:
        return ["no connection came back"]
    width = max(1, math.ceil((max(times) + 1) / ROWS_MAX))
    counts = [0] * (math.floor(max(times) / width) + 1)
    for time in times:
        counts[math.floor(max(0.0, time) / width)] += 1
    rates = [count / width for count in counts]
    scale = BAR / max(limit, *rates)
    mark = round(limit * scale)
    lines = [f"{'s after the return':>18} | connects per second; ! marks {limit:,.0f}, 5 % of the panels"]
    for number, rate in enumerate(rates):
        bar = ("#" * round(rate * scale)).ljust(mark)
        bar = bar if len(bar) > mark else bar + "!"
        lines.append(f"{number * width:>18} | {bar} {rate:,.0f}")
    return lines


def plot_waiting(times: Sequence[float]) -> list[str]:
    """Alarms still without a receipt as bars, one a second or a few, until the last one is through.

    Args:
        times: Seconds from the broker's return, or the press if that was later, to each alarm's receipt.
    """
    if not times:
        return ["no alarm waited"]
    last_s = max(times)
    width = max(1, math.ceil((last_s + 1) / ROWS_MAX))
    lines = [f"{'s after the return':>18} | alarms without a receipt; the last one had it after {last_s:.1f} s"]
    for at_s in range(0, math.ceil(last_s / width) * width + 1, width):
        waiting = sum(time > at_s for time in times)
        bar = "#" * round(BAR * waiting / len(times))
        lines.append(f"{at_s:>18} | {f'{bar} {waiting:,}'.lstrip()}")
    return lines
