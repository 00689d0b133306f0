"""Disks, clocks and identities that fail, in virtual time: the real journal over a faulty operating system, and the
whole panel in the simulator."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

from proof.lives import SIZES, Life
from proof.oracle import Ledger, Verdict, judge
from rigs.disk import MemoryDisk, dead, full, read_only
from rigs.journals import Bench, HandClock

from firmware.core.facts import Recovered, Trouble
from firmware.sim.language import parse
from firmware.sim.runner import play

if TYPE_CHECKING:
    from collections.abc import Callable

    from rigs.disk import Node

BEFORE, DURING = 40, 40
LOOK_S = 15.0
"""More than the journal's 10 s between two looks at its files."""
RETRIES_S = 700.0
"""More than the longest pause between two tries to read a file."""
GROUP_MAX = 16
"""Marks or events that share one write here: damage at its beginning cannot be told from a torn one."""
YEAR_S = 365 * 86400.0
NOW_S = 1.79e9
FAULTS = ("full", "read-only", "EIO always", "EIO now and then", "deleted", "bit flips")
UNREADABLE = "EIO now and then, at the start too"
"""Not promised: what a start cannot read it cannot carry on."""


def disk_fault(kind: str, seed: int) -> Verdict:
    """One panel's life with a disk that fails in the middle of it, a cut of the power, and what is left.

    Args:
        kind: One of `FAULTS`, or `UNREADABLE`.
        seed: Of everything.
    """
    rng = random.Random(f"{seed}/{kind}")
    config = SIZES[seed % len(SIZES)]
    disk = MemoryDisk()
    life = Life(disk, config, rng)
    life.run(BEFORE)
    if kind == "bit flips":
        return _flipped(disk, seed, rng)
    if kind == "deleted":
        _delete(disk, rng)
    else:
        disk.fault = _fault(kind, rng)
    life.run(DURING)
    again = kind == UNREADABLE or (kind in ("full", "read-only", "EIO always") and rng.random() < 0.5)
    if not again:
        disk.fault = None
        life.bench.wait(LOOK_S)
    after = disk.cut(rng)
    told = True
    if again:
        after.fault = _fault(kind, rng)
        bad = Bench(after.calls(), config=config)  # started on the bad disk: it may not spoil what is there
        bad.wait(LOOK_S)
        told = bool(bad.recovery.troubles or bad.of(Trouble))
        after.fault = None
    verdict = judge(Bench(after.calls(), config=config), _ledger(disk), damage_allowed=True)
    if kind == UNREADABLE and told:
        verdict.unpromised, verdict.failures = verdict.lost, []
        verdict.lost = verdict.returned = verdict.marks_lost = verdict.events_lost = 0
    if verdict.bad:
        verdict.failures.append(f"disk --kind '{kind}' --seed {seed}: {verdict.bad}")
    return verdict


def unread(seed: int) -> Verdict:
    """Files that cannot be read when the panel starts, and can be while it runs; then a cut of the power.

    Every accepted alarm has to reach the core before the cut, and be there after it.
    """
    rng = random.Random(f"{seed}/unread")
    config = SIZES[seed % len(SIZES)]
    disk = MemoryDisk()
    Life(disk, config, rng).run(BEFORE * rng.randint(1, 5))
    after = disk.cut(rng)
    share = rng.random()
    bad = {path for path in after.names if "/events-" not in path and rng.random() < share}
    after.fault = lambda call, path: errno.EIO if call == "pread" and path in bad else 0
    # Its own clock is later: a start that cannot read an epoch goes by that.
    life = Life(after, config, rng, clock=HandClock(utc_s=NOW_S + YEAR_S))
    life.run(rng.randint(0, DURING))
    ledger = _ledger(disk)
    owed = {one for one in ledger.owed if one.epoch != life.bench.recovery.epoch}
    after.fault = None
    life.bench.wait(RETRIES_S)
    found = {report.id for report in life.bench.recovery.reports}
    found |= {report.id for fact in life.bench.of(Recovered) for report in fact.reports}
    _ledger(after, ledger)
    ledger.gone -= found  # its end was what could not be read
    verdict = judge(Bench(after.cut(rng).calls(), config=config), ledger, damage_allowed=True)
    verdict.lost += len(owed - found)
    verdict.marks_lost = 0  # two segments that are left have no room to hold them
    if verdict.bad:
        verdict.failures.append(f"disk --kind unread --seed {seed}: {verdict.bad}")
    return verdict


