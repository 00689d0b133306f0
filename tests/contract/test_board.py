"""Opening a board: explicit, whole where possible, and never something else instead."""

import sys

import mock_board_alone
import pytest
from rigs.child import run_in_child
from rigs.lgpio_chip import LgpioChip
from rigs.pins import wired_factory
from rigs.serial_pair import SerialPair

from hal.board import (
    BoardSpec,
    CameraSpec,
    ConsoleSpec,
    LoopSpec,
    LoudspeakerSpec,
    MicrophoneSpec,
    OutputSpec,
    open_board,
    open_camera,
    open_loudspeaker,
    open_microphone,
)
from hal.clock import SystemClock
from hal.errors import DeviceLost, NotSupported, PinInUse
from hal.mock.clock import VirtualClock
from hal.types import LoopState

LOOPS = (LoopSpec("booth-button", 17), LoopSpec("tamper", 27, "opens"))
OUTPUTS = (OutputSpec("siren", 22), OutputSpec("lamp", 23, active_high=False))


def open_kind(kind, loops=LOOPS, outputs=OUTPUTS, **more):
    factory = wired_factory() if kind == "pi" else None
    return open_board(BoardSpec(kind, loops, outputs, **more), factory=factory)


def why(use):
    with pytest.raises(DeviceLost) as lost:
        use()
    return str(lost.value)


@pytest.fixture(params=["mock", "pi"])
def kind(request):
    return request.param


def test_every_loop_and_output_is_there_by_name(kind):
    board = open_kind(kind)
    board.outputs["siren"].set(on=True)
    assert (list(board.loops), list(board.outputs)) == (["booth-button", "tamper"], ["siren", "lamp"])
    assert (board.outputs["siren"].get(), board.outputs["lamp"].get()) == (True, False)
    assert (board.console, board.faults) == (None, ())
    board.close()


def test_a_closed_board_is_closed_in_every_part_and_may_be_closed_twice(kind):
    board = open_kind(kind)
    board.close()
    board.close()
    for loop in board.loops.values():
        with pytest.raises(DeviceLost):
            loop.read()
    for output in board.outputs.values():
        with pytest.raises(DeviceLost):
            output.get()


@pytest.mark.parametrize(
    ("loops", "outputs", "parties"),
    [
        ((LoopSpec("a", 17), LoopSpec("b", 17)), (), "loop a and by loop b"),
        ((LoopSpec("a", 17),), (OutputSpec("siren", 17),), "loop a and by output siren"),
        ((), (OutputSpec("siren", 17), OutputSpec("lamp", 17)), "output siren and by output lamp"),
    ],
)
def test_a_pin_that_two_claim_is_refused_with_both_named(kind, loops, outputs, parties):
    with pytest.raises(PinInUse, match=f"pin GPIO17 is claimed by {parties}; give one of them another pin"):
        open_kind(kind, loops, outputs)


def test_an_unknown_kind_is_refused_and_nothing_else_is_opened_instead():
    with pytest.raises(NotSupported, match='board \'auto\' is not known; it is "pi" or "mock"'):
        open_kind("auto")


def test_a_contact_that_is_neither_is_refused():
    with pytest.raises(ValueError, match='loop a: contact \'close\' is neither "closes" nor "opens"'):
        LoopSpec("a", 17, "close")


def test_a_loop_and_an_output_that_cannot_be_opened_do_not_prevent_the_others():
    board = open_kind("pi", (LoopSpec("ghost", 45), *LOOPS), (*OUTPUTS, OutputSpec("phantom", 46)))
    assert [board.loops[loop.name].read() for loop in LOOPS] == [LoopState.NORMAL, LoopState.ALARM]
    for output in OUTPUTS:
        board.outputs[output.name].set(on=True)
    assert "loop ghost on pin GPIO45 cannot be opened" in why(board.loops["ghost"].read)
    assert "output phantom on pin GPIO46 cannot be opened" in why(board.outputs["phantom"].get)
    board.close()


def test_a_pin_that_somebody_holds_stops_the_start_and_gives_back_what_was_opened():
    factory = wired_factory()
    first = open_board(BoardSpec("pi", outputs=(OutputSpec("siren", 22),)), factory=factory)
    with pytest.raises(PinInUse, match="output strobe on pin GPIO22"):
        open_board(BoardSpec("pi", LOOPS, (OutputSpec("strobe", 22),)), factory=factory)
    second = open_board(BoardSpec("pi", LOOPS), factory=factory)
    assert second.faults == ()
    second.close()
    first.close()


