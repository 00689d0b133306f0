"""The disk of the virtual board: what a flush has followed lasts, what none has followed is left to the cut."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import sys
import types

import pytest

PLUGIN = pathlib.Path(__file__).parents[1] / "hil/virtual/forgetful_disk.py"
PAGE = 4096
OLD, NEW = b"o" * PAGE, b"n" * PAGE


class ForgetfulDisk:
    """The plugin as nbdkit runs it, on a base of old pages."""

    def __init__(self, mocker, folder):
        nbdkit = types.SimpleNamespace(
            THREAD_MODEL_SERIALIZE_ALL_REQUESTS=0, FUA_NATIVE=2, FLAG_FUA=2, set_error=lambda number: None
        )
        mocker.patch.dict(sys.modules, {"nbdkit": nbdkit})
        spec = importlib.util.spec_from_file_location("forgetful_disk", PLUGIN)
        self.plugin = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.plugin)
        (folder / "base").write_bytes(OLD * 8)
        self._orders = folder / "orders"
        self._cuts = 0
        self.order()
        for key, value in {"base": folder / "base", "orders": self._orders, "dump": folder / "dump"}.items():
            self.plugin.config(key, str(value))
        self.plugin.open(False)  # noqa: FBT003 - nbdkit's call

    def order(self, **words):
        self._orders.unlink(missing_ok=True)
        self._orders.write_text(json.dumps({"cut": self._cuts, **words}))
        self.plugin.state["stamp"] = 0

    def write(self, page, data=NEW, flags=0):
        self.plugin.pwrite(0, bytearray(data), page * PAGE, flags)

    def cut(self, how):
        self._cuts += 1
        self.order(how=how, seed=7)
        self.plugin.open(False)  # noqa: FBT003 - nbdkit's call

    def read(self, page):
        room = bytearray(PAGE)
        self.plugin.pread(0, room, page * PAGE, 0)
        return bytes(room)


@pytest.fixture
def disk(mocker, tmp_path):
    return ForgetfulDisk(mocker, tmp_path)


def test_what_is_written_is_read_before_any_flush(disk):
    disk.write(1)
    assert (disk.read(0), disk.read(1)) == (OLD, NEW)


def test_a_write_of_a_sector_leaves_the_rest_of_its_page(disk):
    disk.plugin.pwrite(0, bytearray(b"s" * 512), PAGE + 512, 0)
    assert disk.read(1) == OLD[:512] + b"s" * 512 + OLD[1024:]


@pytest.mark.parametrize("how", ["drop", "keep some", "tear"])
def test_what_a_flush_has_followed_survives_every_cut(disk, how):
    disk.write(1)
    disk.plugin.flush(0, 0)
    disk.write(2, flags=2)  # forced through: a flush of itself
    disk.cut(how)
    assert (disk.read(1), disk.read(2)) == (NEW, NEW)


@pytest.mark.parametrize("how", ["drop", "keep some", "tear"])
def test_what_is_forced_through_is_not_undone_by_an_older_write(disk, how):
    for page in range(8):
        disk.write(page, b"a" * PAGE)
        disk.write(page, flags=2)
    disk.cut(how)
    assert [disk.read(page) for page in range(8)] == [NEW] * 8


def test_a_sector_that_is_forced_through_takes_no_neighbour_along(disk):
    disk.write(1)
    disk.plugin.pwrite(0, bytearray(b"s" * 512), PAGE, 2)
    assert disk.read(1) == b"s" * 512 + NEW[512:]
    disk.cut("drop")
    assert disk.read(1) == b"s" * 512 + OLD[512:]


def test_what_no_flush_has_followed_is_dropped(disk):
    disk.write(1)
    disk.cut("drop")
    assert disk.read(1) == OLD


def test_a_cut_may_keep_a_later_write_without_an_earlier_one(disk):
    for page in range(8):
        disk.write(page)
    disk.cut("keep some")
    kept = [disk.read(page) == NEW for page in range(8)]
    assert any(not kept[page] and any(kept[page:]) for page in range(8))


def test_a_cut_may_tear_a_page_into_sectors(disk):
    disk.write(1)
    disk.cut("tear")
    sectors = {disk.read(1)[at : at + 512] for at in range(0, PAGE, 512)}
    assert sectors == {OLD[:512], NEW[:512]}


def test_one_cut_is_made_once(disk):
    disk.cut("drop")
    disk.write(1)
    disk.order(slow_s=0.0)
    assert disk.read(1) == NEW


def test_a_bad_place_answers_with_an_error_and_the_others_do_not(disk):
    disk.order(bad=[[PAGE, 2 * PAGE]])
    with pytest.raises(OSError, match="bad place"):
        disk.read(1)
    assert disk.read(2) == OLD