def _ledger(disk: MemoryDisk, ledger: Ledger | None = None) -> Ledger:
    ledger = ledger or Ledger()
    for op in disk.trace:
        if op[0] == "note":
            ledger.take(*op[1])
    return ledger


def _fault(kind: str, rng: random.Random) -> Callable[[str, str], int]:
    def now_and_then(call: str, path: str) -> int:
        return errno.EIO if call in {"open_write", "pwrite", "fsync", "pread"} and rng.random() < 0.3 else 0

    return {"full": full, "read-only": read_only, "EIO always": dead}.get(kind, now_and_then)


def _delete(disk: MemoryDisk, rng: random.Random) -> None:
    for path in list(disk.names):
        if rng.random() < 0.7:
            disk._do("name", path, None)


def _flipped(disk: MemoryDisk, seed: int, rng: random.Random) -> Verdict:
    """One bit, anywhere in a file: its record may be lost, and of the last write the marks and events."""
    ledger, config = _ledger(disk), SIZES[seed % len(SIZES)]
    after = disk.cut(rng)
    paths = [path for path in after.names if path.endswith((".seg", ".slots"))]
    data = after.content(rng.choice(paths))
    written = len(data.rstrip(b"\0")) or len(data)
    data[rng.randrange(written)] ^= 1 << rng.randrange(8)
    verdict = judge(Bench(after.calls(), config=config), ledger, damage_allowed=True)
    # A flipped bit destroys what was on the medium: one record of it, whatever that holds, is the price.
    verdict.unpromised = verdict.lost
    allowed = {"lost": 1, "marks_lost": GROUP_MAX, "events_lost": GROUP_MAX}
    over = {name: count for name, count in verdict.bad.items() if count > allowed.get(name, 0)}
    verdict.lost = verdict.marks_lost = verdict.events_lost = verdict.returned = 0
    if over and set(over) != {"returned"}:
        verdict.lost, verdict.unpromised = over.get("lost", 0), 0
        verdict.failures.append(f"disk --kind 'bit flips' --seed {seed}: {over}")
    return verdict


# ---- clocks


def clock_epochs(seed: int, starts: int) -> Verdict:
    """Starts of one panel whose wall clock is anywhere: each takes an epoch of its own, and no alarm is lost by it."""
    rng = random.Random(f"{seed}/clock")
    disk, config = MemoryDisk(), SIZES[seed % len(SIZES)]
    verdict, epochs, waiting = Verdict(), [], {}
    for number in range(starts):
        clock = HandClock(utc_s=rng.choice((0.0, NOW_S + rng.uniform(-10, 10) * YEAR_S, NOW_S - number * 86400.0)))
        bench = Bench(disk.calls(), config=config, clock=clock, random53=lambda: rng.getrandbits(53))
        found = {report.id: report for report in bench.recovery.reports}
        verdict.add(
            Verdict(1, len(waiting), len(waiting.keys() - found), sum(waiting.get(i) != r for i, r in found.items()))
        )
        report = bench.alarm()
        clock.utc_s = rng.uniform(0, 2) * clock.utc_s  # it jumps while the panel runs
        bench.wait(2)
        waiting[report.id] = report
        if len(waiting) > 5:
            bench.finish(waiting.pop(next(iter(waiting))))
            bench.wait(2)
        epochs.append(bench.recovery.epoch)
        disk = disk.cut(rng)
    verdict.epochs_reused = len(epochs) - len(set(epochs)) + (epochs != sorted(epochs))
    if verdict.bad:
        verdict.failures.append(f"clock --seed {seed}: {verdict.bad}")
    return verdict


