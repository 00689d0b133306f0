"""Reads the panel's TOML file into `firmware.config`: every mistake at once, each with its remedy.

The reader knows nothing of single keys: types, bounds and meanings stand beside the fields in `firmware.config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import re
import sys
import tomllib
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from firmware.config import NAME, NAME_SHAPE, Config
from firmware.config_paths import path_problems
from firmware.config_text import PATH_MAX, SHOWN_MAX, holds_control, names_a_file, show, visible
from firmware.config_words import say
from firmware.core.words import pick
from firmware.wire.dc09_key import Cipher, load_aes_key
from firmware.wire.sign import KeyFileError, load_key

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_MAX = 1 << 18
"""Bytes; the largest panel with a comment at every key has a tenth of it."""
DOTS_MAX = 300
"""In one line: the library's time grows with the square of the parts of a dotted key, to hours."""
PROBLEMS_MAX = 100
"""So many are told, the rest is counted."""
BOM = "\ufeff"
"""What Windows Notepad puts in front of UTF-8."""
PASSWORD_MAX = 4096
"""Characters; the MQTT adapter reads no more."""
_LONG_NUMBER = re.compile(rb"[0-9][0-9_]{%d}" % sys.int_info.default_max_str_digits)
_MISSING = object()
T = TypeVar("T")


class ConfigError(ValueError):
    """The file is not a panel's configuration; `problems` holds one sentence a mistake, up to `PROBLEMS_MAX`.

    Args:
        source: The file.
        problems: All of them.
        language: "zh" or "en".

    Attributes:
        count: How many there are.
    """

    def __init__(self, source: str, problems: Iterable[str], language: str = "en") -> None:
        every = tuple(problems)
        more = (say(language, "more", count=len(every) - PROBLEMS_MAX),) if len(every) > PROBLEMS_MAX else ()
        self.problems = every[:PROBLEMS_MAX] + more
        self.count = len(every)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def read(path: Path, language: str = "en") -> bytes:
    """The bytes of a file, no more of them than `parse` takes.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(SIZE_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(str(path), [say(language, "unreadable", why=why)]) from error


def load(path: Path, language: str = "en") -> Config:
    """Read a file; mistakes are told in "zh" or "en".

    Raises:
        ConfigError: With every problem of the file; also when it cannot be read at all.
    """
    return parse(read(path, language), str(path), language)


def parse(raw: bytes, source: str, language: str = "en") -> Config:
    """Read the bytes of a file; `source` names it in messages.

    Raises:
        ConfigError: With every problem; nothing else, whatever the bytes are.
    """
    try:
        table = _toml(raw)
    except _NotTomlError as error:
        raise ConfigError(source, [say(language, error.key, **error.values)]) from error
    reader = _Reader(language)
    config = reader.record(Config, table, "")
    if config is not None:
        reader.problems += cross_check(config, language)
    if config is None or reader.problems:
        raise ConfigError(source, reader.problems, language)
    return config


class _NotTomlError(Exception):
    """The bytes cannot be read at all; the key of the sentence that says why, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        self.values = values
        super().__init__(key)


def _toml(raw: bytes) -> dict[str, Any]:
    if len(raw) > SIZE_MAX:
        raise _NotTomlError("too-large", limit=SIZE_MAX)
    for number, line in enumerate(raw.splitlines(), 1):
        if line.count(b".") > DOTS_MAX:
            raise _NotTomlError("dotted", line=number, limit=DOTS_MAX)
    try:
        return tomllib.loads(raw.decode("utf-8").removeprefix(BOM))
    except UnicodeDecodeError as error:
        raise _NotTomlError("not-utf8", place=error.start) from error
    except RecursionError as error:
        raise _NotTomlError("too-deep") from error
    except ValueError as error:  # among them: more digits than Python takes for a number
        found = None if isinstance(error, tomllib.TOMLDecodeError) else _LONG_NUMBER.search(raw)
        if found is not None:
            raise _NotTomlError("long-number", line=raw.count(b"\n", 0, found.start()) + 1) from error
        raise _NotTomlError("not-toml", why=error) from error


