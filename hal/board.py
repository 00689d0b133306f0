"""A board, opened by name: "pi" or "mock", never one for want of the other.

The panel process opens a `Board`; the media process opens microphone, loudspeaker and cameras. A backend is imported
when it is asked for and not before: gpiozero, PortAudio and FFmpeg cost a panel's start and memory.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from hal.clock import SystemClock
from hal.errors import DeviceLost, NotSupported, PinInUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hal.pi.gpio_loop import GpioLoop
    from hal.pi.output import GpioOutput
    from hal.pi.pins import Pins
    from hal.ports import AudioIn, AudioOut, Camera, Clock, Console, DigitalOut, LoopInput, Watchdog

TEST: Final = "test:"
"""Device or URL of the simulated microphone, loudspeaker or camera."""
_NO_DEVICES: Final = ("test:", "file:", "http:", "https:", "rtsp:", "rtsps:", "/")
"""Beginnings that are addresses and no device's name, and "test:" with something behind it."""


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """A loop and its pin.

    Attributes:
        name: The loop's name.
        pin: GPIO number (BCM).
        contact: "closes" when an alarm joins pin and ground, "opens" when it breaks them.
    """

    name: str
    pin: int
    contact: str = "closes"

    def __post_init__(self) -> None:
        """Refuse a contact that is neither."""
        if self.contact not in ("closes", "opens"):
            raise ValueError(f'loop {self.name}: contact {self.contact!r} is neither "closes" nor "opens"')


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output and its pin (BCM); `active_high`: whether the pin is high when on."""

    name: str
    pin: int
    active_high: bool = True


@dataclass(frozen=True, slots=True)
class ConsoleSpec:
    """A serial port and its speed in bits a second."""

    port: str
    baud: int = 115200


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """What the panel process needs of a board.

    Attributes:
        kind: "pi" or "mock".
        loops: The wire pairs.
        outputs: Relays and lamps.
        console: The technician's line, if there is one.
        work_dir: Writable folder for the GPIO library's FIFO.
    """

    kind: str
    loops: tuple[LoopSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    console: ConsoleSpec | None = None
    work_dir: Path = Path()


@dataclass(frozen=True, slots=True)
class MicrophoneSpec:
    """A sound device by its name or a part of it, or "test:", and its samples a second."""

    device: str
    rate_hz: int = 16000


@dataclass(frozen=True, slots=True)
class LoudspeakerSpec:
    """A sound device by its name or a part of it, or "test:", and its samples a second."""

    device: str
    rate_hz: int = 16000


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera.

    Attributes:
        name: The camera's name.
        url: rtsp://…, rtsps://…, /dev/video0, or "test:".
        transport: "tcp" or "udp", for RTSP.
        width: Wanted pixels of a V4L2 or test camera.
        height: Wanted pixels of a V4L2 or test camera.
        rate_hz: Wanted pictures a second of a V4L2 or test camera.
    """

    name: str
    url: str
    transport: str = "tcp"
    width: int = 1280
    height: int = 720
    rate_hz: int = 15


@dataclass(frozen=True, slots=True)
class Board:
    """What was opened.

    Attributes:
        loops: By name; one that cannot be opened, yet or any more, says so when read, and each `watch` tries again.
        outputs: By name; one that cannot be opened, yet or any more, says so, and each `set` tries again.
        console: None when none is configured or its library is missing; a port that is not there says so when read.
        watchdog: The supervisor, or one that has nobody to tell.
        clock: The board's clocks.
        faults: (what, why) of what is not there and is not asked for again: the console without its library.

    Synchronization: `close` from the thread that opened it.
    """

    loops: dict[str, LoopInput]
    outputs: dict[str, DigitalOut]
    console: Console | None
    watchdog: Watchdog
    clock: Clock
    faults: tuple[tuple[str, str], ...] = ()
    _undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False, compare=False)

    def close(self) -> None:
        """Tell the supervisor, then switch off all outputs and give everything back; idempotent."""
        self._undo.close()


class _Closable(Protocol):
    def close(self) -> None: ...


_Spec = TypeVar("_Spec", LoopSpec, OutputSpec)
_Part = TypeVar("_Part", bound=_Closable)


