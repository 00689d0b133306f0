"""A network camera on the loopback that can hang, die and come back."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 python3-gi gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
_SERVER = Path(__file__).with_name("gst_rtsp_server.py")
_PROBE = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
needed = ("videotestsrc", "x264enc", "rtph264pay", "jpegenc", "capssetter", "alawenc")
raise SystemExit(", ".join(name for name in needed if not Gst.ElementFactory.find(name)) or 0)
"""


def missing_package() -> str:
    """Why the rig cannot run here, with the packages to install; empty when it can."""
    if shutil.which(SYSTEM_PYTHON) is None:
        return f"{SYSTEM_PYTHON} is missing (package python3)"
    probe = subprocess.run([SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode == 0:
        return ""
    last = (probe.stderr.strip().splitlines() or ["?"])[-1]
    return f"GStreamer's RTSP server does not start ({last}); apt-get install {PACKAGES}"


class RtspServer:
    """One server process. Use it in a `with` statement, or call `stop`.

    Args:
        port: Where to listen; 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(_SERVER), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = self._read_port()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def url(self, path: str = "/gate", user: str = "") -> str:
        """Where a stream is; `user` as `name:password`."""
        return f"rtsp://{user + '@' if user else ''}127.0.0.1:{self.port}{path}"

    def hang(self) -> None:
        """Stop the process in its tracks: connections stay, nothing comes."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Go on after a hang."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Pull the plug."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End the process, however it is."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read_port(self) -> int:
        ready, _, _ = select.select([self._process.stdout], [], [], 20)
        line = self._process.stdout.readline() if ready and self._process.stdout else ""
        if not line.strip():
            self.stop()
            raise RuntimeError("the RTSP server did not tell its port within 20 s")
        return int(line)