def cross_check(config: Config, language: str) -> list[str]:
    """What no single key can tell: pins used twice, names used twice, nothing to guard, nobody to tell."""
    paths = [path.name for path in config.path]
    found: list[tuple[str, dict[str, Any]]] = [
        (f"no-{kind}", {}) for kind in ("zone", "path", "receiver") if not getattr(config, kind)
    ]
    found += _pins_twice(config)
    found += _names_twice("path", paths) + _names_twice("receiver", [receiver.name for receiver in config.receiver])
    if config.media.path and config.media.path not in paths:
        found.append(("no-such-path", {"name": config.media.path, "known": ", ".join(paths)}))
    if not config.alarm.resend_s:
        found.append(("no-pause", {}))
    for path in config.path:
        if path.tls and (path.tls.cert_file is None) != (path.tls.key_file is None):
            found.append(("half-certificate", {"name": path.name}))
        if path.username == "" and path.password_file is not None:
            found.append(("no-username", {"name": path.name}))
    found += path_problems(config)
    return [say(language, key, **values) for key, values in found]


class Use(enum.Enum):
    """What a file that the configuration names is for."""

    KEY = enum.auto()
    AES_KEY = enum.auto()
    SECRET = enum.auto()
    PASSWORD = enum.auto()
    CERTIFICATE = enum.auto()


def named_files(config: Config) -> list[tuple[str, Path, Use]]:
    """Every file that the configuration names: by which key, which file, and what it is for."""
    keys = [("panel.key_file", config.panel.key_file)]
    keys += [(f"receiver {receiver.name}: key_file", receiver.key_file) for receiver in config.receiver]
    found: list[tuple[str, Path | None, Use]] = [(where, file, Use.KEY) for where, file in keys]
    for path in config.path:
        found.append((f"path {path.name}: password_file", path.password_file, Use.PASSWORD))
        if path.tls:
            found += [
                (f"path {path.name}: tls.ca_file", path.tls.ca_file, Use.CERTIFICATE),
                (f"path {path.name}: tls.cert_file", path.tls.cert_file, Use.CERTIFICATE),
                (f"path {path.name}: tls.key_file", path.tls.key_file, Use.SECRET),
            ]
        if path.dc09:
            found.append((f"path {path.name}: dc09.key_file", path.dc09.key_file, Use.AES_KEY))
    return [(where, file, use) for where, file, use in found if file is not None]


def check_files(config: Config, language: str = "en") -> list[str]:
    """Files that the configuration names and that cannot be used as they are. A panel starts all the same."""
    problems = []
    for where, file, use in named_files(config):
        try:
            if use is Use.KEY:
                load_key(file)
            elif use is Use.PASSWORD and not _is_password(file):
                problems.append(say(language, "password", where=where, file=file, limit=PASSWORD_MAX))
            elif use is not Use.AES_KEY:
                file.open("rb").close()
        except KeyFileError as error:
            problems.append(f"{where}: {error}")
        except OSError as error:
            problems.append(say(language, "file", where=where, file=file, why=error.strerror))
    return problems + _bad_aes_keys(config)


def _is_password(file: Path) -> bool:
    """Whether a panel could send the whole of a file as its password."""
    with file.open("rb") as source:
        text = source.read(4 * PASSWORD_MAX + 1).decode("utf-8", "replace").rstrip("\r\n")
    return 0 < len(text) <= PASSWORD_MAX and not holds_control(text)


def _bad_aes_keys(config: Config) -> list[str]:
    problems = []
    for path in config.path:
        if path.dc09 is not None and path.dc09.key_file is not None:
            try:
                Cipher(load_aes_key(path.dc09.key_file, path.dc09.key_encoding))
            except KeyFileError as error:
                problems.append(f"path {path.name}: dc09.key_file: {error}")
    return problems


def _pins_twice(config: Config) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    pins: dict[int, str] = {}
    wires = [(f"zone.{name}", zone.pin) for name, zone in config.zone.items()]
    wires += [(f"output.{name}", output.pin) for name, output in config.output.items()]
    for where, pin in wires:
        if pin in pins:
            found.append(("pin-twice", {"where": where, "pin": pin, "other": pins[pin]}))
        pins.setdefault(pin, where)
    return found


