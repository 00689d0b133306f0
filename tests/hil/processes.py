"""What the processes of a panel cost, from /proc."""

from __future__ import annotations

import contextlib
import os
import pathlib

PROC = pathlib.Path("/proc")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        queue += children.get(one, [])
    return found


def memory_mib(pid: int) -> float:
    """Proportional set size of a family."""
    total_kib = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            rollup = (PROC / str(one) / "smaps_rollup").read_text()
            total_kib += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total_kib / 1024


def cpu_s(pid: int) -> float:
    """Processor time of a family so far."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = (PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
