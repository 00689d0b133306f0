"""What has happened in the demonstration, told from the lines of its processes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from firmware.demo.stage import RECEIVERS

CHAIN = ("raised", "stored", "brokered", "received", "accepted")
BY_RECEIVER = ("received", "accepted")
KINDS = ("still", "clip", "sound")
PANEL = "panel"
DESK = RECEIVERS[0]
"""The receiver whose files are shown."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of evidence at the 110 desk."""

    path: str
    kind: str
    name: str
    sha256: str
    size: int


@dataclass(slots=True)
class Alarm:
    """One alarm report and how far it has come: milliseconds since the press by step and by whom."""

    id: str
    code: str
    zone: str
    steps: dict[tuple[str, str], float] = field(default_factory=dict)


class Story:
    """Keeps what the lines told.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self.armed = False
        self.alarms: dict[str, Alarm] = {}
        self.files: list[File] = []
        self.sealed: dict[str, dict[str, Any]] = {}
        self.troubles: list[str] = []
        self._linked: set[tuple[str, str]] = set()
        self._seen: set[str] = set()

    def take(self, source: str, line: dict[str, Any]) -> list[dict[str, Any]]:
        """Take one line of a process.

        Args:
            source: "panel" or a receiver's name.
            line: As it printed it.

        Returns:
            What the demonstration itself says about it in JSON: steps of the pressed alarm and files.
        """
        if source == PANEL:
            return self._panel(line)
        match line.get("event"):
            case "link" if line.get("up"):
                self._linked.add((source, str(line.get("link"))))
            case "health" if line.get("online"):
                self._seen.add(source)
            case "evidence" if source == DESK and line.get("kind") in KINDS:
                return self._file(line)
            case "sealed":
                self.sealed[source] = line
            case "warning":
                self.troubles.append(f"{source}: {line.get('text')}")
        return []

    @property
    def desks_ready(self) -> bool:
        """Whether every receiver listens, for reports and for media."""
        return all((name, link) in self._linked for name in RECEIVERS for link in ("reports", "media"))

    @property
    def panel_seen(self) -> bool:
        """Whether the panel is armed and every receiver has seen it alive."""
        return self.armed and self._seen >= set(RECEIVERS)

    @property
    def first(self) -> Alarm | None:
        """The alarm that was pressed first."""
        return next((alarm for alarm in self.alarms.values() if alarm.code == "PA"), None)

    def missing_steps(self) -> list[str]:
        """Links that the first alarm's chain lacks, in words."""
        done = {} if self.first is None else self.first.steps
        lacking = [step for step in CHAIN if step not in BY_RECEIVER and all(known != step for known, _ in done)]
        by_receiver = [f"{step} by {name}" for step in BY_RECEIVER for name in RECEIVERS if (step, name) not in done]
        return lacking + by_receiver

    def missing_kinds(self) -> list[str]:
        """Kinds of evidence that have not come."""
        return [kind for kind in KINDS if all(file.kind != kind for file in self.files)]

    def missing_seals(self) -> list[str]:
        """Receivers without a whole manifest, with why."""
        lacking = []
        for name in RECEIVERS:
            seal = self.sealed.get(name)
            if seal is None:
                lacking.append(f"the manifest at {name}")
            elif seal["missing"] or not seal["complete"]:
                lacking.append(f"files of the manifest at {name}: {' '.join(seal['missing']) or 'the panel lost some'}")
        return lacking

    def _panel(self, line: dict[str, Any]) -> list[dict[str, Any]]:
        if line.get("armed"):
            self.armed = True
        if "trouble" in line:
            self.troubles.append(f"panel: {line['trouble']}")
        if "step" not in line:
            return []
        ident, step, by = str(line["id"]), str(line["step"]), str(line.get("by", ""))
        alarm = self.alarms.setdefault(ident, Alarm(ident, str(line.get("code")), str(line.get("zone"))))
        known = (step, by) in alarm.steps
        alarm.steps[step, by] = float(line["ms"])
        if known or alarm is not self.first or step not in CHAIN:
            return []
        return [{"step": step, "id": ident, "ms": line["ms"], "by": by}]

    def _file(self, line: dict[str, Any]) -> list[dict[str, Any]]:
        file = File(line["evidence"], line["kind"], line["name"], line["sha256"], line["size"])
        self.files.append(file)
        return [{"evidence": file.path, "kind": file.kind, "sha256": file.sha256}]
