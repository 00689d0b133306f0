"""The ports: what every board offers, each as small as its second implementation allows.

A backend belongs to a port when it passes `tests/contract`; the mock passes the same suite as the real one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.types import AudioBlock, Instant, Level, LoopState, Packet, VideoFormat


class Clock(Protocol):
    """Both clocks of the board.

    Synchronization: any thread.
    """

    def now(self) -> Instant:
        """The present moment; monotonic time never runs backwards."""
        ...


class LoopInput(Protocol):
    """A wire pair to a button or contact.

    Synchronization: `read` from any thread; the watcher is called on the backend's own thread.
    """

    @property
    def name(self) -> str:
        """The loop's name, as in the configuration."""
        ...

    def read(self) -> LoopState:
        """The level at this instant, not debounced.

        Raises:
            DeviceLost: The input cannot be read (also after `close`).
        """
        ...

    def watch(self, post: Callable[[Level], None]) -> None:
        """Have `post` called at every edge with the level and the time of the edge; `post` must not block or raise.

        Opens a loop that could not be opened before, or whose chip had vanished; until then `read` raises.

        Raises:
            DeviceLost: No edges will come: the loop cannot be opened yet, or gives none. It may be asked again.
        """
        ...

    def close(self) -> None:
        """Give the pin back; idempotent; no call of the watcher begins after it returns."""
        ...


class DigitalOut(Protocol):
    """A relay or a lamp.

    Synchronization: any thread.
    """

    @property
    def name(self) -> str:
        """The output's name, as in the configuration."""
        ...

    def set(self, *, on: bool) -> None:
        """Drive the output; idempotent. Opens one that could not be opened before, or whose chip had vanished.

        Raises:
            DeviceLost: The output cannot be driven (also after `close`). It may be asked again.
        """
        ...

    def get(self) -> bool:
        """The state that the pin is driven to.

        Raises:
            DeviceLost: The output cannot be read (also after `close`).
        """
        ...

    def close(self) -> None:
        """Switch off and give the pin back; idempotent."""
        ...


class AudioIn(Protocol):
    """A microphone: blocks of 20 ms.

    Synchronization: `start` and `close` from one thread; the sink is called on the library's thread.
    """

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        ...

    def start(self, sink: Callable[[AudioBlock], None]) -> None:
        """Open the device and have `sink` called with every block; `sink` must not block or raise.

        Raises:
            DeviceLost: No such device, or it refuses the format; the message names it and what there is instead.
        """
        ...

    def alive(self) -> bool:
        """Whether a block came within the last 500 ms: the age of sound, not what the library believes."""
        ...

    def close(self) -> None:
        """Stop the blocks; idempotent; never called on a hung device (its process is killed instead)."""
        ...


class AudioOut(Protocol):
    """A loudspeaker.

    Synchronization: one thread.
    """

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        ...

    def write(self, block: AudioBlock) -> None:
        """Play a block; returns when the device has taken it.

        Raises:
            DeviceLost: The loudspeaker is gone, or was never there.
            ValueError: The block has another rate than the device.
        """
        ...

    def close(self) -> None:
        """Give the device back; idempotent."""
        ...


class Camera(Protocol):
    """A source of encoded pictures.

    Synchronization: one thread.
    """

    @property
    def name(self) -> str:
        """The camera's name, as in the configuration."""
        ...

    def open(self) -> VideoFormat:
        """Connect to the source.

        Raises:
            DeviceLost: Nothing answers, or it answers something else than pictures; the message tells which.
        """
        ...

    def packets(self) -> Iterator[Packet]:
        """Packets as they come, the first a keyframe.

        Raises:
            DeviceLost: The stream ended or stalled. It never ends otherwise, save by `close` from the same thread.
        """
        ...

    def close(self) -> None:
        """Disconnect; idempotent."""
        ...


class Console(Protocol):
    """The technician's line, UTF-8 text.

    Synchronization: `read_line` from one thread, `write` from any.
    """

    def read_line(self, timeout_s: float) -> str | None:
        """One line without its end (CR, LF or both), or None when none came in time.

        A line over 256 bytes is cut there; bytes that are no UTF-8 come as U+FFFD.

        Raises:
            DeviceLost: The cable's adapter is gone.
        """
        ...

    def write(self, text: str) -> None:
        """Send text; every line feed goes out as CR LF.

        Raises:
            DeviceLost: The cable's adapter is gone.
        """
        ...

    def close(self) -> None:
        """Give the port back; idempotent."""
        ...


class Watchdog(Protocol):
    """The supervisor that restarts a panel which stopped deciding.

    Synchronization: any thread.
    """

    def ready(self) -> None:
        """Tell that the inputs are armed."""
        ...

    def pet(self) -> None:
        """Tell that the owner loop still decides."""
        ...

    def status(self, text: str) -> None:
        """One line for a person who asks the supervisor."""
        ...

    def close(self) -> None:
        """Tell that the stop is intended; idempotent."""
        ...
