"""Sound and camera of the virtual board: what is played into snd-aloop, what vivid is told to do."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Final

from hil.virtual.inside import RATE_HZ, VOICE

if TYPE_CHECKING:
    from pathlib import Path

    from hil.virtual.machine import Machine

DRIVER: Final = "/sys/bus/platform/drivers/snd_aloop"
CARDS: Final = (0, 3)
"""Numbers of the two sound cards, by the number of their device at the driver."""
SOUND: Final = "/opt/bench/sound.raw"


class VirtualMicrophone:
    """See `hil.api.Microphone`: one side of a loopback card; the panel records from the other."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._card = 0
        self._sound = VOICE

    def begin(self) -> None:
        """Play the synthesised voice over and over."""
        player = f"aplay -q -D hw:{CARDS[self._card]},0 -t raw -f S16_LE -c 1 -r {RATE_HZ} {self._sound}"
        self._machine.hand.leave(f"while {player}; do :; done")

    def play(self, wav: Path) -> None:
        """Play a WAV file from now on."""
        with wave.open(str(wav), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ), wav
            samples = file.readframes(file.getnframes())
        self._machine.hand.put(SOUND, samples)
        self._sound = SOUND
        self._end()
        self.begin()

    def unplug(self) -> None:
        """Take it off the bus."""
        self._end()
        self._machine.hand.run(f"echo snd_aloop.{self._card} >{DRIVER}/unbind")

    def replug(self) -> None:
        """Plug it in again: the other card, which bears another number."""
        self._card = 1 - self._card
        self._machine.hand.run(f"echo snd_aloop.{self._card} >{DRIVER}/bind")
        self.begin()

    def power_on(self) -> None:
        """After a cold start the first card is there."""
        self._card = 0

    def _end(self) -> None:
        # The loop ends with its player's failure.
        self._machine.hand.run("pkill aplay || true")


class VirtualCamera:
    """See `hil.api.Camera`: the kernel's test camera, and the faults that its driver can play."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine = machine
        self._folder = folder

    def disconnect(self) -> None:
        """Vanish from the bus."""
        self._control("disconnect=1")

    def freeze(self) -> None:
        """Fill no buffer any more."""
        self.drop(100)

    def drop(self, percent: int) -> None:
        """Lose so many of a hundred buffers."""
        self._control(f"percentage_of_dropped_buffers={percent}")

    def stream_error(self) -> None:
        """Fail once."""
        self._control("inject_fatal_streaming_error=1")

    def well(self) -> None:
        """Be there as at the start."""
        self._machine.hand.run(
            "if test -e /sys/class/video4linux/video0 && v4l2-ctl -d /dev/video0 -C test_pattern >/dev/null 2>&1; then "
            "v4l2-ctl -d /dev/video0 --set-ctrl percentage_of_dropped_buffers=0; "
            "else for n in $(seq 50); do modprobe -r vivid && break; sleep 0.2; done; modprobe vivid; fi"
        )

    def _control(self, setting: str) -> None:
        self._machine.hand.run(f"v4l2-ctl -d /dev/video0 --set-ctrl {setting}")
