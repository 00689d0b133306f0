"""Puts `tests/` on the path, so that rigs are imported as `rigs.NAME`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest_plugins = ("rigs.broker", "rigs.tls")
