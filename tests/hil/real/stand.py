"""The real bench: one board on one table, described by labgrid's environment file."""

from __future__ import annotations

import contextlib
import pathlib
import socket
from typing import TYPE_CHECKING

from hil.api import BenchMissingError
from hil.real.bench import RealBench, abilities
from hil.real.board import Board
from hil.real.lines import SenseBox
from hil.real.link import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from hil.api import Setup
    from hil.house import House
    from hil.real.parts import Parts

WAKE_S = 120.0
"""A board that was off starts within a minute; whoever has none wants to know it soon."""


class RealStand:
    """The table for a whole run; one test at a time.

    Args:
        parts: The table.
        boot_s: How long the board may take to answer.

    Raises:
        BenchMissingError: Something of the table is not there, or says nothing.
    """

    name = "real"
    image_mib = None

    def __init__(self, parts: Parts, boot_s: float = WAKE_S) -> None:
        self._parts = parts
        sweep(parts.host, parts.table.interface)
        try:
            self.image = _wake(parts, boot_s)
        except Exception as error:
            # of a driver's library too: a relay board that does not answer, a hub without switches
            raise BenchMissingError(f"the table is not ready: {type(error).__name__}: {error}") from error
        self.can = abilities(parts)

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
        self._parts.shell.close()


def _wake(parts: Parts, boot_s: float) -> str:
    """Switch the board on and await its shell; what it runs."""
    socket.create_server((parts.table.address, 0)).close()
    parts.supply.on()
    if parts.sense:
        box = SenseBox(parts.sense, parts.table.sense_pins)
        try:
            box.ask()
        finally:
            box.close()
    Board(parts, pathlib.Path()).wait_shell(boot_s)
    return " ".join(parts.must("/opt/gatebooth/bin/gatebooth --version && uname -srm"))


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
