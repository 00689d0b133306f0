"""A virtual board that has booted, kept in files: a test goes on from there in half a second.

The panel is installed and stopped; everything it needs has been read once. A state fits one image, one QEMU and one
machine alone, and carries no connection.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.api import Setup
from hil.virtual.disk import ForgetfulDisk
from hil.virtual.inside import RATE_HZ, VOICE, Inside
from hil.virtual.machine import BOOT_S, Machine

from hal.mock.voice import speak

if TYPE_CHECKING:
    from hil.virtual.image import Image


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A machine that has booted.

    Attributes:
        state: QEMU's, for `Machine.start`.
        layer: What its disk had written, for `ForgetfulDisk`.
    """

    state: Path
    layer: Path


def take(image: Image) -> Snapshot:
    """The snapshot of an image; boots it once if the cache has none."""
    folder = image.disk.parent
    name = _key()
    found = Snapshot(folder / f"state-{name}.zst", folder / f"layer-{name}")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found.state.exists() and found.layer.exists()):
            _boot_and_save(image, found)
    return found


def _boot_and_save(image: Image, target: Snapshot) -> None:
    work = Path(tempfile.mkdtemp(prefix="gb-"))
    disk = ForgetfulDisk(image.disk, work, dump=work / "layer")
    machine = Machine(image, work, disk, port=9)  # nobody listens there
    try:
        machine.start()
        machine.hand.wait_hello(0.0, BOOT_S)
        machine.hand.run("systemctl is-system-running --wait", BOOT_S)
        machine.hand.put(VOICE, speak(RATE_HZ))
        _warm(machine)
        machine.hand.run("sync")
        machine.save(work / "state")
        machine.cut()
        disk.close()
        for made, kept in ((work / "layer", target.layer), (work / "state", target.state)):
            fresh = kept.with_suffix(".new")
            shutil.copy(made, fresh)
            fresh.rename(kept)  # what has its name in the cache is whole
    finally:
        machine.cut()
        disk.close()
        shutil.rmtree(work)


def _warm(machine: Machine) -> None:
    """Run a panel once, so that its libraries are in memory, and leave nothing of it."""
    inside = Inside(machine)
    inside.install(Setup(media=True), None)
    inside.start_panel()
    machine.hand.run("sleep 3; systemctl stop gatebooth; rm -rf /var/lib/gatebooth/* /etc/gatebooth/*", BOOT_S)


def _key() -> str:
    here = Path(__file__).parent
    version = subprocess.run(["qemu-system-aarch64", "--version"], capture_output=True, check=True).stdout
    made_of = [version, *((here / name).read_bytes() for name in ("machine.py", "snapshot.py", "inside.py"))]
    return hashlib.sha256(b"\0".join(made_of)).hexdigest()[:8]
