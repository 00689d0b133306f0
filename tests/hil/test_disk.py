"""Disks that fill and disks that die."""

from __future__ import annotations

from hil.api import Can, needs
from hil.reading import receipt, until


def press_arrives(bench):
    receipt(bench, "110", bench.house.desk.report("PA", after_s=bench.button().press())["id"])


def stored(bench):
    """Await that the panel calls its newest alarm stored: it travels beside being stored, and may be there before."""
    newest = bench.house.desk.reports("PA")[-1]["id"]
    words = {"id": newest, "step": "stored"}
    until(lambda: any(words.items() <= line.fields.items() for line in bench.panel.said()), "the alarm is stored")


@needs(Can.DISK_FULL, Can.POWER, Can.STEPS)
def test_a_full_disk_keeps_alarms_as_ever_and_through_a_power_cut(bench, seed):
    bench.disk.fill()
    press_arrives(bench)
    stored(bench)
    bench.power.cut(seed)
    bench.button().release()
    on_s = bench.power.on()
    bench.panel.wait_armed(after_s=on_s)
    bench.house.desk.wait_for(
        lambda line: line["event"] == "health" and line["online"] and line["open_incidents"] == 1, "the latch", on_s
    )


@needs(Can.DISK_ERROR)
def test_a_dead_disk_is_a_trouble_and_the_alarm_goes_out(bench):
    bench.disk.fail()
    press_arrives(bench)
    bench.house.desk.trouble("journal")
    bench.disk.mend()
    bench.house.desk.no_trouble("journal")
