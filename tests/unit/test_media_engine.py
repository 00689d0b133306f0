"""The engine in virtual time: what of an incident is kept, when, and what goes out live."""

from __future__ import annotations

import itertools

import pytest
from rigs import pictures
from rigs.media import INCIDENT, Bench, FakeCodecs, FakeEncoder

from firmware.core.facts import Trouble, TroubleOver
from firmware.core.report import SEQ_MAX, ReportId
from firmware.media.codecs import CodecError
from firmware.media.engine import INCIDENTS_MAX
from firmware.wire import media
from hal.types import VideoFormat


def other(number):
    return ReportId("booth-1", 3, number)


def test_nothing_is_written_or_sent_before_an_incident():
    bench = Bench()
    bench.run(15)
    assert (bench.sink.files, bench.sink.live, bench.sink.runs) == ({}, [], [])
    assert bench.engine.next_deadline() == float("inf")


def test_the_first_still_comes_within_a_second_and_then_one_a_second():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(4.5)
    stills = bench.sink.named("still")
    assert len(stills) == 5
    kept = sorted(at for key, at in bench.sink.kept_s.items() if "still" in key[1])
    assert kept[0] - 1015.0 < 1.0
    assert [round(kept[0] + number, 1) for number in range(5)] == pytest.approx(kept, abs=0.15)


def test_names_sort_by_time_also_when_the_clock_began_anew_in_between():
    files = {}
    for epoch, start_s in ((999, 5000.0), (1_795_344_389, 10.0), (1_795_344_390, 1000.0), (2**47, 7.0)):
        bench = Bench(cameras=("yard", "gate"), epoch=epoch, start_s=start_s)
        bench.run(8)
        bench.capture()
        bench.run(3)
        files |= {name: (epoch, round(file.first_s * 1000)) for (_, name), file in bench.sink.files.items()}
    times = [files[name] for name in sorted(files)]
    assert len(times) >= 12
    assert times == sorted(times)


def test_the_longest_name_is_one_that_the_wire_takes():
    camera = "c" * 32
    bench = Bench(cameras=(camera,), epoch=SEQ_MAX, start_s=1e10)
    bench.run(8)
    bench.capture()
    bench.run(1)
    assert bench.sink.files
    for _, name in bench.sink.files:
        assert media.file_name(name) == name


def test_a_still_shows_the_newest_picture():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(0.2)
    (still,) = bench.sink.named("still")
    assert 1014.8 < still.first_s <= 1015.0


def test_stills_end_after_their_time_and_the_clip_goes_on():
    bench = Bench(stills_s=2.0)
    bench.run(15)
    bench.capture()
    bench.run(8)
    assert len(bench.sink.named("still")) == 3
    assert len(bench.sink.named("clip")) == 2


def test_the_clip_holds_the_pre_roll_and_begins_with_a_keyframe():
    bench = Bench(real=True)
    bench.run(15)
    bench.capture()
    bench.run(2)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    (clip,) = bench.sink.named("clip")
    assert 10.0 <= 1015.0 - clip.first_s <= 12.1
    with clip.container() as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    assert packets[0].is_keyframe
    assert len(packets) / pictures.RATE_HZ == pytest.approx(1017.0 - clip.first_s, abs=0.2)


def test_a_new_clip_begins_where_the_old_one_ends():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(21)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    clips = bench.sink.named("clip")
    assert len(clips) == 4
    for clip, following in itertools.pairwise(clips):
        assert following.first_s == pytest.approx(clip.last_s, abs=1e-3)
    assert 1021.0 <= clips[0].last_s <= 1023.1


def test_clips_share_pictures_and_sound_without_loss_or_repetition():
    bench = Bench(real=True)
    bench.run(15)
    bench.capture()
    bench.run(15)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    shown = heard = 0
    for clip in bench.sink.named("clip"):
        with clip.container() as container:
            sizes = [(packet.stream.type, packet.size) for packet in container.demux() if packet.size]
        shown += sum(1 for kind, _ in sizes if kind == "video")
        heard += sum(1 for kind, _ in sizes if kind == "audio")
    first_s = bench.sink.named("clip")[0].first_s
    assert shown == pytest.approx((1030.0 - first_s) * pictures.RATE_HZ, abs=2)
    assert heard == pytest.approx((1030.0 - first_s) * 50, abs=4)


def test_live_sound_is_continuous_from_the_capture_to_the_seal():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(3)
    bench.engine.seal(INCIDENT)
    bench.run(2)
    frames = [live.frame for live in bench.sink.live]
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert len(frames) == pytest.approx(150, abs=3)
    assert {after.mono_ms - before.mono_ms for before, after in itertools.pairwise(frames)} == {20}
    assert 1014.9 <= frames[0].mono_ms / 1000 <= 1015.1
    assert bench.sink.runs == [True, False]


