"""Fifty real panels on one thread, and a broker that dies under them."""

import json
import random
import subprocess
import sys

import pytest
from rigs.broker import broker  # noqa: F401 - a fixture
from rigs.uplink import RigClock

from firmware.fleet.fleet import Fleet

PANELS = 50
PATIENCE_S = 15.0
FROM, TO = 0.1, 0.2
"""The shares of the pause that panels draw: while the broker is dead for a second or two, nobody tries in vain."""


@pytest.fixture
def fleet(broker):  # noqa: F811 - the fixture
    draw = random.Random(1).random
    made = Fleet(
        PANELS,
        broker.host,
        broker.port,
        receiver="110",
        answers=True,
        clock=RigClock(),
        random01=lambda: FROM + (TO - FROM) * draw(),
    )
    yield made
    made.close()


def run_until(fleet, reached):
    clock = RigClock()
    end_s = clock.now().mono_s + PATIENCE_S
    while not reached() and clock.now().mono_s < end_s:
        fleet.turn()
    assert reached()


def test_real_panels_survive_the_death_of_their_broker_and_so_does_an_alarm(fleet, broker):  # noqa: F811
    run_until(fleet, lambda: fleet.complete)
    fleet.press()
    run_until(fleet, lambda: any(booth.acked for booth in fleet.booths))
    assert fleet.tally() is None
    broker.kill()
    run_until(fleet, lambda: fleet.up == 0)
    fleet.booths[-1].press()
    run_until(fleet, lambda: fleet.pending == 1)
    broker.start()
    run_until(fleet, lambda: fleet.complete and not fleet.pending)
    tally = fleet.tally()
    assert (tally.lost, len(tally.back), tally.pending) == (PANELS, PANELS, 0)
    assert tally.through


def test_the_command_runs_panels_and_says_how_many_are_up(broker):  # noqa: F811
    address = f"{broker.host}:{broker.port}"
    options = ["--panels", "5", "--broker", address, "--seconds", "2", "--press-every", "0.5", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "fleet", *options], capture_output=True, timeout=30, check=True
    )
    seconds = [json.loads(line) for line in done.stdout.splitlines()]
    assert seconds[-1]["up"] == 5
    assert sum(second["connects"] for second in seconds) == 5
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--panels", "5"], "either --broker"),
        (["--panels", "0", "--simulate"], "must be 1 to"),
        (["--panels", "5", "--simulate", "--presses", "6"], "must be 0 to 5"),
        (["--panels", "5", "--simulate", "--outage", "0"], "must be above 0"),
        (["--panels", "5", "--simulate", "--seconds", "9"], "--seconds does nothing with --simulate"),
        (["--panels", "5", "--broker", "a", "--connect-rate", "9"], "--connect-rate does nothing with --broker"),
        (["--panels", "5", "--broker", "a:b:c:d"], "is not of the form"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_the_remedy(options, says):
    command = [sys.executable, "-m", "firmware.cli", "fleet", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert says in done.stderr
