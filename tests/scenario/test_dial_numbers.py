"""One account dialled over two interfaces: the receiver sees two series of numbers that do not meet."""

from __future__ import annotations

import json

from firmware.core.dial_numbers import NUMBER_MAX
from firmware.sim.language import parse
from firmware.sim.runner import play

CALLER = '{account = "A1B2", receiver = "110"}'
DIAL = '{name = "%s", kind = "dc09", host = "centre.test", port = 7700, bind = "%s", dc09 = ' + CALLER + "}"
SCENARIO = f"""# Neighbours: one account over two interfaces.
CONFIG mqtt-and-dc09
CONFIG path = [{{name = "main", host = "broker.test"}}, {DIAL % ("wire", "eth0")}, {DIAL % ("radio", "wwan0")}]
AT 5 receiver 110 away
AT 10 click booth-button
EXPECT frame PA at wire within 1
EXPECT frame PA at radio within 1
"""


def test_two_paths_of_one_account_say_different_numbers():
    outcome = play(parse(SCENARIO, "numbers.scn"))
    assert not outcome.failures, "\n".join(outcome.failures)
    said = [event.text for event in outcome.events if event.kind == "frame"]
    numbers = [int(text.split(",")[1].split()[0]) for text in said]
    assert len(numbers) == 2, json.dumps(said)
    apart = abs(numbers[0] - numbers[1])
    assert min(apart, NUMBER_MAX - apart) > NUMBER_MAX // 3
