"""Three nodes of one broker on loopback, started from `deploy/broker/`: RabbitMQ, NATS, or one mosquitto alone.

Each has its own ports, folders and (RabbitMQ) its own epmd; nothing of the machine's services is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from rigs.broker import answers, free_port
from rigs.house import PANELS, RECEIVERS, lets_in, password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rigs.tls import Certificates

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy" / "broker"
RABBIT_BIN = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 180.0
"""For one node: NATS takes seconds, RabbitMQ 20 s, and over a minute beside other work."""
SHIPPED, FURTHER = PANELS
"""The panel that the shipped examples have, and one that is added to them as a technician would."""
USERS = (*PANELS, *(f"desk-{receiver}" for receiver in RECEIVERS))


class Node:
    """One process of a broker, which can be killed and started again on the same ports and folder."""

    def __init__(
        self, folder: pathlib.Path, command: list[str], port: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = port
        self._command = command
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the first process of the node's group."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> Node:
        """Start, without waiting."""
        with (self.folder / "out.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self.folder,
                start_new_session=True,
            )
        return self

    def ready(self) -> Node:
        """Wait until its MQTT port answers."""
        assert answers("127.0.0.1", self.port, START_S, lambda: self.running), self.log()
        return self

    def reload(self) -> None:
        """Read the configuration again; nobody is disconnected whose login is still good."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End the whole group of processes as a power cut would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def log(self) -> str:
        """The end of what it has written."""
        return (self.folder / "out.log").read_text(errors="replace")[-4000:]


class Cluster:
    """Nodes of one broker.

    Args:
        kind: "mosquitto", "rabbitmq" or "nats".
        nodes: Its nodes, running.
        protocol: The MQTT version that it speaks with panels and desks.
        ca: Who has signed its certificate.
        helpers: Further processes, started first and ended last.
    """

    def __init__(self, kind: str, nodes: list[Node], ca: pathlib.Path, helpers: tuple[Node, ...] = ()) -> None:
        self.kind = kind
        self.nodes = nodes
        self.ca = ca
        self.protocol = "5" if kind == "mosquitto" else "3.1.1"
        self.helpers = helpers

    def restart(self, node: Node) -> None:
        """Start a killed node again, and wait until it serves."""
        node.launch().ready()
        self.await_service(node)

    def await_service(self, node: Node) -> None:
        """Wait until a node lets a client in: a port answers long before a cluster has found its leader."""
        deadline, pause = time.monotonic() + START_S, threading.Event()
        while not lets_in(self, node):
            assert node.running, node.log()
            assert time.monotonic() < deadline, f"no CONNACK within {START_S} s: {node.log()}"
            pause.wait(0.2)

    def close(self) -> None:
        """End all; nothing of a test's broker is kept."""
        for node in (*self.nodes, *self.helpers):
            node.kill()


def missing(kind: str) -> str:
    """The Debian package that is not installed; empty when it is."""
    found = {
        "mosquitto": bool(_program("mosquitto")),
        "nats": bool(_program("nats-server")),
        "rabbitmq": RABBIT_BIN.exists(),
    }
    return "" if found[kind] else {"nats": "nats-server", "rabbitmq": "rabbitmq-server"}.get(kind, kind)


def single_nats(folder: pathlib.Path, users: str) -> Node:
    """One NATS node without TLS and with these users, in the configuration's own words; `folder` / nats.conf has it."""
    program = _program("nats-server")
    assert program
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: one\nlisten: "127.0.0.1:{free_port()}"\njetstream {{ store_dir: "{folder}/store" }}\n'
        f'mqtt {{ listen: "127.0.0.1:{port}" }}\nauthorization {{ users: [\n{users}\n] }}\n'
    )
    return Node(folder, [program, "-c", str(config)], port).launch().ready()


def start(kind: str, folder: pathlib.Path, certificates: Certificates) -> Cluster:
    """Start a broker from its shipped configuration and wait until every node takes connections."""
    return {"mosquitto": _mosquitto, "nats": _nats, "rabbitmq": _rabbitmq}[kind](folder, certificates)


def _mosquitto(folder: pathlib.Path, certificates: Certificates) -> Cluster:
    port, program = free_port(), _program("mosquitto")
    assert program
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{user}:{password(user)}\n" for user in USERS))
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    more = "user root\n" if os.geteuid() == 0 else ""
    swaps = {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/gatebooth-broker/passwords": str(passwords),
        "/etc/gatebooth-broker/mosquitto.acl": str(DEPLOY / "mosquitto.acl"),
        "/var/lib/mosquitto/": f"{folder}/",
        **_tls(certificates),
    }
    config = _shipped("mosquitto.conf", folder, swaps, more)
    node = Node(folder, [program, "-c", str(config)], port)
    return _started(Cluster("mosquitto", [node], certificates.ca))


