"""The AES key of a DC-09 path and the cipher made of it.

A key is written in two ways that look alike: as hexadecimal digits of its bytes, or as the very characters that are its
bytes. Taken for the other the key is wrong and the receiver only says NAK, so the configuration names which.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from firmware.wire.sign import KeyFileError, read_key_file

if TYPE_CHECKING:
    from pathlib import Path

HEX, TEXT = "hex", "text"
SIZES = (16, 24, 32)
"""Bytes of an AES key: AES-128, AES-192, AES-256."""
_PRINTABLE = re.compile(rb"[!-~]*")
_IV = bytes(16)
"""DC-09 fixes it to zero; the random padding in front does its work."""


class Cipher:
    """AES-CBC as DC-09 uses it; each call stands alone.

    Args:
        key: 16, 24 or 32 bytes.

    Raises:
        KeyFileError: The library that encrypts is not installed.

    Synchronization: one thread.
    """

    def __init__(self, key: bytes) -> None:
        try:
            from Cryptodome.Cipher import AES  # noqa: PLC0415 - a panel without an encrypted DC-09 path needs none
        except ImportError:
            raise KeyFileError("encryption needs the package pycryptodomex: pip install 'gatebooth[dc09]'") from None
        self._aes = AES
        self._key = key

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt a whole number of 16-byte blocks."""
        return self._aes.new(self._key, self._aes.MODE_CBC, iv=_IV).encrypt(plain)

    def decrypt(self, sealed: bytes) -> bytes:
        """Decrypt.

        Raises:
            ValueError: No whole number of 16-byte blocks.
        """
        return self._aes.new(self._key, self._aes.MODE_CBC, iv=_IV).decrypt(sealed)


def load_aes_key(path: Path, encoding: str) -> bytes:
    """Read a key file.

    Args:
        path: The file.
        encoding: `HEX`: 32, 48 or 64 hexadecimal digits; `TEXT`: 16, 24 or 32 characters that are the key's bytes.

    Raises:
        KeyFileError: Missing, unreadable, of a wrong length or alphabet. The message shows none of its content.
    """
    text = read_key_file(path, "put the receiving centre's key into it")
    return _from_hex(path, text) if encoding == HEX else _from_text(path, text)


def looks_like_hex(path: Path) -> bool:
    """Whether what is to be taken as a key's characters is also 32 hexadecimal digits, another key of 16 bytes."""
    try:
        text = load_aes_key(path, TEXT)
    except KeyFileError:
        return False
    return len(text) == 2 * SIZES[0] and all(chr(byte) in string.hexdigits for byte in text)


def _from_hex(path: Path, text: bytes) -> bytes:
    wanted = [2 * size for size in SIZES]
    if not all(chr(byte) in string.hexdigits for byte in text):
        why = f"key file {path} holds something else than hexadecimal digits 0-9 a-f: write {_listed(wanted)} of them"
        raise KeyFileError(_or_else(why, TEXT) if len(text) in SIZES else why)
    if len(text) not in wanted:
        why = f"key file {path} has {len(text)} hexadecimal digits: an AES key has {_listed(wanted)}"
        raise KeyFileError(_or_else(why, TEXT) if len(text) in SIZES else why)
    return bytes.fromhex(text.decode("ascii"))


def _from_text(path: Path, text: bytes) -> bytes:
    if not _PRINTABLE.fullmatch(text):
        raise KeyFileError(
            f"key file {path} holds something else than printable ASCII characters without spaces: write the key again"
        )
    if len(text) not in SIZES:
        why = f"key file {path} has {len(text)} characters: an AES key has {_listed(SIZES)}"
        raise KeyFileError(_or_else(why, HEX) if len(text) in [2 * size for size in SIZES] else why)
    return text


def _or_else(why: str, encoding: str) -> str:
    return f'{why}; if the receiver was given exactly this text, set path.dc09.key_encoding = "{encoding}"'


def _listed(sizes: tuple[int, ...] | list[int]) -> str:
    return f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}"
