"""Rows of what was proven, kept as JSON, and the page made from them."""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proof.oracle import Verdict

ROOT = Path(__file__).parents[2]
DATA = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True)
class Row:
    """One fault and what came of it.

    Attributes:
        part: Of the campaign.
        fault: What was done to the panel.
        promise: What must hold.
        test: Where.
        trials: How many times.
        accepted: Alarms (of a peer: messages) that had been accepted, summed over the trials where each is counted.
        lost: Of these, not there.
        invented: There, and never given.
        note: What else was counted.
        kept: Whether the promise held.
        date: Of the run.
        machine: It ran on.
        commit: Of what ran; "+" behind it: with changes that were not committed.
    """

    part: str
    fault: str
    promise: str
    test: str
    trials: int
    accepted: int
    lost: int
    invented: int
    note: str = ""
    kept: bool = True
    date: str = ""
    machine: str = ""
    commit: str = ""


def row_of(part: str, fault: str, promise: str, test: str, verdict: Verdict, *, note: str = "") -> Row:
    """A verdict as a row."""
    slow = "" if verdict.slowest_s is None else f"received {verdict.slowest_s:.1f} s after it ended, at the latest"
    words = [word for word in (note, slow) if word]
    return Row(
        part,
        fault,
        promise,
        test,
        verdict.trials,
        verdict.accepted,
        verdict.lost + verdict.unpromised,
        verdict.invented,
        "; ".join(words),
        kept=not (verdict.bad or verdict.failures),
    )


def stamped(row: Row) -> Row:
    """The row with the day, the commit and the machine."""
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    machine = f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}, {os.cpu_count()} cores"
    machine = f"{machine}, Python {platform.python_version()}"
    return replace(row, date=today, machine=machine, commit=_commit())


@functools.cache
def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=8", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def keep(rows: Iterable[Row]) -> None:
    """Put rows in the place of those of the same fault, and write the page."""
    known = {(row.part, row.fault): row for row in load()}
    known |= {(row.part, row.fault): stamped(row) for row in rows}
    lines = ",\n".join("  " + json.dumps(asdict(row), ensure_ascii=False) for row in known.values())
    DATA.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    PAGE.write_text(render(list(known.values())), encoding="utf-8")


def load() -> list[Row]:
    """The rows of the last runs."""
    return [Row(**row) for row in json.loads(DATA.read_text(encoding="utf-8"))] if DATA.exists() else []


