"""Who may say and hear what at a broker: plain clients of panels and desks, and the topics of each."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import MQTT_ERR_SUCCESS, CallbackAPIVersion, Client, MQTTv5, MQTTv311

from firmware.core.codes import ReportClass
from firmware.core.report import ReportId
from firmware.wire import topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paho.mqtt.client import MQTTMessage
    from rigs.clusters import Cluster, Node

PATIENCE_S = 60.0
KNOCK_S = 5.0
LINGER_S = 0.2
AGAIN_S = 12.0
"""NATS 2.9 may lose what it has confirmed (docs/scaling.md), and hands out anew after 10 s what nobody has taken."""
KEEPALIVE_S = 600
"""Nobody steps a client that nobody waits for."""
RECEIVERS = ("110", "station")
PANELS = ("school-17", "school-18")
REFUSED = 0x80
"""SUBACK and PUBACK from here on are refusals."""


def panel_says(panel: str) -> list[str]:
    """Every kind of topic that a panel publishes."""
    incident = ReportId(panel, 3, 7)
    return [
        *(topics.report(panel, cls) for cls in ReportClass),
        topics.health(panel),
        topics.beat(panel),
        *(topics.result(panel, receiver) for receiver in RECEIVERS),
        topics.evidence(incident, "still-1.jpg"),
        topics.live_audio(incident),
    ]


def desk_says(panel: str, receiver: str) -> list[str]:
    """Every kind of topic that a desk publishes; with `+` as receiver, what a panel subscribes to."""
    return [
        topics.receipt(panel, receiver),
        topics.command(panel, receiver),
        topics.echo(panel, receiver),
        topics.evidence_receipt(panel, receiver),
    ]


def desk_hears(receiver: str) -> list[str]:
    """What a desk subscribes to."""
    of_all = ("report/+", "health", "beat", f"result/{receiver}", "evidence/+/+", "live/+/audio")
    return [f"{topics.ROOT}/+/{what}" for what in of_all]


class Talker:
    """A plain client without a thread: it moves only inside its own waits, each of which has an end.

    Args:
        cluster: Whose protocol and authority it takes.
        node: Where it connects.
        user: As whom.
        secret: With which password.
        name: Tells two clients of one user apart.
        patience_s: The longest wait for one answer.

    Attributes:
        refused: Why the broker did not let it in, or ended the connection; empty while it is welcome.
        heard: Topic and payload of all that came.
    """

    def __init__(
        self,
        cluster: Cluster,
        node: Node,
        user: str,
        *,
        secret: str,
        name: str,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.refused = ""
        self.heard: list[tuple[str, bytes]] = []
        self._port = node.port
        self._patience_s = patience_s
        self._in = False
        self._answers: dict[int, int] = {}
        five = cluster.protocol == "5"
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{user}-{name}",
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
        )
        if user:
            client.username_pw_set(user, secret)
        client.tls_set(str(cluster.ca))
        client.on_connect = self._connected
        client.on_disconnect = self._ended
        client.on_subscribe = lambda _c, _d, mid, reasons, _p: self._note(mid, max(reason.value for reason in reasons))
        client.on_publish = lambda _c, _d, mid, reason, _p: self._note(mid, reason.value)
        client.on_message = self._took

    def __enter__(self) -> Talker:  # noqa: PYI034 - no class derives from it
        self._client.connect("127.0.0.1", self._port, KEEPALIVE_S)
        assert self.wait(lambda: self._in or self.refused != ""), "neither let in nor refused"
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.disconnect()

    def hear(self, *filters: str) -> bool:
        """Subscribe with QoS 1; whether all of it was granted."""
        return self._answer(self._client.subscribe([(name, 1) for name in filters])[1])

    def hear_in_the_end(self, *filters: str) -> None:
        """Subscribe again while a cluster refuses because it elects, which over 3.1.1 looks like a missing right."""
        deadline = time.monotonic() + self._patience_s
        while not self.hear(*filters):
            assert time.monotonic() < deadline, f"no right to hear {filters}; {self.refused}"

    def say(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 1; whether the broker took it without a word of refusal."""
        return self._answer(self._client.publish(topic, payload, 1).mid)

    def wait(self, reached: Callable[[], bool], span_s: float | None = None) -> bool:
        """Be a client until something is reached; whether it was, before span (patience) and connection ended."""
        deadline = time.monotonic() + (self._patience_s if span_s is None else span_s)
        while not reached() and time.monotonic() < deadline:
            if self._client.loop(0.05) != MQTT_ERR_SUCCESS:
                self.refused = self.refused or "connection ended"
                break
        return reached()

    def linger(self, span_s: float = LINGER_S) -> None:
        """Take in what may still come to somebody who should hear nothing."""
        self.wait(lambda: False, span_s)

    def _answer(self, mid: int | None) -> bool:
        assert mid is not None
        assert self.wait(lambda: mid in self._answers or self.refused != ""), "the broker does not answer"
        return self._answers.get(mid, REFUSED) < REFUSED

    def _note(self, mid: int, value: int) -> None:
        self._answers[mid] = value

    def _connected(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._in = not reason.is_failure
        self.refused = str(reason) if reason.is_failure else ""

    def _ended(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.refused = self.refused or str(reason)

    def _took(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))


class House:
    """Two panels and two desks that hear all they may, to see what others get past the broker.

    Args:
        cluster: The broker.
        node: Where everybody connects: rights are the same on all of them.
    """

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._cluster = cluster
        self._node = node
        self._numbers = itertools.count()
        self._all = contextlib.ExitStack()
        hears = {panel: desk_says(panel, "+") for panel in PANELS}
        hears |= {f"desk-{receiver}": desk_hears(receiver) for receiver in RECEIVERS}
        self.people = {user: self._all.enter_context(self.talker(user, "house")) for user in hears}
        for user, filters in hears.items():
            self.people[user].hear_in_the_end(*filters)

    def talker(self, user: str, name: str = "", secret: str | None = None) -> Talker:
        """One more client of a user."""
        secret = password(user) if secret is None else secret
        return Talker(self._cluster, self._node, user, secret=secret, name=name or f"talker-{next(self._numbers)}")

    def bring(self, speaker: Talker, letters: set[tuple[str, bytes]], *hearers: str) -> None:
        """Say something until it has come: to all of these people, or, where none is named, to anyone.

        What does not come is said again, as a panel does: rights are judged here, not what a broker loses.

        Args:
            speaker: Who says it.
            letters: Topics and payloads.
            hearers: People of this house.
        """
        deadline = time.monotonic() + PATIENCE_S
        while missing := {letter for letter in letters if not self._came(letter, hearers)}:
            refused = {user: person.refused for user, person in self.people.items() if person.refused}
            assert time.monotonic() < deadline, f"to {hearers or 'anyone'} never came: {missing}; {refused}"
            for topic, word in missing:
                assert speaker.say(topic, word), topic
            self._listen(lambda missing=missing: all(self._came(letter, hearers) for letter in missing))

    def settle(self) -> None:
        """Wait until words that follow all that was said before have come to everybody."""
        word = f"word {next(self._numbers)}".encode()
        for speaker, topic, hearers in (
            ("school-17", topics.beat("school-17"), ("desk-110", "desk-station")),
            ("desk-110", topics.echo("school-17", "110"), ("school-17",)),
            ("desk-110", topics.echo("school-18", "110"), ("school-18",)),
        ):
            self.bring(self.people[speaker], {(topic, word)}, *hearers)
        self._linger()

    def heard(self, payload: bytes) -> list[tuple[str, str]]:
        """Who has heard it, and under which topic."""
        return [
            (user, topic) for user, person in self.people.items() for topic, came in person.heard if came == payload
        ]

    def close(self) -> None:
        """Everybody goes."""
        self._all.close()

    def _came(self, letter: tuple[str, bytes], hearers: tuple[str, ...]) -> bool:
        heard = (letter in self.people[user].heard for user in hearers or self.people)
        return all(heard) if hearers else any(heard)

    def _listen(self, reached: Callable[[], bool]) -> None:
        """Take in what comes to the people of this house, until it is enough or it is time to say it again."""
        deadline = time.monotonic() + AGAIN_S
        while not reached() and time.monotonic() < deadline:
            self._linger()

    def _linger(self) -> None:
        for person in self.people.values():
            person.linger(LINGER_S / len(self.people))


def password(user: str) -> str:
    """As the shipped examples have it."""
    return f"PASSWORD-OF-{user.upper()}"


def lets_in(cluster: Cluster, node: Node) -> bool:
    """Whether a node answers a desk with a CONNACK now: a port answers long before a cluster has found its leader."""
    talker = Talker(
        cluster, node, "desk-110", secret=password("desk-110"), name=f"door-{node.port}", patience_s=KNOCK_S
    )
    with contextlib.suppress(OSError, AssertionError), talker:
        return not talker.refused
    return False
