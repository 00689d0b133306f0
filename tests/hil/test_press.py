"""The main job: one press goes all the way, in order and in time."""

from __future__ import annotations

import json

from hil.api import Can, needs


def test_a_press_reaches_both_desks_and_is_acknowledged(bench, measure):
    pressed_s = bench.button().press()
    for name, desk in bench.house.desks.items():
        report = desk.report("PA", after_s=pressed_s, zone="booth-button")
        assert report["verified"]
        receipt = bench.house.wire.wait(f"receipt/{name}", pressed_s)
        assert json.loads(receipt.payload)["report"] == report["id"]
        measure(f"press to receipt of {name}", receipt.at_s - pressed_s, "s", limit=10.0)


@needs(Can.OUTPUTS)
def test_relay_and_lamp_come_before_any_network(bench, measure):
    bench.link.cut()
    pressed_s = bench.button().press()
    for name in ("siren", "strobe", "lamp"):
        measure(f"press to {name}", bench.output(name).wait(on=True, after_s=pressed_s) - pressed_s, "s", limit=5.0)
