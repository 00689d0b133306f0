"""What is uploaded when: order, window, repetition, and receivers that do not answer."""

from __future__ import annotations

import pathlib

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.core.report import ReportId
from firmware.media.items import Item
from firmware.media.outbox import NOBODY, OFFER_S, UNHEARD_S, WINDOW, WINDOW_LIVE, Outbox
from firmware.wire.media import CHUNK_BYTES, EvidenceReceipt

OLD, NEW = ReportId("booth-1", 3, 1), ReportId("booth-1", 3, 2)


def item(name="a.jpg", kind="still", *, size=100, incident=NEW, missing=("110",)):
    return Item(incident, name, kind, "gate", size, "ab" * 32, pathlib.Path(name), b"", frozenset(missing))


def receipt(of, receiver="110", sha256="ab" * 32):
    return EvidenceReceipt(of.incident, of.name, sha256, receiver)


def sent(box, now_s=0.0, reason=0):
    """Everything that goes out now, each chunk answered at once."""
    pieces = []
    while (chosen := box.next(now_s)) is not None:
        token, piece = chosen
        pieces.append(piece)
        box.answered(token, reason, now_s)
    return pieces


def names(pieces):
    return list(dict.fromkeys(piece.item.name for piece in pieces))


def test_a_file_goes_out_in_chunks_that_cover_it_exactly():
    box = Outbox()
    box.add(item(size=3 * CHUNK_BYTES + 5))
    pieces = sent(box)
    assert [piece.offset for piece in pieces] == [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES]
    assert [piece.length for piece in pieces] == [CHUNK_BYTES] * 3 + [5]


def test_the_newest_incident_goes_first_and_in_it_stills_before_clips():
    box = Outbox()
    box.add(item("old.jpg", incident=OLD))
    box.add(item("new.mp4", "clip"))
    box.add(item("new.jpg"))
    box.add(item("manifest.json", "manifest"))
    assert names(sent(box)) == ["new.jpg", "manifest.json", "new.mp4", "old.jpg"]


def test_a_still_overtakes_a_clip_that_is_on_its_way():
    box = Outbox()
    box.add(item("clip.mp4", "clip", size=100 * CHUNK_BYTES))
    token, _ = box.next(0.0)
    box.add(item("still.jpg"))
    box.answered(token, 0, 0.0)
    assert box.next(0.0)[1].item.name == "still.jpg"


def test_no_more_than_the_window_is_unanswered_and_less_beside_live_sound():
    box = Outbox()
    box.add(item("clip.mp4", "clip", size=100 * CHUNK_BYTES))
    for window in (WINDOW, WINDOW_LIVE):
        box.disconnected()
        box.window = window
        taken = 0
        while box.next(0.0) is not None:
            taken += 1
        assert taken == window
        assert box.next_deadline(0.0) == float("inf")


def test_a_confirmed_file_is_not_offered_again():
    box = Outbox()
    box.add(item())
    sent(box)
    assert box.receipt(receipt(item()), 1.0)
    assert len(box) == 0
    assert not box.receipt(receipt(item()), 1.0)


def test_a_receipt_of_another_hash_confirms_nothing():
    box = Outbox()
    box.add(item())
    sent(box)
    assert not box.receipt(receipt(item(), sha256="cd" * 32), 1.0)
    assert len(box) == 1


def test_a_file_that_one_of_two_receivers_lacks_is_offered_again_after_a_minute():
    box = Outbox()
    box.add(item(missing=("110", "station")))
    sent(box, 0.0)
    box.receipt(receipt(item(), "110"), 1.0)
    assert sent(box, OFFER_S - 1) == []
    assert box.next_deadline(1.0) == OFFER_S
    assert names(sent(box, OFFER_S)) == ["a.jpg"]


def test_a_silent_receiver_is_offered_its_smallest_file_each_minute():
    box = Outbox()
    box.add(item("small.jpg", size=10))
    box.add(item("big.mp4", "clip", size=10_000))
    sent(box, 0.0)
    for minute in range(1, 5):
        assert names(sent(box, minute * OFFER_S + minute)) == ["small.jpg"]


