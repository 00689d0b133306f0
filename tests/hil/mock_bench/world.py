"""What the simulated booth is like: one small file, written by the bench, read by the panel and by its media child.

A file and no message, because the world stays as it is while a panel is dead: a button held at power-on is still held.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathlib


@dataclass(frozen=True, slots=True)
class World:
    """Everything that outlasts the panel's process.

    Attributes:
        loops: Level by the loop's name, as `hal.types.LoopState` has it; normal where none stands.
        lost_inputs: Loops whose driver is gone.
        clock_shift_s: Of the panel's wall clock against the machine's.
        synced: Whether a time source disciplines it.
        disk: `ok`, `full` or `eio`.
        camera: `well`, `lost`, `frozen`, `still`, or a file of a grey picture `PATH WIDTH HEIGHT`.
        camera_drop: Buffers lost of a hundred.
        camera_errors: How often the stream has failed so far.
        microphone_lost: Whether it is unplugged.
        microphone_wav: What it hears; "" for the synthesised voice.
    """

    loops: dict[str, str] = field(default_factory=dict)
    lost_inputs: tuple[str, ...] = ()
    clock_shift_s: float = 0.0
    synced: bool = True
    disk: str = "ok"
    camera: str = "well"
    camera_drop: int = 0
    camera_errors: int = 0
    microphone_lost: bool = False
    microphone_wav: str = ""


def load(path: pathlib.Path) -> World:
    """Read the file."""
    return World(**json.loads(path.read_text()))


class WorldFile:
    """The bench's end of it.

    Synchronization: one thread.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.now = World()
        self.change()

    def change(self, **fields: Any) -> None:
        """Let some of it be otherwise; the file is never seen half written."""
        self.now = replace(self.now, **fields)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self.now)))
        os.replace(fresh, self.path)  # noqa: PTH105 - says what it does
