"""The table as labgrid has it in its environment file. Nothing else here imports labgrid."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

from hil.api import BenchMissingError
from hil.real.parts import Parts, Table

try:
    from labgrid import Environment
    from labgrid.exceptions import NoDriverFoundError
except ImportError as error:
    raise BenchMissingError(f"labgrid: {error}; install the extra gatebooth[bench]") from error

if TYPE_CHECKING:
    import pathlib

    from labgrid import Target

COMMAND_S = 30.0


class LocalHost:
    """The bench's own machine."""

    def run(self, *command: str) -> None:
        """Run a command as root; `sudo` asks nobody."""
        subprocess.run(["sudo", "-n", *command], check=True, timeout=COMMAND_S)


def load(environment: pathlib.Path) -> Parts:
    """Bind and activate everything that a file describes.

    Raises:
        BenchMissingError: The file lacks something that every table has.
    """
    found = Environment(str(environment))
    target = found.get_target("main")
    if target is None:
        raise BenchMissingError(f"{environment} has no target main")
    options: dict[str, Any] = found.config.get_target_option("main", "table")
    table = Table(**{**options, "loop_pins": tuple(options["loop_pins"])})
    names = [driver.name for driver in target.drivers if driver.name]
    return Parts(
        table=table,
        contacts=tuple(
            target.get_driver("DigitalOutputProtocol", name=f"loop-{number}")
            for number, _ in enumerate(table.loop_pins, 1)
        ),
        supply=target.get_driver("PowerProtocol", name="supply"),
        shell=target.get_driver("CommandProtocol", name="shell"),
        host=LocalHost(),
        console=_optional(target, "ConsoleProtocol", "console"),
        sense=_optional(target, "ConsoleProtocol", "sense"),
        steps=_optional(target, "ConsoleProtocol", "steps"),
        plugs={
            name: target.get_driver("PowerProtocol", name=name) for name in ("camera", "microphone") if name in names
        },
    )


def _optional(target: Target, protocol: str, name: str) -> Any:
    with contextlib.suppress(NoDriverFoundError):
        return target.get_driver(protocol, name=name)
    return None
