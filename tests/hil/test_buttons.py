"""Wires and contacts as the field has them: held, hasty, bouncing, disturbed, cut."""

from __future__ import annotations

import pytest
from hil.api import BOOTH_BUTTON, FOOT_BAR, LID, Can, needs, panel
from hil.reading import receipt

HOLD_S = 0.030
"""`debounce_ms` of a zone when nothing else is configured."""
SHORT_S, LONG_S = HOLD_S - 0.005, HOLD_S + 0.005
"""A visit below the first is a glitch for sure, one above the second a press."""
COUNT, TRIES = 50, 400


def presses_of(desk, after_s):
    """How many presses the panel has reported so far, those that it reports together included."""
    return max((report["detail"]["presses"] for report in desk.reports("PA", after_s)), default=0)


def touch_until_sure(button, span_s, every_s, is_sure):
    """Touch until `COUNT` visits are beyond doubt; all of them, and how many those are."""
    touches, sure = [], 0
    while sure < COUNT:
        if len(touches) >= TRIES:
            pytest.skip(f"this machine is too busy to judge: of {len(touches)} touches {sure} are beyond doubt")
        new = button.touch(span_s, times=COUNT - sure, every_s=every_s)
        touches += new
        sure += sum(is_sure(touch.span_s, touch.doubt_s) for touch in new)
    return touches, sure


@needs(Can.POWER)
def test_a_button_held_at_power_on_is_an_alarm(bench, seed):
    bench.power.cut(seed)
    bench.button().press()
    on_s = bench.power.on()
    report = bench.house.desk.report("PA", after_s=on_s, zone=BOOTH_BUTTON)
    receipt(bench, "110", report["id"])


def test_of_fifty_presses_of_sixty_milliseconds_none_is_missed(bench, measure):
    touches, sure = touch_until_sure(bench.button(), 0.060, 0.2, lambda span_s, doubt_s: span_s - doubt_s > LONG_S)
    desk, first_s = bench.house.desk, touches[0].at_s
    desk.wait_for(lambda _: presses_of(desk, first_s) >= sure, f"{sure} presses", first_s)
    counted = presses_of(desk, first_s)
    measure("presses of 60 ms missed, of 50", max(0, sure - counted), "presses", limit=0, in_doubt=len(touches) - sure)
    assert counted <= len(touches)


@needs(Can.SHORT_TOUCHES)
def test_of_fifty_glitches_of_fifteen_milliseconds_none_is_an_alarm_and_all_are_counted(bench, measure):
    touches, sure = touch_until_sure(bench.button(), 0.015, 0.1, lambda span_s, doubt_s: span_s + doubt_s < SHORT_S)
    in_doubt = len(touches) - sure
    bench.button(FOOT_BAR).touch(0.1)  # health is told at once when something else changes
    health = bench.house.desk.health(lambda health: health["glitches"].get(BOOTH_BUTTON, 0) >= sure)
    missed = max(0, sure - health["glitches"][BOOTH_BUTTON])
    alarms = max(0, presses_of(bench.house.desk, touches[0].at_s) - in_doubt)
    measure("glitches of 15 ms not counted, of 50", missed, "glitches", limit=0, in_doubt=in_doubt)
    measure("glitches of 15 ms that were alarms, of 50", alarms, "alarms", limit=0, in_doubt=in_doubt)


def test_a_bouncing_button_is_one_alarm(bench):
    visits = bench.button().bounce(times=6, span_s=0.004)
    if max(visit.span_s + visit.doubt_s for visit in visits) >= SHORT_S:
        pytest.skip("this machine is too busy to judge: one of the bounces may have been a press")
    began_s = visits[0].at_s
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
