"""Paths and brokers without sockets: a simulated `Pipe` a connection, and everything that networks do to packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from firmware.adapters.mqtt_pipe import explain_deafness
from firmware.adapters.pipe import Answered, Incoming, Letter, Lost, Pipe, PipeError, PipeEvent, Ready, Subscribed
from firmware.core.retry import STEP_S
from firmware.sim.way import SimWay

if TYPE_CHECKING:
    from firmware.config import PathConfig
    from firmware.sim.clock import BoardClock, WorldClock
    from firmware.sim.events import Log

LATENCY_S = 0.02
"""One way between panel and broker, and between broker and receiver."""
RECEIVE_MAXIMUM = 20
"""mosquitto's default."""
RESUBSCRIBE_S = 1.0
"""Receivers are back this long after their broker."""
NOBODY, QUOTA = 0x10, 0x97
DENIED = "Not authorized"


class Subscriber(Protocol):
    """A receiver, as its broker sees it."""

    @property
    def present(self) -> bool:
        """Whether it is connected."""
        ...

    def wants(self, topic: str) -> bool:
        """Whether it is subscribed."""
        ...

    def take(self, broker: Broker, topic: str, payload: bytes, *, retained: bool) -> None:
        """A publication."""
        ...


@dataclass(eq=False, slots=True)
class Connection:
    """One TCP connection from the panel to a broker.

    Attributes:
        vanished: Packets disappear in both directions without an error, for good.
        open: Whether the broker counts it as open.
        out_s: When the last packet under way to the broker arrives; TCP keeps the order.
        in_s: The same towards the panel.
    """

    pipe: SimPipe
    subscribe: tuple[str, ...]
    will: Letter | None
    keepalive_s: float
    vanished: bool = False
    open: bool = True
    out_s: float = 0.0
    in_s: float = 0.0


