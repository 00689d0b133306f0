"""The parts of the campaign: how often each fault is tried, and the row that it becomes."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import multiprocessing
import shutil
import statistics
import tempfile
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from proof import dials, image, links, nodes, storms, subjects
from proof.cuts import Sweep, sweep
from proof.faults import FAULTS, UNREADABLE, clock_epochs, clock_panel, disk_fault, restored, shared_sector, unread
from proof.lives import Passed
from proof.oracle import Verdict
from proof.page import Row, row_of
from rigs import clusters

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = 2
"""Processes of the parts that compute; the parts that wait run in threads."""
WORK = "/var/tmp"
"""On a disk: /tmp may be memory, which no image should be made of."""


MEASURED = "*measured*: what was lost is not promised, see below"


@dataclass(frozen=True)
class Plan:
    """How often each thing is tried."""

    seed: int = 1
    seeds: int = 10
    stride: int = 3
    image_cuts: int = 200
    peer_cuts: int = 8
    peer_kills: int = 4
    kills: tuple[tuple[str, int], ...] = (("panel", 40), ("broker", 60), ("both", 30))
    bad_links: tuple[tuple[str, int], ...] = (
        ("frozen peer", 12),
        ("black hole", 12),
        ("one byte a second", 8),
        ("reset in a packet", 30),
    )
    bad_receivers: tuple[tuple[str, int], ...] = (("black hole", 12), ("silence", 12), ("bad answers", 18))
    node_kills: tuple[tuple[str, int], ...] = (("rabbitmq", 3), ("nats", 3))
    node_alarms: int = 300
    cuts_least: int = 10_000
    disk_rounds: int = 10
    delete_rounds: int = 4
    disk_trials: int = 300
    clock_panels: int = 80
    clock_starts: int = 1000
    restores: int = 200
    sectors: int = 60


SHORT = Plan(
    seeds=4,
    stride=20,
    image_cuts=6,
    kills=(("panel", 3), ("broker", 4), ("both", 3)),
    bad_links=(("frozen peer", 1), ("black hole", 1), ("one byte a second", 1), ("reset in a packet", 3)),
    bad_receivers=(("black hole", 1), ("silence", 1), ("bad answers", 2)),
    node_kills=(("nats", 1),),
    node_alarms=100,
    cuts_least=500,
    disk_rounds=2,
    delete_rounds=1,
    disk_trials=25,
    clock_panels=4,
    clock_starts=60,
    restores=20,
)


@dataclass(frozen=True)
class Result:
    """Rows, and how to play each trial again that broke a promise."""

    rows: list[Row]
    failures: list[str]


def cuts(plan: Plan) -> Result:
    """Power cuts by replay."""
    total, went = Verdict(), Passed()
    seeds = range(plan.seed, plan.seed + plan.seeds)
    for found in _pool().map(functools.partial(_sweep, stride=plan.stride), seeds):
        total.add(found.verdict)
        went.add(found.passed)
    note = (
        f"{went.starts} starts, {went.laps} segments recycled, {went.copied} records copied forward, {went.ends} ends,"
        f" {went.groups} group commits, {went.gaps} gap records"
    )
    promise = (
        "accepted and unfinished: there, as it was; finished: gone; marks and events: as promised; the epoch rises"
    )
    fault = "power cut at any step of a recorded trace"
    if total.trials < plan.cuts_least:
        total.failures.append(
            f"cuts: {total.trials} are no proof, {plan.cuts_least} are asked for: record longer traces"
        )
    row = row_of("power", fault, promise, "tests/proof/cuts.py", total, note=note)
    return Result([row, _sectors(plan)], total.failures)


def _sweep(seed: int, stride: int) -> Sweep:
    logging.disable()
    return sweep(seed, stride=stride)


def _sectors(plan: Plan) -> Row:
    total = _sum(shared_sector, range(plan.seed, plan.seed + plan.sectors))
    note = MEASURED
    fault = "the sector under the write becomes unreadable as a whole"
    return row_of(
        "power", fault, "the rest is there; nothing invented", "tests/proof/faults.py", _only_invented(total), note=note
    )


def _only_invented(verdict: Verdict) -> Verdict:
    return replace(verdict, lost=0, returned=0, marks_lost=0, events_lost=0)


def images(plan: Plan) -> Result:
    """Power cuts on a real file system, and the same for everybody else."""
    why = image.available()
    if why:
        print(f"  no power cuts on a real file system here: {why}")
        return Result([], [])
    with _folder() as folder:
        found = image.cut_power(subjects.JournalSubject(), folder, plan.image_cuts, plan.seed)
    total = Verdict(
        len(found),
        sum(cut.accepted for cut in found),
        sum(cut.lost for cut in found),
        sum(cut.invented for cut in found),
    )
    promise = "accepted and unfinished: there; nothing invented; no trouble told"
    row = row_of("power", "power cut on a real ext4, writer frozen", promise, "tests/proof/image.py", total)
    return Result([row], [] if row.kept else [f"image --seed {plan.seed}: {total}"])


def peers(plan: Plan) -> Result:
    """What the same cuts and kills leave of others."""
    missing = [name for name in ("persistqueue", "litequeue") if util.find_spec(name) is None]
    if missing:
        print(f"  no peers without {', '.join(missing)}: pip install 'gatebooth[proof]'")
        return Result([], [])
    rows = []
    for subject in (subjects.JournalSubject(), *subjects.peers()):
        if not image.available():
            with _folder() as folder:
                rows.append(_peer(subject.name, "power", image.cut_power(subject, folder, plan.peer_cuts, plan.seed)))
        with _folder() as folder:
            rows.append(_peer(subject.name, "SIGKILL", image.kill_process(subject, folder, plan.peer_kills, plan.seed)))
    broken = [f"peers: {row.fault} lost {row.lost}" for row in rows if row.fault.startswith("Gatebooth") and row.lost]
    return Result(rows, broken)


def _peer(name: str, by: str, found: list[image.Cut]) -> Row:
    accepted, lost = [cut.accepted for cut in found], [cut.lost for cut in found]
    note = f"{_span(accepted)} / {_span(lost)} / {sum(one > 0 for one in lost)}"
    test = "tests/proof/subjects.py"
    invented = sum(cut.invented for cut in found)
    return Row("peers", f"{name}: {by}", "", test, len(found), sum(accepted), sum(lost), invented, note)


def _span(values: list[int]) -> str:
    return f"{min(values)} … {statistics.median_low(values)} … {max(values)}"


def processes(plan: Plan) -> Result:
    """SIGKILL storms and bad links, side by side: they mostly wait."""
    words = {"panel": "SIGKILL of the panel", "broker": "SIGKILL of the broker", "both": "SIGKILL of panel and broker"}
    jobs: list[tuple[str, str, Callable[[Path], Verdict]]] = [
        (
            "kill",
            f"{words[victims]} at random instants under load",
            functools.partial(_storm, victims, count, plan.seed),
        )
        for victims, count in plan.kills
    ]
    jobs += [
        ("link", _LINKS[fault], functools.partial(_link, fault, count, plan.seed)) for fault, count in plan.bad_links
    ]
    jobs += [
        ("dc09", _RECEIVERS[fault], functools.partial(_receiver, fault, count, plan.seed))
        for fault, count in plan.bad_receivers
    ]
    if not image.available():
        jobs += [
            ("disk", "a real ext4 filled to the last byte by another process, the panel killed", _full(plan)),
            ("disk", "journal files really deleted under the panel, the panel killed 10 s later", _deleted(plan)),
        ]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        verdicts = list(pool.map(_in_folder, [work for _, _, work in jobs]))
    rows = []
    for (part, fault, _), verdict in zip(jobs, verdicts, strict=True):
        promise, module = _PROMISES[part]
        rows.append(row_of("link" if part == "dc09" else part, fault, promise, f"tests/proof/{module}.py", verdict))
    return Result(rows, [failure for verdict in verdicts for failure in verdict.failures])


_PROMISES = {
    "kill": ("stored or brokered: reaches the desk", "storms"),
    "link": ("stored at once; reaches the desk once the link is whole", "links"),
    "dc09": ("stored at once; acknowledged once the receiver is good, and not called received before", "dials"),
    "disk": ("stored; reaches the desk after the next start", "storms"),
}
_LINKS = {
    "frozen peer": "half-open link: the broker is frozen",
    "black hole": "black hole: everything is swallowed",
    "one byte a second": "one byte a second",
    "reset in a packet": "reset in the middle of a packet, one to three times",
}
_RECEIVERS = {
    "black hole": "alarm receiver (DC-09) in a black hole: everything is swallowed",
    "silence": "alarm receiver (DC-09) that reads and says nothing",
    "bad answers": "alarm receiver (DC-09) with bad answers: NAK, DUH, wrong checksum, number or account, half, none",
}


def _receiver(fault: str, count: int, seed: int, folder: Path) -> Verdict:
    return dials.bad_receiver(folder, fault, count, seed)


def node_storms(plan: Plan) -> Result:
    """Nodes of a cluster killed in a storm of alarms."""
    rows, failures = [], []
    for kind, kills in plan.node_kills:
        if package := clusters.missing(kind):
            print(f"  no node of {nodes.KINDS[kind]} to kill without the Debian package {package}")
            continue
        with _folder() as folder:
            found = nodes.killed_nodes(folder, kind, kills, plan.node_alarms)
        fault = f"{nodes.KINDS[kind]}, three nodes: one killed half way through {plan.node_alarms} alarms, by turns"
        rows.append(row_of("node", fault, "repeated until the desk has acknowledged it", "tests/proof/nodes.py", found))
        failures += found.failures
    return Result(rows, failures)


def _full(plan: Plan) -> Callable[[Path], Verdict]:
    return functools.partial(storms.full_disk, rounds=plan.disk_rounds)


def _deleted(plan: Plan) -> Callable[[Path], Verdict]:
    return functools.partial(storms.deleted_files, rounds=plan.delete_rounds)


def _storm(victims: str, count: int, seed: int, folder: Path) -> Verdict:
    return storms.storm(folder, victims, count, seed)


def _link(fault: str, count: int, seed: int, folder: Path) -> Verdict:
    return links.bad_link(folder, fault, count, seed)


def _in_folder(work: Callable[[Path], Verdict]) -> Verdict:
    with _folder() as folder:
        return work(folder)


DISK_WORDS = {
    "full": ("full by somebody else, running or at the start", "what is preallocated is written; nothing is lost"),
    "read-only": ("read-only, running or at the start", "not called stored; what is there stays"),
    "EIO always": ("every call fails with EIO, running or at the start", "not called stored; what is there stays"),
    "EIO now and then": ("three calls in ten fail with EIO while it runs", "called stored only if it is"),
    "deleted": ("files deleted under the running panel", "written again from memory within 10 s"),
    "bit flips": (
        "one bit flipped anywhere in the files",
        "one alarm at the most, or marks and events of the last write; the rest is there",
    ),
    UNREADABLE: ("three calls in ten fail with EIO, at the next start too", "told; what could be read is there"),
}


def disks(plan: Plan) -> Result:
    """Bad disks."""
    rows, failures = [], []
    seeds = range(plan.seed, plan.seed + plan.disk_trials)
    for kind in (*FAULTS, UNREADABLE):
        total = _sum(functools.partial(_disk, kind), seeds)
        fault, promise = DISK_WORDS[kind]
        note = MEASURED if total.unpromised else ""
        rows.append(row_of("disk", fault, promise, "tests/proof/faults.py", total, note=note))
        failures += total.failures
    late = _sum(unread, seeds)
    fault = "any files unreadable at the start, readable again while the panel runs; a power cut after that"
    rows.append(row_of("disk", fault, "taken in and sent as soon as it can be read", "tests/proof/faults.py", late))
    return Result(rows, failures + late.failures)


def _disk(kind: str, seed: int) -> Verdict:
    return disk_fault(kind, seed)


def clocks(plan: Plan) -> Result:
    """Wrong clocks."""
    lives = _sum(_epochs, range(plan.seed, plan.seed + max(1, plan.clock_starts // 100)))
    panels = _sum(clock_panel, range(plan.seed, plan.seed + plan.clock_panels))
    rows = [
        row_of(
            "clock",
            "±10 years, 1970 or running backwards from start to start, jumps while it runs; a power cut after each",
            "an epoch of its own for every start, rising; nothing lost",
            "tests/proof/faults.py",
            lives,
            note=f"{lives.epochs_reused} epochs reused",
        ),
        row_of(
            "clock",
            "the whole panel: eight presses under ±10 years, 1970, backwards, unsynced, restarts, kills, cuts",
            "each press at both desks within 5 s, once",
            "tests/proof/faults.py",
            panels,
        ),
    ]
    return Result(rows, lives.failures + panels.failures)


def _epochs(seed: int) -> Verdict:
    return clock_epochs(seed, 100)


def identities(plan: Plan) -> Result:
    """A state folder from an old backup."""
    seeds = range(plan.seed, plan.seed + plan.restores)
    right = _sum(functools.partial(_restored, clock_right=True), seeds)
    wrong = _sum(functools.partial(_restored, clock_right=False), seeds)
    test, fault = "tests/proof/faults.py", "restored from an old backup"
    rows = [
        row_of("identity", f"{fault}, {clock}", promise, test, found, note=f"{found.epochs_reused} epochs reused")
        for clock, promise, found in (
            ("the clock is right", "no epoch is used twice", right),
            ("the clock was never right", "no epoch is used twice, save with a chance of 1 in 2^32", wrong),
        )
    ]
    broken = [found.bad for found in (right, wrong) if found.bad]
    return Result(rows, [f"identity --seed {plan.seed}: {bad}" for bad in broken])


def _restored(seed: int, *, clock_right: bool) -> Verdict:
    return restored(seed, clock_right=clock_right)


def _sum(trial: Callable[[int], Verdict], seeds: range) -> Verdict:
    total = Verdict()
    for verdict in _pool().map(trial, seeds, chunksize=max(1, len(seeds) // (POOL * 4))):
        total.add(verdict)
    return total


@functools.cache
def _pool() -> concurrent.futures.ProcessPoolExecutor:
    # Not forked: this process has threads.
    return concurrent.futures.ProcessPoolExecutor(
        POOL, mp_context=multiprocessing.get_context("spawn"), initializer=logging.disable
    )


class _folder:  # noqa: N801 - reads as the function it stands for
    """A folder on a real disk, thrown away afterwards."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="gatebooth-proof-", dir=WORK))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


PARTS: dict[str, Callable[[Plan], Result]] = {
    "cuts": cuts,
    "image": images,
    "peers": peers,
    "processes": processes,
    "nodes": node_storms,
    "disk": disks,
    "clock": clocks,
    "identity": identities,
}
