"""A whole panel with its threads, on real pins' code, whose pins are held by somebody else when it starts."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from types import SimpleNamespace

import pytest
from rigs.panel import panel_toml, write_keys
from rigs.pins import busy_factory

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.app import App, Parts, board_spec
from firmware.config_file import parse
from firmware.core.effects import Progress, Store
from firmware.core.report import Step
from firmware.worker import Threads
from hal.board import open_board
from hal.clock import SystemClock
from hal.mock.watchdog import MockWatchdog

BUTTON, STROBE = 17, 5
NOBODY = 1
"""A port at which no broker listens."""
PATIENCE_S = 20.0


class Supervisor(MockWatchdog):
    """A supervisor whose status lines are effects like any other."""

    def __init__(self, told):
        super().__init__()
        self.status = told


@pytest.fixture
def panel(tmp_path):
    write_keys(tmp_path, "panel", "110", "station")
    config = parse(panel_toml(tmp_path, NOBODY).replace('"mock"', '"pi"').encode(), "panel.toml")
    clock, effects = SystemClock(), queue.Queue()
    factory, held = busy_factory(BUTTON, STROBE)
    board = open_board(board_spec(config, tmp_path), clock=clock, factory=factory)
    parts = Parts(
        board=dataclasses.replace(board, watchdog=Supervisor(effects.put)),
        clock=clock,
        crew=lambda post: Threads(clock, post),
        pipe=lambda path: MqttPipe(path, "p1", clock),
        media=None,
        random01=lambda: 0.5,
        random53=lambda: 1,
        watch=effects.put,
    )
    app = App(config, parts)
    app.arm()
    owner = threading.Thread(target=app.owner.run, daemon=True)
    owner.start()
    yield SimpleNamespace(factory=factory, held=held, effects=effects, seen=[], epoch=app.epoch)
    app.inbox.close()
    owner.join(PATIENCE_S)
    app.stop()


def until(panel, wanted):
    """Wait for an effect; what came before it is kept for who asks next."""
    end_s = time.monotonic() + PATIENCE_S
    while not any(map(wanted, panel.seen)):
        panel.seen.append(panel.effects.get(timeout=max(end_s - time.monotonic(), 0.001)))


def told(code, source):
    def about(effect):
        return isinstance(effect, Store) and effect.report.code == code and ("source", source) in effect.report.detail

    return about


def says(status):
    return lambda effect: effect == status


def test_a_panel_whose_pins_open_after_the_start_alarms_and_shows_it(panel):
    until(panel, told("YX", "loop booth-button"))
    until(panel, told("YX", "output strobe"))
    until(panel, says(f"armed: panel p1 epoch {panel.epoch}, 1 of 2 zones, not watched: booth-button"))
    panel.held.clear()
    until(panel, told("YZ", "loop booth-button"))
    until(panel, says(f"armed: panel p1 epoch {panel.epoch}, 2 zones"))
    panel.factory.pin(BUTTON).ground(closed=True)
    until(panel, lambda effect: isinstance(effect, Progress) and effect.step is Step.STORED)
    until(panel, told("YZ", "output strobe"))
