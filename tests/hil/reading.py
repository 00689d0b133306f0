"""What several tests read off outputs, desks and the wire."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from hil.api import PATIENCE_S

from firmware.core.effects import PATTERNS, Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.api import Bench, Output
    from hil.desk import Heard

LOOK_S = 0.1


def shows(output: Output, pattern: Pattern, timeout_s: float = PATIENCE_S) -> float:
    """Await that a lamp shows a pattern; the moment from which it was seen whole.

    A blinking one is told by its last rests: half a second is slow, an eighth is fast, and double has both. Emulated
    boards stretch beats, so each is only held to be nearer to its own length than to another's.
    """
    deadline_s = time.monotonic() + timeout_s
    while (now_s := time.monotonic()) < deadline_s:
        if _pattern(output, now_s) is pattern:
            return now_s
        time.sleep(LOOK_S)
    raise AssertionError(f"not {pattern.name} within {timeout_s} s: {output.history()[-10:]}")


def _pattern(output: Output, now_s: float) -> Pattern | None:
    window_s = 2 * sum(PATTERNS[Pattern.SLOW])
    changes = output.history(now_s - window_s)
    if not changes:
        return Pattern.STEADY if output.read() else Pattern.OFF
    rests = [second.at_s - first.at_s for first, second in itertools.pairwise(changes) if not first.on]
    if not rests or now_s - changes[-1].at_s > window_s / 2:
        return None
    short, long = min(rests), max(rests)
    if long < 0.3:
        return Pattern.FAST
    return Pattern.DOUBLE if short < 0.3 else Pattern.SLOW


def until(holds: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Await what nobody tells."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(LOOK_S)


def receipt(bench: Bench, receiver: str, report: str, step: str = "received", after_s: float = 0.0) -> float:
    """When a receiver's word on a report passed the broker."""

    def is_it(payload: bytes) -> bool:
        word = json.loads(payload)
        return word["report"] == report and word["step"] == step

    return bench.house.wire.wait(f"/receipt/{receiver}", after_s, wanted=lambda one: is_it(one.payload)).at_s


def alarms_on_the_wire(bench: Bench, after_s: float) -> list[tuple[float, dict[str, Any]]]:
    """Every alarm report since a moment, repetitions too."""
    seen = bench.house.wire.seen
    return [(one.at_s, json.loads(one.payload)) for one in seen if one.at_s >= after_s and "report/alarm" in one.topic]


def release_and_reset(bench: Bench) -> Heard:
    """Let the button go, have the 110 desk reset its alarm, and await that it is; the report of the reset."""
    bench.house.desk.report("PH", after_s=bench.button().release())
    at_s = time.monotonic()
    bench.house.desk.say("reset looked at on the bench")
    return bench.house.desk.report("PR", after_s=at_s)


def evidence(bench: Bench, kind: str, after_s: float, receiver: str = "110") -> Heard:
    """The first file of a kind that a desk saved since a moment."""
    return bench.house.desks[receiver].wait("evidence", after_s=after_s, kind=kind)


def median(values: list[float]) -> float:
    """Of an odd or even number of values."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