HEAD = """# Reliability

What is promised when something fails, and how often that was tried. This page is written by `make proof` (some ten
minutes on two busy cores; as root it also cuts the power of a real ext4); a shorter run is part of `make test`. Seeds
are fixed: a trial that fails prints how to play it again. `make proof PROOF_ARGS="cuts --seed 7"` runs one part with
another seed.

*Accepted* is an alarm that the panel called stored or brokered. *Lost* is one of these that a later start does not
know, or that never reached the desk. *Invented* is one that nobody raised, or not as it was raised. Accepted alarms are
counted anew at every cut.
"""
POWER = """The journal runs on a recorded disk: every write, sync and change of a name is a step. Before each step, and
in the middle of it, the power fails: of what is not synced any subset of 512-byte sectors is there, one more may be
torn at any byte, the folder has the names of any moment since its last sync. Each state is mounted and compared with
what had been promised; one in 25 is cut again while it starts. The same is done on a real ext4 on an image: the writer
is frozen at a random instant, the image copied, the copy mounted. That takes the page cache away; it is no proof about
a card that lies about its flushes."""
LINK = """The whole panel as a process behind a proxy that fails on purpose: over MQTT to a broker and a desk, and over
DC-09 alone to an alarm receiver, which fails in its own ways too."""
NODE = """The panel's uplinks and the desk's links of the delivery suite, over TLS to the three nodes of a cluster from
`deploy/broker/`, each with two of them: the node that both share dies, then the others. *Accepted* is every alarm
pressed. What a confirmed alarm is worth to a desk that is away is another question: [scaling](scaling.md)."""
DISK = """The real journal over a faulty operating system in virtual time, then a cut of the power; and the whole panel
on a real file system."""
PARTS = {
    "power": ("Power cuts", POWER),
    "kill": ("Processes killed", "The whole panel as a process, a real broker, a desk; presses all the while."),
    "link": ("Links", LINK),
    "node": ("Nodes of a cluster", NODE),
    "disk": ("Disks", DISK),
    "clock": (
        "Clocks",
        "The real journal, and the whole panel in the simulator, with a wall clock that means nothing.",
    ),
    "identity": ("Identity", "The panel's state folder is put back from a backup taken some starts before."),
}
LIMITS = """## What is not promised

- A medium that loses sectors it had synced, or reports a flush it has not done, loses what was in them. The journal
  skips the damage, counts it and tells it; a damaged end looks like a write that was torn and is not told. The rows
  marked *measured* say how much was lost.
- An alarm called brokered while the disk takes nothing exists in the panel's memory and in the broker only. If both die
  before a receiver has answered, it is gone: *accepted* is then the broker's promise, and the table of the others shows
  what such a promise may be worth.
- An alarm whose end was overwritten while its segment could not be read, over a whole lap of the ring and a restart,
  comes back as unfinished; receivers know its identity.
- Files deleted under a running panel are noticed within ten seconds and written again from memory. A cut of the power
  within these ten seconds takes what had been in them.
- A panel whose clock was never right, and whose state folder is restored from an old backup, takes epochs at random
  above the backup's. Two of them meet with a chance of one in four thousand million; it may lie below one that the desk
  has seen, and the desk then warns that the epoch fell back.
"""
PEERS_HEAD = """## The same cuts, counted for others

Every one writes messages of 1 KiB to the same kind of ext4 image, one after another as fast as it accepts them, and is
cut at random instants of its first second or two. *Accepted* is what its own interface calls done: `Stored` of the
journal, a `put` that returned, a PUBACK of a bridge whose far end is out of reach, a `publish` of paho that queued. The
journal's figures are those of the alarms it has to keep: 400 of them are unfinished at a time. Given is the smallest,
the median and the largest count.
"""


def render(rows: list[Row]) -> str:
    """The page."""
    parts = [HEAD]
    for part, (title, text) in PARTS.items():
        mine = [row for row in rows if row.part == part]
        if mine:
            parts.append(f"## {title}\n\n{text}\n\n{_table(mine)}")
    peers = [row for row in rows if row.part == "peers"]
    if peers:
        parts.append(f"{PEERS_HEAD}\n{_peers(peers)}")
    parts.append(LIMITS)
    parts.append(_runs(rows))
    return "\n".join(parts)


def _table(rows: list[Row]) -> str:
    lines = [
        "| fault | promise | test | trials | accepted | lost | invented | run | |",
        "|---|---|---|--:|--:|--:|--:|---|---|",
    ]
    for row in rows:
        kept = "" if row.kept else "**broken** "
        lines.append(
            f"| {row.fault} | {row.promise} | `{row.test}` | {_n(row.trials)} | {_n(row.accepted)} | {_n(row.lost)} |"
            f" {_n(row.invented)} | {_run(row)} | {kept}{row.note} |"
        )
    return "\n".join(lines) + "\n"


def _peers(rows: list[Row]) -> str:
    lines = [
        "| store | cut by | cuts | accepted before a cut | lost at a cut | run | |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for row in rows:
        name, _, by = row.fault.rpartition(": ")
        accepted, lost, times = row.note.split(" / ")
        some = f"lost {_share(row.lost, row.accepted)} % in all, some at {times} of {row.trials} cuts"
        verdict = some if row.lost else "lost nothing"
        lines.append(f"| {name} | {by} | {row.trials} | {accepted} | {lost} | {_run(row)} | {verdict} |")
    return "\n".join(lines) + "\n"


def _share(lost: int, accepted: int) -> str:
    """Percent in two digits; 100 is said of nothing less than all."""
    percent = 100 * lost / max(1, accepted)
    return "100" if lost == accepted else f"{min(percent, 99.9):.{2 if percent < 99.5 else 3}g}"


def _run(row: Row) -> str:
    return f"{row.date} {row.commit}".strip()


def _runs(rows: list[Row]) -> str:
    return "Run on " + "; ".join(sorted({row.machine for row in rows})) + ". Day and commit stand in each row.\n"


def _n(value: int) -> str:
    return f"{value:,}".replace(",", " ")
