"""Scenario files: text to frozen lines, with every mistake of a file told at once.

Each line begins with a keyword: CONFIG, MEDIA, SEED and ALLOW set the stage; BEFORE, AT and AFTER do something; EXPECT
and NEVER say what must follow from the action above them. `docs/scenarios.md` is the reference.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from firmware.sim.grammar import SPAN, Values, choose, complaint, span_s
from firmware.sim.vocabulary import ACTIONS, CONDITIONS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIZE_MAX = 1 << 20
KEYWORDS = ("CONFIG", "MEDIA", "SEED", "ALLOW", "BEFORE", "AT", "AFTER", "EXPECT", "NEVER")
ALLOWANCES = ("loss",)
BEFORE_S = -1.0
"""Time of what is done before the panel starts."""
_LIMIT = re.compile(rf"(?:\s+within\s+(?P<within>{SPAN}))?(?:\s+for\s+(?P<hold>{SPAN}))?\s*$")
_COMMENT = re.compile(r'^((?:[^"#]|"[^"]*"|(?<=\S)#)*?)(?:(?:^|\s)#.*)?$')


class ScenarioError(ValueError):
    """A file that is no scenario; `problems` holds one sentence a mistake, each with file and line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Mode(enum.Enum):
    """How a condition is judged."""

    EXPECT = "expect"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Line:
    """Where something stands in its file."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.text}"


@dataclass(frozen=True, slots=True)
class Do:
    """Something that happens.

    Attributes:
        at_s: When; `BEFORE_S` before the panel starts.
        name: Which code does it; "" when only time is to pass.
        values: Its placeholders.
    """

    line: Line
    at_s: float
    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that must, or must not, become true.

    Attributes:
        at_s: From when on.
        within_s: How long it may take until it is so; for a NEVER how long it counts, infinite without an end.
        hold_s: How long it must then stay so.
    """

    line: Line
    at_s: float
    mode: Mode
    within_s: float
    hold_s: float
    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole file.

    Attributes:
        name: Its file name without folder and ending.
        config: Name of a built-in configuration.
        overrides: Lines of TOML on top of it.
        media: Whether cameras and microphone are simulated.
        seed: For all randomness.
        allow: What the judgement at the end is to overlook.
        items: Actions and conditions in the order of the file.
    """

    name: str
    config: str
    overrides: tuple[tuple[Line, str], ...]
    media: bool
    seed: int
    allow: frozenset[str]
    items: tuple[Do | Demand, ...]


def load(path: Path) -> Scenario:
    """Read a file.

    Raises:
        ScenarioError: With every problem of the file; also when it cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read: {error.strerror}; check the name"]) from error
    if len(raw) > SIZE_MAX:
        raise ScenarioError([f"{path}: is larger than {SIZE_MAX} bytes; this is no scenario"])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{path}: is not UTF-8 at byte {error.start}"]) from error
    return parse(text, path.name)


def parse(text: str, file: str) -> Scenario:
    """Read the text of a file.

    Raises:
        ScenarioError: With every problem.
    """
    parser = _Parser(file)
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = _strip(raw)
        if stripped:
            parser.take(Line(file, number, stripped))
    return parser.finish()


class _Mistake(Exception):  # noqa: N818 - caught in this module
    """What is wrong with a line."""


