"""The demonstration's MQTT broker (3.1.1, amqtt): a process of its own on a free loopback port.

Run as `python -m firmware.demo.broker` it binds a port, writes `{"port": N}` as its first line on standard output once
clients are welcome, and serves until its standard input ends, so that it cannot outlive whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from amqtt.broker import Broker

START_S = 20.0
"""A cold import of amqtt from a slow card takes seconds; longer than this is a broken installation."""
STOP_S = 2.0


class BrokerError(RuntimeError):
    """The embedded broker did not start; the message says why and what to do."""


class EmbeddedBroker:
    """The broker's process, as its parent sees it.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = START_S) -> int:
        """Start the process and wait until it serves.

        Returns:
            Its TCP port on 127.0.0.1.

        Raises:
            BrokerError: It ended or said nothing in time; the message carries its last words.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware.demo.broker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        line = _first_line(self._process, time.monotonic() + timeout_s)
        try:
            return int(json.loads(line)["port"])
        except (ValueError, KeyError, TypeError):
            raise BrokerError(self._last_words(timeout_s)) from None

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self, timeout_s: float) -> str:
        process = self._process
        if process is None or process.poll() is None:
            self.close()
            return f"the embedded broker did not start within {timeout_s:g} s: is this machine overloaded?"
        lines = process.stderr.read().decode(errors="replace").strip().splitlines() if process.stderr else []
        self.close()
        why = lines[-1] if lines else f"exit code {process.returncode}"
        return (
            f"the embedded broker did not start: {why}; install the demo's packages with: pip install 'gatebooth[demo]'"
        )


def _first_line(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """What the process wrote up to its first line feed; less when it ends or the deadline (monotonic) passes."""
    out = process.stdout
    line = b""
    while out is not None and not line.endswith(b"\n"):
        ready, _, _ = select.select([out], [], [], max(0.0, deadline_s - time.monotonic()))
        byte = out.read(1) if ready else b""
        if not byte:
            break
        line += byte
    return line


def main() -> int:
    """Serve until standard input ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve())
    return 0


async def _serve() -> None:
    broker = _quiet_broker()
    await broker.start()
    server = await asyncio.start_server(_welcome(broker), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    await _end_of_input()


def _quiet_broker() -> Broker:
    """A broker without listeners of its own: its sockets are ours, so that the port is known without a race."""
    from amqtt.broker import Broker  # noqa: PLC0415 - the parent of this process never needs amqtt

    return Broker(
        {
            "listeners": {"default": {"type": "external", "bind": ""}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )


def _welcome(broker: Broker) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter  # noqa: PLC0415

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default")

    return welcome


async def _end_of_input() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    sys.exit(main())
