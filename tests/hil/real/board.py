"""The board on the table, over its root shell: installed, supervised, frozen, filled, and told what time it is."""

from __future__ import annotations

import contextlib
import enum
import shlex
import time
from typing import TYPE_CHECKING

from hil.panel_file import RECEIVERS, panel_toml
from hil.real.parts import BoardGoneError
from hil.whole import ASK, read_load

if TYPE_CHECKING:
    import pathlib

    from hil.api import Setup
    from hil.house import House
    from hil.panel_file import Wiring
    from hil.real.parts import Parts
    from hil.whole import Load

UNIT = "gatebooth"
CONFIG = "/etc/gatebooth"
STATE = "/var/lib/gatebooth"
FILLER = f"{STATE}/.bench-filler"
DROP_IN = f"/etc/systemd/system/{UNIT}.service.d"
TIME_UNIT = "systemd-timesyncd"
SYNCHRONISED = "/run/systemd/timesync/synchronized"
PROGRAM = "/opt/gatebooth/bin/gatebooth run --config /etc/gatebooth/panel.toml"
STEPS_BPS = 115_200
"""Of the cable `steps`: the speed of its serial port in the environment file."""
RT_LIMIT = "/proc/sys/kernel/sched_rt_runtime_us"
FAIR_SHARES = "/sys/kernel/debug/sched/fair_server/cpu*/runtime"
"""Kernels from 6.12 on keep five hundredths of a processor for what is not real-time, whatever `RT_LIMIT` says."""
LOOK_S = 0.3
SHELL_S = 10.0
BOOT_S = 300.0
LOG_S = 20.0


class Off(enum.Enum):
    """Ends of the board's run that the bench itself brought about: no watchdog's doing."""

    SUPPLY = "the bench switched the supply off"
    PANIC = "the bench crashed the kernel"


