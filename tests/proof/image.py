"""Power cuts on a real file system: ext4 on an image, its writer frozen, the image copied, the copy counted.

The copy holds what had reached the medium; what was in the page cache of the file system is gone. Needs root and loop
devices; where there are none, `available` says so.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE_MIB = 48
FREEZE_S = 5.0
BURST_S = (0.005, 0.12)
"""How long a writer runs between two cuts."""


class Subject(Protocol):
    """Something that accepts messages and should keep them."""

    name: str

    @property
    def pid(self) -> int:
        """The process that a cut freezes."""
        ...

    def start(self, folder: Path) -> None:
        """Begin to write into a folder, as fast as it accepts."""
        ...

    def run(self, seconds: float) -> None:
        """Let it write for so long; returns with everything noted that it has told."""
        ...

    def drain(self) -> None:
        """Note what it told before it was frozen."""
        ...

    @property
    def told(self) -> Told:
        """What it was asked and has accepted."""
        ...

    def count(self, folder: Path) -> set[str]:
        """What a new start finds in a folder."""
        ...

    def kill(self) -> None:
        """End it as SIGKILL does."""
        ...


@dataclass
class Told:
    """A writer's word.

    Attributes:
        asked: Everything it was given.
        accepted: Told as safe.
        finishing: Taken back by whoever gave it: may be there or not.
    """

    asked: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    finishing: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Cut:
    """One cut's count."""

    accepted: int
    lost: int
    invented: int


def available() -> str:
    """Why no image can be mounted here; empty when one can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in ("mkfs.ext4", "mount", "umount") if not shutil.which(tool, path=_PATH)]
    if missing:
        return f"no {missing[0]}"
    import tempfile  # noqa: PLC0415 - only the first look needs it

    with tempfile.TemporaryDirectory() as name:
        try:
            with mounted(new_image(Path(name) / "try.img", mib=4), Path(name) / "try"):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "loop devices cannot be mounted"


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def new_image(path: Path, mib: int = IMAGE_MIB) -> Path:
    """An empty ext4."""
    with path.open("wb") as file:
        file.truncate(mib << 20)
    options = "lazy_itable_init=0,lazy_journal_init=0"
    _run("mkfs.ext4", "-q", "-F", "-E", options, str(path))
    return path


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """An image's file system, for as long as it is needed."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program, path=_PATH)
    assert found, f"{program} is not installed"
    subprocess.run([found, *arguments], check=True, capture_output=True)


def freeze(pid: int) -> None:
    """Stop a process between two system calls; returns when it stands still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + FREEZE_S
    while _state(pid) not in "Tt":
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        os.sched_yield()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def cut_power(subject: Subject, folder: Path, cuts: int, seed: int) -> list[Cut]:
    """Run a subject on an image of its own, and count what each of so many cuts would leave."""
    rng = random.Random(f"{seed}/{subject.name}")
    found: list[Cut] = []
    image = new_image(folder / "disk.img")
    with mounted(image, folder / "disk") as disk:
        subject.start(disk / "store")
        try:
            while len(found) < cuts:
                subject.run(rng.uniform(*BURST_S))
                freeze(subject.pid)
                copy = Path(shutil.copyfile(image, folder / "copy.img"))
                subject.drain()
                found.append(_count(subject, copy, folder / "copy"))
                os.kill(subject.pid, signal.SIGCONT)
        finally:
            subject.kill()
    return found


def _count(subject: Subject, copy: Path, folder: Path) -> Cut:
    with mounted(copy, folder) as disk:
        there = subject.count(disk / "store")
    return _compare(subject.told, there)


def _compare(told: Told, there: set[str]) -> Cut:
    owed = told.accepted - told.finishing
    return Cut(len(owed), len(owed - there), len(there - told.asked))


def kill_process(subject: Subject, folder: Path, kills: int, seed: int) -> list[Cut]:
    """The same with SIGKILL instead: the operating system lives on and keeps its page cache."""
    rng = random.Random(f"{seed}/{subject.name}/kill")
    found = []
    for number in range(kills):
        store = folder / f"killed{number}"
        store.mkdir()
        subject.start(store / "store")
        subject.run(rng.uniform(0.3, 0.8))
        subject.kill()
        found.append(_compare(subject.told, subject.count(store / "store")))
    return found