def _nats(folder: pathlib.Path, certificates: Certificates) -> Cluster:
    program = _program("nats-server")
    assert program
    routes = [free_port() for _ in range(3)]
    found = re.search(
        r"^ +\{\n +user: \"school-17\".*?^ {6}\}\n", (DEPLOY / "nats.conf").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found
    panel = found[0]
    nodes = []
    for number, route in enumerate(routes, 1):
        own, port = folder / f"node-{number}", free_port()
        own.mkdir()
        swaps = {
            panel: panel + _renamed(panel),
            "server_name: node-1": f"server_name: node-{number}",
            "127.0.0.1:4222": f"127.0.0.1:{free_port()}",
            "/var/lib/nats": str(own / "store"),
            "20GB": "200MB",
            "0.0.0.0:6222": f"127.0.0.1:{route}",
            "0.0.0.0:8883": f"127.0.0.1:{port}",
            **{f"node-{peer}:6222": f"127.0.0.1:{at}" for peer, at in enumerate(routes, 1)},
            **_tls(certificates),
        }
        config = _shipped("nats.conf", own, swaps)
        nodes.append(Node(own, [program, "-c", str(config)], port))
    return _started(Cluster("nats", nodes, certificates.ca))


def _rabbitmq(folder: pathlib.Path, certificates: Certificates) -> Cluster:
    epmd_port, names = free_port(), [f"gb{folder.name.replace('-', '')}{number}" for number in (1, 2, 3)]
    program = _program("epmd")
    assert program
    epmd = Node(folder, [program, "-port", str(epmd_port), "-address", "127.0.0.1"], epmd_port)
    cookie = folder / ".erlang.cookie"
    cookie.write_text("loopback")
    cookie.chmod(0o400)
    definitions = folder / "definitions.json"
    definitions.write_text(_definitions())
    nodes = []
    for number, name in enumerate(names, 1):
        own, port = folder / f"node-{number}", free_port()
        own.mkdir()
        swaps = {
            "mqtt.listeners.ssl.default = 8883": f"mqtt.listeners.ssl.default = 127.0.0.1:{port}",
            "/etc/gatebooth-broker/rabbitmq-definitions.json": str(definitions),
            **{f"rabbit@node-{peer}": f"{other}@localhost" for peer, other in enumerate(names, 1)},
            **_tls(certificates),
        }
        config = _shipped("rabbitmq.conf", own, swaps)
        (own / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        env = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{name}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(own / "none"),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(own / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(own / "mnesia"),
            "RABBITMQ_LOG_BASE": str(own / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(own / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        nodes.append(Node(own, [str(RABBIT_BIN)], port, env))
    # Nodes of RabbitMQ that start together can found two clusters, of which neither lets a client in.
    return _started(Cluster("rabbitmq", nodes, certificates.ca, (epmd,)), together=False)


def _definitions() -> str:
    """The shipped definitions, with every entry of the panel once more for a further one."""
    found: dict[str, Any] = json.loads((DEPLOY / "rabbitmq-definitions.json").read_text())
    for kind in ("users", "permissions", "topic_permissions"):
        text = json.dumps([entry for entry in found[kind] if SHIPPED in entry.values()])
        found[kind] += json.loads(_renamed(text))
    return json.dumps(found)


def _renamed(text: str) -> str:
    """What is said of the shipped panel, said of the further one."""
    assert SHIPPED in text
    return text.replace(SHIPPED, FURTHER).replace(password(SHIPPED), password(FURTHER))


def _started(cluster: Cluster, *, together: bool = True) -> Cluster:
    """Start the nodes: all at once, or the others when the first one serves."""
    try:
        for helper in cluster.helpers:
            helper.launch().ready()
        first, *others = cluster.nodes
        for nodes in [cluster.nodes] if together else [[first], others]:
            for node in nodes:
                node.launch()
            for node in nodes:
                cluster.await_service(node.ready())
    except BaseException:
        cluster.close()
        raise
    return cluster


def _tls(certificates: Certificates) -> dict[str, str]:
    return {
        "/etc/gatebooth-broker/server.pem": str(certificates.server.cert),
        "/etc/gatebooth-broker/server.key": str(certificates.server.key),
        "/etc/gatebooth-broker/ca.pem": str(certificates.ca),
    }


def _shipped(name: str, folder: pathlib.Path, swaps: Mapping[str, str], more: str = "") -> pathlib.Path:
    """The shipped file with this machine's ports and paths in place of its own, each of which must be there."""
    text = (DEPLOY / name).read_text()
    for old, new in swaps.items():
        assert old in text, f"deploy/broker/{name} says nothing of {old}"
        text = text.replace(old, new)
    assert "/etc/gatebooth-broker" not in text, f"deploy/broker/{name} names a file that the tests do not know"
    config = folder / name
    config.write_text(text + more)
    return config


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
