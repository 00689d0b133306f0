"""What lies outside the virtual board, asked for from inside: the contract suites run there against real drivers.

`tests/hil` starts them and answers at the other end of the port. Everywhere else the port is missing, and with it the
backend "board".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PORT = Path("/dev/virtio-ports/outside")
CONSOLE = "/dev/ttyS0"
SOUND = ",1)"
"""Part of the name of microphone and loudspeaker, whatever number their card has: "Loopback: PCM (hw:3,1)"."""
CAMERA = "/dev/video0"


def backends(*elsewhere: Any) -> tuple[Any, ...]:
    """Names of a suite's backends: the board's own where this is the board."""
    return ("board",) if PORT.exists() else elsewhere


class Outside:
    """The other side of the board's wires.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._port = PORT.open("r+b", buffering=0)

    def drive(self, line: int, *, high: bool) -> None:
        """Bring a pin to a level."""
        self._ask(do="drive", line=line, high=high)

    def level(self, line: int) -> bool:
        """What the board drives a pin to."""
        return bool(self._ask(do="level", line=line))

    def type(self, data: bytes) -> None:
        """Type on the technician's line."""
        self._ask(do="type", data=data.hex())

    def shown(self, expected: bytes) -> bytes:
        """Await a text on the technician's line; all that came since the last `type`."""
        return bytes.fromhex(self._ask(do="shown", data=expected.hex()))

    def play(self, pcm: bytes) -> None:
        """Play samples into the microphone, over and over."""
        self._ask(do="play", data=pcm.hex())

    def unplug_sound(self) -> None:
        """Take microphone and loudspeaker off the bus."""
        self._ask(do="unplug")

    def replug_sound(self) -> None:
        """Plug them in again, under another card number."""
        self._ask(do="replug")

    def hear(self, seconds: float) -> bytes:
        """What the loudspeaker plays meanwhile."""
        return bytes.fromhex(self._ask(do="hear", seconds=seconds))

    def listen(self) -> None:
        """Keep what the loudspeaker plays from now on."""
        self._ask(do="listen")

    def heard(self, seconds: float) -> bytes:
        """The first so many seconds of what it has played since `listen`."""
        return bytes.fromhex(self._ask(do="heard", seconds=seconds))

    def camera(self, what: str) -> None:
        """`freeze`, `disconnect`, `stream_error` or `well`."""
        self._ask(do="camera", what=what)

    def close(self) -> None:
        """Hang up."""
        self._port.close()

    def _ask(self, **words: Any) -> Any:
        order = json.dumps(words).encode() + b"\n"
        while order:  # the port takes some 30 kB at a time
            order = order[self._port.write(order) or 0 :]
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._port.read(65536) or b""
        told = json.loads(answer)
        assert "error" not in told, told["error"]
        return told["is"]
