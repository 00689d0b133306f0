"""What the simulated world is made of: clocks, network, actors without threads, disk."""

from __future__ import annotations

import errno
import math
import os
import random

import pytest

from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, PipeError, Ready
from firmware.config import PathConfig
from firmware.core.facts import Trouble
from firmware.sim.clock import BOOT_S, BoardClock, WorldClock
from firmware.sim.crew import InlineCrew
from firmware.sim.disk import PowerLost, SimDisk
from firmware.sim.events import Log
from firmware.sim.network import Broker, SimPipe, matches

# ── clocks ──


def test_a_board_begins_its_monotonic_time_anew_with_the_power():
    world = WorldClock()
    clock = BoardClock(world)
    world.now_s = 0.1 + 0.2
    before = clock.now()
    clock.power_on()
    after = clock.now()
    assert after.mono_s == BOOT_S < before.mono_s
    assert after.utc_s == before.utc_s
    world.now_s = clock.world_s(7.7)
    assert clock.now().mono_s >= 7.7
    assert clock.world_s(math.inf) == math.inf


def test_what_is_due_together_happens_in_the_order_of_the_calendar():
    world, done = WorldClock(), []
    for name in "abc":
        world.at(1.0, lambda name=name: done.append(name))
    world.now_s = 1.0
    assert world.run_due()
    assert done == ["a", "b", "c"]
    assert not world.run_due()


# ── network ──


class Listener:
    def __init__(self):
        self.present = True
        self.got = []

    def wants(self, topic):
        return topic == "t"

    def take(self, broker, topic, payload, *, retained):
        self.got.append((payload, retained))


class Net:
    """A broker with one listener and a pipe to it."""

    def __init__(self):
        self.world = WorldClock()
        self.broker = Broker("main", self.world, Log(self.world))
        self.listener = Listener()
        self.broker.subscribers.append(self.listener)
        self.pipe = SimPipe(PathConfig("main", "host"), self.broker, BoardClock(self.world))

    def open(self):
        self.pipe.open(("back/+",), Letter("t", b"will"))
        return self.wait(1)

    def wait(self, seconds):
        end_s, events = self.world.now_s + seconds, []
        while self.world.next_s() <= end_s:
            self.world.now_s = self.world.next_s()
            self.world.run_due()
            events += self.pipe.drive()
        self.world.now_s = end_s
        return events + self.pipe.drive()


@pytest.fixture
def net():
    return Net()


def test_a_publication_is_answered_and_handed_on(net):
    assert [type(event) for event in net.open()] == [Ready]
    net.pipe.publish(1, Letter("t", b"a"))
    assert net.wait(1) == [Answered(1, 0, "")]
    assert net.listener.got == [(b"a", False)]


@pytest.mark.parametrize(("mode", "reason", "got"), [("forgets", 0x10, 0), ("nacks", 0x97, 0), ("loses", 0, 0)])
def test_a_broker_misbehaves_as_it_is_told(net, mode, reason, got):
    net.open()
    net.broker.set_mode(mode)
    net.pipe.publish(1, Letter("t", b"a"))
    (answer,) = net.wait(1)
    assert (answer.token, answer.reason) == (1, reason)
    assert len(net.listener.got) == got


def test_a_vanished_connection_says_nothing_until_the_keep_alive_and_stays_dead(net):
    net.open()
    net.broker.set_link("blackhole")
    net.pipe.publish(1, Letter("t", b"a"))
    assert net.wait(5) == []
    net.broker.set_link("up")
    net.pipe.publish(2, Letter("t", b"b"))
    events = net.wait(60)
    assert [type(event) for event in events] == [Lost]
    assert net.listener.got == [(b"will", False)]
    assert [type(event) for event in net.open()] == [Ready]


def test_a_link_that_is_down_and_a_broker_that_does_not_run_refuse_at_once(net):
    net.open()
    net.broker.set_link("down")
    assert [type(event) for event in net.wait(1)] == [Lost]
    with pytest.raises(PipeError, match="unreachable"):
        net.pipe.open((), None)
    net.broker.set_link("up")
    net.broker.set_mode("down")
    with pytest.raises(PipeError, match="refused"):
        net.pipe.open((), None)


def test_goodbye_keeps_the_will_back_and_silence_does_not(net):
    net.open()
    net.pipe.close(orderly=True)
    net.wait(60)
    assert net.listener.got == []
    net.open()
    net.pipe.close()
    net.wait(60)
    assert net.listener.got == [(b"will", False)]


