"""What the actions of a scenario do to a world. The names are those of `firmware.sim.vocabulary.ACTIONS`."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

from firmware.sim.grammar import Values, span_s
from hal.types import LoopState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware.sim.centre import Centre
    from firmware.sim.network import Broker
    from firmware.sim.world import World

CLICK_S = 0.3
RESTART_S = 0.2
RESPAWN_S = 1.0
"""The supervisor's pause before it starts a panel that died."""
PRESSED, RELEASED = LoopState.ALARM, LoopState.NORMAL


class Hands:
    """Does things.

    Args:
        world: To what.

    Synchronization: one thread.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._machine = world.machine

    def do(self, name: str, values: Values) -> None:
        """Do one action now."""
        method: Callable[[Values], None] = getattr(self, "_" + name.replace("-", "_"))
        method(values)

    # ── wires ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _loops(self, values: Values, state: LoopState) -> None:
        for zone in values["zone"].split():
            self._machine.set_loop(zone, state)

    def _later(self, pause_s: float, zone: str, state: LoopState) -> None:
        self._world.clock.after(pause_s, lambda: self._machine.set_loop(zone, state))

    def _press(self, values: Values) -> None:
        self._loops(values, PRESSED)

    def _release(self, values: Values) -> None:
        self._loops(values, RELEASED)

    def _cut(self, values: Values) -> None:
        self._loops(values, LoopState.OPEN)

    def _short(self, values: Values) -> None:
        self._loops(values, LoopState.SHORT)

    def _click(self, values: Values) -> None:
        self._loops(values, PRESSED)
        for zone in values["zone"].split():
            self._later(span_s(values["span"]) if "span" in values else CLICK_S, zone, RELEASED)

    def _glitch(self, values: Values) -> None:
        width_s, pause_s = span_s(values["span"]), span_s(values.get("pause", "1"))
        for zone in values["zone"].split():
            for number in range(int(values.get("count", "1"))):
                start_s = number * pause_s
                self._world.clock.after(start_s, lambda z=zone: self._machine.disturb(z, on=True))  # type: ignore[misc]
                self._world.clock.after(start_s + width_s, lambda z=zone: self._machine.disturb(z, on=False))  # type: ignore[misc]

    def _bounce(self, values: Values) -> None:
        gap_s, count = span_s(values["span"]), int(values["count"])
        for zone in values["zone"].split():
            for number in range(count):
                self._later(2 * number * gap_s, zone, PRESSED)
                self._later((2 * number + 1) * gap_s, zone, RELEASED)
            self._later(2 * count * gap_s, zone, PRESSED if values.get("word") == "press" else RELEASED)

    def _deaf(self, values: Values) -> None:
        self._set_deaf(values, deaf=True)

    def _hears(self, values: Values) -> None:
        self._set_deaf(values, deaf=False)

    def _set_deaf(self, values: Values, *, deaf: bool) -> None:
        for zone in values["zone"].split():
            self._machine.loops[zone].deaf = deaf
        self._machine.wire()

    def _input(self, values: Values) -> None:
        loop = self._machine.loops[values["zone"]]
        if values["word"] == "lost":
            loop.lost = True
        else:
            loop.find(self._world.clock.now_s)
        self._machine.wire()

    def _output(self, values: Values) -> None:
        self._machine.outputs_lost[values["output"]] = values["word"] == "lost"
        self._machine.wire()

    # ── network ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _brokers(self, values: Values) -> Iterable[Broker]:
        brokers = self._world.brokers
        return [brokers[values["broker"]]] if "broker" in values else brokers.values()

    def _ways(self, values: Values) -> Iterable[Broker | Centre]:
        ways = self._world.ways
        return [ways[values["path"]]] if "path" in values else ways.values()

    def _centre(self, values: Values) -> None:
        centres = self._world.centres
        for centre in [centres[values["centre"]]] if "centre" in values else centres.values():
            centre.set_mode(values["word"])

    def _link(self, values: Values) -> None:
        for way in self._ways(values):
            way.set_link(values["word"])

    def _link_slow(self, values: Values) -> None:
        for way in self._ways(values):
            way.latency_s = span_s(values["span"])

    def _link_flaps(self, values: Values) -> None:
        span, count = span_s(values["span"]), int(values["count"])
        for way in self._ways(values):
            for number in range(count):
                self._world.clock.after(2 * number * span, lambda w=way: w.set_link("down"))  # type: ignore[misc]
                self._world.clock.after((2 * number + 1) * span, lambda w=way: w.set_link("up"))  # type: ignore[misc]

    def _broker(self, values: Values) -> None:
        for broker in self._brokers(values):
            broker.set_mode(values["word"])

    def _broker_hoards(self, values: Values) -> None:
        for broker in self._brokers(values):
            broker.set_mode("up", span_s(values["span"]))

    def _broker_restarts(self, values: Values) -> None:
        span, count = span_s(values["span"]), int(values["count"])
        for broker in self._brokers(values):
            for number in range(count):
                start_s = number * (span + RESTART_S)
                self._world.clock.after(start_s, lambda b=broker: b.set_mode("down"))  # type: ignore[misc]
                self._world.clock.after(start_s + RESTART_S, lambda b=broker: b.set_mode("up"))  # type: ignore[misc]

    # ── receivers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _receiver(self, values: Values) -> None:
        receiver = self._world.desks.by_name[values["receiver"]]
        was_present = receiver.present
        receiver.present, receiver.mute = values["word"] != "away", values["word"] == "mute"
        if receiver.present and not was_present:
            for broker in self._world.brokers.values():
                broker.welcome(receiver)

    def _receiver_step(self, values: Values) -> None:
        self._tell(self._world.desks.by_name[values["receiver"]].step(values["word"], values))

    def _rubbish(self, values: Values) -> None:
        self._world.desks.by_name[values["receiver"]].send_rubbish()

    def _replay(self, values: Values) -> None:
        self._world.desks.by_name[values["receiver"]].replay()

    def _command(self, values: Values) -> None:
        self._tell(self._world.desks.by_name[values["receiver"]].command(values))

    def _tell(self, complaint: str) -> None:
        if complaint:
            self._world.log.add("script", complaint)

    # ── clock, disk, power ─────────────────────────────────────────────────────────────────────────────────────────

    def _clock_set(self, values: Values) -> None:
        text = values["time"]
        moment = dt.datetime.fromisoformat(f"{text}-01-01" if len(text) == len("1970") else text)
        self._world.board_clock.set_utc(moment.replace(tzinfo=dt.UTC).timestamp())

    def _clock_jumps(self, values: Values) -> None:
        step_s = span_s(values["span"]) * (-1 if values["word"] == "back" else 1)
        clock = self._world.board_clock
        clock.set_utc(clock.now().utc_s + step_s)

    def _clock_sync(self, values: Values) -> None:
        clock = self._world.board_clock
        clock.synced = values["word"] == "synced"
        if clock.synced:
            clock.set_utc(self._world.clock.true_utc_s)

    def _disk(self, values: Values) -> None:
        word = values["word"]
        self._machine.disk.mode = "ok" if word == "hangs" else word
        self._machine.journal_hung, self._machine.journal_lag_s = word == "hangs", 0.0
        self._machine.apply_journal_faults()

    def _disk_slow(self, values: Values) -> None:
        self._machine.journal_hung, self._machine.journal_lag_s = False, span_s(values["span"])
        self._machine.apply_journal_faults()

    def _journal(self, _values: Values) -> None:
        shutil.rmtree(self._world.config.panel.state_dir / "journal", ignore_errors=True)

    def _power_cut(self, _values: Values) -> None:
        self._machine.cut_power()

    def _power_tear(self, _values: Values) -> None:
        self._machine.disk.cut_next = True

    def _power_on(self, _values: Values) -> None:
        self._machine.restore_power()

    def _restart(self, _values: Values) -> None:
        self._machine.stop()
        self._machine.start()

    def _kill(self, values: Values) -> None:
        self._machine.kill()
        self._world.clock.after(span_s(values["span"]) if "span" in values else RESPAWN_S, self._machine.start)

    # ── media and console ──────────────────────────────────────────────────────────────────────────────────────────

    def _camera(self, values: Values) -> None:
        if self._world.media is not None:
            self._world.media.set_camera(values["camera"], values["word"])

    def _microphone(self, values: Values) -> None:
        if self._world.media is not None:
            self._world.media.set_microphone(values["word"])

    def _media(self, _values: Values) -> None:
        if self._world.media is not None:
            self._world.media.kill_child()

    def _types(self, values: Values) -> None:
        self._machine.type(values["text"])

    def _console(self, values: Values) -> None:
        self._machine.console_lost = values["word"] == "lost"
        self._machine.wire()
        self._machine.poll_console()
