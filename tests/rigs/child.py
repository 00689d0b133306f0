"""Runs a test's body in a process of its own: a hang there fails the test instead of stopping the suite.

`python -m rigs.child MODULE:FUNCTION [ARGUMENT...]` calls the function with texts as arguments.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def run_in_child(body: Callable[..., None], *arguments: str, timeout_s: float = 15.0, env: dict[str, str]) -> str:
    """Run `body(*arguments)` in a fresh interpreter; a failed assertion there fails this test with its traceback.

    Returns:
        What the child wrote to stderr.
    """
    command = [sys.executable, "-m", "rigs.child", f"{body.__module__}:{body.__qualname__}", *arguments]
    environment = os.environ | env | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{body.__qualname__} hung: killed after {timeout_s} s\n{(late.stderr or b'').decode()}")
    if done.returncode != 0:
        pytest.fail(f"{body.__qualname__} failed in its process ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stderr


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    found(*sys.argv[2:])
