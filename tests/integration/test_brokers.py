"""One delivery suite over mosquitto, a NATS and a RabbitMQ cluster, each from `deploy/broker/`, all over TLS."""

import concurrent.futures
import contextlib
import socket
import types

import pytest
from rigs import clusters
from rigs.cluster_desk import PATIENCE_S, ClusterDesk, ClusterPanel
from rigs.house import RECEIVERS, House, desk_says, panel_says

KEEPERS = ("rabbitmq",)
"""Brokers whose word outlives a node; NATS 2.9 lost some of what it had confirmed, see docs/scaling.md."""
KINDS = ("mosquitto", "nats", *KEEPERS)
STORM, STORM_HZ = 300, 100.0
WAITING = 100
EVERYTHING, RESULTS = "#", "gatebooth/v1/+/result/+"
CONNACK = b"\x20"

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
    panel.repeat_until_acknowledged()
    assert alarm.id in desk.seen


def test_alarms_wait_in_the_session_of_a_desk_that_is_away(panel_at, desk_at):
    desk_at(0).close()
    panel = panel_at(1)
    alarms = [panel.press() for _ in range(WAITING)]
    panel.confirmed(alarms)
    desk_at(0).wait(alarm.id for alarm in alarms)


# ── who may say and hear what ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def house(cluster):
    made = House(cluster, cluster.nodes[-1])
    yield made
    made.close()


def test_every_desk_hears_all_that_a_panel_says_except_results_of_others(house):
    said = {(topic, b"to the desks") for topic in panel_says("school-17")}
    with house.talker("school-17") as panel:
        for desk, others in (("desk-110", "result/station"), ("desk-station", "result/110")):
            house.bring(panel, {letter for letter in said if others not in letter[0]}, desk)
    house.settle()
    assert {user for user, _ in house.heard(b"to the desks")} == {"desk-110", "desk-station"}
    assert ("desk-110", "gatebooth/v1/school-17/result/station") not in house.heard(b"to the desks")
    assert ("desk-station", "gatebooth/v1/school-17/result/110") not in house.heard(b"to the desks")


def test_a_panel_hears_all_that_any_desk_says_to_it_and_another_panel_nothing_of_it(house):
    for receiver in RECEIVERS:
        said = {(topic, b"to the panel") for topic in desk_says("school-17", receiver)}
        with house.talker(f"desk-{receiver}") as desk:
            house.bring(desk, said, "school-17")
    house.settle()
    assert {user for user, _ in house.heard(b"to the panel")} == {"school-17"}


@pytest.mark.parametrize(
    ("liar", "topics"),
    [
        pytest.param("school-17", panel_says("school-18"), id="panel-as-other-panel"),
        pytest.param("school-17", desk_says("school-17", "110"), id="panel-as-desk"),
        pytest.param("school-17", desk_says("school-18", "110"), id="panel-as-desk-to-other-panel"),
        pytest.param("desk-110", panel_says("school-17"), id="desk-as-panel"),
        pytest.param("desk-station", panel_says("school-17"), id="other-desk-as-panel"),
        pytest.param("desk-110", desk_says("school-17", "station"), id="desk-as-other-desk"),
        pytest.param("desk-station", desk_says("school-17", "110"), id="other-desk-as-desk"),
    ],
)
def test_nobody_speaks_in_the_name_of_another(house, liar, topics):
    lie = f"lie of {liar} about {topics[0]}".encode()
    for topic in topics:
        with house.talker(liar) as lying:  # RabbitMQ ends the connection at the first lie
            lying.say(topic, lie)
    house.settle()
    assert house.heard(lie) == []


@pytest.mark.parametrize(
    ("spy", "filters", "speaker", "topics"),
    [
        pytest.param(
            "school-17",
            [*desk_says("school-18", "+"), EVERYTHING],
            "desk-110",
            desk_says("school-18", "110"),
            id="panel",
        ),
        pytest.param(
            "school-17",
            ["gatebooth/v1/+/report/+", EVERYTHING],
            "school-18",
            panel_says("school-18"),
            id="panel-as-desk",
        ),
        pytest.param(
            "desk-110", [RESULTS], "school-17", ["gatebooth/v1/school-17/result/station"], id="desk-of-results"
        ),
        pytest.param(
            "desk-station", [RESULTS], "school-17", ["gatebooth/v1/school-17/result/110"], id="other-desk-of-results"
        ),
        pytest.param(
            "desk-station", desk_says("+", "+"), "desk-110", desk_says("school-17", "110"), id="desk-of-what-desks-say"
        ),
    ],
)
def test_nobody_listens_to_what_is_said_to_another(house, spy, filters, speaker, topics):
    secret = f"not for {spy}: {topics[0]}".encode()
    with contextlib.ExitStack() as spies:
        listening = [spies.enter_context(house.talker(spy)) for _ in filters]
        for listener, name in zip(listening, filters, strict=True):
            listener.hear(name)  # refused by some brokers; granted, and then never served, by others
        with house.talker(speaker) as speaking:
            house.bring(speaking, {(topic, secret) for topic in topics})
        house.settle()
        for listener in listening:
            listener.linger()
            assert [topic for topic, word in listener.heard if word == secret] == []


@pytest.mark.parametrize(
    ("user", "secret"),
    [("school-17", "PASSWORD-OF-SCHOOL-18"), ("desk-110", ""), ("school-99", "x"), ("guest", "guest"), ("", "")],
)
def test_whoever_has_no_name_and_password_is_refused(house, user, secret):
    with house.talker(user, "stranger", secret) as stranger:
        assert stranger.refused


def test_nobody_is_heard_without_tls(cluster):
    greeting = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04door"
    with socket.create_connection(("127.0.0.1", cluster.nodes[-1].port), PATIENCE_S) as plain:
        plain.sendall(greeting)
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(4)[:1] != CONNACK


# ── a node that dies ───────────────────────────────────────────────────────────────────────────────────────────────


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
    alarm = panel.press()
    panel.repeat_until_acknowledged()
    assert alarm.id in desk.seen
