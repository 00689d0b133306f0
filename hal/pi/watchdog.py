"""systemd's watchdog: one datagram a message to the socket named in NOTIFY_SOCKET (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class SystemdWatchdog:
    """Speaks to the supervisor, or to nobody when the process runs without one.

    A message that cannot be sent is dropped: the panel must not stop for its supervisor's sake, and a supervisor that
    misses pets acts by itself.

    Args:
        environ: Where NOTIFY_SOCKET is looked up; the process's own by default.

    Synchronization: any thread.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading "@" names a socket of Linux's abstract space, whose names begin with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._complained = False
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(0)
        else:
            log.info("no supervisor watches this process: NOTIFY_SOCKET is not set")

    @property
    def supervised(self) -> bool:
        """Whether somebody listens."""
        return self._socket is not None

    def ready(self) -> None:
        """Tell that the inputs are armed."""
        self._send("READY=1")

    def pet(self) -> None:
        """Tell that the owner loop still decides."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; line ends become blanks."""
        self._send("STATUS=" + " ".join(text.split()))

    def close(self) -> None:
        """Tell that the stop is intended."""
        self._send("STOPPING=1")
        held, self._socket = self._socket, None
        if held is not None:
            held.close()

    def _send(self, message: str) -> None:
        held = self._socket
        if held is None:
            return
        try:
            held.sendto(message.encode(), self._address)
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning("the supervisor at NOTIFY_SOCKET takes no messages: %s", error)
            self._complained = True
