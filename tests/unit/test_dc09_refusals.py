"""The complaint about what a receiver does not take: when it begins, and what ends it."""

from __future__ import annotations

import math

from firmware.adapters.dc09_refusals import QUIET_S, Refusals
from firmware.core.report import Report, ReportId
from hal.types import Instant


def report(code, *, covert=False):
    return Report(ReportId("p", 1, 1), code, Instant(0.0, 0.0, synced=True), covert=covert)


def refused(code, now_s=0.0, **more):
    refusals = Refusals("dial")
    assert refusals.refused(report(code, **more), "three tries, it answers NAK", now_s) is not more.get("covert", False)
    return refusals


def test_it_begins_with_the_first_code_and_is_told_once():
    refusals = refused("YK")
    assert not refusals.refused(report("YK"), "again", 1.0)
    assert not refusals.refused(report("YC"), "too", 2.0)
    assert refusals.text.startswith("path dial: the receiver takes no code YK: three tries, it answers NAK; ask")


def test_it_ends_when_one_of_each_code_was_taken_and_by_nothing_else():
    refusals = refused("YK")
    refusals.refused(report("YC"), "too", 0.0)
    assert [refusals.taken(report(code)) for code in ("YX", "YZ", "YK", "YK", "YC")] == [False] * 4 + [True]
    assert (refusals.text, refusals.quiet_s) == ("", math.inf)


def test_it_ends_when_no_code_was_refused_for_a_day():
    refusals = refused("YK")
    refusals.refused(report("YK"), "again", 10.0)
    assert refusals.quiet_s == 10.0 + QUIET_S
    assert not refusals.settle(9.0 + QUIET_S)
    assert refusals.settle(10.0 + QUIET_S)
    assert not refusals.settle(11.0 + QUIET_S)


def test_what_a_silent_alarm_brought_neither_begins_nor_ends_it():
    assert refused("HH", covert=True).text == ""
    refusals = refused("HH")
    assert not refusals.taken(report("HH", covert=True))
    assert refusals.text
