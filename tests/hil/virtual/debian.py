"""Debian's arm64 packages, by this machine's own apt sources and keys, without a change to this machine.

apt runs with package lists, a cache and an (empty) list of installed packages of its own: neither root nor a foreign
architecture in the host's dpkg is needed.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ARCH: Final = "arm64"
KERNEL: Final = "linux-image-arm64"
"""Always depends on the newest kernel, whose own name changes with every ABI."""
FRESH_S: Final = 24 * 3600.0
_LOOK_S: Final = 300.0


class PackagesMissingError(RuntimeError):
    """apt does not give what the recipe names; the message holds apt's own."""


class Apt:
    """A private apt for another architecture.

    Args:
        folder: Keeps lists and archives.

    Synchronization: one thread; one process at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.archives = folder / "archives"
        for part in (folder / "lists/partial", self.archives / "partial"):
            part.mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()

    def resolve(self, packages: tuple[str, ...]) -> dict[str, str]:
        """Names of files and their versions that an installation of the packages and of a kernel needs.

        The answer is kept for a day, so that a build that finds everything in its cache asks nobody.

        Args:
            packages: Names.

        Raises:
            PackagesMissingError: A package is not there for arm64.
        """
        kept = self._folder / "resolved.json"
        if kept.exists() and time.time() - kept.stat().st_mtime < FRESH_S:
            answer = json.loads(kept.read_text())
            if answer["asked"] == list(packages):
                return dict(answer["files"])
        # A source without arm64 or without an answer is no error as long as every package is found elsewhere.
        self._run("update", check=False)
        kernel = self._kernel()
        files = self._chosen(*packages) | {
            name: version for name, version in self._chosen(kernel).items() if name.startswith(f"{kernel}_")
        }
        kept.write_text(json.dumps({"asked": packages, "files": files}, indent=1))
        return files

    def fetch(self, files: dict[str, str]) -> list[Path]:
        """Have the files in `archives`; apt checks their hashes.

        Args:
            files: What `resolve` gave.
        """
        if missing := [name for name in files if not (self.archives / name).exists()]:
            wanted = [f"{name.split('_')[0]}={files[name]}" for name in missing]
            try:
                self._run("download", *wanted, cwd=self.archives)
            except PackagesMissingError:
                (self._folder / "resolved.json").unlink(missing_ok=True)  # they may have been replaced: ask anew
                raise
        return [self.archives / name for name in files]

    def _kernel(self) -> str:
        shown = subprocess.run(
            ["apt-cache", *self._options(), "depends", KERNEL], capture_output=True, text=True, check=False
        ).stdout
        if not (found := re.search(r"Depends: (linux-image-\S+)", shown)):
            raise PackagesMissingError(f"{KERNEL} names no kernel; apt-cache depends says: {shown or 'nothing'}")
        return found.group(1)

    def _chosen(self, *packages: str) -> dict[str, str]:
        told = self._run("install", "--simulate", *packages)
        lines = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", told, re.MULTILINE)
        return {f"{name}_{version.replace(':', '%3a')}_{arch}.deb": version for name, version, arch in lines}

    def _run(self, *order: str, check: bool = True, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["apt-get", "--quiet", "--yes", *self._options(), *order],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_LOOK_S,
            cwd=cwd,
        )
        if check and done.returncode:
            raise PackagesMissingError(f"apt-get {' '.join(order)} for {ARCH}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _options(self) -> list[str]:
        places = {
            "Dir::State": self._folder,
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": self.archives,
            "APT::Architecture": ARCH,
            "APT::Architectures": ARCH,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "APT::Update::Post-Invoke": "",
            "APT::Update::Post-Invoke-Success": "",
            "Acquire::Languages": "none",
        }
        return [word for name, value in places.items() for word in ("-o", f"{name}={value}")]


def unpack(archive: Path, into: Path, *members: str) -> None:
    """Put the content of a package into a folder; no script of it runs.

    Args:
        archive: A .deb file.
        into: A folder that exists.
        members: Only these, as "./boot"; everything without.
    """
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as packed:
        subprocess.run(
            ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", *_UNREAD, "-C", into, *members],
            stdin=packed.stdout,
            check=True,
        )
    if packed.returncode:
        raise PackagesMissingError(f"{archive} cannot be unpacked; remove it and build again")


_UNREAD: Final = [
    f"--exclude=./usr/share/{name}/*" for name in ("doc", "man", "locale", "info", "lintian", "bash-completion")
]
"""What nobody reads inside, as wildcards of tar."""
