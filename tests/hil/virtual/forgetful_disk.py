"""A disk for nbdkit that forgets what was not flushed: `nbdkit python forgetful_disk.py base=… orders=… [layer=…]`.

Reads come from `base` (and `layer` above it), which are never written to. Writes stay in memory: those that a flush has
followed are durable, the others are gone with the power; of what is between, a cut may keep any part, in any order,
torn into sectors. The file `orders` holds one JSON object and is looked at before every request:

    {"cut": N, "how": "drop" | "keep some" | "tear", "seed": 7, "bad": [[from, to], …], "slow_s": 0.0}

A cut is made once for each new N. At the end all that is durable is written to `dump`, as a later `layer`.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import threading
from pathlib import Path

import nbdkit  # type: ignore[import-not-found] # is there when nbdkit runs this

API_VERSION = 2
PAGE, SECTOR = 4096, 512

settings: dict[str, str] = {}
durable: dict[int, bytes] = {}
volatile: dict[int, bytes] = {}
since_flush: list[tuple[int, bytes]] = []
state: dict = {"stamp": 0, "cut": 0, "bad": [], "slow_s": 0.0, "file": -1}


def config(key: str, value: str) -> None:
    """One argument."""
    settings[key] = value


def thread_model() -> int:
    """One request after the other: the order of writes is the point."""
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly: bool) -> int:  # noqa: A001, FBT001 - nbdkit's name for it
    """A machine is switched on."""
    if state["file"] < 0:
        state["file"] = os.open(settings["base"], os.O_RDONLY)
        if "layer" in settings:
            durable.update(pickle.loads(Path(settings["layer"]).read_bytes()))
    obey()
    return 1


def get_size(h: int) -> int:
    """Bytes."""
    return os.fstat(state["file"]).st_size


def can_write(h: int) -> bool:
    """It can."""
    return True


def can_flush(h: int) -> bool:
    """It can."""
    return True


def can_fua(h: int) -> int:
    """A write may be a flush of itself."""
    return nbdkit.FUA_NATIVE


def block_size(h: int) -> tuple[int, int, int]:
    """Least, best and most bytes of a request."""
    return (SECTOR, PAGE, 32 << 20)


def pread(h: int, buf: bytearray, offset: int, flags: int) -> None:
    """Read what the machine has written, flushed or not."""
    obey()
    complain(offset, len(buf))
    view = memoryview(buf)
    os.preadv(state["file"], [view], offset)
    for page in pages(offset, len(buf)):
        data = volatile.get(page) or durable.get(page)
        if data is not None:
            begin, end = max(offset, page * PAGE), min(offset + len(buf), (page + 1) * PAGE)
            view[begin - offset : end - offset] = data[begin - page * PAGE : end - page * PAGE]


def pwrite(h: int, buf: bytearray, offset: int, flags: int) -> None:
    """Keep it in memory; with FUA, on the disk."""
    obey()
    complain(offset, len(buf))
    data = bytes(buf)
    for page in pages(offset, len(data)):
        begin, end = max(offset, page * PAGE), min(offset + len(data), (page + 1) * PAGE)
        at, piece = begin - page * PAGE, data[begin - offset : end - offset]
        if flags & nbdkit.FLAG_FUA:
            force(page, at, piece)
        else:
            volatile[page] = spliced(now(page), at, piece)
            since_flush.append((page, volatile[page]))


def zero(h: int, count: int, offset: int, flags: int) -> None:
    """Write zeros."""
    pwrite(h, bytearray(count), offset, flags)


def flush(h: int, flags: int) -> None:
    """What was written so far is durable."""
    obey()
    complain(0, 0)
    durable.update(volatile)
    volatile.clear()
    since_flush.clear()


def cleanup() -> None:
    """The end: keep what is durable for the next one."""
    if "dump" in settings:
        Path(settings["dump"]).write_bytes(pickle.dumps(durable))


def force(page: int, at: int, piece: bytes) -> None:
    """Make a part of a page durable: no older write comes back over it at a cut, and its neighbours gain nothing."""
    durable[page] = spliced(on_medium(page), at, piece)
    if page in volatile:
        volatile[page] = spliced(volatile[page], at, piece)
    since_flush[:] = [(one, spliced(data, at, piece) if one == page else data) for one, data in since_flush]


def spliced(whole: bytes, at: int, piece: bytes) -> bytes:
    """A page with a part of it written anew."""
    return whole[:at] + piece + whole[at + len(piece) :]


def pages(offset: int, count: int) -> range:
    """Numbers of the pages that a request touches."""
    return range(offset // PAGE, (offset + count + PAGE - 1) // PAGE)


def now(page: int) -> bytes:
    """A page as the machine would read it."""
    return volatile.get(page) or on_medium(page)


def on_medium(page: int) -> bytes:
    """A page as a cut would leave it that keeps nothing."""
    return durable.get(page) or os.pread(state["file"], PAGE, page * PAGE).ljust(PAGE, b"\0")


def complain(offset: int, count: int) -> None:
    """Answer EIO for bad places, and take the time of a slow card."""
    if state["slow_s"]:
        threading.Event().wait(state["slow_s"])
    if any(begin < offset + count and offset < end for begin, end in state["bad"]):
        nbdkit.set_error(errno.EIO)
        raise OSError(errno.EIO, "a bad place of the card")


def obey() -> None:
    """Look at the orders when they have changed."""
    stamp = os.stat(settings["orders"]).st_mtime_ns  # noqa: PTH116 - before every request
    if stamp == state["stamp"]:
        return
    state["stamp"] = stamp
    orders = json.loads(Path(settings["orders"]).read_text())
    state["bad"], state["slow_s"] = orders.get("bad", []), orders.get("slow_s", 0.0)
    if orders.get("cut", 0) > state["cut"]:
        state["cut"] = orders["cut"]
        lose_power(orders.get("how", "drop"), random.Random(orders.get("seed", 0)))


def lose_power(how: str, chance: random.Random) -> None:
    """Decide what of the unflushed writes had reached the medium."""
    for page, data in since_flush:
        if how == "keep some" and chance.random() < 0.5:
            durable[page] = data
        elif how == "tear":
            old = on_medium(page)
            sectors = range(0, PAGE, SECTOR)
            durable[page] = b"".join((data if chance.random() < 0.5 else old)[at : at + SECTOR] for at in sectors)
    volatile.clear()
    since_flush.clear()
