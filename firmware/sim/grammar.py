"""Rules of the scenario language: each a pattern that people read in the reference and the parser obeys.

A pattern is made of words that stand as they are, `a|b` (one of these), `UPPER` (a value of that kind), `UPPER...`
(several), `[x y]` (may be left out) and `{a X | b}` (any of these, in any order).
"""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = r"[a-z0-9][a-z0-9_-]*"
TEXT = r'"[^"]*"|[^\s"]+'
SPAN = r"\d+(?:\.\d+)?(?:(?:ms|s|m|h|d|y)(?:\d+(?:ms|s|m|h))*)?"

KINDS: Mapping[str, str] = {
    "ZONE": NAME,
    "OUTPUT": NAME,
    "RECEIVER": NAME,
    "PATH": NAME,
    "BROKER": NAME,
    "CENTRE": NAME,
    "CAMERA": NAME,
    "VERB": NAME,
    "KEY": NAME,
    "CODE": "[A-Z]{2}",
    "COUNT": r"\d+",
    "NUMBER": r"\d+",
    "SPAN": SPAN,
    "PAUSE": SPAN,
    "TEXT": TEXT,
    "PERSON": TEXT,
    "REASON": TEXT,
    "SOURCE": TEXT,
    "VALUE": TEXT,
    "WHO": TEXT,
    "TIME": r"\d{4}(?:-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?)?",
}
"""What may stand for each placeholder."""

UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "y": 365.25 * 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|y)?")
_TOKEN = re.compile(r"[\[\]{}]|[^\s\[\]{}]+")
_NEAR = 0.5

Values = dict[str, str]
"""Placeholders in lower case with what stood for them; `word` is the choice made at `a|b`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be written.

    Attributes:
        name: Which code obeys it.
        pattern: How it is written.
        doc: What it does, for the reference.
    """

    name: str
    pattern: str
    doc: str

    @property
    def first(self) -> str:
        """The word that begins it, or the kind of value that does."""
        return next(token for token in self.pattern.split() if token[0] not in "[{")

    def match(self, text: str) -> Values | None:
        """The values in a text that fits the whole pattern, else None."""
        found = _compiled(self.pattern).fullmatch(" " + text)
        if found is None:
            return None
        return {key: value.strip('"') for key, value in found.groupdict().items() if value is not None}


def choose(rules: Iterable[Rule], text: str) -> tuple[Rule, Values] | None:
    """The first rule that fits."""
    for rule in rules:
        values = rule.match(text)
        if values is not None:
            return rule, values
    return None


def complaint(what: str, rules: tuple[Rule, ...], text: str) -> str:
    """Why nothing fits: what was expected, and the nearest word that is known."""
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    forms = [rule.pattern for rule in rules if rule.first == word]
    if forms:
        return f"{text!r} does not fit; expected {' or '.join(f'`{form}`' for form in forms)}"
    known = sorted({rule.first for rule in rules if rule.first.islower()})
    near = difflib.get_close_matches(word, known, 1, _NEAR)
    if not near:
        return f"unknown {what} {word!r}; there are: {', '.join(known)}"
    forms = [rule.pattern for rule in rules if rule.first == near[0]]
    return f"unknown {what} {word!r}; did you mean {near[0]!r}? Expected {' or '.join(f'`{form}`' for form in forms)}"


def span_s(text: str) -> float:
    """A span in seconds: a number with ms, s, m, h, d or y, or several; seconds without.

    Raises:
        ValueError: It is none.
    """
    if re.fullmatch(SPAN, text) is None:
        raise ValueError(f"{text!r} is no span of time; write 0.2, 200ms, 5, 5s, 10m, 1h30m")
    return sum(float(number) * UNITS[unit or "s"] for number, unit in _PART.findall(text))


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    out: list[str] = []
    braces = False
    for token in _TOKEN.findall(pattern):
        match token:
            case "[":
                out.append("(?:")
            case "]":
                out.append(")?")
            case "{":
                braces = True
                out.append("(?:")
            case "}":
                braces = False
                out.append(")*")
            case "|" if braces:
                out.append("|")
            case _:
                out.append(r"\s+" + _element(token))
    return re.compile("".join(out))


def _element(token: str) -> str:
    if token.endswith("...") and token[:-3] in KINDS:
        one = KINDS[token[:-3]]
        return rf"(?P<{token[:-3].lower()}>(?:{one})(?:\s+(?:{one}))*?)"
    if token in KINDS:
        return f"(?P<{token.lower()}>{KINDS[token]})"
    if "|" in token:
        return f"(?P<word>{'|'.join(map(re.escape, token.split('|')))})"
    return re.escape(token)
