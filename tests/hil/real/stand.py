"""The real bench: one board on one table, described by labgrid's environment file."""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING

from hil.api import BenchMissingError
from hil.real.bench import RealBench, abilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from hil.api import Setup
    from hil.house import House
    from hil.real.parts import Parts


class RealStand:
    """The table for a whole run; one test at a time.

    Args:
        parts: The table.
    """

    name = "real"
    image_mib = None

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.can = abilities(parts)
        version = parts.must("/opt/gatebooth/bin/gatebooth --version; uname -srm")
        self.image = " ".join(version)

    @contextlib.contextmanager
    def open(self, house: House, folder: pathlib.Path, setup: Setup) -> Iterator[RealBench]:
        """The table as it was left."""
        bench = RealBench(house, folder, setup, self._parts)
        try:
            yield bench
        finally:
            bench.close()

    def close(self) -> None:
        """The board stays on, its panel stopped."""


def make_stand(config: pytest.Config) -> RealStand:
    """Bind the table.

    Raises:
        BenchMissingError: There is no environment file, or no labgrid.
    """
    file = config.getoption("--bench-env")
    if not file:
        raise BenchMissingError("it needs --bench-env FILE.yaml; tests/hil/real/example.yaml is one")
    from hil.real.labgrid_parts import load  # noqa: PLC0415 - an optional extra

    return RealStand(load(pathlib.Path(file)))
