"""The board's root file system as a folder: Debian's files, the project's wheel, the hands of the bench.

No script of a package runs, so no arm64 code does: what such scripts would have done and the board needs is done here.
"""

from __future__ import annotations

import compileall
import concurrent.futures
import configparser
import contextlib
import io
import py_compile
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Final

from hil.virtual import recipe
from hil.virtual.debian import unpack

if TYPE_CHECKING:
    from pathlib import Path

MERGED: Final = ("bin", "sbin", "lib")
"""Since Debian 12 links into /usr; a script would have made them."""
PYTHON: Final = "3.11"
"""Debian 12's."""
VENV: Final = "opt/gatebooth"
SITE: Final = f"{VENV}/lib/python{PYTHON}/site-packages"
WHEEL_PLATFORMS: Final = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64")
"""What glibc 2.36 of Debian 12 runs."""
USERS: Final = "gatebooth:x:990:990::/var/lib/gatebooth:/usr/sbin/nologin\n"
"""deploy/README.md's user."""
GROUPS: Final = ("gatebooth", "gpio", "kvm", "render", "input", "sgx", "systemd-journal")
"""That README's groups, and what udev's rules name; numbered from 990."""
UNWANTED: Final = (
    # Servers and chores that a bench of some minutes has no use for.
    *("systemd-logind.service", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-pcrphase.service"),
    *("systemd-pcrphase-sysinit.service", "systemd-pcrmachine.service", "systemd-update-done.service"),
    *("systemd-hwdb-update.service", "ldconfig.service", "systemd-sysusers.service", "systemd-firstboot.service"),
    *("systemd-journal-catalog-update.service", "systemd-machine-id-commit.service", "systemd-binfmt.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "alsa-restore.service", "alsa-state.service", "getty.target", "dev-hugepages.mount"),
    *("serial-getty@ttyAMA0.service", "getty@tty1.service", "systemd-user-sessions.service", "dev-mqueue.mount"),
    *("systemd-ask-password-console.path", "systemd-ask-password-wall.path", "remote-fs.target"),
    *("modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@fuse.service"),
    *(
        "modprobe@loop.service",
        "modprobe@efi_pstore.service",
        "sys-kernel-config.mount",
        "sys-fs-fuse-connections.mount",
    ),
    *("sys-kernel-debug.mount", "systemd-journal-flush.service", "systemd-random-seed.service"),
    *("systemd-tmpfiles-clean.timer", "proc-sys-fs-binfmt_misc.automount", "sys-kernel-tracing.mount"),
)


def make_base(root: Path, packages: list[Path]) -> None:
    """Debian, the libraries' wheels, users and settings.

    Args:
        root: An empty folder.
        packages: .deb files without the kernel.
    """
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda package: unpack(package, root), packages))
    _do_what_scripts_would(root)
    _make_venv(root)
    _install_wheels(root)
    _compile(root / f"usr/lib/python{PYTHON}", root / "usr/lib/python3/dist-packages", root / SITE)


def add_project(root: Path, wheel: Path, service: Path, watchdog: Path) -> None:
    """The panel from its wheel, its service, and the files of `guest/`.

    Args:
        root: What `make_base` filled; files in it are only added, never changed.
        wheel: Of this project.
        service: The unit as in the field.
        watchdog: systemd's settings as in the field.
    """
    site = root / SITE
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
        entries = next(name for name in packed.namelist() if name.endswith("/entry_points.txt"))
        scripts = configparser.ConfigParser()
        scripts.read_file(io.StringIO(packed.read(entries).decode()))
    for name, target in scripts["console_scripts"].items():
        module, function = target.split(":")
        _write(root / VENV / "bin" / name, _SCRIPT.format(module=module, function=function), 0o755)
    _compile(site / "firmware", site / "hal")
    (root / "etc/systemd/system.conf.d").mkdir(exist_ok=True)
    shutil.copy(service, root / "etc/systemd/system/gatebooth.service")
    shutil.copy(watchdog, root / "etc/systemd/system.conf.d/watchdog.conf")
    for path in recipe.GUEST.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            target = root / path.relative_to(recipe.GUEST)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for name in ("gatebooth.service", "bench-hand.service", "bench-board.service"):
        (root / "etc/systemd/system/multi-user.target.wants" / name).symlink_to(f"../{name}")


_SCRIPT: Final = f"""#!/{VENV}/bin/python
import sys
from {{module}} import {{function}}
sys.exit({{function}}())
"""


def _do_what_scripts_would(root: Path) -> None:
    base = root / "usr/share/base-passwd"
    _write(root / "etc/passwd", (base / "passwd.master").read_text().replace("root:*:", "root:x:") + USERS)
    _write(root / "etc/group", (base / "group.master").read_text() + _groups())
    _write(root / "etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
    _write(root / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 booth\n")
    _write(root / "etc/hostname", "booth\n")
    _write(root / "etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    # A machine that has its name is not asked for it at its first start.
    _write(root / "etc/machine-id", "67617465626f6f746862656e63680001\n")
    # Newer than all of /usr: else systemd would renew caches at every start of an image.
    for name in ("etc", "var"):
        _write(root / name / ".updated", "")
    (root / "usr/bin/awk").symlink_to("mawk")
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name in UNWANTED:
        with contextlib.suppress(FileNotFoundError):
            (units / name).unlink()
        (units / name).symlink_to("/dev/null")


def _groups() -> str:
    return "".join(f"{name}:x:{number}:\n" for number, name in enumerate(GROUPS, 990))


def _make_venv(root: Path) -> None:
    (root / VENV / "bin").mkdir(parents=True)
    (root / SITE).mkdir(parents=True)
    (root / VENV / "bin/python").symlink_to("/usr/bin/python3")
    # Debian's PyAudio is outside.
    _write(root / VENV / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.11.2\n")


def _install_wheels(root: Path) -> None:
    platforms = [word for name in WHEEL_PLATFORMS for word in ("--platform", name)]
    wheels = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-qqq", "--disable-pip-version-check", "--no-compile"),
            *("--target", str(root / SITE), *wheels, *recipe.requirements()),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _compile(*folders: Path) -> None:
    # A panel's user may write no cache beside the sources. A file of another Python would be no use.
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != PYTHON:
        return
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for folder in folders:
        compileall.compile_dir(folder, quiet=2, workers=0, invalidation_mode=mode, stripdir=str(_root_of(folder)))


def _root_of(folder: Path) -> Path:
    return next(parent for parent in folder.parents if (parent / "etc/passwd").exists())


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
