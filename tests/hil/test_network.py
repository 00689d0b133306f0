"""Networks that end, lie and crawl."""

from __future__ import annotations

import time

from hil.api import BOOTH_BUTTON, FOOT_BAR, Can, needs, panel
from hil.reading import alarms_on_the_wire, evidence, receipt

BLACK_HOLE_S = 40.0
"""A path's loss is declared within 20 s of silence; the report of it needs a way out again."""
LONG_S = 30.0
"""Long enough for the panel to call the path lost, and to try again as seldom as it ever does."""


@needs(Can.LINK)
def test_an_alarm_without_a_link_arrives_when_there_is_one(bench):
    bench.link.cut()
    pressed_s = bench.button().press()
    time.sleep(3)
    assert bench.house.desk.reports("PA", pressed_s) == []
    bench.link.restore()
    for name, desk in bench.house.desks.items():
        receipt(bench, name, desk.report("PA", after_s=pressed_s)["id"])


@needs(Can.LINK, Can.OUTPUTS)
def test_a_link_that_swallows_everything_is_found_out_and_the_alarm_survives_it(bench, measure):
    bench.output("path-lamp").wait(on=True)
    bench.link.black_hole()
    began_s = time.monotonic()
    bench.button().press()
    dark_s = bench.output("path-lamp").wait(on=False, after_s=began_s)
    measure("black hole to path lamp dark", dark_s - began_s, "s", limit=BLACK_HOLE_S)
    assert alarms_on_the_wire(bench, began_s) == []
    bench.link.restore()
    report = bench.house.desk.report("PA", after_s=began_s)
    receipt(bench, "station", report["id"])
    bench.house.desk.report("YC", after_s=began_s)
    bench.house.desk.report("YK", after_s=began_s)


@needs(Can.LINK, Can.CAMERA)
@panel(media=True)
def test_at_64_kbit_a_second_with_evidence_pending_an_alarm_waits_for_no_picture(bench, measure):
    bench.link.slow(64_000)
    first_s = bench.button().press()
    evidence(bench, "still", first_s)
    second_s = bench.button(FOOT_BAR).press()
    report = bench.house.desk.report("HA", after_s=second_s)
    arrived_s = receipt(bench, "110", report["id"])
    measure("press to receipt at 64 kbit/s, evidence pending", arrived_s - second_s, "s", limit=20.0)
    bench.link.restore()
    assert evidence(bench, "clip", first_s).at_s > arrived_s, "nothing was pending"


@needs(Can.OUTPUTS)
def test_a_broker_that_was_gone_for_long_is_told_everything(bench):
    bench.output("path-lamp").wait(on=True)
    bench.house.broker.stop()
    stopped_s = time.monotonic()
    for _ in range(3):
        bench.button().touch(0.1)
        time.sleep(2)
    bench.output("path-lamp").wait(on=False, after_s=stopped_s)
    time.sleep(max(0.0, stopped_s + LONG_S - time.monotonic()))
    bench.house.broker.start()
    for name, desk in bench.house.desks.items():
        desk.wait_for(
            lambda line: line.fields.get("detail", {}).get("presses") == 3, f"three presses at {name}", stopped_s
        )
        assert all(report["zone"] == BOOTH_BUTTON for report in desk.reports("PA", stopped_s))


@needs(Can.CLOCK, Can.TLS)
@panel(tls=True, broker_cert="server_early", reaches=False)
def test_a_clock_at_1970_stops_no_alarm_over_tls_and_is_told(bench):
    """To a clock that stands before its dates a certificate is not valid yet; the broker shows one of that kind."""
    bench.clock.set(60.0, synced=False)
    report = bench.house.desk.report("PA", after_s=bench.button().press())
    receipt(bench, "110", report["id"])
    bench.house.desk.trouble("certificate")


@needs(Can.TLS)
@panel(tls=True)
def test_an_alarm_travels_encrypted(bench):
    receipt(bench, "110", bench.house.desk.report("PA", after_s=bench.button().press())["id"])


@needs(Can.CLOCK)
def test_a_clock_that_jumps_moves_no_duration(bench):
    began_s = bench.button().press()
    bench.house.desk.report("PA", after_s=began_s)
    bench.clock.set(time.time() + 10 * 365 * 86400.0)
    bench.button().release()
    bench.house.desk.report("PH", after_s=began_s)
    assert not bench.house.desk.report("PA", after_s=bench.button().press())["late"]
