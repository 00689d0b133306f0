"""The main job: one press goes all the way, in order and in time."""

from __future__ import annotations

from hil.api import FOOT_BAR, Can, needs, panel
from hil.reading import alarms_on_the_wire, evidence, median, receipt, release_and_reset, shows

from firmware.core.effects import Pattern

PRESSES = 9
LATE_S = 0.1
"""How late a bench may see a relay: a thread or a box of its own watches it, beside all others."""


@needs(Can.OUTPUTS, Can.CAMERA, Can.MICROPHONE)
@panel(media=True)
def test_a_press_goes_the_whole_way_in_order_and_in_time(bench, measure):
    pressed_s = bench.button().press()
    relay_s = bench.output("siren").wait(on=True, after_s=pressed_s)
    strobe_s = bench.output("strobe").wait(on=True, after_s=pressed_s)
    report = bench.house.desk.report("PA", after_s=pressed_s, zone="booth-button")
    receipts_s = [receipt(bench, name, report["id"]) for name in bench.house.desks]
    sent_s = alarms_on_the_wire(bench, pressed_s)[0][0]
    still = evidence(bench, "still", pressed_s)

    first_s = min(receipts_s) + LATE_S
    assert pressed_s < relay_s < first_s
    assert pressed_s < strobe_s < first_s
    assert pressed_s < sent_s <= min(receipts_s)
    assert report["verified"]
    assert still["signed"]
    assert still["incident"] == report["incident"]
    measure("press to relay, first alarm", relay_s - pressed_s, "s", limit=5.0)
    measure("press to receipts of both, first alarm", max(receipts_s) - pressed_s, "s", limit=20.0)
    measure("press to first still at the desk", still.at_s - pressed_s, "s")

    shows(bench.output("lamp"), Pattern.DOUBLE)
    bench.house.desk.say("accept officer Li")
    shows(bench.output("lamp"), Pattern.STEADY)
    release_and_reset(bench)
    bench.output("siren").wait(on=False, after_s=relay_s)
    for name, desk in bench.house.desks.items():
        sealed = desk.wait("sealed", incident=report["incident"])
        kinds = {file["kind"] for file in desk.all("evidence", incident=report["incident"])}
        assert sealed["complete"], name
        assert sealed["missing"] == [], name
        assert {"still", "clip", "sound"} <= kinds, name


@needs(Can.OUTPUTS)
def test_press_to_relay_and_press_to_acknowledgement(bench, measure):
    relay_s, acknowledged_s = [], []
    for _ in range(PRESSES):
        pressed_s = bench.button().press()
        relay_s.append(bench.output("siren").wait(on=True, after_s=pressed_s) - pressed_s)
        report = bench.house.desk.report("PA", after_s=pressed_s)
        acknowledged_s.append(receipt(bench, "110", report["id"]) - pressed_s)
        release_and_reset(bench)
        bench.output("siren").wait(on=False, after_s=pressed_s)
    measure("press to relay", median(relay_s), "s", limit=2.0, worst=max(relay_s), runs=PRESSES)
    measure("press to acknowledgement", median(acknowledged_s), "s", limit=5.0, worst=max(acknowledged_s), runs=PRESSES)


@needs(Can.OUTPUTS, Can.LINK)
def test_relay_and_lamp_need_no_network(bench, measure):
    bench.link.cut()
    pressed_s = bench.button().press()
    for name in ("siren", "strobe", "lamp"):
        on_s = bench.output(name).wait(on=True, after_s=pressed_s)
        measure(f"press to {name} without a network", on_s - pressed_s, "s", limit=5.0)


@needs(Can.OUTPUTS)
def test_a_hold_up_shows_nothing_in_the_booth(bench):
    names = ("siren", "strobe", "lamp")
    pressed_s = bench.button(FOOT_BAR).press()
    report = bench.house.desk.report("HA", after_s=pressed_s)
    receipt(bench, "station", report["id"])
    bench.button(FOOT_BAR).release()
    bench.house.desk.report("HH", after_s=pressed_s)
    assert [change for name in names for change in bench.output(name).history(pressed_s)] == []


@needs(Can.CONSOLE)
def test_the_technician_sees_and_resets_an_alarm(bench):
    bench.button().press()
    bench.house.desk.report("PA")
    bench.button().release()
    bench.house.desk.report("PH")
    bench.console.type("reset booth-button Wang looked at it")
    bench.console.expect("booth-button")
    assert bench.house.desk.report("PR")["detail"]["actor"] == "Wang"