def test_what_a_receiver_sends_reaches_who_subscribed(net):
    net.open()
    net.broker.from_receiver("back/110", b"r")
    net.broker.from_receiver("elsewhere/110", b"r")
    assert net.wait(1) == [Incoming("back/110", b"r")]


def test_what_was_given_up_brings_nothing_more(net):
    net.open()
    net.pipe.publish(1, Letter("t", b"a"))
    net.pipe.close()
    assert net.wait(60) == []


def test_what_was_retained_is_told_to_who_comes_back(net):
    net.open()
    net.pipe.publish(1, Letter("t", b"state", retain=True))
    net.wait(1)
    net.broker.set_mode("forgets")
    net.wait(1)
    net.broker.set_mode("up")
    net.wait(2)
    assert net.listener.got == [(b"state", False), (b"state", True)]


def test_topic_filters():
    assert matches("a/+/c", "a/b/c")
    assert matches("a/#", "a/b/c")
    assert not matches("a/+", "a/b/c")
    assert not matches("a/b", "a/c")


# ── actors without threads ──


class Worker:
    name = "worker"

    def __init__(self):
        self.done = []
        self.due_s = math.inf

    def handle(self, order):
        if order == "bad":
            raise ValueError(order)
        self.done.append(order)

    def tick(self):
        self.done.append("tick")
        self.due_s = math.inf

    def next_deadline(self):
        return self.due_s

    def close(self):
        self.done.append("closed")


@pytest.fixture
def crew():
    world = WorldClock()
    made = InlineCrew(BoardClock(world), (posted := []).append, (defects := []).append)
    made.world, made.posted, made.defects = world, posted, defects
    return made


def test_orders_wait_for_the_start_and_for_a_slow_actor(crew):
    worker = Worker()
    seat = crew.take_on(worker)
    seat.put(1)
    assert not crew.step()
    crew.start()
    assert crew.step()
    seat.lag_s = 3.0
    seat.put(2)
    seat.put(3)
    crew.touch()
    assert not crew.step()
    crew.world.now_s = 3.0
    assert crew.step()
    assert worker.done == [1, 2]
    assert crew.next_s() == BOOT_S + 6.0


def test_an_actor_that_hangs_does_nothing_and_keeps_its_orders(crew):
    worker = Worker()
    seat = crew.take_on(worker)
    crew.start()
    seat.hung = True
    seat.put(1)
    worker.due_s = 0.0
    crew.touch()
    assert not crew.step()
    assert crew.next_s() == math.inf
    seat.hurry()
    crew.touch()
    assert crew.step()
    assert worker.done == [1, "tick"]


def test_an_exception_is_a_defect_and_a_trouble_and_no_end(crew):
    seat = crew.take_on(Worker())
    crew.start()
    seat.put("bad")
    seat.put("good")
    crew.step()
    assert crew.posted == [Trouble("adapter worker", "ValueError: bad")]
    assert "ValueError: bad" in crew.defects[0]
    assert seat.actor.done == ["good"]


def test_the_end_lets_everybody_finish(crew):
    seat = crew.take_on(Worker())
    crew.start()
    seat.lag_s = 100.0
    seat.put(1)
    crew.stop()
    assert seat.actor.done == [1, "closed"]


# ── the disk ──


@pytest.fixture
def card(tmp_path):
    sim = SimDisk(random.Random(1))
    disk = sim.disk()
    fd = disk.open(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT, 0o600)
    disk.pwrite(fd, bytes(4096), 0)
    return sim, disk, fd


@pytest.mark.parametrize(
    ("mode", "offset", "code"),
    [("full", 4096, errno.ENOSPC), ("eio", 0, errno.EIO), ("readonly", 0, errno.EROFS)],
)
def test_a_card_refuses(card, mode, offset, code):
    sim, disk, fd = card
    sim.mode = mode
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is looked at
        disk.pwrite(fd, b"x", offset)
    assert caught.value.errno == code


def test_a_full_card_takes_what_was_laid_out(card):
    sim, disk, fd = card
    sim.mode = "full"
    assert disk.pwrite(fd, b"x" * 512, 0) == 512


def test_a_torn_write_reaches_some_sectors_and_the_power_is_gone(card):
    sim, disk, fd = card
    sim.cut_next = True
    with pytest.raises(PowerLost):
        disk.pwrite(fd, b"x" * 4096, 0)
    sectors = [os.pread(fd, 512, start) for start in range(0, 4096, 512)]
    assert set(sectors) == {bytes(512), b"x" * 512}


def test_a_process_that_is_gone_has_no_descriptors(card):
    sim, _, fd = card
    sim.drop()
    with pytest.raises(OSError):  # noqa: PT011 - any error: it is closed
        os.fstat(fd)
