"""What the panel costs where it runs."""

from __future__ import annotations

import time

from hil.api import Can, needs, panel

IDLE_S = 5.0


def costs(bench, measure, what):
    """Memory and processor time of an idle panel."""
    before_s, began_s = bench.panel.cpu_s(), time.monotonic()
    time.sleep(IDLE_S)
    used = (bench.panel.cpu_s() - before_s) / (time.monotonic() - began_s)
    measure(f"memory of {what}", bench.panel.memory_mib(), "MiB", limit=400.0)
    measure(f"idle processor of {what}", 100 * used, "% of a core", seconds=IDLE_S)


def test_memory_and_idle_processor_without_sound_and_pictures(bench, measure):
    costs(bench, measure, "the panel")


@needs(Can.CAMERA, Can.MICROPHONE)
@panel(media=True)
def test_memory_and_idle_processor_with_a_camera_and_a_microphone(bench, measure):
    costs(bench, measure, "the panel with its media child")
