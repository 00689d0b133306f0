"""Power cuts at every legal state of a recorded trace of writes and syncs.

The journal runs on a disk that records each call. Before every step of that trace the power may fail, and in the
middle of it: whatever is not synced is then there or not, sector by sector, in any combination; the names in the folder
are those of any moment since its last sync; one sector more may have been torn at any byte. Each state is mounted and
judged.

A cut is known by its seed and number: `python -m proof cuts --seed S --only N` plays it again.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from proof.lives import SIZES, Life, Passed, notes_in_time, passed
from proof.oracle import Ledger, Verdict, judge
from rigs.disk import MemoryDisk, Node, _put, _sectors
from rigs.journals import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.config import JournalConfig

ALL_SUBSETS_UP_TO = 3
"""Unsynced sectors whose subsets are all played; of more, a sample."""
SAMPLES = 4
LIVES = 4
ORDERS = 300
AGAIN_EVERY = 25
"""One cut in so many is followed by a start that is cut again."""
AGAIN = 6

Piece = tuple[int, int, bytes]
"""File, offset, bytes within one sector."""


@dataclass
class Sweep:
    """The cuts of one seed."""

    verdict: Verdict
    passed: Passed


def record(seed: int, *, careless: bool = False) -> tuple[MemoryDisk, JournalConfig]:
    """Several lives on one disk: killed, closed or cut off from the mains in between.

    Args:
        seed: Of everything.
        careless: Record as if the journal never synced: what the harness must catch.
    """
    rng = random.Random(seed)
    config = SIZES[seed % len(SIZES)]
    disk = MemoryDisk()
    for _ in range(LIVES):
        life = Life(disk, config, rng)
        life.run(rng.randint(ORDERS // 2, ORDERS * 3 // 2))
        if rng.random() < 0.3:
            life.close()
    if careless:
        disk.trace = [(*op[:4], False) if op[0] == "write" else op for op in disk.trace]
    return disk, config


def sweep(
    seed: int, *, stride: int = 1, careless: bool = False, only: int | None = None, limit: int | None = None
) -> Sweep:
    """Cut, mount and judge at the states of one seed's trace.

    Args:
        seed: Of the trace.
        stride: Judge one state in so many.
        careless: See `record`.
        only: Judge this cut alone.
        limit: Stop after so many cuts.
    """
    disk, config = record(seed, careless=careless)
    total = Verdict()
    numbers = itertools.count()
    for state in _states(disk.trace, seed):
        number = next(numbers)
        if number != only if only is not None else number % stride != seed % stride:
            continue
        total.add(_judged(state.make(), state.ledger, config, f"cuts --seed {seed} --only {number}", torn=state.torn))
        if number // stride % AGAIN_EVERY == 0:
            total.add(_cut_again(state, config, seed, number))
        if only is not None or (limit is not None and total.trials >= limit):
            break
    return Sweep(total, passed(disk.trace))


def _judged(after: MemoryDisk, ledger: Ledger, config: JournalConfig, name: str, *, torn: bool) -> Verdict:
    # A sector that is new in part is damage, whatever did it: the journal may say so.
    verdict = judge(Bench(after.calls(), config=config), ledger, damage_allowed=torn)
    if verdict.bad:
        verdict.failures.append(f"{name}: {verdict.bad}")
    return verdict


def _cut_again(state: _State, config: JournalConfig, seed: int, number: int) -> Verdict:
    """The power fails again while the panel starts on what the first cut left."""
    after = state.make()
    rng = random.Random(f"{seed}/{number}/again")
    Bench(after.calls(), config=config).wait(2)
    total = Verdict()
    for _ in range(AGAIN):
        step = rng.randint(after.born, len(after.trace))
        name = f"cuts --seed {seed} --only {number} (again at {step})"
        total.add(_judged(after.cut(rng, step), state.ledger, config, name, torn=state.torn))
    return total


class _State(NamedTuple):
    """A legal state of the disk, what had been promised by then, and whether a sector is there in part.

    `make` must be called before the next state is asked for.
    """

    ledger: Ledger
    make: Callable[[], MemoryDisk]
    torn: bool


def _states(trace: list[tuple], seed: int) -> Iterator[_State]:
    """Each legal state of the disk."""
    ledger, disk = Ledger(), MemoryDisk()
    rng = random.Random(f"{seed}/states")
    for op in [*notes_in_time(trace), ("end",)]:
        if op[0] == "note":
            ledger.take(*op[1])
            continue
        under_way = [(op[1], op[2], op[3])] if op[0] == "write" else []
        pieces = list(_pieces(disk, under_way))
        for mask, torn in _choices(pieces, rng):
            names = rng.randint(0, len(disk._pending_names))
            kept = [pieces[number] for number in mask]
            yield _State(ledger, _crash_of(disk, kept, torn, names), torn is not None)
        disk._apply(op)


def _pieces(disk: MemoryDisk, under_way: list[Piece]) -> Iterator[Piece]:
    lock = next((number for path, number in disk.names.items() if path.endswith("/lock")), None)
    waiting = [
        (number, offset, data)
        for number, node in disk._nodes.items()
        if number != lock  # nothing is ever read from it after a cut
        for offset, data in node.pending
    ]
    for number, offset, data in [*waiting, *under_way]:
        for start, part in _sectors(offset, data):
            yield number, start, part


def _choices(pieces: list[Piece], rng: random.Random) -> Iterator[tuple[tuple[int, ...], Piece | None]]:
    """Which unsynced sectors are there, and one that is there in part."""
    everything = range(len(pieces))
    if len(pieces) <= ALL_SUBSETS_UP_TO:
        for count in range(len(pieces) + 1):
            yield from ((mask, None) for mask in itertools.combinations(everything, count))
    else:
        yield (), None
        yield tuple(everything), None
        yield tuple(everything[: rng.randrange(len(pieces))]), None
        for _ in range(SAMPLES):
            yield tuple(number for number in everything if rng.random() < 0.5), None
    if pieces:
        victim = rng.choice(everything)
        number, offset, data = pieces[victim]
        part = data[: rng.randint(0, len(data))]
        yield tuple(other for other in everything if other < victim), (number, offset, part)


def _crash_of(disk: MemoryDisk, kept: list[Piece], torn: Piece | None, names: int) -> Callable[[], MemoryDisk]:
    """Makes the disk as it is found after the cut."""

    def make() -> MemoryDisk:
        after = MemoryDisk()
        for number, node in disk._nodes.items():
            after._nodes[number] = Node()
            after._nodes[number].durable = bytearray(node.durable)
        for number, offset, data in [*kept, *([torn] if torn else [])]:
            _put(after._nodes.setdefault(number, Node()).durable, offset, data)
        for node in after._nodes.values():
            node.data = bytearray(node.durable)
        after.names = dict(disk._durable_names)
        for path, number in disk._pending_names[:names]:
            after._set_name(after.names, path, number)
        after._durable_names = dict(after.names)
        after._start_from(disk)
        return after

    return make