@dataclass(slots=True)
class _Backend:
    """How one kind of board makes its parts; each may raise `DeviceLost`."""

    loop: Callable[[LoopSpec], LoopInput]
    output: Callable[[OutputSpec], DigitalOut]
    console: Callable[[ConsoleSpec], Console]
    watchdog: Callable[[], Watchdog]
    last: tuple[Callable[[], None], ...] = ()


def open_board(spec: BoardSpec, *, clock: Clock | None = None, factory: Any = None) -> Board:
    """Open the panel's part of a board.

    A loop or an output that cannot be opened does not keep the rest from opening, and may be opened later: a panel that
    refuses to start protects nobody.

    Args:
        spec: What to open.
        clock: Another clock than the system's, as the simulator's.
        factory: gpiozero's pin factory instead of the board's own, as its MockFactory in a test. The caller closes it.

    Raises:
        NotSupported: No such kind of board.
        PinInUse: Two parties claim a pin, or somebody else in this process holds it. Nothing stays open.
    """
    _check_pins(spec)
    clock = clock or SystemClock()
    match spec.kind:
        case "pi":
            backend = _pi(spec, clock, factory)
        case "mock":
            backend = _mock(clock, real_time=isinstance(clock, SystemClock))
        case _:
            raise NotSupported(f'board {spec.kind!r} is not known; it is "pi" or "mock"')
    faults: list[tuple[str, str]] = []
    with contextlib.ExitStack() as undo:
        for close in backend.last:
            undo.callback(close)
        loops = _open_all(spec.loops, backend.loop, undo)
        outputs = _open_all(spec.outputs, backend.output, undo)
        console = _open_console(spec.console, backend, faults, undo)
        watchdog = backend.watchdog()
        undo.callback(watchdog.close)
        return Board(loops, outputs, console, watchdog, clock, tuple(faults), undo.pop_all())


def open_microphone(spec: MicrophoneSpec, clock: Clock) -> AudioIn:
    """A microphone in real time; `start` opens the device.

    Raises:
        NotSupported: The device is an address.
        DeviceLost: PyAudio is not installed.
    """
    if spec.device == TEST:
        from hal.mock.audio import MockMicrophone  # noqa: PLC0415 - see the module

        return MockMicrophone(spec.rate_hz, clock)
    device = _sound_device("microphone", spec.device)
    with _installed(f"microphone {device!r}"):
        from hal.pi.audio import PiMicrophone  # noqa: PLC0415 - loads PortAudio
    return PiMicrophone(device, spec.rate_hz, clock)


def open_loudspeaker(spec: LoudspeakerSpec) -> AudioOut:
    """A loudspeaker in real time; the first `write` opens the device.

    Raises:
        NotSupported: The device is an address.
        DeviceLost: PyAudio is not installed.
    """
    if spec.device == TEST:
        from hal.mock.audio import MockLoudspeaker  # noqa: PLC0415 - see the module

        return MockLoudspeaker(spec.rate_hz)
    device = _sound_device("loudspeaker", spec.device)
    with _installed(f"loudspeaker {device!r}"):
        from hal.pi.audio import PiLoudspeaker  # noqa: PLC0415 - loads PortAudio
    return PiLoudspeaker(device, spec.rate_hz)


def open_camera(spec: CameraSpec, clock: Clock) -> Camera:
    """A camera in real time; its own `open` connects.

    Raises:
        NotSupported: The URL is none of those that `CameraSpec` names.
        DeviceLost: PyAV is not installed.
    """
    if spec.url == TEST:
        from hal.mock.camera import TestPictureCamera  # noqa: PLC0415 - see the module

        return TestPictureCamera(spec.name, spec.width, spec.height, spec.rate_hz, clock)
    with _installed(f"camera {spec.name}"):
        from hal.pi.camera import PiCamera  # noqa: PLC0415 - loads FFmpeg
    return PiCamera(
        spec.name,
        spec.url,
        clock,
        transport=spec.transport,
        width=spec.width,
        height=spec.height,
        rate_hz=spec.rate_hz,
    )


def _check_pins(spec: BoardSpec) -> None:
    holders: dict[int, str] = {}
    parties = [(part.pin, f"loop {part.name}") for part in spec.loops]
    parties += [(part.pin, f"output {part.name}") for part in spec.outputs]
    for pin, party in parties:
        if pin in holders:
            raise PinInUse(f"pin GPIO{pin} is claimed by {holders[pin]} and by {party}; give one of them another pin")
        holders[pin] = party


