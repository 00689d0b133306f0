"""Fifty real panels on one thread, and a broker that dies under them."""

import json
import random
import re
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
        (["--panels", "5", "--simulate", "--outage", "0"], "--outage 0: must be 0.1 to 86400 s"),
        (["--panels", "5", "--simulate", "--outage", "inf"], "--outage inf: must be 0.1 to 86400 s"),
        (["--panels", "5", "--simulate", "--scatter", "inf"], "--scatter inf: must be 5 to 300 s, as scatter_s"),
        (["--panels", "5", "--simulate", "--scatter", "1"], "--scatter 1: must be 5 to 300 s"),
        (
            ["--panels", "5", "--simulate", "--connect-rate", "nan"],
            "--connect-rate nan: must be 0.1 to 1000000 connects",
        ),
        (["--panels", "5", "--simulate", "--brokers", "6"], "--brokers 6: must be 1 to 5"),
        (["--panels", "5", "--broker", "a", "--press-every", "nan"], "--press-every nan: must be 0.001 to 86400 s, or"),
        (["--panels", "5", "--broker", "a", "--press-every", "-1"], "--press-every -1: must be 0.001 to 86400 s, or 0"),
        (["--panels", "5", "--broker", "a", "--seconds", "inf"], "--seconds inf: must be 0.1 to 2592000 s, 30 days"),
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


def test_a_fleet_that_is_not_well_at_the_end_says_so():
    options = ["--panels", "200", "--simulate", "--outage", "10", "--connect-rate", "0.1"]
    command = [sys.executable, "-m", "firmware.cli", "fleet", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.search(r"not well at the end: [1-9]\d* panels are not back, \d+ alarms are not through", done.stderr)
