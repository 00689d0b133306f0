"""Puts `tests/` on the path, so that rigs are imported as `rigs.NAME`; lets no test fail for a slow machine."""

import pathlib
import sys

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest_plugins = ("hil.plugin", "rigs.broker", "rigs.disk", "rigs.tls")

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
