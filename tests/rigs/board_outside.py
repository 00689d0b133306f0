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


def backends(*elsewhere: str) -> tuple[str, ...]:
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

    def close(self) -> None:
        """Hang up."""
        self._port.close()

    def _ask(self, **words: Any) -> Any:
        self._port.write(json.dumps(words).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._port.read(65536) or b""
        return json.loads(answer)["is"]