@dataclass(eq=False, slots=True)
class Broker:
    """One path's network and the broker at its end.

    Attributes:
        link: "up", "down" or "blackhole".
        mode: What the broker does: "up", "down", "refuses", "denies", "forgets", "nacks" or "loses".
        hoard_s: How long it keeps publications before it hands them on.
        latency_s: One way between panel and broker.
        sent: Topic and payload of everything that any panel or receiver published, for those who check it.

    Synchronization: one thread.
    """

    name: str
    world: WorldClock
    log: Log
    link: str = "up"
    mode: str = "up"
    hoard_s: float = 0.0
    latency_s: float = LATENCY_S
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    subscribers: list[Subscriber] = field(default_factory=list)
    _connections: list[Connection] = field(default_factory=list)
    _retained: dict[str, bytes] = field(default_factory=dict)
    _subscribed_s: float = 0.0

    # ── what happens to it ─────────────────────────────────────────────────────────────────────────────────────────

    def set_link(self, state: str) -> None:
        """The wire is whole, cut, or swallows everything."""
        self.link = state
        self.latency_s = LATENCY_S
        if state == "down":
            self._break_all(f"path {self.name}: the network is unreachable", at_once=True)
        elif state == "blackhole":
            for connection in list(self._connections):
                self._vanish(connection)

    def set_mode(self, mode: str, hoard_s: float = 0.0) -> None:
        """The broker begins to behave in another way."""
        was_deaf = self.mode in ("down", "forgets")
        self.mode, self.hoard_s = mode, hoard_s
        if mode == "down":
            self._break_all(f"path {self.name}: connection to the broker lost")
        elif mode == "refuses":
            self._break_all(f"path {self.name}: the broker ended the connection: Not authorized")
        elif was_deaf and mode != "forgets":
            self._subscribed_s = self.world.now_s + RESUBSCRIBE_S
            self.world.at(self._subscribed_s, self._give_retained)

    def welcome(self, subscriber: Subscriber) -> None:
        """A receiver has come back: it is told what is retained."""
        if self._hears(subscriber):
            for topic, payload in self._retained.items():
                self._hand(subscriber, topic, payload, retained=True)

    def power_lost(self, pipe: SimPipe) -> None:
        """The panel is gone without a word: the broker notices when its keep-alive has passed."""
        for connection in [item for item in self._connections if item.pipe is pipe]:
            self._vanish(connection)

    # ── the panel's side ───────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, pipe: SimPipe, subscribe: tuple[str, ...], will: Letter | None, keepalive_s: float) -> Connection:
        """A connection begins.

        Raises:
            PipeError: Nothing listens there, or there is no way.
        """
        if self.link == "down":
            raise PipeError(f"path {self.name}: the network is unreachable; check the cable and the router")
        if self.mode == "down" and self.link == "up":
            raise PipeError(f"path {self.name}: connection refused: is the broker running?")
        connection = Connection(pipe, (), will, keepalive_s)
        if self.link == "blackhole":
            connection.vanished = True
            return connection
        if self.mode == "refuses":
            why = f"path {self.name}: the broker refuses this panel, Not authorized: correct user name and password"
            self._to_panel(connection, Lost(why), trips=2)
        else:
            # A real pipe blocks for TCP and TLS; what the link gives time for is CONNECT and SUBSCRIBE, there and back.
            self._to_panel(connection, Ready(RECEIVE_MAXIMUM, self._subscribe(connection, subscribe)), trips=4)
            self._connections.append(connection)
        return connection

    def ask(self, connection: Connection, subscribe: tuple[str, ...]) -> None:
        """The panel asks once more for what was refused."""
        when_s = connection.out_s = max(connection.out_s, self.world.now_s + self.latency_s)
        self.world.at(when_s, lambda: self._asked(connection, subscribe))

    def publish(self, connection: Connection, token: int, letter: Letter) -> None:
        """The panel writes a publication into its connection."""
        when_s = connection.out_s = max(connection.out_s, self.world.now_s + self.latency_s)
        self.world.at(when_s, lambda: self._arrive(connection, token, letter))

    def publish_live(self, connection: Connection, letter: Letter) -> None:
        """The panel writes a publication that nobody answers for (QoS 0)."""
        when_s = connection.out_s = max(connection.out_s, self.world.now_s + self.latency_s)
        self.world.at(when_s, lambda: self._arrive_live(connection, letter))

    def hang_up(self, connection: Connection, *, orderly: bool) -> None:
        """The panel closes its connection; what is under way still arrives."""
        if connection.vanished or connection not in self._connections:
            return
        self.world.at(
            max(connection.out_s, self.world.now_s + self.latency_s), lambda: self._end(connection, told=orderly)
        )

    # ── the receivers' side ────────────────────────────────────────────────────────────────────────────────────────

    def from_receiver(self, topic: str, payload: bytes) -> None:
        """A receiver publishes something for the panel."""
        self.sent.append((topic, payload))
        self.world.after(LATENCY_S, lambda: self._to_subscribed(topic, payload))

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _asked(self, connection: Connection, subscribe: tuple[str, ...]) -> None:
        if not connection.vanished and connection.open:
            self._to_panel(connection, Subscribed(self._subscribe(connection, subscribe)))

    def _subscribe(self, connection: Connection, subscribe: tuple[str, ...]) -> str:
        """Grant it, or complain."""
        if self.mode != "denies":
            connection.subscribe = subscribe
            return ""
        return explain_deafness(connection.pipe.config, dict.fromkeys(subscribe, DENIED))

    def _arrive(self, connection: Connection, token: int, letter: Letter) -> None:
        if connection.vanished or not connection.open:
            return
        self.sent.append((letter.topic, letter.payload))
        if self.mode == "nacks":
            self._to_panel(connection, Answered(token, QUOTA, "Quota exceeded"))
            return
        if letter.retain:
            self._retained[letter.topic] = letter.payload
        hearers = [item for item in self.subscribers if item.wants(letter.topic) and self._hears(item)]
        if self.mode != "loses":
            for hearer in hearers:
                self._hand(hearer, letter.topic, letter.payload, retained=False)
        answer = Answered(token, 0, "") if hearers else Answered(token, NOBODY, "No matching subscribers")
        self._to_panel(connection, answer)

    def _arrive_live(self, connection: Connection, letter: Letter) -> None:
        if not connection.vanished and connection.open and self.mode not in ("nacks", "loses"):
            self.sent.append((letter.topic, letter.payload))
            for hearer in self.subscribers:
                if hearer.wants(letter.topic) and self._hears(hearer):
                    self._hand(hearer, letter.topic, letter.payload, retained=False)

    def _hears(self, subscriber: Subscriber) -> bool:
        return subscriber.present and self.mode not in ("down", "forgets") and self.world.now_s >= self._subscribed_s

    def _hand(self, subscriber: Subscriber, topic: str, payload: bytes, *, retained: bool) -> None:
        def hand() -> None:
            if subscriber.present:
                subscriber.take(self, topic, payload, retained=retained)

        self.world.after(LATENCY_S + self.hoard_s, hand)

    def _give_retained(self) -> None:
        for subscriber in self.subscribers:
            self.welcome(subscriber)

    def _to_subscribed(self, topic: str, payload: bytes) -> None:
        if self.mode == "down":
            return
        for connection in self._connections:
            if any(matches(subscribed, topic) for subscribed in connection.subscribe):
                self._to_panel(connection, Incoming(topic, payload))

    def _to_panel(self, connection: Connection, event: PipeEvent, trips: int = 1) -> None:
        when_s = connection.in_s = max(connection.in_s, self.world.now_s + trips * self.latency_s)
        self.world.at(when_s, lambda: connection.pipe.arrive(connection, event))

    def _vanish(self, connection: Connection) -> None:
        connection.vanished = True
        # paho misses its PINGRESP one to two keep-alives after the last packet; a broker waits one and a half.
        patience_s = 1.5 * connection.keepalive_s
        lost = Lost(f"path {self.name}: connection to the broker lost: no answer for {patience_s:g} s")
        self.world.after(patience_s, lambda: connection.pipe.arrive(connection, lost, anyway=True))
        self.world.after(patience_s, lambda: self._end(connection, told=False))

    def _break_all(self, why: str, *, at_once: bool = False) -> None:
        for connection in list(self._connections):
            if not connection.vanished:
                pause_s = 0.0 if at_once else self.latency_s
                lost = Lost(why, closed=not at_once)
                self.world.after(pause_s, lambda c=connection, lost=lost: c.pipe.arrive(c, lost))  # type: ignore[misc]
            self._end(connection, told=self.mode == "down")

    def _end(self, connection: Connection, *, told: bool) -> None:
        """The broker counts a connection as closed and, if it was not told goodbye, publishes its will."""
        if not connection.open:
            return
        connection.open = False
        if connection in self._connections:
            self._connections.remove(connection)
        will = connection.will
        if told or will is None:
            return
        self._retained[will.topic] = will.payload
        for subscriber in self.subscribers:
            if subscriber.wants(will.topic) and self._hears(subscriber):
                self._hand(subscriber, will.topic, will.payload, retained=False)