class Board:
    """What `RealBench` asks of the board.

    Args:
        parts: The table.
        folder: Of the test, for files on their way.

    Synchronization: one thread.
    """

    def __init__(self, parts: Parts, folder: pathlib.Path) -> None:
        self._parts = parts
        self._folder = folder
        self._boot = ""
        self._ending: Off | None = None
        self._resets = 0
        self._timeouts: dict[str, int] = {}

    def install(self, house: House, setup: Setup, wiring: Wiring) -> None:
        """Give the panel this test's configuration and keys, and a state folder that has never been used."""
        must = self._parts.must
        self.wait_shell()
        self.set_clock(time.time(), synced=True)
        must(f"systemctl stop {UNIT} && mkdir -p {STATE} {CONFIG} {DROP_IN} && find {STATE} -mindepth 1 -delete")
        names = ("panel", *RECEIVERS)
        for name in names:
            key = (house.keys / f"{name}.key").read_text()
            self._parts.file(f"{CONFIG}/{name}.key", key, self._folder, "0600")
        self._parts.file(f"{CONFIG}/panel.toml", panel_toml(setup, wiring), self._folder)
        must(f"chown -R {UNIT}: {CONFIG}")
        self._parts.file(f"{DROP_IN}/bench.conf", self._drop_in(), self._folder)
        must("systemctl daemon-reload")

    def start(self) -> None:
        """Start the panel's unit."""
        self._parts.must(f"systemctl start {UNIT}")

    def stop(self) -> None:
        """Stop it in order."""
        self._parts.must(f"systemctl stop {UNIT}")

    def leave(self) -> None:
        """Take away what only the bench wanted, and let the board keep its own time again."""
        self.wait_shell()
        self.set_clock(time.time(), synced=False)
        keep_time = f"if systemctl is-enabled --quiet {TIME_UNIT}; then systemctl start {TIME_UNIT}; fi"
        self._parts.must(
            f"systemctl stop {UNIT} && rm -f {DROP_IN}/bench.conf {FILLER} && systemctl daemon-reload && {keep_time}"
        )

    def wait_shell(self, timeout_s: float = BOOT_S) -> None:
        """Return when the board answers."""
        deadline_s = time.monotonic() + timeout_s
        while why := self._silence():
            assert time.monotonic() < deadline_s, f"the board did not answer within {timeout_s} s: {why}"
            time.sleep(LOOK_S)

    def _silence(self) -> str:
        """Why the board does not answer, or ""."""
        try:
            self._parts.must("true", SHELL_S)
        except (BoardGoneError, AssertionError) as error:
            return repr(error)
        return ""

    def wait_armed(self, after_s: float, timeout_s: float) -> float:
        """Await READY of a run that began after a moment; the moment on the bench's own clock."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self.wait_shell(left_s)
            with contextlib.suppress(BoardGoneError):  # it may go away between any two words
                if self._ending is Off.SUPPLY:
                    self._look()
                armed_s = self._armed()
                if armed_s is not None and armed_s > after_s:
                    self._look()
                    return armed_s
            time.sleep(LOOK_S)
        raise AssertionError(f"the panel was not armed within {timeout_s} s")

    def _armed(self) -> float | None:
        """When systemd heard READY, on the bench's clock: the board's uptime now tells how long ago that is."""
        entered, state, uptime = self._parts.must(
            f"systemctl show {UNIT} -P ActiveEnterTimestampMonotonic; systemctl show {UNIT} -P ActiveState; "
            "cut -d' ' -f1 /proc/uptime"
        )[:3]
        if state != "active" or int(entered) == 0:
            return None
        return time.monotonic() - (float(uptime) - int(entered) / 1e6)

    def signal(self, name: str) -> float:
        """Send the panel's own process a signal; the moment."""
        at_s = time.monotonic()
        self._parts.must(f"systemctl kill --kill-who=main --signal={name} {UNIT}")
        return at_s

    def bites(self) -> int:
        """How often systemd ended the panel, or the machine began anew without the bench's doing, as far as was looked.

        No journal needs to outlive a reset for it, and no clock to be right.
        """
        self._look()
        return sum(self._timeouts.values()) + self._resets

    def lost_power(self) -> None:
        """The bench has switched the supply off: what begins next is no reset."""
        self._ending = Off.SUPPLY
        self._parts.shell.close()

    def _look(self) -> None:
        """Which run of the machine this is, and how often systemd ended the panel in it."""
        boot, timeouts = self._parts.must(
            "cat /proc/sys/kernel/random/boot_id; "
            f"journalctl --boot --unit {UNIT} --output cat | grep -c 'Watchdog timeout' || true"
        )[:2]
        assert boot != self._boot or self._ending is not Off.SUPPLY, (
            "the board ran on while its supply was off: does the relay of the supply cut its power?"
        )
        if boot != self._boot and self._boot:
            self._resets += self._ending is None
            self._ending = None
        self._boot = boot
        self._timeouts[boot] = int(timeouts)

    def crash_kernel(self) -> float:
        """Panic, a second after the shell has answered."""
        self._ending = Off.PANIC
        return self._leave_behind("echo c > /proc/sysrq-trigger")

    def freeze(self) -> float:
        """Starve everything, systemd too, by loops that no scheduler interrupts, one bound to each processor."""
        no_share = f"for share in {FAIR_SHARES}; do test ! -e $share || echo 0 > $share; done"
        hog = "taskset -c $cpu chrt -f 99 sh -c 'while :; do :; done' &"
        hogs = f"for cpu in $(seq 0 $(($(nproc) - 1))); do {hog} done; wait"
        return self._leave_behind(f"echo -1 > {RT_LIMIT}; {no_share}; {hogs}")

    def _leave_behind(self, command: str) -> float:
        self._parts.must(f"nohup sh -c {shlex.quote(f'sleep 1; {command}')} >/dev/null 2>&1 &")
        return time.monotonic() + 1.0

    def memory_mib(self) -> float:
        """Proportional set size of everything in the unit."""
        out = self._parts.must(
            f"for pid in $(cat /sys/fs/cgroup/system.slice/{UNIT}.service/cgroup.procs); do "
            "grep ^Pss: /proc/$pid/smaps_rollup; done"
        )
        return sum(int(line.split()[1]) for line in out) / 1024

    def cpu_s(self) -> float:
        """Processor time of everything in the unit."""
        return int(self._parts.must(f"systemctl show {UNIT} -P CPUUsageNSec")[0]) / 1e9

    def load(self) -> Load:
        """What the whole board has left."""
        return read_load("\n".join(self._parts.must(ASK)))

    def set_clock(self, utc_s: float, *, synced: bool) -> None:
        """Step the wall clock; the kernel calls a clock that was set by hand not synchronised."""
        mark = f"mkdir -p $(dirname {SYNCHRONISED}) && touch {SYNCHRONISED}" if synced else f"rm -f {SYNCHRONISED}"
        self._parts.must(f"systemctl stop {TIME_UNIT}; date -u -s @{utc_s:.3f} && {mark}")

    def fill(self) -> None:
        """Leave the panel's user no room."""
        self._parts.must(f"fallocate -l $(($(df --output=avail -B1 {STATE} | tail -1))) {FILLER}; touch {FILLER}")

    def empty(self) -> None:
        """Give the room back."""
        self._parts.must(f"rm -f {FILLER}")

    def log(self) -> str:
        """The unit's journal since the test began."""
        return "\n".join(self._parts.must(f"journalctl --unit {UNIT} --output short-monotonic --lines 400", LOG_S))

    def _drop_in(self) -> str:
        port = self._parts.table.steps
        if not port:
            return "[Service]\n"
        # A port begins at 9600; what goes wrong must not go out by the same port, but into the journal as ever.
        return (
            f"[Service]\nExecStartPre=+/bin/stty -F {port} {STEPS_BPS} raw -echo\n"
            f"StandardOutput=tty\nTTYPath={port}\nStandardError=journal\n"
            f"ExecStart=\nExecStart={PROGRAM} --json-steps\n"
        )
