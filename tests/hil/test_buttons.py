"""Wires and contacts as the field has them: held, hasty, bouncing, disturbed, cut."""

from __future__ import annotations

from hil.api import BOOTH_BUTTON, FOOT_BAR, LID, Can, needs, panel
from hil.reading import receipt

HOLD_S = 0.030
"""`debounce_ms` of a zone when nothing else is configured."""
MARGIN_S = 0.005
COUNT = 50


def presses_of(desk, after_s):
    """How many presses the panel has reported so far, those that it reports together included."""
    return max((report["detail"]["presses"] for report in desk.reports("PA", after_s)), default=0)


@needs(Can.POWER)
def test_a_button_held_at_power_on_is_an_alarm(bench, seed):
    bench.power.cut(seed)
    bench.button().press()
    on_s = bench.power.on()
    report = bench.house.desk.report("PA", after_s=on_s, zone=BOOTH_BUTTON)
    receipt(bench, "110", report["id"])


def test_of_fifty_presses_of_sixty_milliseconds_none_is_missed(bench, measure):
    first, *others = bench.button().touch(0.060, times=COUNT, every_s=0.2)
    short = sum(touch.span_s - touch.doubt_s < HOLD_S + MARGIN_S for touch in (first, *others))
    wanted, desk = COUNT - short, bench.house.desk
    desk.wait_for(lambda _: presses_of(desk, first.at_s) >= wanted, f"{wanted} presses", first.at_s)
    measure("presses counted of 50", presses_of(desk, first.at_s), "presses", limit=COUNT, in_doubt=short)


@needs(Can.SHORT_TOUCHES)
def test_of_fifty_glitches_of_fifteen_milliseconds_none_is_an_alarm_and_all_are_counted(bench, measure):
    touches = bench.button().touch(0.015, times=COUNT, every_s=0.1)
    long = sum(touch.span_s + touch.doubt_s > HOLD_S - MARGIN_S for touch in touches)
    wanted = COUNT - long
    bench.button(FOOT_BAR).touch(0.1)  # health is told at once when something else changes
    health = bench.house.desk.health(lambda health: health["glitches"].get(BOOTH_BUTTON, 0) >= wanted)
    measure("glitches counted of 50", health["glitches"][BOOTH_BUTTON], "glitches", limit=COUNT, in_doubt=long)
    assert presses_of(bench.house.desk, touches[0].at_s) <= long


def test_a_bouncing_button_is_one_alarm(bench):
    began_s = bench.button().bounce(times=6, span_s=0.004)
    report = bench.house.desk.report("PA", after_s=began_s)
    bench.button().release()
    bench.house.desk.report("PH", after_s=began_s)
    assert report["detail"]["presses"] == 1
    assert len(bench.house.desk.reports("PA")) == 1


@panel(buttons=10)
def test_all_zones_at_once_are_stored_sent_and_acknowledged_each_for_itself(bench, measure):
    pressed_s = [bench.button(name).press() for name in bench.buttons]
    for name, desk in bench.house.desks.items():
        reports = [desk.report("PA", zone=zone) for zone in bench.buttons]
        assert len({report["incident"] for report in reports}) == len(bench.buttons)
        last_s = max(receipt(bench, name, report["id"]) for report in reports)
        measure(f"last of {len(bench.buttons)} presses to last receipt of {name}", last_s - pressed_s[-1], "s")


@needs(Can.TEN_ZONES)
@panel(buttons=10)
def test_there_are_ten_zones(bench):
    assert len(bench.buttons) == 10


@needs(Can.FOUR_STATES)
def test_a_cut_and_a_shorted_loop_are_faults_and_no_alarm(bench):
    for fault, reason in (("cut", "open"), ("short", "short")):
        at_s = getattr(bench.button(), fault)()
        assert bench.house.desk.report("PT", after_s=at_s, zone=BOOTH_BUTTON)["detail"]["reason"] == reason
        bench.button().mend()
        bench.house.desk.report("PJ", after_s=at_s, zone=BOOTH_BUTTON)
    assert bench.house.desk.reports("PA") == []


@panel(two_state_lid=True)
def test_a_cut_wire_of_a_contact_that_opens_is_its_alarm(bench):
    at_s = bench.button(LID).cut()
    bench.house.desk.report("TA", after_s=at_s, zone=LID)


@needs(Can.INPUT_LOSS)
def test_a_lost_input_is_a_trouble_and_the_others_guard_on(bench):
    bench.button("foot-bar").lose()
    bench.house.desk.trouble("loop foot-bar")
    bench.house.desk.report("PA", after_s=bench.button().press())
    bench.button("foot-bar").find()
    bench.house.desk.no_trouble("loop foot-bar")
