"""What the virtual board boots with: kernel, initrd and device tree."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Final

from hil.virtual import recipe
from hil.virtual.debian import unpack

BOARD: Final = ("-machine", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "768")
"""A device tree and a saved state fit this line alone."""
_PI_3B: Final = "0xa02082"
"""The revision by which gpiozero knows a Raspberry Pi 3B."""

# The modules stand in /mods, in the order in which they need each other.
_INIT: Final = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc p /proc; $B mount -t sysfs s /sys; $B mount -t devtmpfs d /dev
for m in $($B cat /mods); do $B insmod /modules/$m; done
n=0; while [ ! -b /dev/vda ] && [ $n -lt 500 ]; do $B usleep 10000; n=$((n+1)); done
$B mount -t ext4 -o rw,noatime /dev/vda /newroot || $B reboot -f
for d in dev proc sys; do $B mount --move /$d /newroot/$d; done
exec $B switch_root /newroot /sbin/init
"""


class Kernel:
    """A kernel package, unpacked.

    Args:
        package: linux-image-*.deb.
        folder: An empty folder for its content.
    """

    def __init__(self, package: Path, folder: Path) -> None:
        unpack(package, folder)
        self._folder = folder
        self.version = next((folder / "lib/modules").iterdir()).name
        # The package has no list of who needs whom: its script makes it.
        subprocess.run(["depmod", "--basedir", folder, self.version], check=True)

    def image(self) -> Path:
        """The kernel itself."""
        return self._folder / f"boot/vmlinuz-{self.version}"

    def modules(self, *names: str) -> list[Path]:
        """Files of modules and of all that they need, in the order of loading."""
        files: list[Path] = []
        for name in names:
            shown = subprocess.run(
                ["modprobe", "--dirname", self._folder, "--set-version", self.version, "--show-depends", name],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            words = [line.split() for line in shown.splitlines()]
            files += [Path(line[1]) for line in words if line[0] == "insmod"]
        return list(dict.fromkeys(files))

    def install(self, root: Path) -> None:
        """Put the modules that the board needs into its root file system."""
        target = root / "usr/lib/modules" / self.version
        own = self._folder / "lib/modules" / self.version
        for path in self.modules(*recipe.BOOT_MODULES, *recipe.MODULES):
            place = target / path.relative_to(own)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        for path in own.glob("modules.*"):
            if path.name.startswith(("modules.builtin", "modules.order")):
                shutil.copy(path, target)
        subprocess.run(["depmod", "--basedir", root / "usr", self.version], check=True)


def make_initrd(kernel: Kernel, busybox: Path, work: Path, target: Path) -> None:
    """A small program and the modules that find the root file system.

    Args:
        kernel: Gives the modules.
        busybox: busybox-static's package.
        work: A folder for the content.
        target: The file to write.
    """
    for name in ("proc", "sys", "dev", "newroot", "modules", "bin"):
        (work / name).mkdir(parents=True)
    unpack(busybox, work / "modules", "./bin/busybox")
    shutil.move(work / "modules/bin/busybox", work / "bin/busybox")
    (work / "modules/bin").rmdir()
    modules = kernel.modules(*recipe.BOOT_MODULES)
    for path in modules:
        shutil.copy(path, work / "modules")
    (work / "mods").write_text("\n".join(path.name for path in modules) + "\n")
    (work / "init").write_text(_INIT)
    (work / "init").chmod(0o755)
    names = "\n".join(sorted(str(path.relative_to(work)) for path in work.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--create", "--quiet", "--format=newc", "--owner=+0:+0"],
        input=names.encode(),
        stdout=subprocess.PIPE,
        cwd=work,
        check=True,
    ).stdout
    target.write_bytes(gzip.compress(packed, 6))


def make_device_tree(target: Path) -> None:
    """QEMU's own, with all eight lines of the pin controller free and under a Raspberry Pi's names.

    Args:
        target: The file to write.
    """
    subprocess.run(
        ["qemu-system-aarch64", *_dumping(target), "-nodefaults", "-display", "none"], check=True, capture_output=True
    )
    change = ["fdtput", str(target)]
    pins = _pin_controller(target)
    subprocess.run(["fdtput", "-r", str(target), "/gpio-keys"], check=True)  # it holds line 3
    subprocess.run(["fdtput", "-p", "-t", "x", str(target), "/system", "linux,revision", _PI_3B], check=True)
    subprocess.run([*change, "-t", "s", pins, "gpio-line-names", *(f"GPIO{n}" for n in range(8))], check=True)
    # One seed in a file that lasts would place every kernel alike.
    subprocess.run(["fdtput", "-d", str(target), "/chosen", "kaslr-seed", "rng-seed"], check=True)
    subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dtb", "-o", f"{target}.small", str(target)], check=True)
    shutil.move(f"{target}.small", target)


def _dumping(target: Path) -> list[str]:
    machine = list(BOARD)
    machine[1] += f",dumpdtb={target}"
    return machine


def _pin_controller(target: Path) -> str:
    shown = subprocess.run(["fdtget", "-l", str(target), "/"], capture_output=True, text=True, check=True).stdout
    return "/" + next(line for line in shown.split() if line.startswith("pl061@"))
