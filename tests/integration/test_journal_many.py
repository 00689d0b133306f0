"""Ten thousand presses in a row through the real journal on real files."""

import tracemalloc
from collections import deque

from rigs.journals import Bench

from firmware.adapters.journal_alarms import ALARM_SEGMENTS
from firmware.config import JournalConfig
from firmware.core.facts import NotStored, Stored, Trouble
from firmware.core.report import Step

PRESSES = 10_000
OPEN_MAX = 50
WARM = 2_000
GROWTH_MAX = 256 * 1024
KIB = 1024
SMALL = JournalConfig(alarm_kib=256, event_kib=256)


def test_ten_thousand_presses_leave_memory_flat_and_the_ring_as_sound_as_the_first(tmp_path):
    bench = Bench(folder=tmp_path, config=SMALL)
    bench.settle()
    still_open, grown = deque(), 0
    tracemalloc.start()
    try:
        for number in range(PRESSES):
            report = bench.alarm()
            assert bench.facts == [Stored(report.id)]
            bench.facts.clear()
            bench.note(report, Step.RECEIVED)
            still_open.append(report)
            if len(still_open) > OPEN_MAX:
                bench.finish(still_open.popleft())
            bench.wait(0.2)
            if number == WARM:
                grown = -tracemalloc.get_traced_memory()[0]
        grown += tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < GROWTH_MAX
    assert bench.journal._alarms.ring._head > 3 * ALARM_SEGMENTS
    bench.journal.close()
    later = Bench(folder=tmp_path, config=SMALL)
    assert later.recovery.reports == tuple(still_open)
    assert len(later.recovery.marks) == len(still_open)
    assert later.recovery.troubles == ()
    later.journal.close()


def test_ten_thousand_presses_that_nobody_acknowledges_are_kept_up_to_the_bound_and_no_stored_one_is_lost(tmp_path):
    bench = Bench(folder=tmp_path, config=JournalConfig())
    bench.settle()
    for _ in range(PRESSES):
        bench.alarm(text="x" * 850)
    stored = {fact.id for fact in bench.of(Stored)}
    refused = {fact.id for fact in bench.of(NotStored)}
    assert len(stored) >= 1300
    assert len(stored) + len(refused) == PRESSES
    assert "alarm ring" in bench.of(Trouble)[0].why
    assert len(bench.journal._alarms._unsaved) <= 256
    bench.journal.close()
    later = Bench(folder=tmp_path, config=JournalConfig())
    assert {report.id for report in later.recovery.reports} == stored
    later.journal.close()
