"""Power cuts: what the panel said it had, it has; and it always comes back."""

from __future__ import annotations

import random
import time

from hil.api import PATIENCE_S, Can, needs
from hil.reading import LOOK_S, median

SEED = 20261122
AFTER_S = 0.2
"""The power goes between the press and this long after it."""


def accepted(bench):
    """Alarms of which the panel said that disk or broker had them."""
    return {line["id"] for line in bench.panel.said() if line.fields.get("step") in ("stored", "brokered")}


def missing(desk, wanted):
    """Which of these alarms a desk has not, after a while."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        got = {line.fields.get("id") for line in desk.heard}
        if wanted <= got or time.monotonic() > deadline_s:
            return wanted - got
        time.sleep(LOOK_S)


def cut_again_and_again(bench, cuts, measure):
    """Press and cut the power, with the link there and away by turns; everything that was accepted must arrive."""
    chance = random.Random(SEED)
    boots_s = []
    for number in range(cuts):
        if number % 2:
            bench.link.cut()
        bench.button().press()
        time.sleep(chance.uniform(0.0, AFTER_S))
        bench.power.cut()
        bench.button().release()
        bench.link.restore()
        on_s = bench.power.on()
        boots_s.append(bench.panel.wait_armed(after_s=on_s) - on_s)
    lost = {ident for desk in bench.house.desks.values() for ident in missing(desk, accepted(bench))}
    measure("power cuts", cuts, "cuts")
    measure("presses accepted before a cut", len(accepted(bench)), "presses")
    measure("accepted presses lost", len(lost), "presses", limit=0)
    measure("power on to armed", median(boots_s), "s", limit=120.0, worst=max(boots_s), runs=cuts)


@needs(Can.POWER, Can.LINK, Can.STEPS)
def test_no_accepted_press_is_lost_by_power_cuts_and_every_boot_arms(bench, pytestconfig, measure):
    """On a bench that can, with `Can.HONEST_DISK`, the disk forgets at each cut what was not flushed."""
    cut_again_and_again(bench, pytestconfig.getoption("--bench-cuts"), measure)
