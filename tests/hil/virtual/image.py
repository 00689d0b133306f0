"""Builds the virtual board's image, or finds it in the cache: `python -m hil.virtual.image` says where it is.

Needs no root: without it, `fakeroot` writes the files' owners into the file system.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from hil.virtual import recipe
from hil.virtual.boot import Kernel, make_device_tree, make_initrd
from hil.virtual.cache import hold, tidy
from hil.virtual.debian import ARCH, Apt, PackagesMissingError
from hil.virtual.disk import has_python_plugin
from hil.virtual.tree import add_project, make_base

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS: Final = (
    *("qemu-system-aarch64", "nbdkit", "mke2fs", "dtc", "fdtget", "fdtput", "depmod", "modprobe", "cpio", "dpkg-deb"),
    *("apt-get", "apt-cache", "tar", "zstd", "socat", "setpriv", *(() if os.geteuid() == 0 else ("fakeroot",))),
)
BUSYBOX: Final = "busybox-static"


@dataclass(frozen=True, slots=True)
class Image:
    """A virtual board that can be started.

    Attributes:
        key: Changes with anything that is in it.
        kernel: Debian's, for arm64.
        initrd: Loads the disk's driver.
        device_tree: QEMU's `virt`, its pins free.
        disk: Raw ext4; never written to after it is built.
        manifest: Versions of what is in it, and what it took to build.
        use: Open as long as the image must stay in the cache.
    """

    key: str
    kernel: Path
    initrd: Path
    device_tree: Path
    disk: Path
    manifest: dict[str, object]
    use: IO[str] = field(repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path) -> Image:
        """The image in a folder of the cache, from now on in use."""
        manifest = json.loads((folder / "manifest.json").read_text())
        base = folder.parent / f"base-{manifest['base']}"
        return cls(
            folder.name.removeprefix("image-"),
            base / "vmlinuz",
            base / "initrd.gz",
            base / "board.dtb",
            folder / "disk.raw",
            manifest,
            hold(folder),
        )


def missing_tools() -> str:
    """The programs without which there is no virtual board, or ""."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in TOOLS if not shutil.which(name, path=path)]
    if "nbdkit" not in missing and not has_python_plugin():
        missing.append("nbdkit's plugin for Python")
    return ", ".join(missing)


def build(say: Callable[[str], None]) -> Image:
    """The image of the project as it stands, in use as long as this process keeps it; builds what the cache lacks.

    Args:
        say: Told what takes time.
    """
    cache = recipe.cache_folder()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        apt = Apt(cache / "apt")
        files = apt.resolve((*recipe.PACKAGES, BUSYBOX))
        base = cache / f"base-{recipe.base_key(files)}"
        folder = cache / f"image-{recipe.project_key(base.name.removeprefix('base-'))}"
        if not (folder / "manifest.json").exists():
            if not base.exists():
                say("unpacking Debian's packages for arm64")
                _whole(base, lambda work: _make_base(work, apt.fetch(files)))
            say("installing the panel's wheel and writing the disk")
            _whole(folder, lambda work: _make_image(work, base, files))
            tidy(cache, base)
        return Image.of(folder)


def _make_base(work: Path, packages: list[Path]) -> None:
    kernel_package = next(path for path in packages if path.name.startswith("linux-image-"))
    busybox = next(path for path in packages if path.name.startswith(BUSYBOX))
    kernel = Kernel(kernel_package, _made(work / "kernel"))
    without = ("linux-image-", BUSYBOX, *recipe.NEEDED_BY_SCRIPTS)
    make_base(_made(work / "root"), [path for path in packages if not path.name.startswith(without)])
    kernel.install(work / "root")
    shutil.move(kernel.image(), work / "vmlinuz")
    make_initrd(kernel, busybox, _made(work / "initrd"), work / "initrd.gz")
    make_device_tree(work / "board.dtb")
    for name in ("kernel", "initrd"):
        shutil.rmtree(work / name)


def _make_image(work: Path, base: Path, files: dict[str, str]) -> None:
    began = time.monotonic()
    root = work / "root"
    # Links and no copies: files of the base are only ever added to.
    subprocess.run(["cp", "--archive", "--link", base / "root", root], check=True)
    deploy = recipe.PROJECT / "deploy"
    add_project(root, _wheel(work), deploy / "gatebooth.service", deploy / "watchdog.conf")
    as_root = [] if os.geteuid() == 0 else ["fakeroot", "--"]
    subprocess.run(
        [
            *(*as_root, "mke2fs", "-q", "-t", "ext4", "-d", root, "-L", "booth"),
            *("-E", "root_owner=0:0,lazy_itable_init=0", work / "disk.raw", f"{recipe.IMAGE_MIB}M"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wheels = sorted(path.name for path in root.glob("opt/gatebooth/lib/*/site-packages/*.dist-info"))
    shutil.rmtree(root)
    manifest = {
        "base": base.name.removeprefix("base-"),
        "debian": files,
        "wheels": [name.removesuffix(".dist-info") for name in wheels],
        "disk_mib": round((work / "disk.raw").stat().st_blocks / 2048),
        "built_s": round(time.monotonic() - began, 1),
    }
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _wheel(work: Path) -> Path:
    subprocess.run(
        [recipe.PROJECT / ".ci/wheel", work / "wheel"],
        check=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHON": sys.executable},
    )
    return next((work / "wheel").glob("gatebooth-*.whl"))


def _whole(target: Path, make: Callable[[Path], None]) -> None:
    # What is in the cache under its name is complete: a build that is interrupted leaves nothing there.
    work = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
    try:
        make(work)
        work.chmod(0o755)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> int:
    """Build and say where the image is."""
    if missing := missing_tools():
        print(f"the virtual board needs {missing}; make bench-image installs them on Debian", file=sys.stderr)
        return 1
    began = time.monotonic()
    try:
        image = build(lambda what: print(f"gatebooth: {what}", file=sys.stderr))
    except PackagesMissingError as error:
        print(f"the virtual board needs Debian's packages for {ARCH}: {error}", file=sys.stderr)
        return 1
    size = image.manifest["disk_mib"]
    print(f"image {image.key}, {size} MiB on disk, {time.monotonic() - began:.1f} s: {image.disk.parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
