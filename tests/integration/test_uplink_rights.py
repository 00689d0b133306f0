"""A panel that may not read what is meant for it, at real brokers whose access list is mended while it is connected."""

from __future__ import annotations

import random

import pytest
from rigs.broker import make_broker  # noqa: F401 - a fixture
from rigs.clusters import missing, single_nats
from rigs.uplink import PANEL, RigClock

from firmware.adapters.mqtt_pipe import MqttPipe
from firmware.config import PathConfig
from firmware.fleet.booth import Booth
from firmware.fleet.crowd import Crowd
from firmware.fleet.responder import Responder

PATIENCE_S = 30.0
SAID = 4
"""The start, the press, the release, and the press once again."""
WRITES = f"user {PANEL}\ntopic write gatebooth/#\n"
DESK = "user desk\ntopic readwrite gatebooth/#\n"
TALKS = 'permissions: {{ publish: ["gatebooth.>"], subscribe: ["$MQTT.sub.>"{}] }}'


class House:
    """A booth and a desk at one broker, with core, uplink and sockets as they are."""

    def __init__(self, port, folder, protocol):
        self.clock, self.crowd = RigClock(), Crowd(RigClock())
        self._port, self._folder, self._protocol = port, folder, protocol
        path, pipe = self._way(PANEL)
        self.booth = Booth(
            PANEL, epoch=1, path=path, receiver="110", pipe=pipe, clock=self.clock, random01=random.random
        )
        self.crowd.join(self.booth, pipe)
        _, pipe = self._way("desk")
        self.desk = Responder("110", PANEL, pipe=pipe, clock=self.clock)
        self.crowd.join(self.desk, pipe)
        self.run_until(lambda: self.desk.ups)

    def _way(self, user):
        password = self._folder / f"password-{user}"
        password.write_text("right")
        path = PathConfig(
            name="main",
            host="127.0.0.1",
            port=self._port,
            username=user,
            password_file=password,
            protocol=self._protocol,
        )
        return path, MqttPipe(path, user, self.clock)

    def run_until(self, reached):
        end_s = self.clock.now().mono_s + PATIENCE_S
        while not reached():
            assert self.clock.now().mono_s < end_s
            self.crowd.turn()

    def press(self):
        self.booth.press()
        self.crowd.wake(self.booth)


@pytest.fixture
def house(tmp_path):
    made = []

    def make(port, protocol):
        made.append(House(port, tmp_path, protocol))
        return made[-1]

    yield make
    for one in made:
        one.crowd.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_mosquitto_s_access_list_is_mended_and_the_alarm_is_acknowledged_on_the_same_connection(
    make_broker,  # noqa: F811 - the fixture
    house,
    tmp_path,
    protocol,
):
    acl = tmp_path / "acl"
    acl.write_text(WRITES + DESK)
    acl.chmod(0o600)
    broker = make_broker(f"acl_file {acl}", users={PANEL: "right", "desk": "right"})
    home = house(broker.port, protocol)
    home.press()
    home.run_until(lambda: home.desk.reports >= SAID)
    assert home.booth.pending == 1, "the desk has the alarm, and its word is not let through"
    acl.write_text(WRITES + f"topic read gatebooth/v1/{PANEL}/#\n" + DESK)
    broker.reload()
    home.run_until(lambda: not home.booth.pending)
    assert broker.log().count(f"u'{PANEL}'") == 1, "nobody was disconnected"


@pytest.mark.skipif(bool(missing("nats")), reason="nats-server is not installed")
def test_a_subscription_that_nats_refused_is_granted_on_the_same_connection_once_it_may_be(house, tmp_path):
    users = f'{{ user: "{PANEL}", password: "right", {TALKS.format("")} }}\n{{ user: "desk", password: "right" }}'
    node = single_nats(tmp_path, users)
    try:
        home = house(node.port, "3.1.1")
        home.press()
        home.run_until(lambda: home.desk.reports >= SAID)
        assert (home.booth.pending, home.booth.ups) == (1, []), "0x80: the path does not count as up"
        config = tmp_path / "nats.conf"
        config.write_text(config.read_text().replace(TALKS.format(""), TALKS.format(', "gatebooth.>"')))
        node.reload()
        home.run_until(lambda: not home.booth.pending)
        assert (len(home.booth.ups), home.booth.downs) == (1, [])
    finally:
        node.kill()