def test_live_sound_never_waits_for_the_pre_roll():
    bench = Bench(pre_roll_s=30.0)
    bench.run(32)
    bench.capture()
    bench.run(0.1)
    assert len(bench.sink.live) >= 4


def test_the_capture_ends_by_itself_at_its_until():
    bench = Bench()
    bench.run(15)
    bench.capture(until_s=1018.0)
    bench.run(10)
    assert bench.sink.ended == [INCIDENT]
    assert bench.sink.named("clip")[0].last_s == pytest.approx(1018.0, abs=0.2)
    assert not bench.engine.capturing


def test_the_capture_ends_at_the_configured_limit_whatever_was_ordered():
    bench = Bench(capture_s=4.0)
    bench.run(15)
    bench.capture(until_s=5000.0)
    bench.run(10)
    assert bench.sink.ended == [INCIDENT]


def test_a_capture_ordered_again_only_moves_its_end():
    bench = Bench()
    bench.run(15)
    bench.capture(until_s=1017.0)
    bench.run(1)
    bench.capture(until_s=1020.0)
    bench.run(3)
    assert bench.sink.ended == []
    bench.run(5)
    assert bench.sink.ended == [INCIDENT]
    assert len(bench.sink.begun) == 1


def test_a_sealed_incident_is_not_opened_again():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(1)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    bench.capture()
    bench.run(1)
    assert len(bench.sink.begun) == 1
    assert bench.sink.ended == [INCIDENT, INCIDENT]


def test_the_seal_of_an_incident_that_nobody_captured_is_passed_on():
    bench = Bench()
    bench.engine.seal(INCIDENT)
    assert bench.sink.ended == [INCIDENT]


def test_a_seal_right_after_the_capture_keeps_the_whole_pre_roll_with_its_sound():
    bench = Bench(real=True)
    bench.run(15)
    bench.capture()
    bench.engine.seal(INCIDENT)
    bench.run(1)
    (clip,) = bench.sink.named("clip")
    with clip.container() as container:
        heard = sum(1 for packet in container.demux(container.streams.audio[0]) if packet.size)
    assert heard == pytest.approx((1015.0 - clip.first_s) * 50, abs=4)


def test_several_incidents_have_their_own_files_and_live_sound():
    bench = Bench()
    bench.run(15)
    bench.capture(other(1))
    bench.run(2)
    bench.capture(other(2))
    bench.run(2)
    bench.engine.seal(other(1))
    bench.run(2)
    first, second = bench.sink.named("clip", other(1)), bench.sink.named("clip", other(2))
    assert first[0].last_s == pytest.approx(1019.0, abs=0.2)
    assert second[0].last_s is None
    assert second[0].first_s > first[0].first_s
    assert next(live.frame.number for live in bench.sink.live if live.incident == other(2)) == 0


def test_incidents_share_one_encoder_a_frame(monkeypatch):
    made = []
    monkeypatch.setattr(FakeCodecs, "sound", lambda self, rate: made.append(FakeEncoder()) or made[-1])
    bench = Bench(pre_roll_s=10.0)
    bench.run(20)
    for number in range(8):
        bench.capture(other(number))
        bench.run(0.5)
    bench.run(2)
    frames = (10 + 3 + 8 * 0.5 + 2) * 50
    assert sum(encoder.heard for encoder in made) < frames * 1.1


def test_more_incidents_than_there_is_room_for_are_refused_by_name_of_the_limit():
    bench = Bench()
    bench.run(12)
    for number in range(INCIDENTS_MAX + 1):
        bench.capture(other(number))
    bench.run(1)
    assert len(bench.sink.begun) == INCIDENTS_MAX
    (trouble,) = bench.facts
    assert isinstance(trouble, Trouble)
    assert trouble.source == "media"
    assert str(INCIDENTS_MAX) in trouble.why
    assert "booth-1/3" not in trouble.why


def test_without_a_camera_the_sound_has_a_file_of_its_own():
    bench = Bench(cameras=(), real=True)
    bench.run(15)
    bench.capture()
    bench.run(8)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    sounds = bench.sink.named("sound")
    assert [sound.source for sound in sounds] == ["microphone"] * 2
    assert sounds[0].first_s == pytest.approx(1005.0, abs=0.05)
    assert sounds[1].first_s == pytest.approx(sounds[0].last_s, abs=0.05)
    with sounds[0].container() as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard / 48_000 == pytest.approx(16.0, abs=0.1)


def test_without_a_microphone_there_are_pictures_alone():
    bench = Bench(sound=False, real=True)
    bench.run(15)
    bench.capture()
    bench.run(2)
    bench.engine.seal(INCIDENT)
    bench.run(1)
    assert bench.sink.live == []
    (clip,) = bench.sink.named("clip")
    with clip.container() as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_camera_that_is_dead_at_the_alarm_leaves_the_sound():
    bench = Bench()
    bench.cameras = []
    bench.run(15)
    bench.capture()
    bench.run(2)
    assert len(bench.sink.named("sound")) == 1
    assert bench.sink.named("still") == []


