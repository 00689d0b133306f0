"""A body that runs in a process of its own, where no rig has loaded anything."""

import sys

from hal.board import BoardSpec, ConsoleSpec, LoopSpec, OutputSpec, open_board


def open_it():
    board = open_board(BoardSpec("mock", (LoopSpec("a", 17),), (OutputSpec("b", 22),), ConsoleSpec("x")))
    board.close()
    assert not {"gpiozero", "lgpio", "serial", "av", "pyaudio"} & set(sys.modules)
