"""Which version this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """The installed version, or "source" when run from a checkout that was never installed."""
    try:
        return version("gatebooth")
    except PackageNotFoundError:
        return "source"
