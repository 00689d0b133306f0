"""A camera that shows the moving test picture."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from hal.errors import DeviceLost
from hal.mock.picture import Loop, encode
from hal.types import Packet, VideoFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hal.ports import Clock

TIME_BASE: Final = Fraction(1, 90000)
"""RTP's clock for pictures (RFC 6184)."""
STALL_S: Final = 3.0
"""A source silent for this long is lost, as with the real cameras."""


class TestPictureCamera:
    """A camera in front of a test picture; its packets are real H.264.

    In real time `packets` waits for each picture. In virtual time `produce` returns what is due after `open`.

    Args:
        name: The camera's name.
        width: Pixels; an odd number loses one.
        height: Pixels; an odd number loses one.
        rate_hz: Pictures a second.
        clock: Dates the packets and, in real time, paces them.

    Synchronization: one thread, save the faults, which come from any.
    """

    __test__ = False  # pytest takes its name for a test

    def __init__(self, name: str, width: int, height: int, rate_hz: int, clock: Clock) -> None:
        self._name = name
        self._size = (width & ~1, height & ~1)
        self._rate_hz = rate_hz
        self._clock = clock
        self._loop: Loop | None = None
        self._count = 0
        self._opened_s = 0.0
        self._next_s = 0.0
        self._last_s = 0.0
        self._frozen = False
        self._lost = ""
        self._broken = ""
        self._changed = threading.Event()

    @property
    def name(self) -> str:
        """The camera's name."""
        return self._name

    def open(self) -> VideoFormat:
        """Connect; the first connection of a process encodes the test picture."""
        self._broken = self._lost
        self._check()
        self._loop = encode(*self._size, self._rate_hz)
        self._count = 0
        self._opened_s = self._next_s = self._last_s = self._clock.now().mono_s
        return VideoFormat("h264", *self._size, TIME_BASE, self._loop.extradata)

    def packets(self) -> Iterator[Packet]:
        """Packets as they come."""
        while self._loop is not None:
            for packet in self.produce(self._clock.now().mono_s):
                if self._loop is None:
                    return
                yield packet
            self._changed.wait(max(0.0, self._next_s - self._clock.now().mono_s))
            self._changed.clear()

    def produce(self, until_s: float) -> list[Packet]:
        """The packets due up to a moment (monotonic seconds), oldest first.

        Raises:
            DeviceLost: The camera was taken away, or froze 3 s ago.
        """
        self._check()
        if self._frozen:
            self._next_s = until_s + 1 / self._rate_hz
            if until_s - self._last_s >= STALL_S:
                raise DeviceLost(f"camera {self._name}: no picture for {STALL_S:.0f} s; the simulated camera hangs")
            return []
        packets: list[Packet] = []
        while self._loop is not None and self._next_s <= until_s:
            packets.append(self._packet(self._loop))
        if packets:
            self._last_s = packets[-1].mono_s
        return packets

    def close(self) -> None:
        """Disconnect."""
        self._loop = None

    def freeze(self) -> None:
        """Hang: packets stop; after 3 s the camera counts as lost."""
        self._frozen = True

    def thaw(self) -> None:
        """Go on after a hang; the pictures of meanwhile are lost."""
        self._frozen = False

    def lose(self, why: str = "the simulated camera was taken away") -> None:
        """Vanish from the network."""
        self._lost = self._broken = why
        self._changed.set()

    def find(self) -> None:
        """Be on the network again; a connection that was lost stays so until `open`."""
        self._lost = ""

    def _packet(self, loop: Loop) -> Packet:
        data, keyframe = loop.pictures[self._count % len(loop.pictures)]
        pts = round((self._next_s - self._opened_s) / TIME_BASE)
        packet = Packet(data, pts, pts, keyframe, self._next_s)
        self._count += 1
        self._next_s += 1 / self._rate_hz
        return packet

    def _check(self) -> None:
        if self._broken:
            raise DeviceLost(f"camera {self._name}: {self._broken}")