def test_a_receiver_that_answers_again_gets_all_that_it_lacks():
    box = Outbox()
    box.add(item("small.jpg", size=10))
    box.add(item("big.mp4", "clip", size=10_000))
    sent(box, 0.0)
    sent(box, OFFER_S)
    box.receipt(receipt(item("small.jpg")), OFFER_S + 1)
    assert names(sent(box, OFFER_S + 1)) == ["big.mp4"]


def test_a_receiver_that_answers_for_other_files_is_offered_the_missing_one_whole():
    box = Outbox()
    box.add(item("lost.mp4", "clip", size=50_000))
    sent(box, 0.0)
    box.add(item("other.jpg"))
    sent(box, 30.0)
    box.receipt(receipt(item("other.jpg")), 31.0)
    assert names(sent(box, OFFER_S)) == ["lost.mp4"]


def test_when_nobody_is_subscribed_one_chunk_in_a_while_is_tried():
    box = Outbox()
    box.add(item(size=10 * CHUNK_BYTES))
    pieces = sent(box, 0.0, NOBODY)
    assert len(pieces) == 1
    assert box.next_deadline(0.0) == UNHEARD_S
    assert sent(box, UNHEARD_S - 1) == []
    assert [piece.offset for piece in sent(box, UNHEARD_S)] == list(range(0, 10 * CHUNK_BYTES, CHUNK_BYTES))


def test_after_a_lost_connection_the_upload_goes_on_with_what_was_not_answered():
    box = Outbox()
    box.add(item(size=4 * CHUNK_BYTES))
    first, second = box.next(0.0), box.next(0.0)
    box.answered(first[0], 0, 0.0)
    assert second[1].offset == CHUNK_BYTES
    box.disconnected()
    box.connected(5.0)
    assert [piece.offset for piece in sent(box, 5.0)] == [CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES]


def test_a_new_connection_offers_again_what_was_not_confirmed():
    box = Outbox()
    box.add(item())
    sent(box, 0.0)
    box.disconnected()
    box.connected(5.0)
    assert names(sent(box, 5.0)) == ["a.jpg"]


def test_an_answer_that_comes_after_the_connection_was_lost_is_ignored():
    box = Outbox()
    box.add(item())
    token, _ = box.next(0.0)
    box.disconnected()
    box.answered(token, 0, 0.0)
    assert len(sent(box)) == 1


def test_a_file_without_a_missing_receiver_is_never_offered():
    box = Outbox()
    box.add(item(missing=()))
    assert box.next(0.0) is None
    assert box.next_deadline(0.0) == float("inf")


class ListeningDesk:
    """Takes chunks in order and confirms whole files."""

    def __init__(self, box):
        self.box, self.have = box, {}

    def take(self, piece, now_s):
        have = self.have.setdefault(piece.item.name, 0)
        if piece.offset <= have:
            self.have[piece.item.name] = max(have, piece.offset + piece.length)
        if self.have[piece.item.name] == piece.item.size:
            self.box.receipt(receipt(piece.item), now_s)


def happen(event, box, desk, now_s):
    if event == "lost":
        box.disconnected()
        box.connected(now_s)
        return
    chosen = box.next(now_s)
    if chosen is not None:
        token, piece = chosen
        if event == "ok":
            desk.take(piece, now_s)
        box.answered(token, NOBODY if event == "unheard" else 0, now_s)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["lost", "drop", "unheard", "ok"]), max_size=60), st.sampled_from([0.1, 7.0, 70.0]))
def test_whatever_happens_every_file_reaches_a_receiver_that_listens_in_the_end(story, pause_s):
    box, now_s = Outbox(), 0.0
    desk = ListeningDesk(box)
    for file in (item("a.jpg", size=10), item("b.mp4", "clip", size=3 * CHUNK_BYTES), item("c.jpg", incident=OLD)):
        box.add(file)
    for event in story:
        now_s += pause_s
        happen(event, box, desk, now_s)
    for _ in range(8):
        now_s += OFFER_S + 1
        for piece in sent(box, now_s):
            desk.take(piece, now_s)
    assert len(box) == 0
