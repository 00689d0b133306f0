"""Panels that die and panels that freeze."""

from __future__ import annotations

from hil.api import Can, needs
from hil.reading import receipt


def press_works(bench):
    receipt(bench, "110", bench.house.desk.report("PA", after_s=bench.button().press())["id"])


@needs(Can.KILL, Can.SUPERVISOR)
def test_a_killed_panel_is_restarted_and_guards_again(bench, measure):
    killed_s = bench.panel.kill()
    armed_s = bench.panel.wait_armed(after_s=killed_s)
    measure("SIGKILL to armed", armed_s - killed_s, "s", limit=60.0)
    press_works(bench)


@needs(Can.KILL, Can.SUPERVISOR, Can.OUTPUTS)
def test_an_alarm_is_latched_through_the_death_of_the_panel(bench):
    pressed_s = bench.button().press()
    report = bench.house.desk.report("PA", after_s=pressed_s)
    receipt(bench, "110", report["id"])
    killed_s = bench.panel.kill()
    bench.panel.wait_armed(after_s=killed_s)
    bench.output("strobe").wait(on=True, after_s=killed_s + 0.5)
    health = bench.house.desk.health(lambda health: health["online"] and health["open_incidents"] == 1)
    assert str(health["epoch"]) != report["id"].split("/")[1]


def is_bitten(bench, freeze, limit_s):
    """Freeze something; how long it took until the panel guards again."""
    bites = bench.panel.bites()
    frozen_s = freeze()
    armed_s = bench.panel.wait_armed(after_s=frozen_s, timeout_s=limit_s)
    assert bench.panel.bites() == bites + 1
    press_works(bench)
    return armed_s - frozen_s


@needs(Can.KILL, Can.SUPERVISOR)
def test_a_frozen_panel_is_bitten_and_guards_again(bench, measure):
    took_s = is_bitten(bench, bench.panel.hang, limit_s=180.0)
    measure("freeze to armed (watchdog 10 s)", took_s, "s", limit=180.0)


@needs(Can.HARDWARE_WATCHDOG)
def test_a_frozen_machine_is_reset_and_guards_again(bench, measure):
    took_s = is_bitten(bench, bench.panel.freeze_machine, limit_s=300.0)
    measure("frozen machine to armed", took_s, "s", limit=300.0)


@needs(Can.KERNEL_PANIC)
def test_after_a_kernel_panic_the_panel_guards_again(bench, measure):
    crashed_s = bench.panel.crash_kernel()
    armed_s = bench.panel.wait_armed(after_s=crashed_s, timeout_s=300.0)
    measure("kernel panic to armed", armed_s - crashed_s, "s", limit=300.0)
    press_works(bench)


def test_a_restarted_panel_says_so_and_guards_again(bench):
    bench.panel.restart()
    press_works(bench)
