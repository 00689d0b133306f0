"""The connection of a DC-09 path, as a table."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Phase(enum.StrEnum):
    """Where the connection stands. Whether the *path* is up is another matter: only an answer says so."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"


class Turn(enum.StrEnum):
    """What changes where it stands."""

    TRY = "try"
    OPENED = "opened"
    LOST = "lost"


TURNS: Mapping[tuple[Phase, Turn], Phase] = {
    (Phase.CLOSED, Turn.TRY): Phase.OPENING,
    (Phase.OPENING, Turn.OPENED): Phase.OPEN,
    (Phase.OPENING, Turn.LOST): Phase.CLOSED,
    (Phase.OPEN, Turn.LOST): Phase.CLOSED,
}
"""The whole specification; a move that is not here raises `LinkError` and changes nothing."""
