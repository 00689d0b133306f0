"""The command line: what it offers, and that a wrong word is told."""

from __future__ import annotations

import re

import pytest

from firmware.cli import COMMANDS, main


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"gatebooth (\d+\.\d+\S*|source)\n", capsys.readouterr().out)


def test_help_names_every_command_in_both_languages(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in shown and chinese in shown for name, (_, _, chinese) in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"gatebooth {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["disarm"]])
def test_a_wrong_word_is_told_with_what_there_is(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "gatebooth: error:" in capsys.readouterr().err