CLOCKS = (
    "clock set 1970",
    "clock jumps back 10y",
    "clock jumps ahead 10y",
    "clock jumps back 1h",
    "clock jumps back 1s",
    "clock unsynced",
    "clock synced",
)
ENDS = ("restart", "kill", "power cut\nAFTER 1 power on", "")


def clock_panel(seed: int) -> Verdict:
    """The whole panel in virtual time, its wall clock in the hands of chance: every press arrives."""
    rng = random.Random(f"{seed}/panel")
    lines = ["BEFORE clock unsynced", "BEFORE clock set 1970"] if rng.random() < 0.5 else []
    at = 0.0
    for _ in range(8):
        at += rng.uniform(3, 30)
        lines += [f"AT {at:.2f} {rng.choice(CLOCKS)}", f"AFTER {rng.uniform(0, 2):.2f} click booth-button"]
        lines += [
            "EXPECT report PA at all zone booth-button within 5",
            "AFTER 5 command from 110 reset all because proof",
        ]
        at += 10
        if end := rng.choice(ENDS):
            lines += [f"AT {at:.2f} {end}"]
            at += 5
    outcome = play(parse("\n".join(lines), f"clock-{seed}.scn"))
    verdict = Verdict(trials=1, accepted=8, lost=int(bool(outcome.failures)))
    verdict.failures += [f"clock --seed {seed}: {failure.splitlines()[0]}" for failure in outcome.failures]
    return verdict


# ---- identity


def restored(seed: int, *, clock_right: bool) -> Verdict:
    """The state folder comes back from an old backup: is an epoch taken that had been used?

    Args:
        seed: Of everything.
        clock_right: Whether the panel's wall clock is right at its starts; else it stood at 1970 at each of them.
    """
    rng = random.Random(f"{seed}/restored")
    config = SIZES[seed % len(SIZES)]
    disk, utc_s, used = MemoryDisk(), NOW_S, set()
    backup = disk
    for number in range(2 + rng.randint(1, 8)):
        utc_s += rng.uniform(60, 90 * 86400.0)
        bench = Bench(
            disk.calls(),
            config=config,
            clock=HandClock(utc_s=utc_s if clock_right else 0.0),
            random53=lambda: rng.getrandbits(53),
        )
        bench.alarm()
        used.add(bench.recovery.epoch)
        bench.journal.close()
        disk = disk.cut(rng)
        if number == 1:
            backup = disk.cut(rng)
    clock = HandClock(utc_s=utc_s + 3600 if clock_right else 0.0)
    reused = 0
    for _ in range(5):
        bench = Bench(backup.calls(), config=config, clock=clock, random53=lambda: rng.getrandbits(53))
        reused += bench.recovery.epoch in used
        used.add(bench.recovery.epoch)
        bench.journal.close()
        clock.utc_s += 60 if clock_right else 0
    return Verdict(trials=1, accepted=len(used), epochs_reused=reused)


def shared_sector(seed: int) -> Verdict:
    """A medium worse than promised: the sector being written at the cut becomes noise, with all it held before."""
    from proof.cuts import record  # noqa: PLC0415 - beside its only use

    rng = random.Random(f"{seed}/sector")
    disk, config = record(seed)
    writes = [step for step, op in enumerate(disk.trace) if op[0] == "write" and op[4]]
    step = rng.choice(writes)
    _, number, offset, data, _ = disk.trace[step]
    after = disk.cut(rng, step)
    node: Node = after._nodes[number]
    sector = (offset + len(data) - 1) // 512 * 512
    node.data[sector : sector + 512] = rng.randbytes(len(node.data[sector : sector + 512]))
    node.durable = bytearray(node.data)
    ledger = Ledger()
    for op in disk.trace[:step]:
        if op[0] == "note":
            ledger.take(*op[1])
    verdict = judge(Bench(after.calls(), config=config), ledger, damage_allowed=True)
    verdict.unpromised, verdict.lost = verdict.lost, 0
    return verdict
