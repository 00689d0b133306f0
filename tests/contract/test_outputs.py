"""What every output promises, mock and real alike."""

from pathlib import Path

import pytest
from rigs import board_outside
from rigs.pins import wired_factory

from hal.board import BoardSpec, LoopSpec, OutputSpec, open_board
from hal.clock import SystemClock
from hal.errors import DeviceLost, PinInUse
from hal.mock.output import MockOutput
from hal.pi.output import GpioOutput
from hal.pi.pins import Pins, open_pins
from hal.types import LoopState

PIN = 22
BOARD_LINE, BOARD_BUTTON = 4, 0
"""Of the eight that the virtual board has."""
DRIVER = Path("/sys/bus/amba/drivers/pl061_gpio")


def open_mock():
    return MockOutput("siren", SystemClock())


def open_pi():
    return GpioOutput("siren", PIN, Pins(wired_factory()))


@pytest.fixture(params=board_outside.backends("mock", "pi"))
def output(request, tmp_path_factory):
    match request.param:
        case "mock":
            yield open_mock()
        case "pi":
            yield open_pi()
        case _:
            pins = open_pins(tmp_path_factory.getbasetemp())
            made = GpioOutput("siren", BOARD_LINE, pins)
            yield made
            made.close()
            pins.factory.close()


@pytest.mark.skipif(not board_outside.PORT.exists(), reason="this is not the virtual board")
def test_the_board_drives_what_is_ordered_and_is_off_after_close(tmp_path_factory):
    pins, outside = open_pins(tmp_path_factory.getbasetemp()), board_outside.Outside()
    outside.drive(BOARD_LINE, high=False)
    output = GpioOutput("siren", BOARD_LINE, pins)
    seen = [outside.level(BOARD_LINE)]
    for on in (True, False, True):
        output.set(on=on)
        seen.append(outside.level(BOARD_LINE))
    output.close()
    seen.append(outside.level(BOARD_LINE))
    pins.factory.close()
    outside.close()
    assert seen == [False, True, False, True, False]


def test_an_output_begins_off(output):
    assert output.get() is False


def test_an_output_goes_on_and_off_and_orders_may_repeat(output):
    seen = []
    for on in (True, True, False, False, True):
        output.set(on=on)
        seen.append(output.get())
    assert seen == [True, True, False, False, True]


def test_a_closed_output_can_neither_be_driven_nor_read(output):
    output.close()
    output.close()
    with pytest.raises(DeviceLost, match=r"output siren.*closed"):
        output.set(on=True)
    with pytest.raises(DeviceLost, match=r"output siren.*closed"):
        output.get()


def test_the_mock_is_off_after_close_and_keeps_every_change():
    output = open_mock()
    output.set(on=True)
    output.set(on=True)
    output.close()
    assert [on for _, on in output.journal] == [True, False]


@pytest.mark.parametrize(("active_high", "levels"), [(True, [False, True, False]), (False, [True, False, True])])
def test_the_pin_follows_the_order_by_its_polarity_and_is_off_before_it_is_given_back(active_high, levels):
    factory = wired_factory()
    pin = factory.pin(PIN)
    output = GpioOutput("siren", PIN, Pins(factory), active_high=active_high)
    seen = [bool(pin.state)]
    output.set(on=True)
    seen.append(bool(pin.state))
    pin.clear_states()
    output.close()
    seen.append(bool(pin.states[1].state))
    assert seen == levels


def test_a_mock_that_is_lost_says_so_until_it_is_found():
    output = open_mock()
    output.lose()
    with pytest.raises(DeviceLost, match="output siren cannot be driven"):
        output.set(on=True)
    output.find()
    output.set(on=True)
    assert output.get() is True


def test_a_pin_that_fails_is_named():
    factory = wired_factory()
    output = GpioOutput("siren", PIN, Pins(factory))
    factory.pin(PIN).level_error = OSError(5, "Input/output error")
    with pytest.raises(DeviceLost, match=r"output siren on pin GPIO22 cannot be read.*Input/output error"):
        output.get()


def test_a_pin_that_somebody_else_holds_is_refused():
    pins = Pins(wired_factory())
    first = GpioOutput("siren", PIN, pins)
    with pytest.raises(PinInUse, match=r"output strobe on pin GPIO22.*already in use"):
        GpioOutput("strobe", PIN, pins)
    first.close()


@pytest.mark.skipif(not board_outside.PORT.exists(), reason="this is not the virtual board")
def test_the_board_loses_its_chip_and_goes_on_when_it_is_back_under_another_number(tmp_path_factory):
    # The last test of this room, for no other finds the chip under its old number again.
    outside = board_outside.Outside()
    outside.drive(BOARD_BUTTON, high=True)
    loops, outputs = (LoopSpec("button", BOARD_BUTTON),), (OutputSpec("siren", BOARD_LINE),)
    board = open_board(BoardSpec("pi", loops, outputs, work_dir=tmp_path_factory.getbasetemp()))
    button, siren = board.loops["button"], board.outputs["siren"]
    edges = []
    button.watch(edges.append)
    siren.set(on=True)
    (chip,) = (path.name for path in DRIVER.glob("*.pl061"))
    (DRIVER / "unbind").write_text(chip)
    for ask in (button.read, siren.get, lambda: button.watch(edges.append), lambda: siren.set(on=True)):
        with pytest.raises(DeviceLost):
            ask()
    (DRIVER / "bind").write_text(chip)
    siren.set(on=True)
    with pytest.raises(DeviceLost, match="the GPIO chip is gone"):
        button.read()
    button.watch(edges.append)
    seen = [button.read(), siren.get(), outside.level(BOARD_LINE)]
    outside.drive(BOARD_BUTTON, high=False)
    seen.append(button.read())
    board.close()
    outside.close()
    assert seen == [LoopState.NORMAL, True, True, LoopState.ALARM]
    assert LoopState.ALARM not in [edge.state for edge in edges[:-1]]
