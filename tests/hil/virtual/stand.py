"""The virtual bench: the panel as installed in the field, on Debian arm64 in QEMU, with the kernel's own drivers.

docs/bench.md tells how it is made and what it cannot show.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hil.api import LID, BenchMissingError, Can
from hil.virtual import snapshot
from hil.virtual.bench import VirtualBench
from hil.virtual.debian import ARCH, PackagesMissingError
from hil.virtual.disk import ForgetfulDisk
from hil.virtual.image import Image, build, missing_tools
from hil.virtual.inside import wires
from hil.virtual.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.api import Setup
    from hil.house import House


class VirtualStand:
    """One image, booted once; every test goes on from there on a card of its own.

    Args:
        image: What the boards boot.
    """

    name = "virtual"
    can = frozenset(
        {
            *(Can.OUTPUTS, Can.SHORT_TOUCHES, Can.CONSOLE, Can.LINK, Can.POWER, Can.HONEST_DISK),
            *(Can.KILL, Can.SUPERVISOR, Can.STEPS, Can.CONTRACTS, Can.WHOLE_MACHINE),
            *(Can.HARDWARE_WATCHDOG, Can.KERNEL_PANIC, Can.CLOCK, Can.TLS, Can.DISK_FULL, Can.DISK_ERROR),
            *(Can.MICROPHONE, Can.MICROPHONE_UNPLUG, Can.CAMERA, Can.CAMERA_DISCONNECT, Can.CAMERA_DROP),
            *(Can.CAMERA_STREAM_ERROR, Can.CAMERA_FREEZE, Can.CAMERA_PICTURE, Can.LOUDSPEAKER),
        }
    )

    def __init__(self, image: Image) -> None:
        self._image = image
        self._snapshot = snapshot.take(image)
        self.image = image.key
        self.image_mib: float | None = image.disk.stat().st_blocks / 2048

    @contextlib.contextmanager
    def open(self, house: House, folder: Path, setup: Setup) -> Iterator[VirtualBench]:
        """A board as it was when it had booted."""
        # Paths of sockets are short, those of a test's folder need not be.
        work = Path(tempfile.mkdtemp(prefix="gb-"))
        disk = ForgetfulDisk(self._image.disk, work, layer=self._snapshot.layer)
        machine = Machine(self._image, work, disk, house.port)
        for name, line in wires(setup).loops.items():
            machine.levels[line] = name != LID  # pulled up, but a contact that opens for an alarm rests at ground
        bench = VirtualBench(house, setup, machine, disk)
        try:
            machine.start(self._snapshot.state)
            yield bench
        finally:
            machine.cut()
            disk.close()
            shutil.rmtree(work, ignore_errors=True)

    def close(self) -> None:
        """Nothing is left."""


def make_stand(_config: object) -> VirtualStand:
    """Build what the cache does not have.

    Raises:
        BenchMissingError: A program or a package is missing.
    """
    if missing := missing_tools():
        raise BenchMissingError(f"it needs {missing}; make hil installs what Debian has of it")
    try:
        return VirtualStand(build(lambda _what: None))
    except PackagesMissingError as error:
        raise BenchMissingError(f"it needs Debian's packages for {ARCH}: {error}") from error
