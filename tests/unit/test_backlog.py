import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.journals import make_report

from firmware.adapters.backlog import AGAIN_S, EventIndex, Slot
from firmware.adapters.ring_format import Place


def place(seq):
    return Place(9, seq * 100, 100)


class Bench:
    def __init__(self):
        self.now = 5.0
        self.on_disk = {}
        self.index = EventIndex(self.on_disk.get, lambda: self.now)
        self.slots = {}

    def add(self, *seqs):
        for seq in seqs:
            self.slots[seq] = Slot((1, seq), None, make_report(1, seq, "RR"))
        self.index.add([self.slots[seq] for seq in seqs])

    def write(self, *seqs):
        for seq in seqs:
            self.on_disk[place(seq)] = make_report(1, seq, "RR")
            self.index.written(self.slots[seq], place(seq))

    def take(self, limit=99):
        return [report.id.seq for report in self.index.take(limit)]

    def done(self, *seqs):
        self.index.done([make_report(1, seq).id for seq in seqs])


@pytest.fixture
def bench():
    return Bench()


def test_the_oldest_come_first_and_each_once(bench):
    bench.add(1, 2, 3)
    assert [bench.take(2), bench.take(2), bench.take(2)] == [[1, 2], [3], []]


def test_what_is_given_back_waits_again_before_everything_younger(bench):
    bench.add(1, 2, 3)
    bench.take(2)
    bench.add(4)
    bench.index.give_back()
    assert bench.take() == [1, 2, 3, 4]


def test_what_is_done_does_not_come_back(bench):
    bench.add(1, 2, 3)
    bench.take(3)
    bench.done(2)
    bench.index.give_back()
    assert bench.take() == [1, 3]
    assert bench.index.take_done() == [(1, 2)]


def test_a_late_acknowledgement_counts_after_the_path_went_down(bench):
    bench.add(1, 2)
    bench.take(2)
    bench.index.give_back()
    bench.done(1)
    assert bench.take() == [2]


def test_done_for_strangers_or_twice_changes_nothing(bench):
    bench.add(1, 2)
    bench.take(1)
    bench.done(1, 1, 77)
    bench.done(1, 2)
    assert bench.index.take_done() == [(1, 1)]
    assert bench.take() == [2]


def test_the_first_done_sets_the_hour(bench):
    bench.add(1, 2)
    bench.take()
    assert bench.index.done_since is None
    bench.done(1)
    bench.now = 6.0
    bench.done(2)
    assert bench.index.done_since == 5.0
    bench.index.take_done()
    assert bench.index.done_since is None


def test_what_is_on_disk_is_read_back_when_it_is_taken(bench):
    bench.add(1, 2)
    bench.write(1, 2)
    assert bench.slots[1].report is None
    assert bench.take() == [1, 2]


def test_what_is_taken_stays_in_memory_though_it_is_written_meanwhile(bench):
    bench.add(1)
    bench.take()
    bench.write(1)
    bench.on_disk.clear()
    bench.index.give_back()
    assert bench.take() == [1]


def test_what_cannot_be_read_back_is_passed_over_and_told(bench):
    bench.add(1, 2, 3)
    bench.write(1, 2, 3)
    del bench.on_disk[place(2)]
    assert bench.take() == [1, 3]
    assert bench.index.take_unreadable() == [(1, 2)]
    assert bench.index.take_unreadable() == []


def test_older_reports_come_before_what_waits(bench):
    bench.add(5)
    older = [Slot((1, seq), None, make_report(1, seq, "RR")) for seq in (1, 2)]
    bench.index.add_older(older)
    assert bench.take() == [1, 2, 5]


def test_older_reports_come_before_what_was_taken_before_they_were_found(bench):
    bench.add(5)
    bench.take()
    bench.index.add_older([Slot((1, 1), None, make_report(1, 1, "RR"))])
    bench.index.give_back()
    assert bench.take() == [1, 5]


def test_dropping_a_segment_takes_only_what_waits_there(bench):
    bench.add(1, 2, 3)
    bench.take(1)
    bench.write(1, 2)
    dropped = bench.index.drop_up_to(9)
    assert [slot.key for slot in dropped] == [(1, 2)]
    bench.on_disk.clear()
    bench.index.give_back()
    assert bench.index.drop_up_to(9) == []
    assert bench.take() == [1, 3]


def test_a_finished_report_is_not_sent_whether_it_waits_or_was_taken(bench):
    bench.add(1, 2, 3)
    bench.take(1)
    for seq in (1, 2):
        assert bench.index.finish(make_report(1, seq).id)
    assert not bench.index.finish(make_report(1, 2).id)
    bench.index.give_back()
    assert bench.take() == [3]
    assert bench.index.take_done() == [(1, 1), (1, 2)]


def test_the_count_of_what_waits_leaves_out_what_is_taken_or_gone(bench):
    bench.add(1, 2, 3, 4)
    bench.take(1)
    bench.index.drop([bench.slots[3]])
    assert bench.index.waiting == 2


# ── what a path's far end does not take ────────────────────────────────────────────────────────────────────────────


