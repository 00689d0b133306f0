"""Signatures: HMAC-SHA256 over the one canonical spelling of a JSON object without its `mac`.

Canonical means: keys sorted, no spaces, UTF-8, no escapes but those that JSON demands, whole numbers only.
"""

from __future__ import annotations

import functools
import hmac
import json
import string
from typing import TYPE_CHECKING, Any

from firmware.wire.fields import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "KEY_BYTES",
    "KeyFileError",
    "SignatureError",
    "WireError",
    "canonical",
    "exposure",
    "load_key",
    "read_key_file",
    "seal",
    "seal_text",
    "sign",
    "verify",
    "write",
]

KEY_BYTES = 32
_KEY_DIGITS = 2 * KEY_BYTES
_KEY_FILE_MAX = 4096
"""Bytes; whatever is larger is some other file."""
_BOM = b"\xef\xbb\xbf"
"""What Windows Notepad puts in front of a text."""
_MODE_OTHERS = 0o077
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class KeyFileError(ValueError):
    """A key file cannot be used; the message says why and what to do."""


class SignatureError(WireError):
    """A payload is not signed by whom its topic names; nothing else was looked at yet."""


def load_key(path: Path) -> bytes:
    """Read a signing key: a file of 64 hexadecimal digits.

    Raises:
        KeyFileError: The file is missing, unreadable, too short, too long or not hexadecimal. The message never
            shows any of its content.
    """
    text = read_key_file(
        path, "copy it from the other side, or make a new one for both with `gatebooth keys`, or correct the path"
    )
    if not all(chr(byte) in string.hexdigits for byte in text):
        raise KeyFileError(
            f"key file {path} holds something else than hexadecimal digits: it must be {_KEY_DIGITS} of 0-9 a-f"
        )
    if len(text) != _KEY_DIGITS:
        raise KeyFileError(f"key file {path} has {len(text)} hexadecimal digits: it must have {_KEY_DIGITS}")
    return bytes.fromhex(text.decode("ascii"))


def read_key_file(path: Path, remedy: str) -> bytes:
    """All that a key file holds but the white space around it.

    Args:
        path: The file.
        remedy: What to do when it is not there.

    Raises:
        KeyFileError: Missing, unreadable, or too large for a key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_KEY_FILE_MAX + 1)
    except FileNotFoundError:
        raise KeyFileError(f"key file {path} is not there: {remedy}") from None
    except OSError as error:
        raise KeyFileError(f"key file {path} cannot be read: {error.strerror}") from None
    if len(text) > _KEY_FILE_MAX:
        raise KeyFileError(f"key file {path} has more than {_KEY_FILE_MAX} bytes: that is no key; correct the path")
    return text.removeprefix(_BOM).strip()


def exposure(path: Path) -> str:
    """Why a secret's file is too open, or "" when only its owner can use it (or it cannot be looked at).

    A desk says so when it starts, check-config before a panel does; both work all the same.
    """
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return ""
    if not mode & _MODE_OTHERS:
        return ""
    return f"{path} has mode {mode:04o}: others on this machine can read or change it; run chmod 600 {path}"


def canonical(found: Mapping[str, Any]) -> bytes:
    """The bytes that a signature is taken over: `found` without its `mac`.

    Raises:
        WireError: Text in it cannot be written as UTF-8.
    """
    if "mac" in found:
        found = {name: value for name, value in found.items() if name != "mac"}
    try:
        return write(found).encode("utf-8")
    except UnicodeEncodeError:
        raise WireError("signature", "payload", "half a surrogate pair", "text that UTF-8 can hold") from None


def write(found: Mapping[str, Any]) -> str:
    """Canonical text of all of an object."""
    return _ENCODER.encode(found)


def sign(found: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A copy of the object with its `mac`."""
    return {**found, "mac": _mac(canonical(found), key)}


def seal(found: Mapping[str, Any], key: bytes | None) -> bytes:
    """The payload of an object that is in our own hands: canonical JSON, with its `mac` last if there is a key."""
    return seal_text(canonical(found), key)


def seal_text(text: bytes, key: bytes | None) -> bytes:
    """The payload of canonical JSON that has no `mac` yet."""
    if key is None:
        return text
    return b'%s,"mac":"%s"}' % (text[:-1], _mac(text, key).encode("ascii"))


def verify(found: Mapping[str, Any], key: bytes, what: str = "signature") -> None:
    """Check an object's `mac`.

    Args:
        found: The parsed object, with keys that this version does not know, if there are any.
        key: The key shared with the sender.
        what: The kind of payload, for the error.

    Raises:
        SignatureError: The signature is missing or wrong.
    """
    mac = found.get("mac")
    if not isinstance(mac, str) or not mac.isascii():
        raise SignatureError(what, "mac", mac if mac is not None else "missing", "this sender's signature")
    if not hmac.compare_digest(mac, _mac(canonical(found), key)):
        raise SignatureError(what, "mac", mac, "this sender's signature: wrong key, or changed on the way")


def _mac(text: bytes, key: bytes) -> str:
    mac = _keyed(key).copy()  # unlike `hmac.digest` it keeps the interpreter: no other thread comes between
    mac.update(text)
    return mac.hexdigest()


@functools.lru_cache(maxsize=256)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")
