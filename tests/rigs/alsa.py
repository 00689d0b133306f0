"""Sound devices without a sound card: ALSA's `file` plug-in over FIFOs that a thread feeds and drains in real time.

The plug-in's own device runs as fast as it can; the FIFOs are what makes it keep time.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_S = 0.02
RATE_HZ = 16000
BLOCK_BYTES = 640
_F_SETPIPE_SZ = 1031
_PAGE = 4096

_CONFIG = """
pcm.null {{
  type null
}}
pcm.vmic {{
  type file
  slave.pcm "null"
  file "/dev/null"
  infile "{folder}/mic.fifo"
  format "raw"
  hint.show on
  hint.description "vmic"
}}
pcm.vspk {{
  type file
  slave.pcm "null"
  file "{folder}/spk.fifo"
  format "raw"
  hint.show on
  hint.description "vspk"
}}
pcm.!default {{
  type asym
  playback.pcm "vspk"
  capture.pcm "vmic"
  hint.show on
  hint.description "default"
}}
"""
# Without a `default` PortAudio aborts the process while it lists the devices.


def missing_package() -> str:
    """Why the rig cannot run here; empty when it can."""
    if importlib.util.find_spec("pyaudio") is None:
        return "PyAudio is not installed; apt-get install portaudio19-dev, then install the extra gatebooth[media]"
    return ""


def write_config(folder: Path) -> dict[str, str]:
    """Make the FIFOs and ALSA's configuration.

    Returns:
        The environment of a process that shall see these devices and no others.
    """
    for name in ("mic.fifo", "spk.fifo"):
        os.mkfifo(folder / name)
    config = folder / "asound.conf"
    config.write_text(_CONFIG.format(folder=folder))
    return {"ALSA_CONFIG_PATH": str(config)}


class SoundCard:
    """Feeds the microphone and drains the loudspeaker. Use it in a `with` statement, in the process under test.

    Args:
        folder: Where `write_config` made the FIFOs.
        heard: What the microphone picks up, once; silence follows.

    Attributes:
        played: What the loudspeaker was given.
    """

    def __init__(self, folder: Path, heard: bytes = b"") -> None:
        self.played = bytearray()
        self._heard = heard
        # Read and write: a FIFO with one side only makes the library block at its very first look.
        self._mic = os.open(folder / "mic.fifo", os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._mic, _F_SETPIPE_SZ, _PAGE)
        self._folder = folder
        self._spk = self._open_speaker()
        self._feeding = threading.Event()
        self._over = threading.Event()
        self._speaker_there = True
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(5)
        for fifo in (self._mic, self._spk):
            with contextlib.suppress(OSError):
                os.close(fifo)

    def begin(self) -> None:
        """Let the microphone hear; until then it is silent and still, like a device that hangs."""
        self._feeding.set()

    def hang(self) -> None:
        """Stop the sound: the device is there and gives nothing."""
        self._feeding.clear()

    def unplug_speaker(self) -> None:
        """Take the loudspeaker away."""
        self._speaker_there = False
        os.close(self._spk)

    def plug_speaker(self) -> None:
        """Bring the loudspeaker back."""
        self._spk = self._open_speaker()
        self._speaker_there = True

    def _open_speaker(self) -> int:
        speaker = os.open(self._folder / "spk.fifo", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(speaker, _F_SETPIPE_SZ, _PAGE)
        return speaker

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._over.wait(max(0.0, next_s - time.monotonic())):
            next_s += BLOCK_S
            if self._feeding.is_set():
                self._feed()
            if self._speaker_there:
                self._drain()

    def _feed(self) -> None:
        block = self._heard[:BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
        # Full while nobody listens: what was heard meanwhile is lost, as with a microphone.
        with contextlib.suppress(BlockingIOError):
            written = os.write(self._mic, block)
            self._heard = self._heard[written:]

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            self.played += os.read(self._spk, BLOCK_BYTES)
