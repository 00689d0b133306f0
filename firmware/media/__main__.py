"""`python -m firmware.media --fd N`: a media child on the socket that its panel left it. Nobody starts it by hand."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1
"""prctl(2): PR_SET_PDEATHSIG."""


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before this process could ask for the signal.
        os._exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="firmware.media")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    _die_with(arguments.parent)
    from firmware.media.child import main

    status = main(arguments.fd)
    sys.stderr.flush()
    # Threads that hang inside a library must not keep the process.
    os._exit(status)
