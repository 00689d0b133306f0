"""Both ends of a delivery over a cluster: a panel with a path to each of some nodes, a desk with a session on each."""

from __future__ import annotations

import contextlib
import itertools
import select
import threading
import time
from typing import TYPE_CHECKING

from rigs.house import password
from rigs.uplink import DESK_KEY, PANEL, PANEL_KEY, UplinkRig

from firmware.config import TlsConfig
from firmware.core.facts import Brokered, PathUp
from firmware.core.facts import Receipt as Word
from firmware.core.report import Step
from firmware.receiver.link import Letter, Link, LinkConfig
from firmware.wire import topics
from firmware.wire.receipt import encode_receipt
from firmware.wire.report import decode_report

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Sequence

    from rigs.clusters import Cluster, Node

    from firmware.core.facts import Fact
    from firmware.core.report import Report, ReportId

PATIENCE_S = 60.0
REPEAT_S = 1.0
"""The shortest pause that `[alarm] resend_s` may name, doubled."""


class ClusterPanel:
    """The real uplinks of one panel, each to a node; the core's repetition of what no desk has acknowledged.

    Args:
        cluster: The broker.
        nodes: Those it has a path to.
        folder: For the password file.
    """

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], folder: pathlib.Path) -> None:
        secret = folder / "panel.password"
        secret.write_text(password(PANEL))
        secret.chmod(0o600)
        self.rigs = [
            UplinkRig(
                node.port,
                name=f"path-{number}",
                protocol=cluster.protocol,
                username=PANEL,
                password_file=secret,
                tls=TlsConfig(ca_file=cluster.ca),
            ).start()
            for number, node in enumerate(nodes)
        ]
        for rig in self.rigs:
            rig.expect(PathUp, timeout_s=PATIENCE_S)
        self.alarms: dict[ReportId, Report] = {}
        self._pause = threading.Event()

    def press(self) -> Report:
        """A new alarm over every path."""
        alarm = self.rigs[0].report()
        self.alarms[alarm.id] = alarm
        self._transmit(alarm, 1)
        return alarm

    def storm(self, count: int, hz: float, *, half_way: Callable[[], None] = lambda: None) -> None:
        """Press so often, and let something happen in the middle of it."""
        for number in range(count):
            if number == count // 2:
                half_way()
            self.press()
            self._pause.wait(1 / hz)

    def repeat_until_acknowledged(self) -> None:
        """As the core does: every alarm without a receipt goes out again over every path."""
        deadline = time.monotonic() + PATIENCE_S
        for attempt in itertools.count(2):
            waiting = self.alarms.keys() - self.acknowledged()
            if not waiting:
                return
            assert time.monotonic() < deadline, f"{len(waiting)} of {len(self.alarms)} alarms are lost"
            self._pause.wait(REPEAT_S)
            for ident in sorted(self.alarms.keys() - self.acknowledged(), key=lambda ident: ident.seq):
                self._transmit(self.alarms[ident], attempt)

    def confirmed(self, alarms: Iterable[Report], patience_s: float = PATIENCE_S) -> None:
        """Wait until a broker has answered for each of them."""
        wanted, deadline = {alarm.id for alarm in alarms}, time.monotonic() + patience_s
        while missing := wanted - self._idents(Brokered):
            assert time.monotonic() < deadline, f"no PUBACK for {len(missing)} of {len(wanted)}"
            self._pause.wait(0.05)

    def signed(self, alarm: Report) -> None:
        """Wait for the receipt of the latest alarm."""
        self.rigs[0].expect(Word, lambda word: word.id == alarm.id)

    def acknowledged(self) -> set[ReportId]:
        """What the desk has signed for."""
        return self._idents(Word)

    def close(self) -> None:
        """End its threads."""
        for rig in self.rigs:
            rig.stop()

    def _transmit(self, alarm: Report, attempt: int) -> None:
        for rig in self.rigs:
            rig.transmit(alarm, attempt)

    def _idents(self, kind: type[Brokered | Word]) -> set[ReportId]:
        facts: list[Fact] = [fact for rig in self.rigs for fact in rig.of(kind)]
        return {fact.id for fact in facts if isinstance(fact, Brokered | Word)}


class ClusterDesk:
    """A receiver with a durable session on each of some nodes, over the receiver's own links; it signs for every alarm.

    Args:
        cluster: The broker.
        nodes: Those it has a session on.
        name: The session's; the same name again finds what waits in it.
    """

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], name: str = "desk") -> None:
        self.seen: set[ReportId] = set()
        self.up = 0
        self.topics: list[str] = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._links = [self._link(cluster, node, f"{name}-{number}") for number, node in enumerate(nodes)]
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()
        with self._news:
            assert self._news.wait_for(lambda: self.up == len(nodes), PATIENCE_S), "the desk finds no broker"

    def wait(self, idents: Iterable[ReportId], patience_s: float = PATIENCE_S) -> None:
        """Wait until all of these have come."""
        wanted = set(idents)
        with self._news:
            assert self._news.wait_for(lambda: wanted <= self.seen, patience_s), (
                f"{len(wanted - self.seen)} of {len(wanted)} alarms never came"
            )

    def close(self) -> None:
        """Go away; the sessions stay at the broker."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        for link in self._links:
            link.close()

    def _link(self, cluster: Cluster, node: Node, client_id: str) -> Link:
        config = LinkConfig(
            "127.0.0.1",
            node.port,
            client_id,
            protocol=cluster.protocol,
            username="desk-110",
            password=password("desk-110"),
            ca=cluster.ca,
        )
        filters = ((f"{topics.ROOT}/+/report/+", 1),)
        holder: list[Link] = []
        link = Link(config, filters, lambda topic, payload, _: self._take(holder[0], topic, payload), self._changed)
        holder.append(link)
        return link

    def _run(self) -> None:
        while not self._stop.is_set():
            readers = [fd for link in self._links for fd in link.sockets()[0]]
            with contextlib.suppress(OSError, ValueError):
                select.select(readers, [], [], 0.05)
            for link in self._links:
                link.step(time.monotonic())

    def _changed(self, up: bool, _why: str) -> None:  # noqa: FBT001 - the link's callback
        with self._news:
            self.up += up
            self._news.notify_all()

    def _take(self, link: Link, topic: str, payload: bytes) -> None:
        report = decode_report(payload, PANEL_KEY)
        word = Word("110", report.id, Step.RECEIVED, "")
        signed = encode_receipt(word, at_utc_ms=int(time.time() * 1000), key=DESK_KEY)
        link.publish(Letter(topics.receipt(report.id.panel, "110"), signed))
        with self._news:
            self.topics.append(topic)
            self.seen.add(report.id)
            self._news.notify_all()
