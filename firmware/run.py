"""`gatebooth run`: the panel as a process, with its signals, its configuration's safety net and a simulated button."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.adapters import names
from firmware.adapters.journal_lock import JournalInUseError
from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.adapters.ring_files import REAL
from firmware.app import App, Parts, board_spec
from firmware.config_file import ConfigError, load, parse, read
from firmware.core.chinese import chinese
from firmware.core.effects import Progress, Store
from firmware.core.facts import Trouble, TroubleOver
from firmware.files import replace_file
from firmware.media.spec import MediaSpec
from firmware.teller import LogLines, Teller
from firmware.worker import Threads
from hal.board import open_board
from hal.clock import SystemClock

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from firmware.adapters.media_link import ChildProcess
    from firmware.adapters.ring_files import Disk
    from firmware.config import Config
    from firmware.core.effects import Effect
    from firmware.core.facts import Fact
    from firmware.worker import Actor
    from hal.board import Board
    from hal.ports import Clock

log = logging.getLogger(__name__)

LAST_GOOD = "panel.last-good.toml"
DEFAULT_STATE = Path("/var/lib/gatebooth")
SWITCH_S = 0.001
"""How long one Python thread may keep the others waiting: a fifth of the usual, for alarms' sake."""
STDOUT, STDERR = 1, 2
CONSOLE_WAIT_S = 0.5
STOP_STEP_S = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth run`."""
    parser.add_argument("--config", type=Path, required=True, help="the panel's TOML file")
    parser.add_argument("--json-steps", action="store_true", help="print every step of every alarm as a JSON line")
    parser.add_argument(
        "--control-stdin", action="store_true", help="simulated board: take 'press ZONE' lines on stdin"
    )


def main(args: argparse.Namespace) -> int:
    """Run the panel until SIGTERM or SIGINT; SIGHUP takes up a changed configuration."""
    # One that comes before there is somebody to obey it waits; left alone it would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    os.umask(os.umask(0o077) | 0o077)
    log_lines = log_elsewhere()
    try:
        config, complaint = take_config(args.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\nno last good configuration was found: correct the file and start again\n")
        return 2
    sys.setswitchinterval(SWITCH_S)
    try:
        process = Process(args, config, complaint)
    except JournalInUseError as error:
        why = str(error)
        sys.stderr.write(f"{chinese(why) if config.panel.language == 'zh' else why}\n")
        log_lines.stop()
        return 1
    process.run()
    log_lines.stop()
    if process.again:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        os.execv(sys.executable, [sys.executable, "-m", "firmware.cli", *sys.argv[1:]])  # noqa: S606 - itself
    return 0


def log_elsewhere() -> Teller:
    """Log to standard error from a thread of its own: a reader that is slow or stuck must not stop an alarm."""
    teller = Teller(STDERR, "log", "WARNING log: {count} lines were dropped here: nobody read them")
    lines = LogLines(teller)
    lines.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    return teller


def take_config(path: Path) -> tuple[Config, str]:
    """The configuration, or the last good one and what is wrong with the file.

    Raises:
        ConfigError: The file is bad and there is no last good one.
    """
    raw = b""
    try:
        raw = read(path)
        config = parse(raw, str(path))
    except ConfigError as error:
        for place in _places(raw):
            try:
                kept = load(place / LAST_GOOD)
            except ConfigError:
                continue
            return kept, f"{path} is bad, running with the last good one: {'; '.join(error.problems)}"
        raise
    try:
        keep = config.panel.state_dir / LAST_GOOD
        if not keep.exists() or keep.read_bytes() != raw:
            config.panel.state_dir.mkdir(parents=True, exist_ok=True)
            replace_file(keep, raw)
    except OSError as error:
        return config, f"no copy of the configuration can be kept in {config.panel.state_dir}: {error.strerror}"
    return config, ""


def _places(raw: bytes) -> list[Path]:
    """Folders where a last good configuration may lie: the one that the bad file still names, then the usual ones."""
    found = re.search(rb'^\s*state_dir\s*=\s*["\']([^"\'\n]+)["\']', raw, re.MULTILINE)
    named = [Path(os.fsdecode(found.group(1)))] if found else []
    given = os.environ.get("STATE_DIRECTORY")
    return [*named, *([Path(given)] if given else []), DEFAULT_STATE]


class Process:
    """One run of the panel.

    Args:
        args: The options of `gatebooth run`.
        config: What to run.
        complaint: What was wrong with the configuration file, or "".

    Synchronization: the main thread; its helpers are threads that only post.
    """

    def __init__(self, args: argparse.Namespace, config: Config, complaint: str) -> None:
        self._reloading = self._ended = False
        self._args = args
        self._config = config
        self._complaint = complaint
        self._stopping = threading.Event()
        self._out = Teller(STDOUT, "steps", '{"dropped": {count}}') if args.json_steps else None
        clock = SystemClock()
        self._board = open_board(board_spec(config, work_dir(config.panel.state_dir)), clock=clock)
        self._app = compose(config, self._board, clock, watch=steps(self._out) if self._out else _ignore)
        if complaint:
            self._app.inbox.post(Trouble("configuration", complaint))

    @property
    def again(self) -> bool:
        """Whether it ended to begin anew; who told it to end for good is right, whenever that was."""
        return self._reloading and not self._ended

    def run(self) -> None:
        """Arm, decide until told to stop, stop."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGHUP, lambda *_: self._helper(self._reload))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        self._app.arm()
        if self._out:
            _line(self._out, armed=True, panel=self._config.panel.id, epoch=self._app.epoch)
        if self._app.console is not None:
            self._helper(self._read_console)
        if self._args.control_stdin:
            self._helper(self._take_stdin)
        try:
            self._app.owner.run()
        except BaseException:
            self._app.stop()
            raise
        self._stop()

    def _end(self, *_: object) -> None:
        self._ended = True
        self._app.inbox.close()

    def _stop(self) -> None:
        self._stopping.set()
        log.info("stopping")
        stop(self._app)
        if self._out:
            self._out.stop()

    def _helper(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            log.exception("%s", work.__name__)
            self._app.inbox.post(Trouble(f"adapter {work.__name__.strip('_')}", f"{type(error).__name__}: {error}"))

    def _reload(self) -> None:
        try:
            load(self._args.config)
        except ConfigError as error:
            why = f"kept the running one: {self._args.config}: {'; '.join(error.problems)}"
            if why != self._complaint:  # a trouble that stands is not told again, a new mistake is
                self._app.inbox.post(TroubleOver("configuration"))
                self._complaint = why
            self._app.inbox.post(Trouble("configuration", why))
            return
        self._reloading = True
        self._app.inbox.close()

    def _read_console(self) -> None:
        console = self._app.console
        while console is not None and not self._stopping.is_set():
            if not console.read(CONSOLE_WAIT_S):
                self._stopping.wait(console.pause_s)

    def _take_stdin(self) -> None:
        for text in sys.stdin:
            answer = control(self._board, text)
            if answer:
                log.warning("%s", answer)
        self._app.inbox.close()  # whoever played the hardware is gone: no simulated booth outlives its player


def compose(
    config: Config,
    board: Board,
    clock: Clock,
    *,
    watch: Callable[[Effect], None],
    disk: Disk = REAL,
    spawn: Callable[[], ChildProcess] | None = None,
) -> App:
    """Put a panel together that runs in real time, in this process.

    Args:
        config: What it runs.
        board: What it guards with.
        clock: The one clock of everything.
        watch: Sees every effect after it was handed on.
        disk: What the journal asks of the operating system.
        spawn: Starts the media child; None: as a panel does.

    Raises:
        JournalInUseError: A panel lives in the same folder.
    """

    def media(epoch: int, post: Callable[[Fact], None]) -> tuple[Actor, Callable[[int, float], None]]:
        from firmware.adapters.media_link import MediaLink, OsChild  # noqa: PLC0415 - without sources there is none

        made = MediaLink(MediaSpec.of(config, epoch), clock=clock, post=post, spawn=spawn or OsChild)
        return made, made.wait

    names.keep_in(config.panel.state_dir)
    parts = Parts(
        board=board,
        clock=clock,
        crew=lambda post: Threads(clock, post),
        pipe=lambda path: MqttPipe(path, config.panel.id, clock),
        media=media if MediaSpec.of(config, 0).has_sources else None,
        random01=random.random,
        random53=lambda: secrets.randbits(53),
        watch=watch,
        disk=disk,
    )
    return App(config, parts)


def stop(app: App) -> None:
    """Stop, and decide on meanwhile: a press while the media child ends its files is an alarm like any other."""
    ender = threading.Thread(target=app.stop, name="stop")
    ender.start()
    while ender.is_alive():
        app.owner.step(STOP_STEP_S)


def work_dir(state_dir: Path) -> Path:
    """Where the GPIO library may keep its FIFO: the state folder, or a temporary one when the disk takes nothing."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state_dir):
            return state_dir
    except OSError:
        return Path(tempfile.mkdtemp(prefix="gatebooth-"))


def control(board: Board, text: str) -> str:
    """Obey one line for the simulated board, `press ZONE` or `release ZONE`; a complaint, or ""."""
    verb, _, name = text.strip().partition(" ")
    loop = board.loops.get(name)
    action = getattr(loop, verb, None) if verb in ("press", "release", "cut", "short", "mend") else None
    if action is None:
        return f"no such order or zone: {text.strip()[:80]!r}; zones: {', '.join(board.loops)}"
    action()
    return ""


def steps(out: Teller) -> Callable[[Effect], None]:
    """A watcher that prints the chain of receipt as JSON lines; covert alarms are never among them."""

    def watch(effect: Effect) -> None:
        match effect:
            case Progress():
                _line(
                    out,
                    step=effect.step.value,
                    id=str(effect.id),
                    ms=round(effect.after_s * 1000, 3),
                    by=effect.by,
                    code=effect.code,
                    zone=effect.zone,
                )
            case Store(report) if report.code == "LE" and not report.covert:
                _line(out, evidence_sealed=str(report.incident), **dict(report.detail))
            case Store(report) if report.code in ("YX", "YC") and not report.covert:
                _line(out, trouble=dict(report.detail))

    return watch


def _line(out: Teller, **values: object) -> None:
    out.say(json.dumps(values, ensure_ascii=False))


def _ignore(_: Effect) -> None:
    """Nobody watches."""
