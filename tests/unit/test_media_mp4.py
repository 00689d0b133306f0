"""Files in fragments: what they hold, and what is left of them after a cut."""

from __future__ import annotations

import io

import av
import pytest
from rigs import pictures

from firmware.media.codecs import FfmpegCodecs
from firmware.media.mp4 import FragmentedMp4, PictureTrack, Sample, playable_length
from firmware.media.nal import PictureError, decoder_of, prefixed, units_of

SOUND_HZ = 16_000


def made(codec="libx264", name="h264", *, extradata=True, b_frames=0, sound=True, parts=3):
    """A file of `parts` groups of two seconds, and the ends of its fragments."""
    extra, rows = pictures.encoded(2 * parts, codec=codec, b_frames=b_frames)
    video = pictures.video_format(extra if extradata else b"", name)
    file = FragmentedMp4(
        PictureTrack(decoder_of(video, rows[0][0]), video.width, video.height), SOUND_HZ if sound else None, 1.7e9
    )
    encoder = FfmpegCodecs().sound(SOUND_HZ)
    zero = rows[0][2]
    whole, ends = bytearray(file.header()), []
    for part in range(parts):
        shown = [
            Sample(prefixed(units_of(data)), dts - zero, 6000, pts - dts, keyframe)
            for data, pts, dts, keyframe in rows[30 * part : 30 * part + 30]
        ]
        heard = [
            Sample(encoder.encode(pictures.beep(number, SOUND_HZ, 0.0).pcm), number * 960, 960)
            for number in range(100 * part, 100 * part + 100)
        ]
        whole += file.fragment(shown, heard if sound else [])
        ends.append(len(whole))
    tail, patch = file.end()
    whole += tail
    whole[patch.offset : patch.offset + len(patch.data)] = patch.data
    return bytes(whole), ends


def decoded(data):
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(*container.streams))
    shown = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
    return shown, [frame for frame in frames if isinstance(frame, av.AudioFrame)]


@pytest.mark.parametrize(
    ("codec", "name", "b_frames"), [("libx264", "h264", 0), ("libx264", "h264", 2), ("libx265", "hevc", 0)]
)
def test_every_picture_and_sound_can_be_decoded(codec, name, b_frames):
    shown, heard = decoded(made(codec, name, b_frames=b_frames)[0])
    assert len(shown) == 90
    assert sum(frame.samples for frame in heard) >= 6 * 48_000 - 1000
    assert [frame.time for frame in shown] == sorted(frame.time for frame in shown)


def test_the_decoders_setup_is_found_inside_the_keyframe():
    shown, _ = decoded(made(extradata=False)[0])
    assert len(shown) == 90


def test_packets_with_length_prefixes_are_copied_as_they_are():
    extra, rows = pictures.encoded(2)
    record = decoder_of(pictures.video_format(extra), rows[0][0]).record
    decoder = decoder_of(pictures.video_format(record), b"")
    assert not decoder.annex_b
    assert decoder.record == record


def test_a_file_without_sound_is_whole():
    shown, heard = decoded(made(sound=False)[0])
    assert (len(shown), len(heard)) == (90, 0)


def test_a_complete_file_tells_its_length():
    with av.open(io.BytesIO(made()[0])) as container:
        assert container.duration == pytest.approx(6_000_000, abs=50_000)


def test_a_file_cut_at_any_byte_is_playable_up_to_its_last_whole_fragment():
    whole, ends = made()
    for cut in range(0, len(whole), 331):
        length = playable_length(io.BytesIO(whole[:cut]), cut)
        assert length == max([end for end in ends if end <= cut], default=0)
    shown, _ = decoded(whole[: ends[1]])
    assert len(shown) == 60


def test_a_cut_file_begins_with_a_keyframe():
    whole, ends = made()
    with av.open(io.BytesIO(whole[: ends[0]])) as container:
        first = next(container.demux(container.streams.video[0]))
    assert first.is_keyframe


@pytest.mark.parametrize("junk", [b"", b"\0" * 100, b"\xff" * 100, b"\0\0\0\x08ftyp" * 20, b"\0\0\0\0mdat"])
def test_junk_is_not_playable(junk):
    assert playable_length(io.BytesIO(junk), len(junk)) == 0


def test_a_codec_that_mp4_players_do_not_know_is_refused_by_name():
    with pytest.raises(PictureError, match="mjpeg"):
        decoder_of(pictures.video_format(b"", "mjpeg"), b"")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("keyframe", [b"", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x67\0\0\1\x68", bytes(range(256))])
def test_pictures_without_parameter_sets_are_refused(codec, keyframe):
    with pytest.raises(PictureError, match="parameter sets"):
        decoder_of(pictures.video_format(b"", codec), keyframe)


def test_units_are_cut_at_three_and_four_byte_start_codes():
    assert units_of(b"\0\0\0\1\x67\1\0\0\1\x68\2\0\0\0\1\x65\3") == [b"\x67\1", b"\x68\2", b"\x65\3"]
