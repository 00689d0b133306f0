"""Reading of JSON that anybody may have sent: size, depth, types and ranges are checked before anything is believed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from firmware.core.report import SEQ_MAX, ReportId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHOWN_MAX = 80
"""Characters of a bad value that an error shows."""
DEPTH_MAX = 8
"""Objects and arrays inside each other; our own payloads have two."""
INBOUND_MAX = 16 * 1024
"""Bytes of the largest payload that a panel reads; its own receipts and commands have under 1 KiB."""

PANEL_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""Names of receivers, zones and paths, as in the configuration."""
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""What could forge a log line or a terminal: controls, line and direction marks, invisible ones, halves of pairs."""


class WireError(ValueError):
    """A payload is not what the wire format asks for.

    Args:
        what: The kind of payload, as "receipt".
        where: The key, with a dot for each level, or "payload".
        value: What stood there; shown cut to 80 characters.
        limit: What may stand there.
    """

    def __init__(self, what: str, where: str, value: object, limit: str) -> None:
        self.what = what
        self.where = where
        self.shown = _show(value)
        self.limit = limit
        super().__init__(f"{what}: {where} is {self.shown}, but must be {limit}")


def parse_object(payload: bytes, what: str, high: int) -> dict[str, Any]:
    """Read one JSON object of at most `high` bytes.

    Raises:
        WireError: Too long, no UTF-8, no JSON, no object, nested deeper than 8, a key twice, a number with a fraction.
    """
    if len(payload) > high:
        raise WireError(what, "payload", f"{len(payload)} bytes", f"at most {high} bytes")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise WireError(what, "payload", payload[:SHOWN_MAX], "UTF-8 text") from None
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number)
        _check_depth(found)
    except _FormatError as error:
        raise WireError(what, "payload", text, str(error)) from None
    except RecursionError:
        raise WireError(what, "payload", text, _DEEP) from None
    except ValueError:
        raise WireError(what, "payload", text, "JSON (RFC 8259)") from None
    if not isinstance(found, dict):
        raise WireError(what, "payload", found, "a JSON object")
    return found


class Fields:
    """Typed reading of one JSON object; keys that nobody asks for are ignored.

    Synchronization: none needed; holds no state of its own.
    """

    def __init__(self, found: Mapping[str, Any], what: str, prefix: str = "") -> None:
        self._found = found
        self._what = what
        self._prefix = prefix

    def text(self, key: str, high: int, pattern: re.Pattern[str] | None = None) -> str:
        """Printable text of at most `high` characters, the whole of it matching `pattern`."""
        value = self._get(key, str)
        if len(value) > high:
            raise self._wrong(key, value, f"at most {high} characters, not {len(value)}")
        if UNPRINTABLE.search(value):
            raise self._wrong(key, value, "text without control characters")
        if pattern is not None and not pattern.fullmatch(value):
            raise self._wrong(key, value, f"of the form {pattern.pattern}")
        return str(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._get(key, int)
        if isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"a whole number from {low} to {high}")
        return int(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self._get(key, bool))

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """One of the given words."""
        value = self._get(key, str)
        allowed = tuple(choices)
        if value not in allowed:
            raise self._wrong(key, value, "one of " + ", ".join(allowed))
        return str(value)

    def same(self, key: str, expected: str, why: str) -> str:
        """Exactly this text; `why` names where it comes from."""
        value = self._get(key, str)
        if value != expected:
            raise self._wrong(key, value, f"{expected!r}, {why}")
        return expected

    def identity(self, key: str) -> ReportId:
        """A report's identity in its one spelling."""
        value = self._get(key, str)
        try:
            found = ReportId.parse(value)
        except ValueError:
            raise self._wrong(key, value, "panel/epoch/seq") from None
        in_range = PANEL_PATTERN.fullmatch(found.panel) and max(found.epoch, found.seq) <= SEQ_MAX
        if not in_range or str(found) != value:
            raise self._wrong(key, value, "panel/epoch/seq with plain numbers below 2**53")
        return found

    def nested(self, key: str) -> Fields:
        """An object inside this one."""
        return Fields(self._get(key, dict), self._what, f"{self._prefix}{key}.")

    def items(self) -> Iterable[tuple[str, Any]]:
        """All keys and values, in their order."""
        return self._found.items()

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self._found.get(key) is not None

    def version(self) -> None:
        """Refuse a payload of another version than 1."""
        self.integer("v", 1, 1)

    def _get(self, key: str, kind: type) -> Any:
        value = self._found.get(key, _MISSING)
        if not isinstance(value, kind):
            raise self._wrong(key, value, _KINDS[kind])
        return value

    def _wrong(self, key: str, value: object, limit: str) -> WireError:
        return WireError(self._what, self._prefix + key, value, limit)


class _FormatError(Exception):
    """JSON that the format forbids though the grammar allows it."""


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()
_KINDS: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false", dict: "an object"}
_DEEP = f"nested at most {DEPTH_MAX} deep"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _FormatError("an object with each key once")
    return found


def _refuse_number(_text: str) -> NoReturn:
    raise _FormatError("JSON with whole numbers only")


def _check_depth(found: Any) -> None:
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > DEPTH_MAX + 1:
            raise _FormatError(_DEEP)
        level = [inner for outer in level for inner in _inside(outer)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _show(value: object) -> str:
    if isinstance(value, (str, bytes)):
        return ascii(value[:SHOWN_MAX])[: SHOWN_MAX + 3] if isinstance(value, bytes) else repr(value[:SHOWN_MAX])
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return "a very long number" if isinstance(value, int) and value.bit_length() > 64 else repr(value)[:SHOWN_MAX]  # noqa: PLR2004 - no number of ours is longer than a machine word
