"""Power cuts: what the panel said it had, it has; and it always comes back."""

from __future__ import annotations

import collections
import random
import time

from hil.api import PATIENCE_S, Can, needs
from hil.reading import LOOK_S, median

TOLD_EVERY = 3
"""Of so many cuts one comes as soon as the panel said that it has the press, when a lie would be found out. The others
come at any moment from the press to twice the time that this took: about half of their presses are accepted."""
BLIND = 10
"""Of so many cuts at any moment, some come before the panel has the press and some after it, or the moments are bad."""
GLANCE_S = 0.002


def accepted(bench, after_s=0.0):
    """Alarms of which the panel said, since a moment, that disk or broker had them."""
    return {line["id"] for line in bench.panel.said(after_s) if line.fields.get("step") in ("stored", "brokered")}


def accepted_since(bench, pressed_s):
    """The same of a press alone: not what is sent again after a cut."""
    raised = {line["id"] for line in bench.panel.said(pressed_s) if line.fields.get("step") == "raised"}
    return accepted(bench, pressed_s) & raised


def wait_accepted(bench, pressed_s):
    """How long it took until the panel said that it has a press."""
    while not accepted_since(bench, pressed_s):
        assert time.monotonic() < pressed_s + PATIENCE_S, f"a press was not accepted within {PATIENCE_S} s"
        time.sleep(GLANCE_S)
    return time.monotonic() - pressed_s


def missing(desk, wanted):
    """Which of these alarms a desk has not, after a while."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        got = {line.fields.get("id") for line in desk.heard}
        if wanted <= got or time.monotonic() > deadline_s:
            return wanted - got
        time.sleep(LOOK_S)


def invented(desk, on_s):
    """How many alarms nobody can have pressed: each run had one press, and the last, since `on_s`, none."""
    here = desk.wait_for(lambda line: line["event"] == "health" and line["online"], "health", on_s)
    of_run = collections.Counter(report["id"].split("/")[1] for report in desk.reports("PA"))
    return sum(count - (run != str(here["epoch"])) for run, count in of_run.items())


def press_and_cut(bench, number, chance, taken_s):
    """One press and one cut; whether the press was accepted before.

    Where the panel is taken at its word the link is away, so that it speaks of its disk alone; else it is there and
    away by turns.

    Everything that is left to chance is drawn at once, so that a seed plays the same cuts again.
    """
    moment, disk_seed = chance.uniform(0.0, 2.0), chance.getrandbits(32)
    told = number % TOLD_EVERY == 0
    if told or number % 2:
        bench.link.cut()
    pressed_s = bench.button().press()
    if told:
        taken_s.append(wait_accepted(bench, pressed_s))
    else:
        time.sleep(max(0.0, pressed_s + moment * median(taken_s) - time.monotonic()))
    bench.power.cut(disk_seed)
    bench.button().release()
    bench.link.restore()
    return bool(accepted_since(bench, pressed_s))


def cut_again_and_again(bench, cuts, seed, measure):
    """Press and cut the power; everything that was accepted must arrive, and enough must have been."""
    chance = random.Random(seed)
    boots_s, taken_s, blind = [], [], []
    for number in range(cuts):
        had = press_and_cut(bench, number, chance, taken_s)
        if number % TOLD_EVERY:
            blind.append(had)
        on_s = bench.power.on()
        boots_s.append(bench.panel.wait_armed(after_s=on_s) - on_s)
    lost = {ident for desk in bench.house.desks.values() for ident in missing(desk, accepted(bench))}
    measure("power cuts", cuts, "cuts", seed=seed)
    measure("presses accepted before a cut", len(taken_s) + sum(blind), "presses", at_any_moment=sum(blind))
    measure("press to accepted", median(taken_s), "s", worst=max(taken_s), runs=len(taken_s))
    measure("accepted presses lost", len(lost), "presses", limit=0)
    measure("alarms that nobody pressed", invented(bench.house.desk, on_s), "alarms", limit=0)
    measure("power on to armed", median(boots_s), "s", limit=120.0, worst=max(boots_s), runs=cuts)
    if len(blind) >= BLIND:
        assert 0 < sum(blind) < len(blind), f"of {len(blind)} presses {sum(blind)} were accepted: the cuts prove little"


@needs(Can.POWER, Can.LINK, Can.STEPS)
def test_no_accepted_press_is_lost_by_power_cuts_and_every_boot_arms(bench, seed, pytestconfig, measure):
    """On a bench that can, with `Can.HONEST_DISK`, the disk forgets at each cut what was not flushed."""
    cut_again_and_again(bench, pytestconfig.getoption("--bench-cuts"), seed, measure)
