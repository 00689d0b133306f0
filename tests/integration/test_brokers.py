"""One delivery suite over mosquitto, a NATS and a RabbitMQ cluster, each from `deploy/broker/`, all over TLS."""

import concurrent.futures
import contextlib
import queue
import threading
import types

import paho.mqtt.client as paho
import pytest
from rigs import clusters
from rigs.cluster_desk import ALARM_TOPIC, PATIENCE_S, ClusterDesk, ClusterPanel

KEEPERS = (pytest.param("rabbitmq", marks=pytest.mark.clustered),)
"""Brokers whose word outlives a node; NATS 2.9 lost some of what it had confirmed, see docs/scaling.md."""
KINDS = ("mosquitto", pytest.param("nats", marks=pytest.mark.clustered), *KEEPERS)
STORM, STORM_HZ = 300, 100.0
WAITING = 100
TRIES = 10

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def starting(request, tmp_path_factory, certificates):
    """The brokers of the tests that were asked for, started side by side: three nodes take their time."""
    wanted = {item.callspec.params["cluster"] for item in request.session.items if "cluster" in item.fixturenames}
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        futures = {
            kind: pool.submit(clusters.start, kind, tmp_path_factory.mktemp(kind), certificates)
            for kind in wanted
            if not clusters.missing(kind)
        }
        yield futures
        for future in futures.values():
            if future.exception() is None:
                future.result().close()


@pytest.fixture(scope="module", params=KINDS)
def cluster(request, starting):
    if package := clusters.missing(request.param):
        pytest.skip(f"the Debian package {package} is not installed: sudo apt-get install {package}")
    return starting[request.param].result()


@pytest.fixture
def panel_at(cluster, tmp_path):
    """Makes a panel with a path to each of the nodes with these numbers."""
    made = []

    def make(*numbers):
        made.append(ClusterPanel(cluster, nodes_of(cluster, numbers), tmp_path))
        return made[-1]

    yield make
    for panel in made:
        panel.close()


@pytest.fixture
def desk_at(cluster, request):
    """Makes a desk with a session of this test's own on each of the nodes."""
    made = []

    def make(*numbers):
        made.append(ClusterDesk(cluster, nodes_of(cluster, numbers), f"desk-{request.node.originalname[-16:]}"))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


def nodes_of(cluster, numbers):
    """Nodes by number; a broker alone has one for all numbers."""
    return list(dict.fromkeys(cluster.nodes[number % len(cluster.nodes)] for number in numbers))


def only_clusters(cluster):
    if len(cluster.nodes) == 1:
        pytest.skip("a single mosquitto has no other node: docs/scaling.md says what it loses")


def test_an_alarm_that_comes_in_at_one_node_is_acknowledged_by_a_desk_at_another(panel_at, desk_at):
    desk, panel = desk_at(2), panel_at(0)
    alarm = panel.press()
    desk.wait([alarm.id])
    panel.repeat_until_acknowledged()


def test_alarms_wait_in_the_session_of_a_desk_that_is_away(panel_at, desk_at):
    desk_at(0).close()
    panel = panel_at(1)
    alarms = [panel.press() for _ in range(WAITING)]
    panel.confirmed(alarms)
    desk_at(0).wait(alarm.id for alarm in alarms)


@pytest.mark.parametrize(
    ("liar", "topic", "honest", "reader"),
    [
        ("school-17", "gatebooth/v1/school-18/report/alarm", "school-17", "desk-110"),
        ("desk-station", "gatebooth/v1/school-17/receipt/110", "desk-110", "school-17"),
        ("desk-110", ALARM_TOPIC, "school-17", "desk-station"),
    ],
)
def test_nobody_speaks_in_the_name_of_another(cluster, liar, topic, honest, reader):
    node = nodes_of(cluster, [2])[0]
    with Client(cluster, node, reader, "reader") as reading:
        reading.subscribe("gatebooth/v1/+/report/+" if "report" in topic else "gatebooth/v1/school-17/receipt/+")
        with Client(cluster, node, liar, "liar") as lying:
            lying.publish(topic, b"lie")
        with Client(cluster, node, honest, "honest") as speaking:
            for _ in range(TRIES):  # NATS sometimes loses what comes right after it has granted a subscription
                speaking.publish(topic.replace("school-18", "school-17"), b"truth")
                if (came := reading.next()) is not None:
                    break
        assert came == b"truth"


@pytest.fixture(scope="module")
def storm(cluster, tmp_path_factory):
    """A storm of alarms, one node killed in the midst; before it, alarms were confirmed for a desk that is away."""
    ClusterDesk(cluster, nodes_of(cluster, [1]), "desk-away").close()
    desk = ClusterDesk(cluster, nodes_of(cluster, [1, 2]), "desk-storm")
    panel = ClusterPanel(cluster, nodes_of(cluster, [0, 1]), tmp_path_factory.mktemp("storm"))
    confirmed = [panel.press() for _ in range(WAITING)]
    panel.confirmed(confirmed)
    shared = nodes_of(cluster, [1])[0]
    panel.storm(STORM, STORM_HZ, half_way=shared.kill)
    if len(cluster.nodes) == 1:
        cluster.restart(shared)
    yield types.SimpleNamespace(desk=desk, panel=panel, confirmed={alarm.id for alarm in confirmed})
    panel.close()
    desk.close()


def test_a_node_killed_in_a_storm_of_alarms_loses_none(storm):
    storm.panel.repeat_until_acknowledged()
    assert storm.desk.seen >= storm.panel.alarms.keys()
    assert len(storm.panel.alarms) == WAITING + STORM


@pytest.mark.parametrize("cluster", KEEPERS, indirect=True)
def test_what_a_cluster_confirmed_for_an_absent_desk_outlives_the_desks_node(cluster, storm):
    desk = ClusterDesk(cluster, nodes_of(cluster, [2]), "desk-away")
    desk.wait(storm.confirmed)
    desk.close()


def test_a_node_that_was_killed_carries_alarms_again(cluster, storm, panel_at, desk_at):
    back = nodes_of(cluster, [1])[0]
    if not back.running:
        cluster.restart(back)
    desk, panel = desk_at(2), panel_at(1)
    desk.wait([panel.press().id])


class Client:
    """A plain client that knows when an answer or the end of its connection has come."""

    def __init__(self, cluster, node, user, name):
        self._got = queue.Queue()
        self._said = threading.Event()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=f"{user}-{name}",
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.username_pw_set(user, clusters.password(user))
        self._client.tls_set(str(cluster.ca))
        for event in ("on_connect", "on_publish", "on_subscribe", "on_disconnect"):
            setattr(self._client, event, lambda *_: self._said.set())
        self._client.on_message = lambda _c, _d, message: self._got.put(message.payload)
        self._port = node.port

    def __enter__(self):
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self._answered()
        assert self._client.is_connected()
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic):
        self._client.subscribe(topic, 1)
        self._answered()

    def publish(self, topic, payload):
        self._client.publish(topic, payload, 1)
        self._answered()

    def next(self):
        with contextlib.suppress(queue.Empty):
            return self._got.get(timeout=PATIENCE_S / TRIES)
        return None

    def _answered(self):
        assert self._said.wait(PATIENCE_S)
        self._said.clear()
