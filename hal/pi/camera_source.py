"""Connections to cameras by PyAV (FFmpeg), and what their failures mean to a technician."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import av

from hal.errors import DeviceLost
from hal.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

PASSED: Final = ("h264", "hevc")
"""Codecs that leave the camera unchanged; everything else is encoded as H.264."""
PATIENCE_S: Final = 1.5
"""FFmpeg's `timeout` of an RTSP stream. It notices a silent source after twice this time (measured, TCP and UDP)."""
_LAST_RESORT_S: Final = 4.0
"""PyAV's own limit of one call, for what the option above does not cover, as a connection that is never refused."""
_QUICK: Final = {"probesize": "32", "analyzeduration": "0"}
"""Believe the session description and look at no pictures: opens in 0.2 s instead of 2 s (measured)."""
_NO_WAITING: Final = f"+{av.container.Flags.non_block.value}"
"""By number: FFmpeg has a name for this flag in its own code alone."""

# The first that fits counts: the last is the root of the first two.
_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((av.error.HTTPNotFoundError,), "it answers, but has no such stream (404); check the path in its URL"),
    ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError), "it refuses user or password (401)"),
    (
        (av.error.ConnectionRefusedError,),
        "its address answers, but no camera listens there (connection refused); check the port",
    ),
    (
        (av.error.InvalidDataError, av.error.TimeoutError, av.error.ExitError),
        "nothing answers; is it powered, and is its address right?",
    ),
    ((av.error.HTTPClientError,), "it answers, but sends no pictures there (4xx); check the path in its URL"),
)

# FFmpeg would write every lost packet of a bad network to stderr; what matters comes as an error.
av.logging.set_level(av.logging.PANIC)


def open_rtsp(url: str, transport: str) -> Any:
    """Connect to a network camera.

    Args:
        url: rtsp:// or rtsps://.
        transport: "tcp" or "udp".

    Returns:
        PyAV's container; its first video stream knows size and parameter sets.

    Raises:
        DeviceLost: Nothing answers, or not with pictures. The message has no camera name.
    """
    options = {"rtsp_transport": transport, "timeout": str(round(PATIENCE_S * 1e6)), "allowed_media_types": "video"}
    container = _open(url, options=options | _QUICK)
    if container.streams.video and not _known(container.streams.video[0]):
        # This camera's description does not say enough: let FFmpeg read on until the pictures do.
        container.close()
        container = _open(url, options=options)
    return _with_pictures(container, url)


def open_v4l2(path: str, width: int, height: int, rate_hz: int) -> Any:
    """Open a camera of this board, H.264 preferred, then JPEG, then whatever it gives.

    Args:
        path: The device, as /dev/video0.
        width: Wanted pixels; the driver may choose others.
        height: Wanted pixels.
        rate_hz: Wanted pictures a second.

    Raises:
        DeviceLost: No such device, or it is no camera, or another program holds it. The message has no camera name.
    """
    # A driver that is waited for waits for ever when its camera hangs: `arriving` waits in its place.
    size = {"video_size": f"{width}x{height}", "framerate": str(rate_hz), "fflags": _NO_WAITING}
    for pixels in ({"input_format": "h264"}, {"input_format": "mjpeg"}, {}):
        try:
            return _with_pictures(_open(path, format="v4l2", options=size | pixels), path)
        except DeviceLost as error:
            if not pixels or _errno(error.__cause__) != errno.EINVAL:
                raise
            log.debug("%s does not give %s", path, pixels["input_format"])
    raise AssertionError  # the last round returns or raises


def arriving(container: Any, rate_hz: float) -> Iterator[Any]:
    """Packets of a camera as they come, until the other side hangs up.

    Args:
        container: What `open_rtsp` or `open_v4l2` gave.
        rate_hz: Pictures a second: a device that has none yet is asked again after a quarter of one's time.

    Raises:
        FFmpegError: The stream broke, or a network camera sent nothing for twice PATIENCE_S.
        TimeoutError: A device had nothing for that long.
    """
    last_s = time.monotonic()
    while True:
        try:
            for packet in container.demux(container.streams.video[0]):
                yield packet
                last_s = time.monotonic()
        except BlockingIOError as error:
            if time.monotonic() - last_s > 2 * PATIENCE_S:
                raise TimeoutError from error
        else:
            return
        time.sleep(0.25 / rate_hz)


def explain(error: Exception, waited_s: float) -> str:
    """What an error of FFmpeg means, without the URL that it quotes.

    Args:
        error: What PyAV raised.
        waited_s: How long the call took: FFmpeg calls a camera that does not answer "invalid data".
    """
    if isinstance(error, av.error.InvalidDataError) and waited_s < PATIENCE_S:
        return "what answers is no camera that speaks RTSP; check the port in its URL"
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return meaning
    return _explain_number(error)


def explain_end(error: Exception) -> str:
    """What an error in a running stream means."""
    if isinstance(error, (TimeoutError, av.error.ExitError)):
        return f"no pictures for {2 * PATIENCE_S:.0f} s; the camera hangs, or the network to it is down"
    return f"no more pictures: {_explain_number(error)}"


def _explain_number(error: Exception) -> str:
    match _errno(error):
        case errno.EIO:
            return "its address cannot be reached or its name is unknown (input/output error)"
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return "there is no such device; is it plugged in?"
        case errno.EACCES | errno.EPERM:
            return "this user may not use it; is the user in the group video?"
        case errno.EBUSY:
            return "another program holds it"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _open(url: str, **arguments: Any) -> Any:
    begin_s = time.monotonic()
    try:
        return av.open(url, timeout=(_LAST_RESORT_S, _LAST_RESORT_S), **arguments)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DeviceLost(f"{masked(url)}: {explain(error, time.monotonic() - begin_s)}") from error


def _with_pictures(container: Any, url: str) -> Any:
    if container.streams.video:
        return container
    container.close()
    raise DeviceLost(f"{masked(url)}: it answers, but sends no pictures; check the path in its URL")


def _known(stream: Any) -> bool:
    context = stream.codec_context
    return bool(context.width and context.height and (context.extradata or context.name not in PASSED))


def _errno(error: BaseException | None) -> int | None:
    return error.errno if isinstance(error, OSError) else getattr(error, "errno", None)
