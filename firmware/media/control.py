"""The line between the panel and its media child: one JSON object a line, over a socket pair.

The child reads streams from cameras, so the panel takes its lines for a stranger's: every one is bounded and checked,
and whatever is wrong in it is `ControlError`, upon which the child is replaced.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.core.effects import Capture, Seal
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.core.report import SEQ_MAX, ReportId
from firmware.media.spec import MediaSpec, from_json, to_json
from firmware.wire.fields import UNPRINTABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_MAX = 64 * 1024
"""Bytes in a line; the longest is the configuration."""
WHY_MAX = 500
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}(\.[a-z0-9]{1,8}){1,2}", re.ASCII)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,79}", re.ASCII)
_KINDS = ("still", "clip", "sound")


class ControlError(ValueError):
    """A line that the other side must not send."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The child's main loop runs."""


@dataclass(frozen=True, slots=True)
class CaptureAgain:
    """An order that a child before this one had already begun."""

    order: Capture


Order = MediaSpec | Capture | CaptureAgain | Seal
Word = Beat | EvidenceFile | EvidenceSealed | Trouble | TroubleOver
"""What a child says."""


class Lines:
    """Cuts a stream of bytes into lines, holding at most one unfinished line.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete now.

        Raises:
            ControlError: A line is longer than `LINE_MAX`.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield _bounded(line)
        _bounded(self._rest)


def encode_order(order: Order) -> bytes:
    """A line to the child."""
    match order:
        case MediaSpec():
            return _line({"t": "spec", "spec": to_json(order)})
        case CaptureAgain(capture):
            return _line(_capture(capture) | {"again": True})
        case Capture():
            return _line(_capture(order) | {"again": False})
        case Seal(incident):
            return _line({"t": "seal", "incident": str(incident)})


def decode_order(line: bytes) -> Order:
    """Read a line from the panel.

    Raises:
        ControlError: It is no order.
    """
    body = _parse(line)
    try:
        match body.get("t"):
            case "spec":
                spec: MediaSpec = from_json(MediaSpec, body.get("spec"))
                return spec
            case "capture":
                order = Capture(_incident(body), _flag(body, "covert"), _integer(body, "until_ms", SEQ_MAX) / 1000)
                return CaptureAgain(order) if _flag(body, "again") else order
            case "seal":
                return Seal(_incident(body))
    except ControlError:
        raise
    except ValueError as error:
        raise ControlError(str(error)) from None
    raise ControlError(f"no order: {line[:80]!r}")


def encode_word(word: Word) -> bytes:
    """A line to the panel."""
    match word:
        case Beat():
            return b'{"t":"beat"}\n'
        case EvidenceFile():
            return _line({"t": "file"} | to_json(word) | {"incident": str(word.incident)})
        case EvidenceSealed():
            return _line({"t": "sealed"} | to_json(word) | {"incident": str(word.incident)})
        case Trouble(source, why, detail):
            return _line({"t": "trouble", "source": source, "why": _clean(why), "detail": dict(detail)})
        case TroubleOver(source):
            return _line({"t": "over", "source": source})


def decode_word(line: bytes) -> Word:
    """Read a line from the child.

    Raises:
        ControlError: It is nothing that a child may say.
    """
    body = _parse(line)
    match body.get("t"):
        case "beat":
            return Beat()
        case "file":
            return _file(body)
        case "sealed":
            return EvidenceSealed(
                _incident(body),
                _integer(body, "files", 2**20),
                _integer(body, "size", 2**50),
                _text(body, "manifest_sha256", _HASH),
                _flag(body, "complete"),
            )
        case "trouble":
            return Trouble(_text(body, "source", _SOURCE), _why(body), _detail(body))
        case "over":
            return TroubleOver(_text(body, "source", _SOURCE))
    raise ControlError(f"no word of a media child: {line[:80]!r}")


def _capture(order: Capture) -> dict[str, Any]:
    until_ms = min(int(order.until_s * 1000), SEQ_MAX)
    return {"t": "capture", "incident": str(order.incident), "covert": order.covert, "until_ms": until_ms}


def _file(body: dict[str, Any]) -> EvidenceFile:
    kind = body.get("kind")
    if kind not in _KINDS:
        raise ControlError(f"kind {kind!r:.80} is none of {', '.join(_KINDS)}")
    return EvidenceFile(
        _incident(body),
        kind,
        _text(body, "source", _SOURCE),
        _text(body, "name", _NAME),
        _text(body, "sha256", _HASH),
        _integer(body, "size", 2**31),
    )


def _detail(body: dict[str, Any]) -> tuple[tuple[str, str | int | bool], ...]:
    detail = body.get("detail")
    if not isinstance(detail, dict) or len(detail) > 8:  # noqa: PLR2004 - ours have none or two
        raise ControlError(f"detail is {detail!r:.80}")
    if not all(_SOURCE.fullmatch(name) and _plain(value) for name, value in detail.items()):
        raise ControlError(f"detail is {detail!r:.80}")
    return tuple(detail.items())


def _plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= WHY_MAX and not UNPRINTABLE.search(value)
    return isinstance(value, int) and abs(value) <= SEQ_MAX


def _why(body: dict[str, Any]) -> str:
    why = body.get("why")
    if not isinstance(why, str) or len(why) > WHY_MAX or UNPRINTABLE.search(why):
        raise ControlError(f"why is {why!r:.80}")
    return why


def _clean(why: str) -> str:
    # A library's message may hold whatever a camera answered.
    return UNPRINTABLE.sub(" ", why)[:WHY_MAX]


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def _parse(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(_bounded(line).decode())
    except ControlError:
        raise
    except (ValueError, RecursionError) as error:
        raise ControlError(f"no JSON: {error!s:.80}") from None
    if not isinstance(body, dict):
        raise ControlError(f"no object: {line[:80]!r}")
    return body


def _bounded(line: bytes) -> bytes:
    if len(line) > LINE_MAX:
        raise ControlError(f"a line of over {LINE_MAX} bytes")
    return line


def _text(body: dict[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ControlError(f"{name} is {value!r:.80}")
    return value


def _integer(body: dict[str, Any], name: str, high: int) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise ControlError(f"{name} is {value!r:.80}")
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise ControlError(f"{name} is {value!r:.80}")
    return value


def _incident(body: dict[str, Any]) -> ReportId:
    value = body.get("incident")
    try:
        return ReportId.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ControlError(str(error)) from None
