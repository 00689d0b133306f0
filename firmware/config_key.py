"""How a key of the configuration is declared."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def key(english: str, chinese: str, default: Any = ..., **limits: Any) -> Any:
    """A configuration key: its meaning in two languages, its default (none: the key is required) and its limits.

    Limits: `low`, `high` for numbers; `high` characters and `bytes` for text; `choices`; `pattern` for text, with
    `shape` to say what fits (Chinese, English); `secret=True` for text that may hold a password, shown as `****`;
    `unit` for pages and messages.
    """
    metadata = {"en": english, "zh": chinese, **limits}
    if default is ...:
        return field(metadata=metadata)
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)
