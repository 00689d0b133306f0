import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.core.codes import CODES
from firmware.core.report import SEQ_MAX, Mark, Report, ReportId, Step
from firmware.wire.stored import StoredError, pack_gap, pack_mark, pack_report, unpack_gap, unpack_mark, unpack_report
from hal.types import Instant

texts = st.text(max_size=40)
numbers = st.integers(0, SEQ_MAX)
ids = st.builds(ReportId, texts, numbers, numbers)
times = st.floats(allow_nan=False, allow_infinity=False)
instants = st.builds(Instant, times, times, st.booleans())
scalars = texts | st.integers(-SEQ_MAX, SEQ_MAX) | st.booleans()
reports = st.builds(
    Report,
    ids,
    st.sampled_from(sorted(CODES)),
    instants,
    texts,
    st.none() | ids,
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(texts, scalars), max_size=4).map(tuple),
)
marks = st.builds(Mark, ids, st.sampled_from(Step), texts, texts, instants, texts)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=14) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)

ONE = Report(ReportId("p1", 7, 9), "PA", Instant(1.5, 1.79e9, synced=True), "booth", detail=(("n", 3), ("on", True)))
MARK = Mark(ReportId("p1", 7, 9), Step.ACCEPTED, "110", "Wang", Instant(2.5, 1.79e9, synced=False))


@given(reports)
def test_a_report_comes_back_as_it_was(report):
    assert unpack_report(pack_report(report)) == report


@given(marks)
def test_a_mark_comes_back_as_it_was(mark):
    assert unpack_mark(pack_mark(mark)) == mark


@given(ids, ids, numbers)
def test_a_gap_comes_back_as_it_was(first, last, count):
    assert unpack_gap(pack_gap(first, last, count)) == (first, last, count)


def test_a_lone_surrogate_in_a_reason_does_not_stop_a_report():
    report = Report(ONE.id, "PR", ONE.raised, detail=(("reason", "\ud800"),))
    assert unpack_report(pack_report(report)) == report


@given(reports)
def test_stored_bytes_are_plain_ascii(report):
    assert pack_report(report).isascii()


@given(json_values)
def test_any_other_json_is_refused_by_name(value):
    data = json.dumps(value).encode()
    for unpack in (unpack_report, unpack_mark, unpack_gap):
        with pytest.raises(StoredError):
            unpack(data)


@given(st.binary(max_size=60))
def test_rubbish_is_refused_by_name(data):
    for unpack in (unpack_report, unpack_mark, unpack_gap):
        with pytest.raises(StoredError):
            unpack(data)


@given(st.integers(0, 12), json_values)
def test_a_report_with_one_wrong_element_is_refused_or_still_a_sound_report(place, value):
    row = json.loads(pack_report(ONE))
    row[place] = value
    try:
        report = unpack_report(json.dumps(row).encode())
    except StoredError:
        return
    assert unpack_report(pack_report(report)) == report


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, 2, "version 2, this firmware reads version 1"),
        (2, -1, "whole number"),
        (2, 2**53, "whole number"),
        (2, True, "whole number"),
        (4, "ZZ", "code 'ZZ'"),
        (5, "soon", "no time"),
        (7, 1, "synced is no bool"),
        (8, 5, "zone is no str"),
        (9, [1], "array of 3"),
        (10, "yes", "covert is no bool"),
        (12, [["a", 1.5]], "no detail"),
    ],
)
def test_the_refusal_says_what_is_wrong(place, value, words):
    row = json.loads(pack_report(ONE))
    row[place] = value
    with pytest.raises(StoredError, match=words.replace("(", r"\(")):
        unpack_report(json.dumps(row).encode())


def test_a_mark_of_a_version_that_kept_no_path_is_read_and_written_as_it_was():
    old = b'[1,"p1",7,9,"accepted","110","Wang",2.5,1790000000.0,false]'
    assert unpack_mark(old) == MARK
    assert pack_mark(MARK) == old


@pytest.mark.parametrize("more", [[5], ["main", "spare"]])
def test_a_mark_whose_path_is_none_is_refused(more):
    row = [*json.loads(pack_mark(MARK)), *more]
    with pytest.raises(StoredError):
        unpack_mark(json.dumps(row).encode())


def test_a_mark_of_an_unknown_step_is_refused():
    row = json.loads(pack_mark(MARK))
    row[4] = "teleported"
    with pytest.raises(StoredError, match="teleported"):
        unpack_mark(json.dumps(row).encode())


def test_brackets_without_end_are_refused():
    with pytest.raises(StoredError):
        unpack_report(b"[" * 100_000)
