"""A camera that sends pictures and does not see is found out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from firmware.media.codecs import CodecError, FfmpegCodecs, Sight
from firmware.media.glance import BLANK_LOOKS, FROZEN_LOOKS, GAPS_S, Glance
from hal.mock.picture import encode
from hal.types import VideoFormat

SIZE = (160, 90)
FORMAT = VideoFormat("h264", *SIZE, Fraction(1, 90000), b"")
GROUP_S = 2.0


class Codecs:
    """A decoder whose sights are the test's: one for each keyframe."""

    def __init__(self):
        self.decoded = 0

    def still(self, video):
        return self

    def feed(self, data):
        if data == b"damaged":
            raise CodecError("no picture")
        self.decoded += 1
        self._data = data

    def sight(self):
        kind, _, digest = self._data.partition(b" ")
        return Sight(int(digest), 16, 18 if kind == b"blank" else 235)


class Eye:
    """A glance and what it told."""

    def __init__(self):
        self.codecs = Codecs()
        self.standing = {}
        self.now_s = 0.0
        self.glance = Glance(
            "gate", self.codecs, self.standing.__setitem__, lambda source: self.standing.pop(source, "")
        )

    def show(self, pictures):
        for data in pictures:
            self.glance.see(FORMAT, data, self.now_s)
            self.now_s += GROUP_S

    def seconds(self, seconds, kind=b"scene", *, moving=True):
        start = round(self.now_s) if moving else 0
        self.show(b"%s %d" % (kind, start + number * moving) for number in range(round(seconds / GROUP_S)))


@pytest.fixture
def eye():
    return Eye()


def test_a_living_scene_is_no_trouble_and_few_pictures_are_decoded(eye):
    eye.seconds(600)
    assert eye.standing == {}
    assert eye.codecs.decoded <= 600 / min(GAPS_S)


def test_a_picture_of_one_surface_is_a_covered_lens(eye):
    eye.seconds(2 * BLANK_LOOKS * max(GAPS_S), b"blank")
    assert "is the lens covered" in eye.standing["picture gate"]


def test_a_picture_that_never_changes_is_a_hung_camera(eye):
    eye.seconds(2 * FROZEN_LOOKS * max(GAPS_S), moving=False)
    assert "not one pixel changed for" in eye.standing["picture gate"]


def test_a_flash_and_a_moment_of_dark_are_no_trouble(eye):
    eye.seconds(60)
    eye.seconds(4, b"blank")
    eye.seconds(60)
    assert eye.standing == {}


def test_the_trouble_is_over_with_the_first_picture_that_lives(eye):
    eye.seconds(120, b"blank")
    assert eye.standing
    eye.seconds(14)
    assert eye.standing == {}


def test_a_source_that_repeats_itself_every_four_seconds_lives(eye):
    eye.show(b"scene %d" % (number % 2) for number in range(600))
    assert eye.standing == {}


def test_what_cannot_be_decoded_is_no_sight(eye):
    eye.show([b"damaged"] * 100)
    assert eye.standing == {}


def test_equal_pictures_look_equal_and_others_do_not():
    loop = encode(*SIZE, 15)
    first, second = (data for data, keyframe in loop.pictures if keyframe)

    def sight(data):
        decoder = FfmpegCodecs().still(VideoFormat("h264", *SIZE, Fraction(1, 90000), loop.extradata))
        decoder.feed(data)
        return decoder.sight()

    assert sight(first) == sight(first) != sight(second)
    assert sight(first).brightest - sight(first).darkest > 100
    assert FfmpegCodecs().still(FORMAT).sight() is None
