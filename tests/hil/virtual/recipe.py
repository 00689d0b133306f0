"""What the virtual board is made of: packages, kernel modules, files; the hash of all that is the name of the image."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PROJECT: Final = HERE.parents[2]
GUEST: Final = HERE / "guest"
"""Files that go into the root file system under the path that they have here."""

PACKAGES: Final = (
    # What every Debian system has and no package asks for (Essential: yes).
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "hostname", "libc-bin"),
    *("login", "mawk", "mount", "passwd", "procps", "sed", "util-linux"),
    # The board's system.
    *("systemd", "systemd-sysv", "udev", "kmod", "iproute2", "python3"),
    # PyAudio has no wheel for arm64: Debian's own build stands for the one that a booth compiles.
    "python3-pyaudio",
    # The hands of the bench: sounds, pictures, faults of the camera driver.
    *("alsa-utils", "v4l-utils"),
)
NEEDED_BY_SCRIPTS: Final = ("perl", "libperl", "usrmerge", "libfile-find", "libnumber-compare", "libtext-glob")
"""Beginnings of packages that only the scripts need which do not run here."""
NOT_FROM_WHEELS: Final = ("pyaudio",)
"""Requirements of the project that a Debian package above brings."""
EXTRAS: Final = ("board", "media", "dc09")
"""The project's extras that a booth installs."""
TEST_WHEELS: Final = ("pytest", "pytest-mock")
"""For the contract suites, which run inside; their versions are those of the extra `dev`."""

BOOT_MODULES: Final = ("virtio_pci", "virtio_blk", "ext4")
"""Loaded by the initrd, before there is a root file system."""
MODULES: Final = ("virtio_net", "virtio_console", "virtio_rng", "i6300esb", "snd_aloop", "vivid")
"""Loaded by systemd."""

IMAGE_MIB: Final = 900


def cache_folder() -> Path:
    """Where images are kept: GATEBOOTH_BENCH_CACHE, or a folder in the user's cache."""
    named = os.environ.get("GATEBOOTH_BENCH_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else home / "gatebooth-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def requirements() -> list[str]:
    """What a booth installs from wheels, as pyproject.toml says it."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    booth = [line for line in wanted if not line.startswith(NOT_FROM_WHEELS)]
    return [*booth, *(line for line in extras["dev"] if line.startswith(TEST_WHEELS))]


def base_key(versions: dict[str, str]) -> str:
    """Names the part of the image that the project's own code has no share in.

    Args:
        versions: Debian packages and their versions.
    """
    files = [path for path in HERE.rglob("*") if path.suffix in (".py", "", ".service", ".conf", ".rules")]
    made_of = [path for path in files if path.is_file() and (GUEST in path.parents or path.stem in _BUILDERS)]
    return _digest([json.dumps([versions, requirements()], sort_keys=True).encode()], made_of)


def project_key(base: str) -> str:
    """Names the whole image: the base, and everything of the project that is installed in it.

    Args:
        base: What `base_key` gave.
    """
    sources = [path for room in ROOMS for path in (PROJECT / room).rglob("*")]
    sources = [path for path in sources if path.is_file() and "__pycache__" not in path.parts]
    return _digest([base.encode()], [*sources, *(PROJECT / name for name in _INSTALLED)])


ROOMS: Final = ("firmware", "hal")
_INSTALLED: Final = ("pyproject.toml", "deploy/gatebooth.service", "deploy/watchdog.conf")
_BUILDERS: Final = ("recipe", "debian", "tree", "boot", "image")


def _digest(words: list[bytes], files: list[Path]) -> str:
    hashed = hashlib.sha256()
    for word in words:
        hashed.update(word)
    for path in sorted(files):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(PROJECT)} {len(content)}\n".encode())
        hashed.update(content)
    return hashed.hexdigest()[:16]
