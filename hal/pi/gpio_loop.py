"""A loop on a GPIO pin: two states, pulled up, switched to ground."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import gpiozero

from hal.errors import DeviceLost, PinInUse
from hal.types import Level, LoopState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.pi.pins import Pins
    from hal.ports import Clock


class GpioLoop:
    """A button or contact between a pin and ground.

    Debouncing belongs to the core: the library's own (`bounce_time`) drops edges and dates the rest late.

    Args:
        name: The loop's name.
        pin: GPIO number (BCM).
        contact: "closes" when an alarm joins pin and ground, "opens" when it breaks them.
        pins: The board's pins.
        clock: Dates the edges.

    Raises:
        PinInUse: Someone in this process holds the pin.
        DeviceLost: The pin is not there, or another process holds it.

    Synchronization: `read` from any thread; the watcher is called on lgpio's thread.
    """

    def __init__(self, name: str, pin: int, contact: str, pins: Pins, clock: Clock) -> None:
        self._name = name
        self._label = f"loop {name} on pin GPIO{pin}"
        self._alarm_is_high = contact == "opens"
        self._pins = pins
        self._clock = clock
        self._post: Callable[[Level], None] | None = None
        # Held while the watcher runs, so that close() can promise that no call begins after it.
        self._gate = threading.RLock()
        self._closed = self._watching = False
        self._device = self._open(pin)
        self._pin = self._device.pin

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    @property
    def gone(self) -> bool:
        """Whether the chip under it has vanished: only another opening helps."""
        return not self._pins.answers(self._pin)

    def read(self) -> LoopState:
        """The level at this instant."""
        self._check_open()
        try:
            with self._pins.use():
                return self._state(bool(self._pin.state))
        except self._pins.errors as error:
            raise DeviceLost(f"{self._label} cannot be read: {error}") from error

    def watch(self, post: Callable[[Level], None]) -> None:
        """Have `post` called at every edge; a second watcher replaces the first."""
        self._check_open()
        self._post = post
        if self._watching:
            return
        try:
            with self._pins.use():
                # After a try that failed gpiozero believes that it watches, and would not ask for edges again.
                self._pin.when_changed = None
                self._pin.when_changed = self._edge
            self._watching = True
        except self._pins.errors as error:
            raise DeviceLost(f"{self._label} gives no edges: {error}; its level is still read") from error

    def close(self) -> None:
        """Give the pin back."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
        self._pins.give_back(self._label, self._unwatch, self._device.close)

    def _unwatch(self) -> None:
        with self._pins.use():
            # Or lgpio's pin, taken a second time, would believe that it still watches and stay deaf.
            self._pin.when_changed = None

    def _open(self, pin: int) -> Any:
        device = None
        try:
            with self._pins.use():
                device = gpiozero.InputDevice(pin, pull_up=True, pin_factory=self._pins.factory)
                device.pin.bounce = None
                device.pin.edges = "both"
        except gpiozero.GPIOPinInUse as error:
            raise PinInUse(f"{self._label}: {error}; give one of them another pin") from error
        except self._pins.errors as error:
            if device is not None:
                self._pins.give_back(self._label, device.close)
            raise DeviceLost(f"{self._label} cannot be opened: {error}") from error
        return device

    def _edge(self, _ticks: float, high: int) -> None:
        level = Level(self._name, self._state(bool(high)), self._clock.now().mono_s)
        with self._gate:
            if not self._closed and self._post is not None:
                self._post(level)

    def _state(self, high: bool) -> LoopState:  # noqa: FBT001 - a level is one bit
        return LoopState.ALARM if high == self._alarm_is_high else LoopState.NORMAL

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceLost(f"{self._label} is closed")
