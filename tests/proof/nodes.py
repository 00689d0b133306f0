"""Nodes of a cluster killed in the middle of a storm of alarms: the delivery suite's panel and desk, counted.

The panel has a path to two of the three nodes and the desk a session on two; the one that both share dies, then the
others by turns. The panel repeats what nobody acknowledged, as the core does.
"""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

from proof.oracle import Verdict
from rigs import clusters
from rigs.cluster_desk import ClusterDesk, ClusterPanel
from rigs.tls import Authority

if TYPE_CHECKING:
    import pathlib

KINDS = {"rabbitmq": "RabbitMQ", "nats": "NATS JetStream"}
STORM_HZ = 100.0
PANEL_AT, DESK_AT = (0, 1), (1, 2)
VICTIMS = (1, 0, 2)


def killed_nodes(folder: pathlib.Path, kind: str, kills: int, alarms: int) -> Verdict:
    """Kill so many nodes, one after another, each half way through a storm.

    Args:
        folder: Of its own.
        kind: One of `KINDS`.
        kills: Storms, each with a node that dies.
        alarms: Presses in one storm.
    """
    authority = Authority(folder / "tls", "Proof")
    certificates = SimpleNamespace(ca=authority.ca, server=authority.issue("server", "IP:127.0.0.1"))
    (folder / kind).mkdir()
    with contextlib.ExitStack() as ends:
        cluster = clusters.start(kind, folder / kind, certificates)
        ends.callback(cluster.close)
        desk = ClusterDesk(cluster, [cluster.nodes[place] for place in DESK_AT], "desk-proof")
        ends.callback(desk.close)
        panel = ClusterPanel(cluster, [cluster.nodes[place] for place in PANEL_AT], folder)
        ends.callback(panel.close)
        for place in itertools.islice(itertools.cycle(VICTIMS), kills):
            node = cluster.nodes[place]
            panel.storm(alarms, STORM_HZ, half_way=node.kill)
            with contextlib.suppress(AssertionError):  # what is missing when the patience is over is counted
                panel.repeat_until_acknowledged()
            cluster.restart(node)
        lost = panel.alarms.keys() - desk.seen
        verdict = Verdict(kills, len(panel.alarms), len(lost), len(desk.seen - panel.alarms.keys()))
    verdict.failures += [f"{kind}: {ident} was never acknowledged" for ident in sorted(map(str, lost))]
    return verdict
