"""The journal on block devices that refuse for real: mounted read-only, or failing under a write. As root only."""

import contextlib
import os
import shutil
import subprocess

import pytest
from rigs.journals import Bench, HandClock, troubles

from firmware.config import JournalConfig
from firmware.core.facts import NotStored, Recovered, Stored, TroubleOver

CONFIG = JournalConfig(alarm_kib=256, event_kib=256)
IMAGE_MIB = 16
LATER = HandClock().utc_s + 3600


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def missing():
    """What is not there that a file system of one's own needs; empty when all is."""
    if os.geteuid() != 0:
        return "not root"
    tools = [
        tool
        for tool in ("mkfs.ext4", "mount", "umount", "losetup", "filefrag", "fallocate")
        if shutil.which(tool) is None
    ]
    return f"no {', '.join(tools)}" if tools else ""


@contextlib.contextmanager
def mounted(what, where, *options):
    where.mkdir(exist_ok=True)
    try:
        run("mount", *options, str(what), str(where))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no mount of {what} here: {error.stderr.strip()}")
    try:
        yield where
    finally:
        run("umount", str(where))


@contextlib.contextmanager
def device_of(image):
    """A block device that can be written, whatever the mount upon it allows."""
    device = run("losetup", "--find", "--show", str(image)).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@pytest.fixture
def ram(tmp_path):
    """A small disk in memory, for an image that shall run out of room."""
    if why := missing():
        pytest.skip(why)
    with mounted("none", tmp_path / "ram", "-t", "tmpfs", "-o", f"size={IMAGE_MIB + 4}m") as folder:
        yield folder


@pytest.fixture
def image(ram):
    file = ram / "image"
    file.write_bytes(bytes(IMAGE_MIB << 20))
    run("mkfs.ext4", "-q", "-F", "-b", "4096", str(file))
    return file


def test_a_file_system_mounted_read_only_gives_its_alarms_and_takes_new_ones_once_it_is_writable(image, tmp_path):
    with mounted(image, tmp_path / "mount", "-o", "loop") as disk:
        bench = Bench(folder=disk / "journal", config=CONFIG)
        kept = bench.alarm()
        bench.journal.close()
    with device_of(image) as device, mounted(device, tmp_path / "mount", "-o", "ro") as disk:
        later = Bench(folder=disk / "journal", config=CONFIG, clock=HandClock(utc_s=LATER))
        try:
            assert later.recovery.reports == (kept,)
            assert "Read-only file system" in troubles(later.recovery)["journal"]
            press = later.alarm()
            assert later.of(NotStored)[0].id == press.id
            run("mount", "-o", "remount,rw", str(disk))
            later.wait(30)
            assert Stored(press.id) in later.facts
            assert TroubleOver("journal") in later.facts
        finally:
            later.journal.close()
    with mounted(image, tmp_path / "mount", "-o", "loop") as disk:
        last = Bench(folder=disk / "journal", config=CONFIG, clock=HandClock(utc_s=LATER + 60))
        assert set(last.recovery.reports) == {kept, press}
        last.journal.close()


def test_a_block_device_that_fails_under_a_write_is_told_and_takes_the_alarm_when_it_works_again(image, ram, tmp_path):
    with mounted(image, tmp_path / "mount", "-o", "loop") as disk:
        bench = Bench(folder=disk / "journal", config=CONFIG)
        bench.settle()
        kept = bench.alarm()
        os.sync()
        for file in sorted((disk / "journal").glob("alarms-*.seg")):
            take_away(image, file)
        filler = ram / "filler"
        fill(filler)
        press = bench.alarm()
        assert bench.of(NotStored)[0].id == press.id
        assert "cannot be written" in bench.facts[-1].why
        filler.unlink()
        bench.wait(30)
        assert Stored(press.id) in bench.facts
        assert TroubleOver("journal") in bench.facts
        bench.journal.close()
        later = Bench(folder=disk / "journal", config=CONFIG, clock=HandClock(utc_s=LATER))
        assert set(later.recovery.reports) == {kept, press}
        assert later.of(Recovered) == []
        later.journal.close()


def take_away(image, file):
    """Let the image forget the blocks of a file: writing them needs room again."""
    for line in run("filefrag", "-e", "-b4096", str(file)).splitlines():
        parts = line.replace("..", " ").replace(":", " ").split()
        if parts and parts[0].isdigit():
            offset, blocks = int(parts[3]) * 4096, int(parts[5]) * 4096
            run("fallocate", "--punch-hole", "--offset", str(offset), "--length", str(blocks), str(image))


def fill(file):
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
