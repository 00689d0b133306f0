"""Built-in configurations: small rings on disk, keys for everybody, and whatever a scenario adds as lines of TOML."""

from __future__ import annotations

import difflib
import tomllib
from typing import TYPE_CHECKING, Any

from firmware.config_file import ConfigError, parse
from firmware.sim.language import ScenarioError

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.config import Config
    from firmware.sim.language import Line, Scenario

PANEL_KEY = "panel.key"

_BOOTH = """
[panel]
board = "mock"
id = "booth-1"
name = "No. 1 Middle School"
address = "South gate, Liberation Road"
language = "en"

[zone.booth-button]
pin = 17
type = "panic"
[zone.foot-bar]
pin = 27
type = "hold-up"
[zone.lid]
pin = 22
type = "tamper"

[output.siren]
pin = 5
role = "siren"
[output.strobe]
pin = 6
role = "strobe"
[output.lamp]
pin = 13
role = "lamp"
[output.path-lamp]
pin = 19
role = "path-lamp"
[output.trouble-lamp]
pin = 26
role = "trouble-lamp"

[journal]
alarm_kib = 256
event_kib = 256

[console]
port = "/dev/ttyAMA0"
"""

_ONE_PATH = """
[[path]]
name = "main"
host = "broker.test"
"""

_TWO_PATHS = f"""{_ONE_PATH}
[[path]]
name = "spare"
host = "spare.test"
"""

_TWO_KINDS = f"""{_ONE_PATH}
[[path]]
name = "dial"
kind = "dc09"
host = "centre.test"
port = 7700
[path.dc09]
account = "A1B2"
receiver = "110"
reports = "all"
text = "South gate"
"""

_BUTTONS = "".join(f'[zone.button-{number}]\npin = {30 + number}\ntype = "panic"\n' for number in range(1, 11))

BUILT_IN: dict[str, str] = {
    "booth": _BOOTH + _ONE_PATH,
    "two-paths": _BOOTH + _TWO_PATHS,
    "mqtt-and-dc09": _BOOTH + _TWO_KINDS,
    "ten-zones": _BOOTH + _ONE_PATH + _BUTTONS,
}
"""A booth with a panic button, a hold-up bar, a lid contact and five outputs; the same with two paths; with a path to a
broker and one to an alarm receiver; with ten more buttons."""

_MEDIA = """
[camera.gate]
url = "test:"
width = 320
height = 240
rate_hz = 10
[microphone]
device = "test:"
[media]
pre_roll_s = 10
stills_s = 10
clip_s = 20
"""

RECEIVERS = ("110", "station")


def build(scenario: Scenario, folder: Path) -> Config:
    """The configuration of a scenario; its keys are written into `folder`, where its state goes too.

    Raises:
        ScenarioError: No such configuration, or a line of TOML that does not fit.
    """
    if scenario.config not in BUILT_IN:
        near = difflib.get_close_matches(scenario.config, BUILT_IN, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(BUILT_IN)}"
        raise ScenarioError([f"{scenario.name}.scn: no configuration {scenario.config!r}; {hint}"])
    table = tomllib.loads(BUILT_IN[scenario.config] + (_MEDIA if scenario.media else ""))
    table["panel"] |= {"state_dir": str(folder / "state"), "key_file": str(folder / PANEL_KEY)}
    table["receiver"] = [{"name": name, "key_file": str(folder / f"{name}.key")} for name in RECEIVERS]
    problems = [problem for line, text in scenario.overrides for problem in _override(table, line, text)]
    if problems:
        raise ScenarioError(problems)
    try:
        config = parse(_toml(table), f"{scenario.name}.scn")
    except ConfigError as error:
        raise ScenarioError([f"{scenario.name}.scn: {problem}" for problem in error.problems]) from error
    _write_keys(config, folder)
    return config


def key_of(name: str) -> bytes:
    """The key of the panel or of a receiver: different, and known in advance."""
    return (name.encode() * 32)[:32]


def _write_keys(config: Config, folder: Path) -> None:
    for name in ("panel", *(receiver.name for receiver in config.receiver)):
        place = folder / f"{name}.key"
        place.write_text(key_of(name).hex())
        place.chmod(0o600)


def _override(table: dict[str, Any], line: Line, text: str) -> list[str]:
    try:
        _merge(table, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        return [f"{line.file}:{line.number}: {text!r} is no line of TOML: {error}"]
    return []


def _merge(table: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(table.get(name), dict):
            _merge(table[name], value)
        else:
            table[name] = value


def _toml(table: dict[str, Any]) -> bytes:
    """A table as TOML in one line a value, for the configuration's own reader."""
    return "\n".join(f"{name} = {_value(value)}" for name, value in table.items()).encode()


def _value(value: Any) -> str:
    match value:
        case dict():
            inner = ", ".join(f"{name} = {_value(item)}" for name, item in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case _:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
