"""A relay or lamp on a GPIO pin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gpiozero

from hal.errors import DeviceLost, PinInUse

if TYPE_CHECKING:
    from hal.pi.pins import Pins


class GpioOutput:
    """One pin driven on or off; off at the start and after `close`.

    Args:
        name: The output's name.
        pin: GPIO number (BCM).
        pins: The board's pins.
        active_high: Whether the pin is high when on.

    Raises:
        PinInUse: Someone in this process holds the pin.
        DeviceLost: The pin is not there, or another process holds it.

    Synchronization: any thread.
    """

    def __init__(self, name: str, pin: int, pins: Pins, *, active_high: bool = True) -> None:
        self._name = name
        self._label = f"output {name} on pin GPIO{pin}"
        self._pins = pins
        self._closed = False
        self._device = self._open(pin, active_high=active_high)

    @property
    def name(self) -> str:
        """The output's name."""
        return self._name

    @property
    def gone(self) -> bool:
        """Whether the chip under it has vanished: only another opening helps."""
        return not self._pins.answers(self._device.pin)

    def set(self, *, on: bool) -> None:
        """Drive the output."""
        self._check_open()
        try:
            with self._pins.use():
                self._device.value = int(on)
        except self._pins.errors as error:
            raise DeviceLost(f"{self._label} cannot be switched {'on' if on else 'off'}: {error}") from error

    def get(self) -> bool:
        """The state that the pin is driven to."""
        self._check_open()
        try:
            with self._pins.use():
                return bool(self._device.value)
        except self._pins.errors as error:
            raise DeviceLost(f"{self._label} cannot be read: {error}") from error

    def close(self) -> None:
        """Switch off and give the pin back."""
        if self._closed:
            return
        self._closed = True
        self._pins.give_back(self._label, self._switch_off, self._device.close)

    def _switch_off(self) -> None:
        with self._pins.use():
            self._device.off()

    def _open(self, pin: int, *, active_high: bool) -> Any:
        try:
            with self._pins.use():
                return gpiozero.DigitalOutputDevice(
                    pin, active_high=active_high, initial_value=False, pin_factory=self._pins.factory
                )
        except gpiozero.GPIOPinInUse as error:
            raise PinInUse(f"{self._label}: {error}; give one of them another pin") from error
        except self._pins.errors as error:
            raise DeviceLost(f"{self._label} cannot be opened: {error}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceLost(f"{self._label} is closed")