def _names_twice(kind: str, names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return [("name-twice", {"kind": kind, "name": name}) for name in dict.fromkeys(names) if names.count(name) > 1]


class _Reader:
    """Turns tables into dataclasses and keeps every problem it meets."""

    def __init__(self, language: str) -> None:
        self.problems: list[str] = []
        self._language = language

    def record(self, cls: type[T], table: object, where: str) -> T | None:
        """One table as a dataclass; None when anything in it is wrong."""
        if not isinstance(table, dict):
            self._tell("no-table", where, found=self._kind(table))
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
                self._tell("missing", inner, meaning=field.metadata[self._language])
        return cls(**values) if len(self.problems) == before else None

    def _tell(self, key: str, where: str, **values: object) -> None:
        self.problems.append(say(self._language, key, where=where, **values))

    def _unknown(self, table: dict[str, Any], fields: dict[str, Any], where: str) -> None:
        for name in table:
            if name in fields:
                continue
            shown = visible(name, SHOWN_MAX)
            place = f"{where}.{shown}" if where else shown
            near = difflib.get_close_matches(shown, fields, 1, 0.5) if len(self.problems) < PROBLEMS_MAX else []
            if near:
                self._tell("unknown-near", place, near=near[0])
            else:
                self._tell("unknown", place, known=", ".join(fields))

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
            self._tell("no-list", where, found=self._kind(value))
            return ()
        return tuple(self._value(hint, item, f"{where}[{place}]", limits) for place, item in enumerate(value, 1))

    def _named(self, hint: Any, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._tell("no-tables", where, found=self._kind(value))
            return {}
        for name in value:
            if not re.fullmatch(NAME, name):
                self._tell("name", f"{where}.{visible(name, SHOWN_MAX)}", shape=pick(self._language, NAME_SHAPE))
        return {name: self.record(hint, table, f"{where}.{visible(name, SHOWN_MAX)}") for name, table in value.items()}

    def _scalar(self, hint: Any, value: object, where: str, limits: Any) -> Any:
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self._choice(hint, value, where)
        wanted: Any = {str: str, Path: str, int: int, float: (int, float), bool: bool}[hint]
        shown = show(value, secret="secret" in limits)
        if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
            self._tell("kind", where, value=shown, wanted=say(self._language, _WORDS[hint]), found=self._kind(value))
            return None
        before = len(self.problems)
        if hint is Path and not names_a_file(value):
            self._tell("path", where, value=shown, limit=PATH_MAX)
        else:
            self._limit(value, limits, where, shown)
        return hint(value) if len(self.problems) == before else None

    def _choice(self, hint: type[enum.Enum], value: object, where: str) -> Any:
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            self._tell("one-of", where, value=show(value), known=known)
            return None

    def _limit(self, value: Any, limits: Any, where: str, shown: str) -> None:
        unit = f" {limits['unit']}" if "unit" in limits else ""
        if isinstance(value, str) and len(value) > limits.get("high", math.inf):
            self._tell("length", where, value=shown, limit=limits["high"])
        elif "choices" in limits and value not in limits["choices"]:
            self._tell("one-of", where, value=shown, known=", ".join(map(str, limits["choices"])))
        elif "pattern" in limits and not re.fullmatch(limits["pattern"], value):
            self._tell("shape", where, value=shown, shape=pick(self._language, limits["shape"]))
        elif isinstance(value, str) and len(value.encode()) > limits.get("bytes", math.inf):
            self._tell("bytes", where, value=shown, limit=limits["bytes"])
        elif isinstance(value, str) and holds_control(value):
            self._tell("unprintable", where, value=shown)
        elif isinstance(value, str):
            return
        elif value < limits.get("low", -math.inf):
            self._tell("least", where, value=shown, limit=f"{limits['low']}{unit}")
        elif not value <= limits.get("high", math.inf):
            self._tell("most", where, value=shown, limit=f"{limits['high']}{unit}")

    def _kind(self, value: object) -> str:
        return say(self._language, _KINDS.get(type(value), "date"))


_WORDS = {str: "text", Path: "file-name", int: "whole", float: "number", bool: "bool"}
_KINDS = {dict: "table", list: "list", str: "text", bool: "bool", int: "whole", float: "number"}
