"""The technician's line: one path for commands, clear answers in both languages."""

from __future__ import annotations

import pytest
from rigs.serial_pair import SerialPair

from firmware.adapters.console import Console
from firmware.adapters.reopening import RETRY_S
from firmware.core.effects import Reply, Say
from firmware.core.facts import Command, Trouble, TroubleOver
from hal.errors import DeviceLost
from hal.pi.serial_console import SerialConsole


class Line:
    def __init__(self, *lines):
        self.lines = list(lines)
        self.written = []
        self.lost = False

    def read_line(self, timeout_s):
        if self.lost:
            raise DeviceLost("serial /dev/ttyUSB0 is gone")
        return self.lines.pop(0) if self.lines else None

    def write(self, text):
        if self.lost:
            raise DeviceLost("serial /dev/ttyUSB0 is gone")
        self.written.append(text)


def typed(*lines, language="en"):
    line, facts = Line(*lines), []
    console = Console(line, language, facts.append)
    for _ in lines:
        console.read(0)
    return console, line, facts


def test_a_reset_names_zone_person_and_reason():
    _, _, facts = typed('reset booth-button "Li Ming" checked on site')
    assert facts == [Command("console-1", "console", "reset", "booth-button", "Li Ming", "checked on site")]


def test_reset_all_means_every_zone():
    _, _, (command,) = typed("reset all Li over")
    assert command.target == ""


@pytest.mark.parametrize("text", ["reset", "reset all", "reset all Li", "disarm all Li now", "bell-off", "help", "?"])
def test_what_is_no_command_is_answered_with_the_commands(text):
    _, line, facts = typed(text)
    assert facts == []
    assert "reset ZONE|all NAME REASON" in line.written[0]


def test_a_technician_who_reads_chinese_is_answered_in_chinese():
    _, line, _ = typed("帮助", language="zh")
    assert "命令" in line.written[0]


@pytest.mark.parametrize("text", ['reset all "Li', "\ufffd\ufffd", "a" * 256, "reset all '", "\\"])
def test_rubbish_is_answered_and_harms_nothing(text):
    _, line, _ = typed(text)
    assert len(line.written) <= 1


@pytest.mark.parametrize("text", ["", "   "])
def test_a_blank_line_is_answered_so_that_a_technician_sees_that_somebody_is_there(text):
    _, line, facts = typed(text)
    assert facts == []
    assert line.written[0].startswith("commands: ")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_wire_that_brings_back_what_was_written_is_not_answered_for_ever(language):
    console, line, facts = typed("", language=language)
    console.handle(Say("path main is up"))
    console.handle(Reply("c", "console", ok=True, text="panel p1\n" + "open alarms 0; " * 20))
    line.lines += [text[:80] for text in "".join(line.written).splitlines()]
    written = len(line.written)
    while line.lines:
        assert console.read(0)
    assert (len(line.written), facts) == (written, [])


def test_every_command_has_a_number_of_its_own():
    _, _, facts = typed("status", "status")
    assert [fact.id for fact in facts] == ["console-1", "console-2"]


def test_results_and_events_are_written_as_lines():
    console, line, _ = typed()
    console.handle(Reply("console-1", "console", ok=True, text="reset: booth-button"))
    console.handle(Say("booth-button: panic alarm"))
    assert line.written == ["reset: booth-button\n", "booth-button: panic alarm\n"]


def test_a_lost_line_is_one_trouble_and_its_return_another():
    console, line, facts = typed()
    line.lost = True
    assert not console.read(0)
    console.handle(Say("x"))
    line.lost = False
    assert console.read(0)
    assert facts == [Trouble("console", "serial /dev/ttyUSB0 is gone"), TroubleOver("console")]


def test_a_lost_line_is_tried_again_less_and_less_often_and_at_once_when_it_was_back():
    console, line, _ = typed()
    assert console.pause_s == 0
    line.lost = True
    pauses = []
    for _ in range(6):
        console.read(0)
        pauses.append(console.pause_s)
    assert pauses == [*RETRY_S, RETRY_S[-1], RETRY_S[-1]]
    line.lost = False
    console.read(0)
    line.lost = True
    console.read(0)
    assert console.pause_s == RETRY_S[0]


def test_an_adapter_that_is_plugged_in_after_the_start_ends_its_trouble_and_is_obeyed(tmp_path):
    port, facts = tmp_path / "ttyUSB0", []
    serial = SerialConsole(str(port), 115200)
    console = Console(serial, "en", facts.append)
    console.handle(Say("armed"))
    assert not console.read(0)
    with SerialPair() as pair:
        port.symlink_to(pair.port)
        assert console.read(0)
        pair.type(b"status\r")
        assert console.read(10)
        serial.close()
    missing = f"console {port} at 115200 baud cannot be opened: there is no such device; is it plugged in, "
    assert facts == [
        Trouble("console", missing + "and is this its name?"),
        TroubleOver("console"),
        Command("console-1", "console", "status", "", "", ""),
    ]


def test_a_line_that_the_panel_itself_gave_back_is_no_trouble():
    console, line, facts = typed()
    console.close()
    line.lost = True
    assert not console.read(0)
    assert facts == []


def test_an_order_of_another_kind_is_a_defect():
    console, _, _ = typed()
    with pytest.raises(TypeError):
        console.handle("x")
