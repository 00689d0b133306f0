"""The contract suites of the HAL against a kernel's own drivers."""

from __future__ import annotations

from hil.api import Can, needs


@needs(Can.CONTRACTS)
def test_pins_serial_port_and_watchdog_keep_their_contracts_inside(bench):
    printed = bench.contract("test_loops", "test_outputs", "test_console", "test_watchdog")
    assert " passed" in printed
    assert " failed" not in printed


@needs(Can.CONTRACTS, Can.MICROPHONE, Can.LOUDSPEAKER, Can.CAMERA)
def test_sound_and_camera_keep_their_contracts_inside(bench):
    printed = bench.contract("test_sound", "test_camera")
    assert " passed" in printed
    assert " failed" not in printed
