r"""SIA DC-09 frames: what a panel says to an alarm receiver, and how its answers are read.

    LF  CRC(4 hex)  LEN(4 hex)  "id" number R receiver L prefix #account [ data ] [extra]… _time  CR

Checksum (CRC-16/ARC) and length cover what stands between LEN and CR. Encrypted, the id has a `*` and everything after
the first `[` is AES-CBC in hexadecimal digits, with random padding in front. What we send is strict; what we read is
read leniently, because receivers in the field differ: `docs/dc09.md` lists how.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from firmware.core.calls import Answer, Seal, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.core.report import Report
    from firmware.wire.dc09_key import Cipher

SIA_DCS, ADM_CID, NULL = "SIA-DCS", "ADM-CID", "NULL"
AREA = 1
"""The partition that every zone of this panel belongs to; the panel's own reports have partition 0."""
FRAME_MAX = 4096
"""Bytes of the longest answer that is read."""
PAD_MIN = 16
BLOCK = 16
PAD_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""None of `[`, `]` and `|`, which end the padding."""

_POLYNOMIAL = 0xA001
_TIME = "%H:%M:%S,%m-%d-%Y"
_EARLIEST_S, _LATEST_S = 0.0, 253402300799.0
"""1970 and the end of 9999: what the time's four digits of a year can say."""
_MINUTE_PARTS = 60_000
_NEW, _RESTORE = 1, 3
"""Contact ID qualifiers (SIA DC-05)."""

_HEADED = re.compile(rb'([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})(".*)', re.DOTALL)
_ANSWER = re.compile(r'"(\*?)(ACK|NAK|DUH|RSP)"(\d{4})(?!\d)([^\[]*)\[(.*)', re.DOTALL)
_ACCOUNT = re.compile(r"[0-9A-Fa-f]{1,16}")
_STAMP = re.compile(r"_(\d\d:\d\d:\d\d,\d\d-\d\d-\d{4})$")
_BARE_NAK = b'"NAK"'
_LF, _CR = b"\n", b"\r"


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _table()


def checksum(data: bytes) -> int:
    """CRC-16/ARC: reflected, polynomial 0x8005, beginning with 0."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


# ── what we say ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks: hexadecimal digits that the receiving centre assigned.

    Attributes:
        account: 3 to 16 digits.
        receiver: 1 to 6 digits.
        prefix: 1 to 6 digits.
    """

    account: str
    receiver: str = "0"
    prefix: str = "0"


@dataclass(frozen=True, slots=True)
class Message:
    """The content of a frame.

    Attributes:
        token: `SIA_DCS`, `ADM_CID` or `NULL`.
        number: 1 to 9999, or 0 for `NULL`.
        data: Between the brackets; without brackets or bars that it does not need.
        extras: Extended data, each a letter and its value.
        utc_s: The time stamp.
    """

    token: str
    number: int
    data: str
    extras: tuple[str, ...]
    utc_s: float


def encode(message: Message, caller: Caller, cipher: Cipher | None, pad: Callable[[int], str]) -> bytes:
    """A whole frame, ready for one `send`.

    Args:
        message: What is said.
        caller: Who says it.
        cipher: Encrypts; None sends in clear.
        pad: Gives that many of `PAD_LETTERS` at random; asked for encrypted frames only.
    """
    rest = f"{message.data}]{''.join(f'[{extra}]' for extra in message.extras)}_{format_time(message.utc_s)}"
    star = ""
    if cipher is not None:
        rest = f"|{rest}"
        padding = pad(PAD_MIN + -len(rest) % BLOCK)
        rest = cipher.encrypt((padding + rest).encode("ascii")).hex().upper()
        star = "*"
    head = f'"{star}{message.token}"{message.number:04d}R{caller.receiver}L{caller.prefix}#{caller.account}['
    body = (head + rest).encode("ascii")
    return b"\n%04X%04X%b\r" % (checksum(body), len(body), body)


def event_data(token: str, report: Report, account: str, zone: int) -> str:
    """A report as `SIA_DCS` or `ADM_CID` data; `zone` is 0 for the panel itself."""
    area = AREA if zone else 0
    kind = report.kind
    if token == SIA_DCS:
        return f"#{account}|Nri{area}/{kind.sia}{zone:02d}"
    qualifier = _RESTORE if kind.restore else _NEW
    return f"#{account}|{qualifier}{kind.cid} {area:02d} {zone:03d}"


def occurrence(utc_s: float) -> str:
    """Extended data H: when it happened, for a report that comes late."""
    return f"H{format_time(utc_s)}"


def position(latitude: str, longitude: str) -> list[str]:
    """Extended data X and Y, degrees and minutes; empty when one of both is unknown.

    Args:
        latitude: Degrees north, as decimal text.
        longitude: Degrees east, as decimal text.
    """
    if not (latitude and longitude):
        return []
    return [f"X{_minutes(longitude, 'EW', 3)}", f"Y{_minutes(latitude, 'NS', 2)}"]


def format_time(utc_s: float) -> str:
    """Seconds since 1970 as DC-09 writes them; what no calendar has becomes its first or last second."""
    return datetime.fromtimestamp(min(max(utc_s, _EARLIEST_S), _LATEST_S), UTC).strftime(_TIME)


def _minutes(degrees: str, letters: str, width: int) -> str:
    value = Decimal(degrees)
    whole, parts = divmod(round(abs(value) * _MINUTE_PARTS), _MINUTE_PARTS)
    return f"{whole:0{width}d}{letters[value < 0]}{parts // 1000:02d}.{parts % 1000:03d}"