class SimPipe(SimWay[Connection, PipeEvent], Pipe):
    """One path's way to its simulated broker.

    Args:
        config: The path.
        broker: Where it ends.
        clock: The panel's.

    Synchronization: one thread.
    """

    def __init__(self, config: PathConfig, broker: Broker, clock: BoardClock) -> None:
        super().__init__(clock, Lost)
        self.config = config
        self._broker = broker
        self._subscribe: tuple[str, ...] = ()

    def open(
        self,
        subscribe: tuple[str, ...],
        will: Letter | None,
        *,
        hurried: bool = False,  # noqa: ARG002 - a connection takes its time
        step_s: float = STEP_S,  # noqa: ARG002 - the same
    ) -> float:
        """See `Pipe.open`."""
        self.close()
        self._subscribe = subscribe
        self._connection = self._broker.connect(self, subscribe, will, self.config.keepalive_s)
        return 2 * self._broker.latency_s

    def ask(self) -> None:
        """See `Pipe.ask`."""
        if self._connection is not None:
            self._broker.ask(self._connection, self._subscribe)

    def publish(self, token: int, letter: Letter, *, more: bool = False) -> None:  # noqa: ARG002 - all leave at once
        """See `Pipe.publish`."""
        if self._connection is not None:
            self._broker.publish(self._connection, token, letter)

    def close(self, *, orderly: bool = False) -> None:
        """See `Pipe.close`."""
        if (connection := self._give_up()) is not None:
            self._broker.hang_up(connection, orderly=orderly)

    def die(self, *, quietly: bool) -> None:
        """The process ends: the kernel closes its sockets, or (`quietly`) there is no kernel any more."""
        connection = self._give_up()
        if connection is None:
            return
        if quietly:
            self._broker.power_lost(self)
        else:
            self._broker.hang_up(connection, orderly=False)


def matches(subscribed: str, topic: str) -> bool:
    """Whether an MQTT topic filter with `+` and a last `#` fits a topic."""
    wanted, levels = subscribed.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(one in ("+", two) for one, two in zip(wanted, levels, strict=True))