def test_a_camera_that_dies_in_a_clip_leaves_its_sound_and_then_sound_alone():
    bench = Bench(clip_s=4.0)
    bench.run(15)
    bench.capture()
    bench.run(2)
    bench.cameras = []
    bench.run(20)
    bench.engine.seal(INCIDENT)
    bench.run(2)
    (clip,) = bench.sink.named("clip")
    sounds = bench.sink.named("sound")
    assert clip.last_s == pytest.approx(1029.0, abs=0.3)
    assert sounds[0].first_s == pytest.approx(clip.last_s, abs=0.1)
    assert sounds[-1].last_s == pytest.approx(1037.0, abs=0.1)


def test_a_camera_that_comes_back_begins_a_clip():
    bench = Bench()
    bench.cameras = []
    bench.run(15)
    bench.capture()
    bench.run(2)
    bench.cameras = ["gate"]
    bench.run(4)
    assert len(bench.sink.named("clip")) == 1
    assert bench.sink.named("still")


def test_no_still_is_made_twice_of_one_picture():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(0.5)
    bench.cameras = []
    bench.run(4)
    assert len(bench.sink.named("still")) <= 2


def test_two_cameras_have_their_own_clips_and_stills():
    bench = Bench(cameras=("gate", "yard"))
    bench.run(15)
    bench.capture()
    bench.run(3)
    for kind in ("clip", "still"):
        assert {kept.source for kept in bench.sink.named(kind)} == {"gate", "yard"}


def test_pictures_of_another_size_go_into_another_file():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(1)
    fresh = pictures.video_format(bench.extradata)
    bench.engine.on_format("gate", VideoFormat("h264", 320, 240, fresh.time_base, fresh.extradata))
    bench.run(3)
    clips = bench.sink.named("clip")
    assert len(clips) == 2
    assert clips[0].last_s == pytest.approx(1016.0, abs=0.2)


def test_a_camera_of_an_unknown_codec_is_a_trouble_and_the_sound_stays():
    bench = Bench()
    bench.engine.on_format("gate", pictures.video_format(b"", "mjpeg"))
    bench.run(15)
    bench.capture()
    bench.run(2)
    assert any(
        isinstance(fact, Trouble) and fact.source == "camera gate" and "mjpeg" in fact.why for fact in bench.facts
    )
    assert bench.sink.named("sound")


def test_a_sound_encoder_that_fails_is_a_trouble_and_the_pictures_stay(monkeypatch):
    def refuse(self, pcm):
        raise CodecError("no more Opus")

    bench = Bench()
    bench.run(15)
    monkeypatch.setattr(FakeEncoder, "encode", refuse)
    bench.capture()
    bench.run(8)
    bench.engine.seal(INCIDENT)
    bench.run(6)
    assert Trouble("microphone", "no more Opus") in bench.facts
    assert bench.sink.named("clip")[0].last_s is not None
    assert bench.sink.ended == [INCIDENT]


def test_a_microphone_that_falls_silent_does_not_hold_the_pictures_up():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(1)
    bench.sound = False
    bench.run(9)
    (clip, *_) = bench.sink.named("clip")
    assert clip.last_s is not None


def test_names_that_an_incident_already_has_are_not_used_again():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(1)
    names = frozenset(name for _, name in bench.sink.files)
    again = Bench()
    again.engine.know({INCIDENT: names}, frozenset())
    again.run(15)
    again.capture(again=True)
    again.run(1)
    assert not names & {name for _, name in again.sink.files}
    assert again.sink.begun[0].again


def test_without_a_pre_roll_the_clip_begins_with_the_group_of_the_alarm():
    bench = Bench(pre_roll_s=0.0)
    bench.run(15)
    bench.capture()
    bench.run(1)
    (clip,) = bench.sink.named("clip")
    assert 1013.0 <= clip.first_s <= 1015.0


def test_closing_ends_every_file_but_no_incident():
    bench = Bench()
    bench.run(15)
    bench.capture()
    bench.run(1)
    bench.engine.close()
    assert bench.sink.named("clip")[0].last_s is not None
    assert bench.sink.ended == []


def test_troubles_of_a_codec_are_over_when_it_works_again(monkeypatch):
    bench = Bench()
    bench.run(15)
    with monkeypatch.context() as broken:
        broken.setattr(FakeEncoder, "encode", lambda self, pcm: (_ for _ in ()).throw(CodecError("stuck")))
        bench.capture()
        bench.run(0.5)
    bench.run(0.5)
    assert [type(fact) for fact in bench.facts] == [Trouble, TroubleOver]
