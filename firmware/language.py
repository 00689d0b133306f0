"""Which language a person reads: asked for, or that of the system's messages."""

from __future__ import annotations

import os


def language(asked: str | None) -> str:
    """The language asked for, or else the system's: "zh" or "en"."""
    if asked:
        return asked
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if spoken.startswith("zh") else "en"