def test_a_machine_without_pins_still_gives_a_console_and_says_why_each_loop_is_missing(mocker, tmp_path):
    mocker.patch("hal.pi.pins.open_pins", side_effect=DeviceLost("the GPIO chip cannot be opened: no chip"))
    with SerialPair() as pair:
        board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, ConsoleSpec(pair.port), tmp_path))
        assert board.console is not None
        uses = [loop.read for loop in board.loops.values()] + [output.get for output in board.outputs.values()]
        assert [why(use) for use in uses] == ["the GPIO chip cannot be opened: no chip"] * 4
        board.close()


def test_the_boards_own_chip_is_opened_and_given_back(mocker, tmp_path_factory):
    work_dir = tmp_path_factory.getbasetemp()
    chip = LgpioChip(mocker, work_dir)
    chip.wire(27, high=False)
    for _ in range(2):
        board = open_board(BoardSpec("pi", LOOPS, OUTPUTS, work_dir=work_dir))
        heard = []
        board.loops["booth-button"].watch(heard.append)
        chip.drive(17, high=False)
        chip.drive(17, high=True)
        assert board.faults == ()
        assert board.loops["tamper"].read() is LoopState.NORMAL
        assert [level.state for level in heard] == [LoopState.ALARM, LoopState.NORMAL]
        board.close()
    chip.close()


def test_a_work_folder_that_cannot_be_written_is_told(tmp_path):
    spec = BoardSpec("pi", LOOPS, work_dir=tmp_path / "missing")
    board = open_board(spec)
    assert "lgpio needs a folder that this user" in why(board.loops["tamper"].read)
    assert "missing" in why(board.loops["tamper"].read)
    board.close()


def test_a_console_that_is_not_there_is_asked_for_again_and_keeps_nothing_else_from_opening():
    board = open_kind("pi", console=ConsoleSpec("/dev/no-such-port"))
    assert board.faults == ()
    with pytest.raises(DeviceLost, match="no-such-port"):
        board.console.read_line(0.0)
    assert set(board.loops) == {"booth-button", "tamper"}
    board.close()


def test_the_mock_board_has_a_console_where_one_is_configured():
    board = open_kind("mock", console=ConsoleSpec("/dev/ttyAMA0"))
    board.console.type("status")
    assert board.console.read_line(0.0) == "status"
    board.close()


def test_the_mock_board_runs_on_the_simulators_clock():
    clock = VirtualClock(mono_s=50.0)
    board = open_board(BoardSpec("mock", LOOPS, console=ConsoleSpec("x")), clock=clock)
    edges = []
    board.loops["booth-button"].watch(edges.append)
    board.loops["booth-button"].press()
    assert edges[0].mono_s == 50.0
    assert board.console.read_line(3600.0) is None
    assert board.clock is clock
    board.close()


@pytest.mark.parametrize("device", ["test:voice", "file:///tmp/a.wav", "http://10.0.0.1/", "/dev/snd", ""])
def test_a_sound_device_that_is_an_address_is_refused(device):
    with pytest.raises(NotSupported, match=r"microphone .* is no sound device"):
        open_microphone(MicrophoneSpec(device), SystemClock())
    with pytest.raises(NotSupported, match=r"loudspeaker .* is no sound device"):
        open_loudspeaker(LoudspeakerSpec(device))


def test_the_mock_board_loads_no_library_of_a_real_one():
    run_in_child(mock_board_alone.open_it, env={})


@pytest.mark.parametrize(
    ("open_it", "library", "extra"),
    [
        (lambda: open_camera(CameraSpec("gate", "rtsp://127.0.0.1/"), SystemClock()), "av", "media"),
        (lambda: open_microphone(MicrophoneSpec("USB"), SystemClock()), "pyaudio", "media"),
        (lambda: open_loudspeaker(LoudspeakerSpec("USB")), "pyaudio", "media"),
    ],
)
def test_a_library_that_is_not_installed_is_told_with_its_extra(mocker, open_it, library, extra):
    mocker.patch.dict(sys.modules, {library: None})
    for name in [name for name in sys.modules if name.startswith(("hal.pi.", "hal.encoder"))]:
        mocker.patch.dict(sys.modules)
        del sys.modules[name]
    with pytest.raises(DeviceLost, match=rf"needs a library.*install the extra gatebooth\[{extra}\]"):
        open_it()


def test_a_panel_without_gpiozero_says_so_for_each_loop(mocker):
    mocker.patch.dict(sys.modules, {"gpiozero": None})
    for name in [name for name in sys.modules if name.startswith("hal.pi.")]:
        del sys.modules[name]
    board = open_board(BoardSpec("pi", LOOPS))
    assert ["install the extra gatebooth[board]" in why(loop.read) for loop in board.loops.values()] == [True, True]
    board.close()
