"""What a panel costs its board while nothing happens."""

from __future__ import annotations

import threading

from hil.api import panel

REST_S = 10.0
SETTLE_S = 5.0


def at_rest(bench):
    """Memory in MiB, and processor time in percent of a core."""
    threading.Event().wait(SETTLE_S)
    before_s = bench.panel.cpu_s()
    threading.Event().wait(REST_S)
    return bench.panel.memory_mib(), (bench.panel.cpu_s() - before_s) / REST_S * 100


def test_a_panel_at_rest_costs_little(bench, measure):
    memory_mib, cpu_percent = at_rest(bench)
    measure("memory of the panel", memory_mib, "MiB", limit=100.0)
    measure("processor time at rest", cpu_percent, "% of a core", limit=60.0)


@panel(media=True)
def test_a_panel_with_camera_and_microphone_at_rest_costs_what_a_small_board_has(bench, measure):
    memory_mib, cpu_percent = at_rest(bench)
    measure("memory of the panel with camera and microphone", memory_mib, "MiB", limit=300.0)
    measure("processor time at rest with camera and microphone", cpu_percent, "% of a core", limit=200.0)
