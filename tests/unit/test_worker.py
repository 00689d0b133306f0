"""Workers: orders in order, deadlines kept, defects told and survived."""

from __future__ import annotations

import math
import queue
import select

import pytest

from firmware.core.facts import Trouble
from firmware.worker import NEVER, Threads, Worker
from hal.clock import SystemClock

PATIENCE_S = 10


class Actor:
    name = "test"

    def __init__(self):
        self.seen = queue.Queue()
        self.due_s = NEVER
        self.closed = 0

    def handle(self, order):
        if order == "raise":
            raise KeyError("a defect")
        self.seen.put(order)

    def tick(self):
        self.due_s = NEVER
        self.seen.put("tick")

    def next_deadline(self):
        return self.due_s

    def close(self):
        self.closed += 1


def readable(fd, timeout_s):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(math.ceil(timeout_s * 1000))


@pytest.fixture(params=[None, readable], ids=["letterbox", "doorbell"])
def bench(request):
    actor, facts = Actor(), queue.Queue()
    worker = Worker(actor, SystemClock(), facts.put, request.param)
    yield worker, actor, facts
    worker.stop(PATIENCE_S)


def test_orders_come_in_order_also_those_from_before_the_start(bench):
    worker, actor, _ = bench
    worker.put(1)
    worker.start()
    for order in (2, 3):
        worker.put(order)
    assert [actor.seen.get(timeout=PATIENCE_S) for _ in range(3)] == [1, 2, 3]


def test_a_deadline_is_kept_without_any_order(bench):
    worker, actor, _ = bench
    actor.due_s = SystemClock().now().mono_s + 0.05
    worker.start()
    assert actor.seen.get(timeout=PATIENCE_S) == "tick"


def test_a_defect_is_told_and_the_next_order_is_obeyed(bench):
    worker, actor, facts = bench
    worker.start()
    worker.put("raise")
    worker.put("next")
    assert actor.seen.get(timeout=PATIENCE_S) == "next"
    assert facts.get(timeout=PATIENCE_S) == Trouble("adapter test", "KeyError: 'a defect'")


def test_stopping_finishes_what_waits_and_closes_once(bench):
    worker, actor, _ = bench
    worker.start()
    for order in range(100):
        worker.put(order)
    assert worker.stop(PATIENCE_S)
    assert [actor.seen.get_nowait() for _ in range(100)] == list(range(100))
    assert actor.closed == 1


def test_a_crew_stops_those_who_came_last_first():
    closed = []

    class Closing(Actor):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def close(self):
            closed.append(self.name)

    crew = Threads(SystemClock(), lambda _: None)
    for name in ("journal", "uplink"):
        crew.take_on(Closing(name))
    crew.start()
    crew.stop()
    assert closed == ["uplink", "journal"]
