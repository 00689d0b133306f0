"""PortAudio opened quietly: what the sound libraries print belongs into the log, not on a technician's screen."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pyaudio

from hal.errors import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

BLOCKS_A_SECOND: Final = 50
"""A block is 20 ms: one Opus frame."""
_STDERR: Final = 2
_CHATTER: Final = ("ALSA lib ", "Cannot connect to server ", "jack server is not ", "JackShm", "Expression ")
_redirecting = threading.Lock()

_ALSA_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


def _drop(_file: bytes, _line: int, _function: bytes, _error: int, _format: bytes) -> None:
    """ALSA's messages repeat what PortAudio returns as an error."""


_DROP = _ALSA_HANDLER(_drop)  # kept here: ALSA goes on calling it


def _mute_alsa() -> None:
    # Without it ALSA writes to stderr for as long as a stream runs, as at each overrun.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_DROP)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what JACK and PortAudio write to stderr meanwhile, and log it for debugging; they have no switch for it.

    The redirection holds for the whole process. Lines of somebody else, as another thread's log, come a moment late.

    Synchronization: any thread; one at a time.
    """
    with _redirecting, os.fdopen(os.memfd_create("sound"), "w+b", buffering=0) as kept:
        before = os.dup(_STDERR)
        os.dup2(kept.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(before, _STDERR)
            os.close(before)
            kept.seek(0)
            _sort(kept.read().decode(errors="replace").splitlines())


def _sort(lines: list[str]) -> None:
    for line in filter(None, lines):
        if line.startswith(_CHATTER):
            log.debug("sound library: %s", line)
        else:
            os.write(_STDERR, f"{line}\n".encode())


def open_stream(what: str, device: str, rate_hz: int, callback: Callable[..., Any] | None) -> tuple[Any, Any]:
    """Open a mono 16-bit stream with blocks of 20 ms.

    Args:
        what: "microphone" or "loudspeaker", for the direction and for messages.
        device: The device's name or a part of it, in any case of letters.
        rate_hz: Samples a second.
        callback: PortAudio's callback; None for blocking writes.

    Returns:
        PyAudio's instance and the stream. The instance knows only the devices that were there when it was made: a new
        attempt needs a new one.

    Raises:
        DeviceLost: No such device, or it refuses the format.
    """
    _mute_alsa()
    with quiet():
        library = pyaudio.PyAudio()
    try:
        info = _find(library, what, device)
        with quiet():
            return library, _open(library, what, info, rate_hz, callback)
    except DeviceLost:
        release(library, None)
        raise


def release(library: Any, stream: Any | None) -> None:
    """Close a stream and its library; what fails on a device that is gone already is no news."""
    with quiet():
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.stop_stream()
            with contextlib.suppress(OSError):
                stream.close()
        library.terminate()


def _find(library: Any, what: str, device: str) -> dict[str, Any]:
    channels = "maxInputChannels" if what == "microphone" else "maxOutputChannels"
    infos = [library.get_device_info_by_index(index) for index in range(library.get_device_count())]
    infos = [info for info in infos if info[channels] > 0]
    names = ", ".join(f"{info['name']!r}" for info in infos) or "none at all"
    wanted = device.casefold()
    exact = [info for info in infos if info["name"].casefold() == wanted]
    found: list[dict[str, Any]] = exact or [info for info in infos if wanted in info["name"].casefold()]
    if not found:
        raise DeviceLost(f"{what} {device!r} is not there; this machine has {names}; is it plugged in?")
    if len(found) > 1 and not exact:
        log.warning("%s %r fits several devices (%s); %r is taken", what, device, names, found[0]["name"])
    return found[0]


def _open(library: Any, what: str, info: dict[str, Any], rate_hz: int, callback: Callable[..., Any] | None) -> Any:
    side = "input" if what == "microphone" else "output"
    try:
        return library.open(
            rate=rate_hz,
            channels=1,
            format=pyaudio.paInt16,
            frames_per_buffer=rate_hz // BLOCKS_A_SECOND,
            stream_callback=callback,
            **{side: True, f"{side}_device_index": info["index"]},
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeviceLost(
            f"{what} {info['name']!r} refuses {rate_hz} Hz, mono, 16 bit: {reason}; its own rate is "
            f"{info['defaultSampleRate']:.0f} Hz; set that rate, or free the device where another program holds it"
        ) from error
