"""What a panel costs its board while nothing happens, and what the bench costs whoever waits for it."""

from __future__ import annotations

import threading
import time

from hil.api import Can, Setup, needs, panel

REST_S = 10.0
SETTLE_S = 5.0


def at_rest(bench):
    """Memory in MiB, and processor time in percent of a core."""
    threading.Event().wait(SETTLE_S)
    before_s = bench.panel.cpu_s()
    threading.Event().wait(REST_S)
    return bench.panel.memory_mib(), (bench.panel.cpu_s() - before_s) / REST_S * 100


def whole_machine(bench):
    """Memory that is left in MiB, and processor time in percent of a core, of the whole machine."""
    threading.Event().wait(SETTLE_S)
    before, began_s = bench.panel.machine(), time.monotonic()
    threading.Event().wait(REST_S)
    after = bench.panel.machine()
    return after.available_mib, (after.busy_s - before.busy_s) / (time.monotonic() - began_s) * 100


def beside_an_empty_board(bench):
    """What the panel takes from the machine: the machine with it against the same one when it was stopped."""
    left_mib, busy_percent = whole_machine(bench)
    bench.panel.stop()
    empty_mib, empty_percent = whole_machine(bench)
    return empty_mib - left_mib, busy_percent, empty_percent


def test_a_panel_at_rest_costs_little(bench, measure):
    memory_mib, cpu_percent = at_rest(bench)
    measure("memory of the panel", memory_mib, "MiB", limit=100.0)
    measure("processor time at rest", cpu_percent, "% of a core", limit=60.0)


@panel(media=True)
def test_a_panel_with_camera_and_microphone_at_rest_costs_what_a_small_board_has(bench, measure):
    memory_mib, cpu_percent = at_rest(bench)
    measure("memory of the panel with camera and microphone", memory_mib, "MiB", limit=300.0)
    measure("processor time at rest with camera and microphone", cpu_percent, "% of a core", limit=200.0)


@needs(Can.WHOLE_MACHINE)
def test_a_board_with_a_panel_has_little_less_than_an_empty_one(bench, measure):
    taken_mib, busy_percent, empty_percent = beside_an_empty_board(bench)
    measure("memory that the panel takes from an empty board", taken_mib, "MiB", limit=150.0)
    measure("processor time of the board with the panel", busy_percent, "% of a core", limit=80.0)
    measure("processor time of the empty board", empty_percent, "% of a core")


@needs(Can.WHOLE_MACHINE)
@panel(media=True)
def test_a_board_with_camera_and_microphone_has_what_it_needs_beside_an_empty_one(bench, measure):
    taken_mib, busy_percent, empty_percent = beside_an_empty_board(bench)
    measure("memory that the panel with camera and microphone takes from an empty board", taken_mib, "MiB", limit=350.0)
    measure("processor time of the board with panel, camera and microphone", busy_percent, "% of a core", limit=200.0)
    measure("processor time of the board with camera and microphone alone", empty_percent, "% of a core")


def test_a_bench_is_there_soon(stand, house, tmp_path, measure):
    began_s = time.monotonic()
    folder = tmp_path / "panel"
    folder.mkdir()
    with stand.open(house, folder, Setup()) as bench:
        bench.begin()
        measure("bench start", time.monotonic() - began_s, "s", limit=120.0)
    if stand.image_mib is not None:
        measure("image on disk", stand.image_mib, "MiB", limit=500.0)
