"""Microphones and cameras that vanish, stall and lie; the alarm does not notice."""

from __future__ import annotations

import statistics
import time

import av
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


WIDTH, HEIGHT, FIELD = 320, 180, 20
LUMA_LIMIT = 4.0
"""Of 255, for the mean of a field's inner pixels: what H.264 and JPEG may change (1.7 was seen)."""


def field(column, row):
    """The grey of a field of the chosen picture; its neighbours are far from it."""
    return 40 + (column * 53 + row * 97 + column * row * 7) % 180


def inner_means(path):
    """The mean luma of each field of a picture, without the edges that a codec rounds."""
    with av.open(str(path)) as file:
        # A JPEG's luma has the full range, a camera's has not.
        frame = next(file.decode(video=0)).reformat(format="yuv420p", dst_color_range="MPEG")
    assert (frame.width, frame.height) == (WIDTH, HEIGHT)
    plane, stride = bytes(frame.planes[0]), frame.planes[0].line_size
    inner = range(4, FIELD - 4)
    return {
        (column, row): statistics.fmean(
            plane[(row * FIELD + y) * stride + column * FIELD + x] for y in inner for x in inner
        )
        for column in range(WIDTH // FIELD)
        for row in range(HEIGHT // FIELD)
    }


@needs(Can.CAMERA_PICTURE)
@panel(media=True)
def test_a_chosen_picture_is_what_arrives_as_evidence(bench, measure):
    luma = bytes(field(x // FIELD, y // FIELD) for y in range(HEIGHT) for x in range(WIDTH))
    bench.camera.show(luma, WIDTH, HEIGHT)
    pressed_s = press_arrives(bench)
    # The first may still have been taken before the picture had come through.
    stills = [evidence(bench, "still", pressed_s)]
    stills.append(evidence(bench, "still", stills[0].at_s + 0.001))
    means = inner_means(stills[-1]["evidence"])
    worst = max(abs(mean - field(*place)) for place, mean in means.items())
    measure("luma of a still against the picture that the camera saw", worst, "of 255", limit=LUMA_LIMIT)


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
