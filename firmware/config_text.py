"""How text out of a configuration file may be shown, and what a text in it may hold.

A file may come from anywhere: half of another file, megabytes of one letter, orders to a terminal.
"""

from __future__ import annotations

import os
import re

from firmware.wire.fields import UNPRINTABLE
from hal.urls import masked

SHOWN_MAX = 60
"""Characters of one value or name in a message."""
LINE_MAX = 500
"""Characters of anything else that is put into a sentence."""
SECRET_MAX = 1000
MQTT_TEXT_MAX = 65535
"""Bytes of a text in MQTT (1.5.4)."""
PATH_MAX = 4095
"""Bytes of a file name (Linux, PATH_MAX without its last zero byte)."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def visible(text: str, high: int = LINE_MAX) -> str:
    """Text that neither moves a cursor nor fills a screen: control characters escaped, the rest cut off."""
    cut = text if len(text) <= high else text[:high] + "…"
    return UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), cut)


def show(value: object, *, secret: bool = False) -> str:
    """A value of the file as messages have it; passwords in addresses are masked."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python writes as decimals, more levels than it walks
        text = hex(value) if isinstance(value, int) else "…"
    if (
        secret
    ):  # cut first, a password could lose the sign that ends it; what is longer than any address is not looked at
        text = masked(text) if len(text) <= SECRET_MAX else "…"
    return visible(text, SHOWN_MAX)


def holds_control(text: str) -> bool:
    """Whether a text holds what no broker, device or file system takes for part of a name."""
    return _CONTROL.search(text) is not None


def names_a_file(text: str) -> bool:
    """Whether the operating system could take a text for a file's name."""
    try:
        return 0 < len(os.fsencode(text)) <= PATH_MAX
    except ValueError:  # letters that this system's encoding does not have
        return False