class Two:
    """A backlog that two paths share."""

    def __init__(self, bench, *names):
        self.woken = 0
        self.bench = bench
        self.paths = {name: bench.index.share(name, self.wake) for name in names}

    def wake(self):
        self.woken += 1

    def take(self, name, limit=1, *, leads=True):
        return [report.id.seq for report in self.paths[name].take(limit, leads=leads)]

    def pass_on(self, name, seq, *, for_good=False):
        self.paths[name].pass_on(make_report(1, seq).id, for_good=for_good)

    def done(self, name, seq):
        self.paths[name].done([make_report(1, seq).id])


@pytest.fixture
def two(bench):
    return Two(bench, "dial", "main")


def test_what_one_path_passes_on_waits_behind_the_others_for_the_next_which_is_woken(bench, two):
    bench.add(1, 2)
    assert two.take("dial") == [1]
    two.pass_on("dial", 1)
    assert two.woken == 1
    assert two.take("dial") == [2]
    assert two.take("dial") == []
    assert two.take("main", 9, leads=False) == [1]
    two.done("main", 1)
    two.done("dial", 2)
    assert bench.index.take_done() == [(1, 1), (1, 2)]


def test_a_path_that_rests_gets_nothing_else(bench, two):
    bench.add(1, 2)
    assert two.take("main", leads=False) == []


def test_what_a_path_took_of_another_waits_aside_again_when_that_breaks(bench, two):
    bench.add(1, 2)
    two.take("dial")
    two.pass_on("dial", 1)
    assert two.take("main", leads=False) == [1]
    two.paths["main"].give_back()
    assert two.take("dial") == [2]
    assert two.take("main", leads=False) == [1]


def test_a_path_gives_back_its_own_and_nothing_of_another(bench, two):
    bench.add(1, 2)
    two.take("dial")
    two.take("main")
    two.paths["main"].give_back()
    assert two.take("dial", 9) == [2]


def test_alone_a_path_is_offered_one_in_a_quarter_of_an_hour_and_all_once_one_was_taken(bench):
    one = Two(bench, "dial")
    bench.add(1, 2, 3)
    for seq in (1, 2, 3):
        assert one.take("dial") == [seq]
        one.pass_on("dial", seq)
    bench.now += AGAIN_S - 1
    assert one.take("dial") == []
    bench.now += 1
    assert one.take("dial", 9) == [1]
    assert one.take("dial") == []
    one.pass_on("dial", 1)
    assert one.take("dial") == []
    bench.now += AGAIN_S
    assert one.take("dial") == [2]
    one.done("dial", 2)
    assert [one.take("dial"), one.take("dial"), one.take("dial")] == [[3], [1], []]


def test_younger_reports_come_before_one_that_is_offered_again(bench):
    one = Two(bench, "dial")
    bench.add(1)
    one.take("dial")
    one.pass_on("dial", 1)
    bench.now += AGAIN_S
    bench.add(2)
    assert one.take("dial", 9) == [2, 1]


def test_of_no_use_here_goes_to_the_next_path_and_is_done_where_there_is_none(bench, two):
    bench.add(1)
    two.take("dial")
    two.pass_on("dial", 1, for_good=True)
    assert bench.index.take_done() == []
    bench.now += 10 * AGAIN_S
    assert two.take("dial") == []
    assert two.take("main", leads=False) == [1]
    two.pass_on("main", 1, for_good=True)
    assert bench.index.take_done() == [(1, 1)]
    assert bench.index.waiting == 0


def test_what_waits_aside_can_be_acknowledged_late_finished_or_dropped(bench, two):
    bench.add(1, 2, 3, 4)
    bench.write(1, 2, 3, 4)
    for seq in (1, 2, 3):
        two.take("dial")
        two.pass_on("dial", seq)
    assert bench.index.waiting == 4
    two.done("dial", 1)
    assert bench.index.finish(make_report(1, 2).id)
    assert [slot.key for slot in bench.index.drop_up_to(9)] == [(1, 4), (1, 3)]
    assert bench.index.take_done() == [(1, 1), (1, 2)]
    assert bench.index.keys() == set()
    assert two.take("main", 9) == []


def test_what_waits_aside_need_not_stay_in_memory(bench, two):
    bench.add(1)
    bench.write(1)
    two.take("dial")
    two.pass_on("dial", 1)
    assert bench.slots[1].report is None
    assert two.take("main", leads=False) == [1]


def test_only_who_holds_a_report_can_pass_it_on(bench, two):
    bench.add(1)
    two.take("dial")
    two.pass_on("main", 1, for_good=True)
    two.done("dial", 1)
    two.pass_on("dial", 1)
    assert two.take("main", 9) == []


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from("atdgw"), max_size=60))
def test_nothing_is_lost_or_sent_out_of_order(rng: random.Random, deeds):
    bench = Bench()
    waiting, taken, seq = [], [], 0
    for deed in deeds:
        if deed == "a":
            seq += 1
            bench.add(seq)
            waiting.append(seq)
        elif deed == "w" and waiting:
            bench.write(rng.choice(waiting))
        elif deed == "t":
            batch = bench.take(rng.randint(1, 4))
            assert batch == waiting[: len(batch)]
            del waiting[: len(batch)]
            taken += batch
        elif deed == "d" and taken:
            bench.done(taken.pop(rng.randrange(len(taken))))
        elif deed == "g":
            bench.index.give_back()
            waiting, taken = taken + waiting, []
    assert bench.index.waiting == len(waiting)
    bench.index.give_back()
    assert bench.take() == taken + waiting
