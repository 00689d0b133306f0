"""What the bench does inside the virtual board: installs a test's panel, asks systemd, sets the clock."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.panel_file import OUTPUTS, RECEIVERS, Wiring, panel_toml, zones
from hil.virtual.hand import RefusedError
from hil.virtual.machine import BOOT_S, BROKER, LINES, Machine
from hil.virtual.monitor import MachineGoneError

if TYPE_CHECKING:
    from pathlib import Path

    from hil.api import Setup

USER: Final = 990
KEYS: Final = "/etc/gatebooth"
UNIT: Final = "gatebooth.service"
CGROUP: Final = f"/sys/fs/cgroup/system.slice/{UNIT}"
SYNCED: Final = "/run/systemd/timesync/synchronized"
MICROPHONE: Final = ",1)"
"""Part of the name of snd-aloop's second device, whatever number its card has: "Loopback: PCM (hw:3,1)"."""
VOICE: Final = "/opt/bench/voice.raw"
"""The synthesised voice, which the microphone hears until it is told otherwise."""
RATE_HZ: Final = 16000
LOOK_S: Final = 0.2
PROMPT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Wires:
    """Which line of the controller goes where."""

    loops: dict[str, int]
    outputs: dict[str, int]


def wires(setup: Setup) -> Wires:
    """Loops from line 0 on, outputs on what is left, the most needed first."""
    loops = {name: line for line, name in enumerate(zones(setup, LINES))}
    left = range(len(loops), LINES)
    return Wires(loops, dict(zip(OUTPUTS, left, strict=False)))


class Inside:
    """The inside of one machine.

    Synchronization: one thread.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def install(self, setup: Setup, keys: Path | None) -> str:
        """Put configuration and keys where a booth has them; the configuration's text.

        Args:
            setup: The panel that is wanted.
            keys: A folder of key files and certificates; without one, keys of no meaning are made.
        """
        found = wires(setup)
        wiring = Wiring(
            "pi",
            KEYS,
            "/var/lib/gatebooth",
            *BROKER,
            tuple(found.loops.values()),
            found.outputs,
            camera="/dev/video0",
            microphone=MICROPHONE,
            console="/dev/ttyS0",
        )
        text = panel_toml(setup, wiring)
        files = {path.name: path.read_bytes() for path in keys.iterdir()} if keys else _any_keys()
        for name, data in {**files, "panel.toml": text.encode()}.items():
            self._machine.hand.put(f"{KEYS}/{name}", data, mode=0o600, owner=USER)
        # A booth was commissioned long before its power fails for the first time.
        self._machine.hand.run(f"chown {USER}:{USER} {KEYS}; sync")
        return text

    def start_panel(self) -> None:
        """Return when it is armed."""
        self._machine.hand.run(f"systemctl start {UNIT}", BOOT_S)

    def set_clock(self, utc_s: float, *, synced: bool) -> None:
        """Step the wall clock, and say whether a time source stands behind it."""
        mark = f"mkdir -p {SYNCED.rpartition('/')[0]}; touch {SYNCED}" if synced else f"rm -f {SYNCED}"
        self._machine.hand.run(f"date -s @{utc_s:.3f} >/dev/null; {mark}")

    def armed_since(self) -> float | None:
        """When systemd heard that the panel is armed, or None while it is not.

        By the test machine's clock: both run at one pace, and what lies between them is taken anew each time.
        """
        asked_s = time.monotonic()
        show = f"systemctl show {UNIT} -P ActiveState -P ActiveEnterTimestampMonotonic"
        with contextlib.suppress(MachineGoneError, RefusedError):
            told = self._machine.hand.run(f"cat /proc/uptime; {show}", PROMPT_S, 0.0).split()
            # An order that waited for the system to come up says nothing about the time at which it was given.
            if "active" in told and time.monotonic() - asked_s < PROMPT_S:
                stamp = next(word for word in told[2:] if word.isdigit())
                return asked_s - float(told[0]) + int(stamp) / 1e6
        return None

    def wait_armed(self, after_s: float, timeout_s: float) -> float:
        """Await that the panel is armed in a run that began after a moment.

        Raises:
            AssertionError: It was not in time; the message holds systemd's view.
        """
        deadline, pause = time.monotonic() + timeout_s, threading.Event()
        while time.monotonic() < deadline:
            at_s = self.armed_since()
            if at_s is not None and at_s > after_s:
                return at_s
            pause.wait(LOOK_S)
        raise AssertionError(f"the panel was not armed within {timeout_s} s:\n{self.journal()[-3000:]}")

    def wait_media(self) -> None:
        """Await that the panel's other process has camera and microphone open."""
        held = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q {0}"
        both = " && ".join(held.format(device) for device in ("/dev/video0", "/dev/snd/pcmC.D1c"))
        self._machine.hand.run(f"until {both}; do sleep 0.2; done; sleep 1", BOOT_S)

    def main_pid(self) -> int:
        """Of the panel."""
        return int(self._machine.hand.run(f"systemctl show {UNIT} -P MainPID"))

    def journal(self) -> str:
        """What systemd and the panel have written, of all boots."""
        with contextlib.suppress(MachineGoneError, RefusedError):
            return self._machine.hand.run("journalctl --no-pager -o short-monotonic | tail -400")
        return "the virtual board does not answer"


def _any_keys() -> dict[str, bytes]:
    return {f"{name}.key": secrets.token_hex(32).encode() + b"\n" for name in ("panel", *RECEIVERS)}
