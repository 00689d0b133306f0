"""Sound and camera of the virtual board: what is played into snd-aloop and heard from it, what vivid is told to do."""

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
HEARD: Final = "/run/heard.raw"
SAMPLES: Final = f"-t raw -f S16_LE -c 1 -r {RATE_HZ}"
CAMERA: Final = "/dev/video0"
MONITOR: Final = "/dev/video1"
"""The output whose corner is what the camera sees while its loop is closed."""
SIZE: Final = (320, 180)
PICTURE: Final = "/run/picture.yuv"
SHOWN: Final = "/run/picture.log"
GREY: Final = 128
BLACK: Final = 16


class VirtualSoundCard:
    """A loopback card with a microphone and a loudspeaker: the panel has its one side, the bench the other."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._number = 0

    @property
    def other_side(self) -> str:
        """ALSA's name of the bench's side."""
        return f"hw:{CARDS[self._number]},0"

    @property
    def status(self) -> str:
        """The file in which the kernel says whether the bench plays."""
        return f"/proc/asound/card{CARDS[self._number]}/pcm0p/sub0/status"

    def unplug(self) -> None:
        """Take it off the bus."""
        # The driver says goodbye only when the last program has closed the card; gone it is at once.
        self._machine.hand.leave(f"echo snd_aloop.{self._number} >{DRIVER}/unbind")
        self._machine.hand.run(f"while test -e /dev/snd/controlC{CARDS[self._number]}; do sleep 0.05; done")

    def replug(self) -> None:
        """Plug in the other card, which bears another number."""
        self._number = 1 - self._number
        self._machine.hand.run(f"echo snd_aloop.{self._number} >{DRIVER}/bind")

    def power_on(self) -> None:
        """After a cold start the first card is there."""
        self._number = 0


class VirtualMicrophone:
    """See `hil.api.Microphone`."""

    def __init__(self, machine: Machine, card: VirtualSoundCard) -> None:
        self._machine = machine
        self._card = card
        self._sound = VOICE

    def begin(self) -> None:
        """Play the synthesised voice over and over; it sounds when this returns."""
        player = f"-D {self._card.other_side} {SAMPLES} {self._sound}"
        self._machine.hand.leave(f"{_PLAYING} {player}; do :; done")
        self._machine.hand.run(f"until grep -q RUNNING {self._card.status}; do sleep 0.05; done")

    def play(self, wav: Path) -> None:
        """Play a WAV file from now on."""
        with wave.open(str(wav), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ), wav
            self.play_samples(file.readframes(file.getnframes()))

    def play_samples(self, samples: bytes) -> None:
        """Play samples from now on."""
        self._machine.hand.put(SOUND, samples)
        self._sound = SOUND
        self._end()
        self.begin()

    def unplug(self) -> None:
        """Take it off the bus, and the loudspeaker with it."""
        self._end()
        self._card.unplug()

    def replug(self) -> None:
        """Plug it in again."""
        self._card.replug()
        self.begin()

    def _end(self) -> None:
        # The next player would find the card taken while this one is still dying.
        ended = "while pkill aplay; do sleep 0.05; done"
        self._machine.hand.run(f"{_end(f'/bin/sh -c {_PLAYING}')}; {ended}")


class VirtualLoudspeaker:
    """See `hil.api.Loudspeaker`; what the board plays, bit by bit, with silence where it plays nothing."""

    def __init__(self, machine: Machine, card: VirtualSoundCard) -> None:
        self._machine = machine
        self._card = card

    def hear(self, seconds: float) -> bytes:
        """Listen for so long."""
        self.listen()
        return self.heard(seconds)

    def listen(self) -> None:
        """Begin; returns when every sample is kept from now on."""
        recorder = f"arecord -q -D {self._card.other_side} {SAMPLES} --period-time=50000 {HEARD}"
        self._machine.hand.run(f"pkill arecord; rm -f {HEARD}")
        self._machine.hand.leave(f"exec {recorder}")
        self._machine.hand.run(f"until test -s {HEARD}; do sleep 0.05; done")

    def heard(self, seconds: float) -> bytes:
        """The first so many seconds since `listen`, once they are over."""
        size = round(seconds * RATE_HZ) * 2
        self._machine.hand.run(f"until test $(stat -c %s {HEARD}) -ge {size}; do sleep 0.05; done; pkill arecord")
        return self._machine.hand.get(HEARD)[:size]


class VirtualCamera:
    """See `hil.api.Camera`: the kernel's test camera, the faults that its driver can play, and an output to show it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def show(self, luma: bytes, width: int, height: int) -> None:
        """Show a grey picture of the camera's own size; it is in the stream when this returns."""
        assert (width, height) == SIZE, f"the virtual camera shows {SIZE[0]}x{SIZE[1]}, not {width}x{height}"
        # Of several pictures, because the output asks for the next before it has shown the last.
        self._machine.hand.put(PICTURE, (luma + bytes([GREY]) * (len(luma) // 2)) * 4)
        player = (
            f"{_SHOWING} -d {MONITOR} --set-fmt-video-out=width={width},height={height},pixelformat=YU12 "
            f"--stream-from={PICTURE} --stream-loop"
        )
        self._machine.hand.run(f"{_end(_SHOWING)}; rm -f {SHOWN}")
        self._machine.hand.leave(f"exec {player} >{SHOWN} 2>&1")
        # It writes a mark for each picture that the output has taken.
        self._machine.hand.run(f"until grep -q '>>' {SHOWN}; do sleep 0.05; done")
        self._control("loop_video=1,osd_text_mode=2")

    def black(self) -> None:
        """Cover the lens."""
        width, height = SIZE
        self.show(bytes([BLACK]) * (width * height), width, height)

    def stand_still(self) -> None:
        """Send the same picture for ever: a chosen one stands anyway, in the test picture the text alone moves."""
        self._control("osd_text_mode=2")

    def disconnect(self) -> None:
        """Vanish from the bus."""
        # The driver brings its devices back when the last program has closed them: one stays.
        self._machine.hand.run(
            f"exec 9<{CAMERA}; {_STAYING} >/dev/null 2>&1 & v4l2-ctl -d {CAMERA} --set-ctrl disconnect=1"
        )

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
        healed = "percentage_of_dropped_buffers=0,loop_video=0,osd_text_mode=0"
        self._machine.hand.run(
            f"{_end(_STAYING)}; until v4l2-ctl -d {CAMERA} --set-ctrl {healed} >/dev/null 2>&1; do sleep 0.1; done; "
            f"{_end(_SHOWING)}"
        )

    def _control(self, setting: str) -> None:
        self._machine.hand.run(f"v4l2-ctl -d {CAMERA} --set-ctrl {setting}")


_PLAYING: Final = "while aplay -q"
_STAYING: Final = "sleep 1000000"
_SHOWING: Final = "v4l2-ctl --stream-out-mmap"


def _end(program: str) -> str:
    # The brackets keep the shell that is told this from finding itself.
    return f"pkill -f '^[{program[0]}]{program[1:]}' || true"
