"""What a bench with a real board is put together from, each as small as its fake allows.

On a table labgrid brings them (`hil.real.labgrid_parts`); in the bench's own tests they are fakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping


class BoardGoneError(OSError):
    """The board's shell does not answer, or answers no more."""


class HostError(OSError):
    """The bench's own machine could not do what it was told."""


class Contact(Protocol):
    """A relay of the bench, across a button or in a wire; labgrid's DigitalOutputProtocol."""

    def set(self, status: bool) -> None:  # noqa: FBT001 - labgrid's own signature
        """Close it, or open it."""
        ...


class Supply(Protocol):
    """Something whose power the bench switches; labgrid's PowerProtocol."""

    def on(self) -> None:
        """Switch it on."""
        ...

    def off(self) -> None:
        """Switch it off."""
        ...


class Serial(Protocol):
    """A serial line.

    Synchronization: one thread reads, another writes.
    """

    def read(self, timeout_s: float) -> bytes:
        """What has come, as soon as anything has; b"" when nothing came in time.

        Raises:
            OSError: The cable is gone.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def forget(self) -> None:
        """Drop what came while nobody read."""
        ...


class Shell(Protocol):
    """A root shell on the board. One that broke is opened anew by the next command.

    Synchronization: one thread.
    """

    def run(self, command: str, *, timeout: float | None = None) -> tuple[list[str], list[str], int]:
        """Output, errors and exit status of a command.

        Raises:
            BoardGoneError: Nobody knows whether it was run.
        """
        ...

    def put(self, filename: str, remotepath: str) -> None:
        """Copy a file onto the board.

        Raises:
            BoardGoneError: It may be there in part.
        """
        ...

    def close(self) -> None:
        """Let go of a board that goes away; waits for no answer of it."""
        ...


class Host(Protocol):
    """Commands on the bench's own machine, as root."""

    def run(self, *command: str) -> None:
        """Run a command that must succeed.

        Raises:
            HostError: It did not, or it may not be run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """How the table is wired; the `options` of the environment file.

    Attributes:
        address: The bench's address on the board's network.
        interface: The bench's network interface to the board.
        loop_pins: GPIO of booth-button, foot-bar, lid and further buttons, in the order of `hil.panel_file.zones`.
        output_pins: GPIO by the output's name.
        sense_pins: Input of the sense box by the output's name.
        camera: The camera's URL on the board, or "" without one.
        microphone: The sound device's name on the board, or "".
        console: The serial port on the board, or "".
        steps: The serial port on the board that carries `--json-steps`, or "".
    """

    address: str
    interface: str
    loop_pins: tuple[int, ...]
    output_pins: dict[str, int]
    sense_pins: dict[str, int] = field(default_factory=dict)
    camera: str = ""
    microphone: str = ""
    console: str = ""
    steps: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything on the table.

    Attributes:
        contacts: Relays across the loops, in the order of `Table.loop_pins`.
        supply: Of the board.
        shell: On the board.
        host: The bench's own machine.
        console: The technician's cable, or None.
        sense: The sense box, or None.
        steps: The cable that carries the panel's own words, or None.
        plugs: USB power of `camera` and `microphone`, where the bench switches it.
    """

    table: Table
    contacts: tuple[Contact, ...]
    supply: Supply
    shell: Shell
    host: Host
    console: Serial | None = None
    sense: Serial | None = None
    steps: Serial | None = None
    plugs: Mapping[str, Supply] = field(default_factory=dict)

    def file(self, remote: str, text: str, folder: pathlib.Path, mode: str = "0644") -> None:
        """Write a file on the board."""
        local = folder / "on-its-way"
        local.write_text(text)
        self.shell.put(str(local), remote)
        self.must(f"chmod {mode} {remote}")

    def must(self, command: str, timeout_s: float = 60.0) -> list[str]:
        """Run a command on the board that must succeed; its output."""
        out, errors, status = self.shell.run(command, timeout=timeout_s)
        assert status == 0, f"on the board: {command}: status {status}: {' '.join(errors)}"
        return out