class _Parser:
    """Collects lines and mistakes."""

    def __init__(self, file: str) -> None:
        self._name = file.removesuffix(".scn")
        self._file = file
        self._problems: list[str] = []
        self._config = "booth"
        self._overrides: list[tuple[Line, str]] = []
        self._media = False
        self._seed = 1
        self._allow: set[str] = set()
        self._items: list[Do | Demand] = []
        self._now_s = BEFORE_S

    def take(self, line: Line) -> None:
        """Read one line."""
        keyword, _, rest = line.text.partition(" ")
        rest = rest.strip()
        try:
            match keyword:
                case "CONFIG":
                    self._configure(line, rest)
                case "MEDIA":
                    self._media = _one_of(rest, ("on", "off")) == "on"
                case "SEED":
                    self._seed = _number(rest)
                case "ALLOW":
                    self._allow.add(_one_of(rest, ALLOWANCES))
                case "BEFORE" | "AT" | "AFTER":
                    self._do(line, keyword, rest)
                case "EXPECT" | "NEVER":
                    self._demand(line, keyword, rest)
                case _:
                    _unknown(keyword)
        except (_Mistake, ValueError) as mistake:
            self._problems.append(f"{line.file}:{line.number}: {mistake}")

    def finish(self) -> Scenario:
        """The scenario.

        Raises:
            ScenarioError: If there was any mistake.
        """
        if not self._problems and not any(isinstance(item, Demand) for item in self._items):
            self._problems.append(f"{self._file}: no EXPECT and no NEVER: this scenario cannot fail")
        if self._problems:
            raise ScenarioError(self._problems)
        return Scenario(
            self._name,
            self._config,
            tuple(self._overrides),
            self._media,
            self._seed,
            frozenset(self._allow),
            tuple(self._items),
        )

    def _configure(self, line: Line, rest: str) -> None:
        if "=" in rest:
            self._overrides.append((line, rest))
        elif re.fullmatch(r"[a-z0-9-]+", rest):
            self._config = rest
        else:
            raise _Mistake(f"CONFIG {rest!r}: expected the name of a configuration, or a line of TOML as `a.b = 1`")

    def _do(self, line: Line, keyword: str, rest: str) -> None:
        if keyword == "BEFORE":
            if self._now_s != BEFORE_S:
                raise _Mistake("BEFORE stands after AT: what is done before the start comes first")
        else:
            rest = self._move(keyword, rest)
        if not rest:
            if keyword == "BEFORE":
                raise _Mistake("BEFORE what? Write an action behind it")
            self._items.append(Do(line, self._now_s, "", {}))
            return
        found = choose(ACTIONS, rest)
        if found is None:
            raise _Mistake(complaint("action", ACTIONS, rest))
        self._items.append(Do(line, self._now_s, found[0].name, found[1]))

    def _move(self, keyword: str, rest: str) -> str:
        """Move time on and return the action behind it."""
        text, _, action = rest.partition(" ")
        try:
            span = span_s(text)
        except ValueError as error:
            raise _Mistake(f"{keyword} needs a time: {error}") from None
        when_s = span if keyword == "AT" else max(self._now_s, 0.0) + span
        if when_s < self._now_s:
            raise _Mistake(f"AT {text} stands after {self._now_s:g} s: time only goes forward")
        self._now_s = when_s
        return action.strip()

    def _demand(self, line: Line, keyword: str, rest: str) -> None:
        limit = _LIMIT.search(rest)
        assert limit is not None  # noqa: S101 - the pattern matches the empty end
        text = rest[: limit.start()].strip()
        found = choose(CONDITIONS, text)
        if found is None:
            raise _Mistake(complaint("condition", CONDITIONS, text))
        within, hold = limit["within"], limit["hold"]
        if keyword == "NEVER" and within:
            raise _Mistake("NEVER has no `within`; write `NEVER … for 10`, or nothing for until the end")
        if keyword == "EXPECT" and hold and found[0].name in EVENTS:
            raise _Mistake(f"`{text}` happens at a moment and cannot last `for` a time; write `within`")
        at_s, held_s = max(self._now_s, 0.0), span_s(hold) if hold else 0.0
        if keyword == "NEVER":
            demand = Demand(line, at_s, Mode.NEVER, held_s or float("inf"), 0.0, found[0].name, found[1])
        else:
            within_s = span_s(within) if within else 0.0
            demand = Demand(line, at_s, Mode.EXPECT, within_s, held_s, found[0].name, found[1])
        self._items.append(demand)


def _strip(raw: str) -> str:
    found = _COMMENT.match(raw)
    return (found[1] if found else raw).strip()


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise _Mistake(f"{text!r}: expected {' or '.join(choices)}")
    return text


def _number(text: str) -> int:
    if not text.isdecimal():
        raise _Mistake(f"{text!r}: expected a whole number")
    return int(text)


def _unknown(keyword: str) -> NoReturn:
    if keyword.upper() in KEYWORDS:
        raise _Mistake(f"{keyword!r}: keywords are written in capitals: {keyword.upper()}")
    raise _Mistake(f"unknown keyword {keyword!r}; a line begins with one of {', '.join(KEYWORDS)}")