def _open_all(specs: Sequence[_Spec], make: Callable[[_Spec], _Part], undo: contextlib.ExitStack) -> dict[str, _Part]:
    parts: dict[str, _Part] = {}
    for spec in specs:
        parts[spec.name] = part = make(spec)
        undo.callback(part.close)
    return parts


def _open_console(
    spec: ConsoleSpec | None, backend: _Backend, faults: list[tuple[str, str]], undo: contextlib.ExitStack
) -> Console | None:
    if spec is None:
        return None
    try:
        console = backend.console(spec)
    except DeviceLost as error:
        faults.append(("console", str(error)))
        return None
    undo.callback(console.close)
    return console


def _mock(clock: Clock, *, real_time: bool) -> _Backend:
    from hal.mock.gpio_loop import MockLoop  # noqa: PLC0415 - see the module
    from hal.mock.output import MockOutput  # noqa: PLC0415
    from hal.mock.serial_console import MockConsole  # noqa: PLC0415
    from hal.mock.watchdog import MockWatchdog  # noqa: PLC0415

    return _Backend(
        lambda spec: MockLoop(spec.name, clock),
        lambda spec: MockOutput(spec.name, clock),
        lambda _spec: MockConsole(real_time=real_time),
        MockWatchdog,
    )


def _pi(spec: BoardSpec, clock: Clock, factory: Any) -> _Backend:
    from hal.pi.late import LateLoop, LateOutput  # noqa: PLC0415 - see the module
    from hal.pi.watchdog import SystemdWatchdog  # noqa: PLC0415

    chip = _Chip(spec.work_dir, factory)

    def loop(part: LoopSpec) -> GpioLoop:
        pins = chip.pins()
        from hal.pi.gpio_loop import GpioLoop  # noqa: PLC0415 - loads gpiozero

        return GpioLoop(part.name, part.pin, part.contact, pins, clock)

    def output(part: OutputSpec) -> GpioOutput:
        pins = chip.pins()
        from hal.pi.output import GpioOutput  # noqa: PLC0415 - loads gpiozero

        return GpioOutput(part.name, part.pin, pins, active_high=part.active_high)

    return _Backend(
        lambda part: LateLoop(part.name, functools.partial(loop, part)),
        lambda part: LateOutput(part.name, functools.partial(output, part)),
        _serial,
        SystemdWatchdog,
        last=(chip.close,),
    )


def _serial(spec: ConsoleSpec) -> Console:
    with _installed(f"console {spec.port}", "board"):
        from hal.pi.serial_console import SerialConsole  # noqa: PLC0415 - loads pyserial
    return SerialConsole(spec.port, spec.baud)


class _Chip:
    """The GPIO chip, opened by the first pin that can be had: udev may bring it, or leave to use it, after the start.

    One that vanished is opened again in the same way.

    Synchronization: `pins` from any thread.
    """

    def __init__(self, work_dir: Path, factory: Any) -> None:
        self._work_dir = work_dir
        self._factory = factory
        self._pins: Pins | None = None
        self._opening = threading.Lock()

    def pins(self) -> Pins:
        """Raises `DeviceLost` while there is no chip."""
        with self._opening:
            if self._pins is None or self._pins.gone:
                with _installed("a pin", "board"):
                    from hal.pi.pins import Pins, open_pins  # noqa: PLC0415 - loads gpiozero
                device = None if self._pins is None else self._pins.device
                self._pins = open_pins(self._work_dir, device) if self._factory is None else Pins(self._factory)
            return self._pins

    def close(self) -> None:
        """Give the chip back, unless it is the caller's."""
        if self._pins is not None and self._factory is None:
            self._pins.close()


@contextlib.contextmanager
def _installed(what: str, extra: str = "media") -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DeviceLost(f"{what} needs a library: {error}; install the extra gatebooth[{extra}]") from error


def _sound_device(what: str, device: str) -> str:
    if not device or device.startswith(_NO_DEVICES):
        raise NotSupported(f'{what} {device!r} is no sound device; use its name or a part of it, or "test:"')
    return device