# ── what we are answered ───────────────────────────────────────────────────────────────────────────────────────────


class BadAnswerError(ValueError):
    """Bytes that are no answer; the message tells in which way and shows none of them: they may echo a silent alarm."""


class AnswerReader:
    """Finds answers in what comes over one connection.

    Args:
        caller: Whom answers must name, if they name anybody.
        cipher: The path's; with one, an ACK in clear is not believed.

    Synchronization: one thread.
    """

    def __init__(self, caller: Caller, cipher: Cipher | None) -> None:
        self._account = int(caller.account, 16)
        self._cipher = cipher
        self._bare_nak = Answer(Word.NAK, seal=_clear_seal(cipher))
        self._buffer = b""

    @property
    def waiting(self) -> int:
        """Bytes of an answer that has not ended."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Answer | BadAnswerError]:
        """Take bytes as they come; what they complete."""
        self._buffer += data
        found: list[Answer | BadAnswerError] = []
        while self._buffer:
            size = len(self._buffer)
            item = self._frame() if self._buffer.startswith(_LF) else self._bare()
            if item is not None:
                found.append(item)
            elif len(self._buffer) == size:
                break
        if len(self._buffer) > FRAME_MAX:
            self._buffer = b""
            found.append(BadAnswerError(f"over {FRAME_MAX} bytes without an end"))
        return found

    def _frame(self) -> Answer | BadAnswerError | None:
        end = self._buffer.find(_CR)
        again = self._buffer.find(_LF, 1)
        if again != -1 and (end == -1 or again < end):
            self._buffer = self._buffer[again:]
            return BadAnswerError("half an answer, and then the beginning of another")
        if end == -1:
            return None
        content, self._buffer = self._buffer[1:end], self._buffer[end + 1 :]
        try:
            return parse_answer(content, self._account, self._cipher)
        except BadAnswerError as bad:
            return bad

    def _bare(self) -> Answer | BadAnswerError | None:
        """Bytes that no LF begins: the NAK for an unknown account comes like this, without CR too."""
        if _BARE_NAK.startswith(self._buffer):
            if self._buffer != _BARE_NAK:
                return None
            self._buffer = b""
            return self._bare_nak
        start = self._buffer.find(_LF)
        content = self._buffer if start == -1 else self._buffer[:start]
        self._buffer = b"" if start == -1 else self._buffer[start:]
        if content.startswith(_BARE_NAK):
            return self._bare_nak
        return BadAnswerError(f"{len(content)} bytes that no answer begins with") if content.strip() else None


def parse_answer(content: bytes, account: int, cipher: Cipher | None) -> Answer:
    """Read what stands between LF and CR.

    Raises:
        BadAnswerError: It is no answer to this panel.
    """
    if not content:
        raise BadAnswerError("an empty frame: the receiver counts another checksum than ours")
    headed = _HEADED.fullmatch(content)
    if headed is None:
        raise BadAnswerError("a frame without checksum and length in front")
    crc, length, body = headed.groups()
    if int(crc, 16) != checksum(body):
        raise BadAnswerError("a frame whose checksum is wrong")
    if int(length, 16) != len(body):
        raise BadAnswerError(f"a frame of {len(body)} bytes that says {int(length, 16)}")
    return _parse_body(body.decode("latin-1"), account, cipher)


def _parse_body(body: str, account: int, cipher: Cipher | None) -> Answer:
    found = _ANSWER.fullmatch(body)
    if found is None:
        raise BadAnswerError("a frame that is none of ACK, NAK, DUH and RSP")
    star, word, number, middle, rest = found.groups()
    _, names, named = middle.partition("#")  # a NAK may name nobody; receiver and prefix are echoed in many ways
    if names and not (_ACCOUNT.fullmatch(named) and int(named, 16) == account):
        raise BadAnswerError("an answer to another account")
    said = Word(word)
    if star:
        return Answer(said, int(number), _opened(rest, cipher), Seal.WHOLE)
    if cipher is not None and said in (Word.ACK, Word.RSP):
        raise BadAnswerError("an acknowledgement in clear on an encrypted path: anybody could have written it")
    stamp = _STAMP.search(rest)
    return Answer(said, int(number), _seconds(stamp[1]) if stamp else None, _clear_seal(cipher))


def _clear_seal(cipher: Cipher | None) -> Seal:
    return Seal.NONE if cipher is None else Seal.MISSING


def _opened(rest: str, cipher: Cipher | None) -> float:
    """Decrypt the rest of an answer. That it ends in a time is what tells that the key was the right one."""
    if cipher is None:
        raise BadAnswerError("an encrypted answer on a path without a key")
    try:
        plain = cipher.decrypt(bytes.fromhex(rest)).decode("latin-1")
    except ValueError:
        raise BadAnswerError("an encrypted answer that is no whole number of blocks") from None
    stamp = _STAMP.search(plain)
    if stamp is None or "]" not in plain:
        raise BadAnswerError("an answer encrypted with another key")
    utc_s = _seconds(stamp[1])
    if utc_s is None:
        raise BadAnswerError("an encrypted answer with a time that no calendar has")
    return utc_s


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def extras(parts: Iterable[str]) -> tuple[str, ...]:
    """Extended data without what would end it early; an empty value is left out."""
    clean = (re.sub(r"[^ -~]|[\[\]|]", "", part) for part in parts)
    return tuple(part for part in clean if len(part) > 1)
