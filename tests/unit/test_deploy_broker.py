"""The rights that RabbitMQ's shipped definitions give, held to the topics of the wire without starting it."""

import json
import re
from pathlib import Path

import pytest

from firmware.core.codes import ReportClass
from firmware.core.report import ReportId
from firmware.wire import topics

BROKER = Path(__file__).parents[2] / "deploy" / "broker"
PANEL, OTHER = "school-17", "school-18"
INCIDENT = ReportId(PANEL, 3, 7)
SAID = [
    *(topics.report(PANEL, cls) for cls in ReportClass),
    topics.health(PANEL),
    topics.beat(PANEL),
    topics.result(PANEL, "110"),
    topics.evidence(INCIDENT, "still-1.jpg"),
    topics.live_audio(INCIDENT),
]
HEARD = [
    topics.receipt(PANEL, "110"),
    topics.command(PANEL, "110"),
    topics.echo(PANEL, "110"),
    topics.evidence_receipt(PANEL, "110"),
]


@pytest.fixture
def may():
    """Whether a user may write or read a topic, as RabbitMQ decides it: / is a dot there, and a dot is /."""
    definitions = json.loads((BROKER / "rabbitmq-definitions.json").read_text())
    rights = {entry["user"]: entry for entry in definitions["topic_permissions"]}

    def ask(user, deed, topic):
        key = topic.translate(str.maketrans("/.", "./"))
        return re.search(rights[user][deed].replace("{username}", user), key) is not None

    return ask


@pytest.mark.parametrize("topic", SAID)
def test_a_panel_may_say_what_a_panel_says_and_every_desk_reads_it(may, topic):
    assert may(PANEL, "write", topic)
    assert may("desk-110", "read", topic)
    assert not may("desk-110", "write", topic)


@pytest.mark.parametrize("topic", HEARD)
def test_a_desk_may_say_in_its_own_name_what_the_panel_hears(may, topic):
    assert may("desk-110", "write", topic)
    assert may(PANEL, "read", topic)
    assert not may("desk-station", "write", topic)
    assert not may(PANEL, "write", topic)


@pytest.mark.parametrize("topic", SAID + HEARD)
def test_a_panel_has_no_right_below_another_panels_name(may, topic):
    foreign = topic.replace(PANEL, OTHER)
    assert not may(PANEL, "write", foreign)
    assert not may(PANEL, "read", foreign)


def test_every_user_of_the_definitions_has_rights_of_its_own():
    definitions = json.loads((BROKER / "rabbitmq-definitions.json").read_text())
    users = {user["name"] for user in definitions["users"]}
    assert users == {entry["user"] for entry in definitions["topic_permissions"]}
    assert users == {entry["user"] for entry in definitions["permissions"]}
