"""Addresses as people may see them."""

from __future__ import annotations

import re
from typing import Final

# Greedy on purpose: a password may hold an unescaped "@", and hiding too much is no harm.
_USER: Final = re.compile(r"(://[^:/@]*):.*@")
_QUERY: Final = re.compile(r"(?i)\b(\w*(?:pass|pwd|secret|token)\w*)=[^&/\s]*")


def masked(url: str) -> str:
    """The address with every password as `****`, for logs and messages."""
    return _QUERY.sub(r"\1=****", _USER.sub(r"\1:****@", url))
