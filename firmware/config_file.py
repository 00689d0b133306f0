"""Reads the panel's TOML file into `firmware.config`: every mistake at once, each with its remedy.

The reader knows nothing of single keys: types, bounds and meanings stand beside the fields in `firmware.config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import re
import tomllib
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from firmware.config import NAME, Config

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_MAX = 1 << 20
SHOWN_MAX = 60
_MISSING = object()
T = TypeVar("T")


class ConfigError(ValueError):
    """The file is not a panel's configuration; `problems` holds one sentence a mistake."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def load(path: Path) -> Config:
    """Read a file.

    Raises:
        ConfigError: With every problem of the file; also when it cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}; check the name and the rights"]) from error
    return parse(raw, str(path))


def parse(raw: bytes, source: str) -> Config:
    """Read the bytes of a file; `source` names it in messages.

    Raises:
        ConfigError: With every problem.
    """
    if len(raw) > SIZE_MAX:
        raise ConfigError(source, [f"is larger than {SIZE_MAX} bytes; this is no panel's configuration"])
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(source, [f"is not UTF-8 at byte {error.start}; save it as UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [f"is not TOML: {error}"]) from error
    reader = _Reader()
    config = reader.record(Config, table, "")
    if config is not None:
        reader.problems += cross_check(config)
    if config is None or reader.problems:
        raise ConfigError(source, reader.problems)
    return config


def cross_check(config: Config) -> list[str]:  # noqa: C901 - a list of checks, one after another
    """What no single key can tell: pins used twice, names used twice, nothing to guard, nobody to tell."""
    problems: list[str] = []
    if not config.zone:
        problems.append("no [zone.NAME]: a panel without a button protects nobody; add one")
    if not config.path:
        problems.append("no [[path]]: the panel could reach nobody; add one")
    if not config.receiver:
        problems.append("no [[receiver]]: nobody would acknowledge; add one")
    pins: dict[int, str] = {}
    wires = [(f"zone.{name}", zone.pin) for name, zone in config.zone.items()]
    wires += [(f"output.{name}", output.pin) for name, output in config.output.items()]
    for where, pin in wires:
        if pin in pins:
            problems.append(f"{where}.pin = {pin} is taken by {pins[pin]}; give one of them another pin")
        pins.setdefault(pin, where)
    problems += _twice("path", [path.name for path in config.path])
    problems += _twice("receiver", [receiver.name for receiver in config.receiver])
    names = [path.name for path in config.path]
    if config.media.path and config.media.path not in names:
        problems.append(f"media.path = {config.media.path!r} is no path; there are: {', '.join(names)}")
    if not config.alarm.resend_s:
        problems.append("alarm.resend_s is empty; give at least one pause, as [2.0, 4.0, 5.0]")
    for path in config.path:
        if path.tls and (path.tls.cert_file is None) != (path.tls.key_file is None):
            problems.append(f"path {path.name}: tls.cert_file and tls.key_file belong together; give both or none")
        if path.username == "" and path.password_file is not None:
            problems.append(f"path {path.name}: password_file without username; add the user name")
    return problems


def check_files(config: Config) -> list[str]:
    """Files that the configuration names and that cannot be used as they are. A panel starts all the same."""
    from firmware.wire.sign import load_key  # noqa: PLC0415 - check-config and run need it, parsing does not

    problems: list[str] = []
    keys = [("panel.key_file", config.panel.key_file)]
    keys += [(f"receiver {receiver.name}: key_file", receiver.key_file) for receiver in config.receiver]
    for where, file in keys:
        if file is not None:
            try:
                load_key(file)
            except (OSError, ValueError) as error:
                problems.append(f"{where}: {error}")
    for path in config.path:
        named = [("password_file", path.password_file)]
        if path.tls:
            named += [(f"tls.{key}", getattr(path.tls, key)) for key in ("ca_file", "cert_file", "key_file")]
        problems += [_unreadable(f"path {path.name}: {key}", file) for key, file in named if file is not None]
    return [problem for problem in problems if problem]


def _unreadable(where: str, file: Path) -> str:
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return f"{where} = {file}: {error.strerror}; put the file there or correct the name"


def _twice(kind: str, names: list[str]) -> list[str]:
    return [
        f"two entries [[{kind}]] are named {name!r}; a name stands once" for name in {*names} if names.count(name) > 1
    ]


class _Reader:
    """Turns tables into dataclasses and keeps every problem it meets."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def record(self, cls: type[T], table: object, where: str) -> T | None:
        """One table as a dataclass; None when anything in it is wrong."""
        if not isinstance(table, dict):
            self.problems.append(f"{where}: expected a table, found {_kind(table)}")
            return None
        before = len(self.problems)
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        hints = get_type_hints(cls)
        self._unknown(table, fields, where)
        values = {}
        for name, field in fields.items():
            value = table.get(name, _MISSING)
            inner = f"{where}.{name}" if where else name
            if value is not _MISSING:
                values[name] = self._value(hints[name], value, inner, field.metadata)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                self.problems.append(f"{inner} is missing: {field.metadata['doc']}")
        return cls(**values) if len(self.problems) == before else None

    def _unknown(self, table: dict[str, Any], fields: dict[str, Any], where: str) -> None:
        for name in table.keys() - fields.keys():
            near = difflib.get_close_matches(name, fields, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(fields)}"
            self.problems.append(f"{f'{where}.' if where else ''}{name}: unknown key; {hint}")

    def _value(self, hint: Any, value: object, where: str, limits: Any) -> Any:
        if get_origin(hint) in (Union, types.UnionType):
            hint = next(arm for arm in get_args(hint) if arm is not type(None))
        origin = get_origin(hint)
        if origin is tuple:
            return self._list(get_args(hint)[0], value, where, limits)
        if origin is dict:
            return self._named(get_args(hint)[1], value, where)
        if dataclasses.is_dataclass(hint):
            return self.record(hint, value, where)  # type: ignore[arg-type]
        return self._scalar(hint, value, where, limits)

    def _list(self, hint: Any, value: object, where: str, limits: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            self.problems.append(f"{where}: expected a list, found {_kind(value)}")
            return ()
        return tuple(self._value(hint, item, f"{where}[{place}]", limits) for place, item in enumerate(value, 1))

    def _named(self, hint: Any, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.problems.append(f"{where}: expected tables [{where}.NAME], found {_kind(value)}")
            return {}
        for name in value:
            if not re.fullmatch(NAME, name):
                self.problems.append(
                    f"{where}.{name}: a name is 1 to 32 of a-z 0-9 _ -, beginning with a letter or digit"
                )
        return {name: self.record(hint, table, f"{where}.{name}") for name, table in value.items()}

    def _scalar(self, hint: Any, value: object, where: str, limits: Any) -> Any:
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self._choice(hint, value, where)
        wanted: Any = {str: str, Path: str, int: int, float: (int, float), bool: bool}[hint]
        if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
            self.problems.append(f"{where} = {_show(value)}: expected {_WORDS[hint]}, found {_kind(value)}")
            return None
        problem = _limit(value, limits)
        if problem:
            self.problems.append(f"{where} = {_show(value)}: {problem}")
            return None
        return hint(value)

    def _choice(self, hint: type[enum.Enum], value: object, where: str) -> Any:
        try:
            return hint(value)
        except ValueError:
            names = ", ".join(str(member.value) for member in hint)
            self.problems.append(f"{where} = {_show(value)}: expected one of {names}")
            return None


_WORDS = {str: "text", Path: "a file name", int: "a whole number", float: "a number", bool: "true or false"}


def _limit(value: Any, limits: Any) -> str:
    size = len(value) if isinstance(value, str) else value
    noun = " characters" if isinstance(value, str) else ""
    if "low" in limits and size < limits["low"]:
        return f"the least is {limits['low']}{noun}"
    if "high" in limits and not size <= limits["high"]:
        return f"the most is {limits['high']}{noun}"
    if "choices" in limits and value not in limits["choices"]:
        return f"expected one of {', '.join(map(str, limits['choices']))}"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        return f"does not fit {limits['pattern']}"
    return ""


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def _kind(value: object) -> str:
    return {
        dict: "a table",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }.get(type(value), type(value).__name__)
