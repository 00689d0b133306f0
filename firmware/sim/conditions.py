"""When a condition holds. The names are those of `firmware.sim.vocabulary.CONDITIONS`.

Some conditions are *events*: something happens at a moment, as a report that arrives. The others are *states*: they
hold or do not at any moment, as a lamp that is on.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from firmware.core.effects import Pattern
from firmware.sim.language import Demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.sim.events import Event
    from firmware.sim.grammar import Values
    from firmware.sim.language import Line, Scenario
    from firmware.sim.world import World
    from firmware.wire.health import ReceivedHealth

ALL = "all"


def matches(name: str, values: Values, event: Event) -> bool:
    """Whether an event is the one that a condition means."""
    return name in (event.kind, "evidence") and CHECKS[name](values, event)


def _is_step(values: Values, event: Event) -> bool:
    wanted = {"step": values["word"], "who": values["who"]}
    return _has(event, wanted) and values.get("zone", event.data["zone"]) == event.data["zone"]


def _says(values: Values, event: Event) -> bool:
    return values.get("text", "") in str(event.data["says"])


def _is_file(values: Values, event: Event) -> bool:
    wanted = {"kind": values["word"]} | ({"of": values["camera"]} if "camera" in values else {})
    kind = "arrived" if "receiver" in values else "evidence"
    return event.kind == kind and _has(event, wanted) and _by(values, event)


def _is_sealed(values: Values, event: Event) -> bool:
    return event.data["complete"] is (values["word"] == "complete")


def _is_result(values: Values, event: Event) -> bool:
    return _has(event, {"word": values["word"]}) and _by(values, event) and _says(values, event)


def _is_warning(values: Values, event: Event) -> bool:
    return _by(values, event) and _says(values, event)


def _is_report(values: Values, event: Event) -> bool:
    data = event.data
    word = values.get("word")
    checks = (
        data["code"] == values["code"],
        _by(values, event),
        values.get("zone", data["zone"]) == data["zone"],
        word not in ("late", "punctual") or data["late"] is (word == "late"),
        "number" not in values or int(values["number"]) == data["attempt"],
        "key" not in values or data.get(f"with {values['key']}") == values["value"],
        data["again"] is True if word == "again" else not data["again"] or "number" in values,
    )
    return all(checks)


def _is_frame(values: Values, event: Event) -> bool:
    data, word = event.data, values.get("word")
    checks = (
        data["code"] == values["code"],
        data["path"] == values["centre"],
        values.get("zone", data["zone"]) == data["zone"],
        word not in ("late", "punctual") or data["late"] is (word == "late"),
        data["again"] is (word == "again"),
    )
    return all(checks)


def _by(values: Values, event: Event) -> bool:
    return values.get("receiver", ALL) in (ALL, event.data.get("receiver"))


def _has(event: Event, wanted: dict[str, str]) -> bool:
    return all(event.data.get(key) == value for key, value in wanted.items())


CHECKS: dict[str, Callable[[Values, Event], bool]] = {
    "report": _is_report,
    "frame": _is_frame,
    "chain": _is_step,
    "console": _says,
    "log": _says,
    "evidence": _is_file,
    "sealed": _is_sealed,
    "live": _by,
    "result": _is_result,
    "gap": _by,
    "warning": _is_warning,
}
"""Whether an event of its kind is the one that a condition means, by the condition's name."""


class States:
    """Tells whether a state holds now.

    Args:
        world: Of what.

    Synchronization: one thread.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def holds(self, name: str, values: Values, since_s: float) -> bool:
        """Whether it holds; what can pass in an instant also when it did so after a moment."""
        method: Callable[[Values, float], bool] = getattr(self, "_" + name.replace("-", "_"))
        return method(values, since_s)

    def _incidents(self, values: Values, _since_s: float) -> bool:
        panel = self._world.machine.panel
        return panel is not None and len(panel.ledger.open()) == int(values["count"])

    def _incident(self, values: Values, _since_s: float) -> bool:
        panel = self._world.machine.panel
        if panel is None:
            return False
        is_open = any(incident.zone == values["zone"] for incident in panel.ledger.open())
        return is_open is (values["word"] == "open")

    def _output(self, values: Values, since_s: float) -> bool:
        witness, name, word = self._world.machine.witness, values["output"], values["word"]
        if word == "on":
            return witness.lit(name, since_s)
        if word == "off":
            return not witness.lamps[name].on and witness.shows(name) is Pattern.OFF
        return witness.shows(name) is Pattern(word) and witness.lit(name, since_s)

    def _trouble(self, values: Values, _since_s: float) -> bool:
        panel = self._world.machine.panel
        return panel is not None and values["source"] in panel.troubles

    def _trouble_over(self, values: Values, since_s: float) -> bool:
        return self._world.machine.panel is not None and not self._trouble(values, since_s)

    def _quiet(self, _values: Values, _since_s: float) -> bool:
        panel = self._world.machine.panel
        return panel is not None and not panel.troubles

    def _path(self, values: Values, _since_s: float) -> bool:
        panel = self._world.machine.panel
        up = panel is not None and values["path"] in panel.ledger.paths_up
        return up is (values["word"] == "up")

    def _health(self, values: Values, _since_s: float) -> bool:
        return self._all(values, lambda health: health.online is (values["word"] == "online"))

    def _health_count(self, values: Values, _since_s: float) -> bool:
        count = int(values["count"])
        if values["word"] == "incidents":
            return self._all(values, lambda health: health.open_incidents == count)
        return self._all(values, lambda health: health.pending_alarms == count)

    def _health_trouble(self, values: Values, _since_s: float) -> bool:
        return self._all(values, lambda health: values["source"] in health.troubles)

    def _all(self, values: Values, check: Callable[[ReceivedHealth], bool]) -> bool:
        desks = self._world.desks.by_name
        chosen = desks.values() if values["receiver"] == ALL else [desks[values["receiver"]]]
        views = [desk.desk.panels.get(self._world.config.panel.id) for desk in chosen]
        return all(view is not None and view.health is not None and check(view.health) for view in views)

    def _panel(self, values: Values, _since_s: float) -> bool:
        return (self._world.machine.panel is not None) is (values["word"] == "armed")


def check_names(scenario: Scenario, world: World) -> list[str]:
    """What the lines of a scenario name that its configuration does not have; one sentence a mistake."""
    problems: list[str] = []
    known = {
        "zone": {*world.config.zone},
        "output": {*world.config.output},
        "receiver": {*world.desks.by_name},
        "path": {*world.ways},
        "broker": {*world.brokers},
        "centre": {*world.centres},
        "camera": {*world.config.camera},
    }
    for line, values, everyone in _named(scenario):
        for key, names in known.items():
            allowed = names | (everyone & {ALL} if key in ("zone", "receiver") else set())
            problems += [
                _unknown(line, key, word, allowed) for word in values.get(key, "").split() if word not in allowed
            ]
    return problems


def _named(scenario: Scenario) -> Iterable[tuple[Line, Values, set[str]]]:
    for item in scenario.items:
        if isinstance(item, Demand):
            yield item.line, item.values, {ALL}
        elif item.name:
            yield item.line, item.values, {ALL} if item.name == "command" else set()


def _unknown(line: Line, kind: str, name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
    return f"{line.file}:{line.number}: no {kind} {name!r} in the configuration; {hint}"
