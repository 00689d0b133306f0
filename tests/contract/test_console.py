"""What every console promises: the mock, and pyserial over a pseudo-terminal."""

import contextlib
import threading

import pytest
from rigs import board_outside
from rigs.serial_pair import SerialPair

from hal.errors import DeviceLost
from hal.mock.serial_console import MockConsole
from hal.pi.serial_console import SerialConsole

SOON_S = 5.0


class MockBench:
    def __init__(self):
        self.console = MockConsole()

    def type(self, data):
        self.console.feed(data)

    def shown(self, expected):
        return self.console.written.encode()

    def unplug(self):
        self.console.lose()


class PiBench:
    def __init__(self, pair):
        self._pair = pair
        self.console = SerialConsole(pair.port, 115200)
        self.type = pair.type
        self.shown = pair.shown
        self.unplug = pair.unplug


class BoardBench:
    """Runs inside the virtual board: a serial port on its PCI bus, whose cable ends outside."""

    def __init__(self, outside):
        self.console = SerialConsole(board_outside.CONSOLE, 115200)
        self.type = outside.type
        self.shown = outside.shown
        outside.type(b"")

    def unplug(self):
        pytest.skip("a port on the board itself cannot be pulled out")


@pytest.fixture(params=board_outside.backends("mock", "pi"))
def bench(request):
    with contextlib.ExitStack() as stack:
        if request.param == "mock":
            yield MockBench()
        elif request.param == "board":
            outside = board_outside.Outside()
            stack.callback(outside.close)
            made = BoardBench(outside)
            stack.callback(made.console.close)
            yield made
        else:
            made = PiBench(stack.enter_context(SerialPair()))
            stack.callback(made.console.close)
            yield made


def lines(bench, count):
    return [bench.console.read_line(SOON_S) for _ in range(count)]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_cr_lf_and_both_end_a_line(bench, end):
    bench.type(b"status" + end + b"journal" + end)
    assert lines(bench, 2) == ["status", "journal"]
    assert bench.console.read_line(0.0) is None


def test_an_empty_line_is_a_line(bench):
    bench.type(b"\r\n\r\n")
    assert lines(bench, 2) == ["", ""]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (b"stas\x08tus", "status"),
        (b"stas\x7ftus", "status"),
        (b"\x08\x08status", "status"),
        ("状态报\x08".encode(), "状态"),
        (b"reset all\x15status", "status"),
        (b"\x80\x80\x08\x08\x08x", "x"),
    ],
)
def test_what_was_mistyped_can_be_taken_back(bench, typed, line):
    bench.type(typed + b"\r")
    assert bench.console.read_line(SOON_S) == line


def test_a_line_in_pieces_is_put_together(bench):
    bench.type(b"sta")
    assert bench.console.read_line(0.05) is None
    bench.type(b"tus\r")
    assert bench.console.read_line(SOON_S) == "status"


def test_a_line_over_256_bytes_is_cut_there_and_the_next_is_whole(bench):
    bench.type(b"x" * 300 + b"\rnext\r")
    assert lines(bench, 2) == ["x" * 256, "next"]


def test_a_flood_without_line_end_is_one_cut_line(bench):
    for _ in range(40):
        bench.type(b"\xaa" * 100)
        assert bench.console.read_line(0.0) is None
    bench.type(b"\r")
    assert bench.console.read_line(SOON_S) == "\ufffd" * 256


def test_bytes_that_are_no_utf8_come_as_replacement_characters(bench):
    bench.type(b"ab\xff\xfec\r")
    assert bench.console.read_line(SOON_S) == "ab\ufffd\ufffdc"


def test_chinese_goes_both_ways(bench):
    bench.type("状态\r".encode())
    assert bench.console.read_line(SOON_S) == "状态"
    bench.console.write("报警已送达\n")
    assert bench.shown(b"\r\n").decode() == "报警已送达\r\n"


def test_line_feeds_go_out_as_cr_lf_once(bench):
    bench.console.write("one\ntwo\r\n")
    assert bench.shown(b"two\r\n") == b"one\r\ntwo\r\n"


def test_a_reader_that_waits_gets_the_line_when_it_comes(bench):
    got = []
    reader = threading.Thread(target=lambda: got.append(bench.console.read_line(SOON_S)))
    reader.start()
    bench.type(b"late\r")
    reader.join(SOON_S)
    assert got == ["late"]


def test_an_adapter_that_is_pulled_out_is_lost(bench):
    bench.unplug()
    with pytest.raises(DeviceLost, match="console"):
        bench.console.read_line(SOON_S)


def test_an_adapter_that_is_pulled_out_while_the_reader_waits_is_lost(bench):
    failed = []

    def read():
        with pytest.raises(DeviceLost) as info:
            bench.console.read_line(SOON_S)
        failed.append(str(info.value))

    reader = threading.Thread(target=read)
    reader.start()
    bench.unplug()
    reader.join(SOON_S)
    assert len(failed) == 1
    assert "gone" in failed[0]


def test_a_closed_console_says_so(bench):
    bench.console.close()
    bench.console.close()
    with pytest.raises(DeviceLost, match="closed"):
        bench.console.read_line(0.0)
    with pytest.raises(DeviceLost, match="closed"):
        bench.console.write("too late\n")


def test_an_adapter_that_was_plugged_in_again_is_read_again(tmp_path):
    port = tmp_path / "ttyUSB0"
    with SerialPair() as first, SerialPair() as second:
        port.symlink_to(first.port)
        console = SerialConsole(str(port), 115200)
        first.unplug()
        port.unlink()
        for _ in range(2):
            with pytest.raises(DeviceLost, match="ttyUSB0"):
                console.read_line(0.0)
        port.symlink_to(second.port)
        assert console.read_line(0.0) is None
        second.type(b"status\r")
        assert console.read_line(SOON_S) == "status"
        console.write("here\n")
        assert second.shown(b"\r\n") == b"here\r\n"
        console.close()


def test_a_simulated_adapter_that_was_plugged_in_again_is_read_again():
    console = MockConsole()
    console.lose()
    with pytest.raises(DeviceLost):
        console.read_line(0.0)
    console.find()
    console.type("status")
    assert console.read_line(0.0) == "status"


def test_a_port_that_is_not_there_is_named():
    console = SerialConsole("/dev/no-such-port", 9600)
    for use in (lambda: console.read_line(0.0), lambda: console.write("hello\n")):
        with pytest.raises(DeviceLost, match="console /dev/no-such-port at 9600 baud cannot be opened: there is no"):
            use()


def test_an_adapter_that_is_plugged_in_after_the_start_is_read(tmp_path):
    port = tmp_path / "ttyUSB0"
    console = SerialConsole(str(port), 115200)
    with pytest.raises(DeviceLost, match="ttyUSB0"):
        console.read_line(0.0)
    with SerialPair() as pair:
        port.symlink_to(pair.port)
        assert console.read_line(0.0) is None
        pair.type(b"status\r")
        assert console.read_line(SOON_S) == "status"
        console.write("here\n")
        assert pair.shown(b"\r\n") == b"here\r\n"
        console.close()


def test_a_port_that_another_program_holds_is_refused_until_that_one_lets_it_go():
    with SerialPair() as pair:
        first = SerialConsole(pair.port, 115200)
        second = SerialConsole(pair.port, 115200)
        with pytest.raises(DeviceLost, match=f"{pair.port} .* another program holds it"):
            second.read_line(0.0)
        first.close()
        assert second.read_line(0.0) is None
        second.close()
