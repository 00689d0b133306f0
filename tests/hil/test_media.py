"""Microphones and cameras that vanish, stall and lie; the alarm does not notice."""

from __future__ import annotations

import time

import pytest
from hil.api import Can, needs, panel
from hil.reading import evidence, receipt, release_and_reset


def why(desk, source):
    """Await the report of a trouble; what it says."""
    found = desk.wait_for(
        lambda line: line.fields.get("code") == "YX" and line["detail"]["source"] == source, source, time.monotonic()
    )
    return found["detail"]["why"]


def press_arrives(bench):
    """Press, and await the receipt; when it was pressed."""
    pressed_s = bench.button().press()
    receipt(bench, "110", bench.house.desk.report("PA", after_s=pressed_s)["id"])
    return pressed_s


def seal(bench):
    """Let go, reset, and await the manifest of what was recorded."""
    incident = bench.house.desk.reports("PA")[-1]["incident"]
    release_and_reset(bench)
    return bench.house.desk.wait("sealed", incident=incident)


@needs(Can.MICROPHONE_UNPLUG)
@panel(media=True)
def test_a_microphone_unplugged_and_back_under_another_number_is_heard_again(bench):
    bench.microphone.unplug()
    bench.house.desk.trouble("microphone")
    press_arrives(bench)
    bench.microphone.replug()
    back = bench.house.desk.no_trouble("microphone")
    bench.house.wire.wait("/live/", back.at_s)


@needs(Can.CAMERA_DISCONNECT)
@panel(media=True)
def test_a_disconnected_camera_is_a_trouble_and_comes_back(bench):
    bench.camera.disconnect()
    bench.house.desk.trouble("camera gate")
    press_arrives(bench)
    bench.camera.well()
    back = bench.house.desk.no_trouble("camera gate")
    evidence(bench, "clip", back.at_s)


@needs(Can.CAMERA_FREEZE)
@panel(media=True)
def test_a_camera_that_sends_nothing_more_is_a_trouble_and_comes_back(bench):
    bench.camera.freeze()
    bench.house.desk.trouble("camera gate")
    bench.camera.well()
    bench.house.desk.no_trouble("camera gate")


@needs(Can.CAMERA_STREAM_ERROR)
@panel(media=True)
def test_a_stream_that_fails_once_is_opened_again(bench):
    bench.camera.stream_error()
    lost = bench.house.desk.trouble("camera gate")
    bench.house.desk.no_trouble("camera gate")
    assert press_arrives(bench) > lost.at_s
    evidence(bench, "still", lost.at_s)


@needs(Can.CAMERA_DROP)
@panel(media=True)
def test_dropped_buffers_leave_gaps_and_no_broken_evidence(bench):
    bench.camera.drop(50)
    pressed_s = press_arrives(bench)
    evidence(bench, "clip", pressed_s)
    sealed = seal(bench)
    assert sealed["missing"] == []


@pytest.mark.slow
@needs(Can.CAMERA_PICTURE)
@panel(media=True)
def test_a_black_and_a_frozen_picture_are_told_though_the_stream_is_sound(bench):
    bench.camera.black()
    assert "lens covered" in why(bench.house.desk, "picture gate")
    bench.camera.well()
    bench.house.desk.no_trouble("picture gate")
    bench.camera.stand_still()
    assert "not one pixel changed" in why(bench.house.desk, "picture gate")
    press_arrives(bench)
    bench.camera.well()
    bench.button().release()
