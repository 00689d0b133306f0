"""The table as labgrid has it in its environment file. Nothing else here imports labgrid.

labgrid keeps one stack of the steps that it takes, for all threads: two drivers at work at the same time pull each
other's step from it. So everything here that is a step is done on the thread of the tests alone, and the cables, which
are read on threads of their own, are read past labgrid's steps.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from typing import TYPE_CHECKING, Any, TypeVar

from hil.api import BenchMissingError
from hil.real.link import LocalHost
from hil.real.parts import BoardGoneError, Parts, Table

try:
    from labgrid import Environment
    from labgrid.binding import BindingState
    from labgrid.driver import ExecutionError, SerialDriver, SSHDriver
    from labgrid.exceptions import NoDriverFoundError
    from labgrid.resource import NetworkService
except ImportError as error:
    raise BenchMissingError(f"labgrid: {error}; install the extra gatebooth[bench]") from error

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from labgrid import Target

COMMAND_S = 30.0
KNOCK_S = 2.0
SSH_FAILED = 255
"""The status that ssh keeps for itself."""

Result = TypeVar("Result")


class Cable:
    """A SerialDriver's open port; see `hil.real.parts.Serial`.

    Args:
        driver: An active one; nobody else reads or writes it.
    """

    def __init__(self, driver: SerialDriver) -> None:
        self._port = driver.serial

    def read(self, timeout_s: float) -> bytes:
        """What has come."""
        if self._port.timeout != timeout_s:
            self._port.timeout = timeout_s
        came: bytes = self._port.read(max(1, self._port.in_waiting))
        return came

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._port.write(data)

    def forget(self) -> None:
        """Drop what waits."""
        self._port.reset_input_buffer()


class RootShell:
    """A driver's shell; see `hil.real.parts.Shell`. An SSHDriver whose connection ended never makes another by itself.

    Args:
        target: The table.
        driver: Bound; it is activated with the first command.
    """

    def __init__(self, target: Target, driver: Any) -> None:
        self._target = target
        self._driver = driver

    def run(self, command: str, *, timeout: float | None = None) -> tuple[list[str], list[str], int]:
        """Run a command."""
        out, errors, status = self._do(lambda: self._driver.run(command, timeout=timeout))
        if status == SSH_FAILED:
            self.close()
            raise BoardGoneError(f"ssh failed: {' '.join(errors)}")
        return out, errors, status

    def put(self, filename: str, remotepath: str) -> None:
        """Copy a file; as often as you like, so a connection that broke matters to nobody."""
        self._do(lambda: self._driver.put(filename, remotepath))

    def close(self) -> None:
        """Part from the board without a word to it."""
        if self._driver.state is BindingState.active:
            if isinstance(self._driver, SSHDriver):
                _end_master(self._driver)
            self._target.deactivate(self._driver)

    def _do(self, order: Callable[[], Result]) -> Result:
        try:
            self._open()
            try:
                return order()
            except ExecutionError:  # labgrid's word for a connection that had ended before: nothing was sent by it
                self.close()
                self._open()
                return order()
        except Exception as error:
            # labgrid has an error of another kind for each way in which a board is not there
            self.close()
            raise BoardGoneError(f"the board's shell: {type(error).__name__}: {error}") from error

    def _open(self) -> None:
        if self._driver.state is BindingState.active:
            return
        service = getattr(self._driver, "networkservice", None)
        if (
            type(service) is NetworkService
        ):  # a board that starts is asked often: knocking costs no process and no folder
            socket.create_connection((service.address, service.port), KNOCK_S).close()
        self._target.activate(self._driver)


def _end_master(driver: SSHDriver) -> None:
    """End the process that holds the connection: labgrid would first wait a minute for a dead board's last word."""
    where = ("-o", f"ControlPath={driver.control.replace('%', '%%')}", driver.networkservice.address)
    subprocess.run(["ssh", "-F", "none", "-O", "exit", *where], capture_output=True, timeout=COMMAND_S, check=False)


def load(environment: pathlib.Path) -> Parts:
    """Bind what a file describes, and open everything but the board's shell.

    Raises:
        BenchMissingError: The file lacks something that every table has, or the table something that the file has.
    """
    try:
        return _parts(environment)
    except BenchMissingError:
        raise
    except Exception as error:
        # of labgrid, of the file's syntax, of every driver's own library
        raise BenchMissingError(f"{environment}: {type(error).__name__}: {error}") from error


def _parts(environment: pathlib.Path) -> Parts:
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
        shell=RootShell(target, target.get_driver("CommandProtocol", name="shell", activate=False)),
        host=LocalHost(),
        console=_cable(target, "console"),
        sense=_cable(target, "sense"),
        steps=_cable(target, "steps"),
        plugs={
            name: target.get_driver("PowerProtocol", name=name) for name in ("camera", "microphone") if name in names
        },
    )


def _cable(target: Target, name: str) -> Cable | None:
    with contextlib.suppress(NoDriverFoundError):
        return Cable(target.get_driver(SerialDriver, name=name))
    return None
