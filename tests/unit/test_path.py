"""Supervision of paths: up while echoed, lost in time, the first living one leads."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from firmware.core.path import AWAY_S, BEAT_S, CLOSED_AWAY_S, ECHO_S, PathSpec, PathState, Supervision


def started(*names):
    made = Supervision(tuple(PathSpec(name) for name in names or ("wire",)))
    made.start(0.0)
    return made


def test_a_path_is_up_only_once_a_receiver_has_echoed():
    paths = started()
    assert not paths.alive
    paths.echo("wire")
    assert paths.alive


def test_a_path_that_carries_no_faults_does_not_lead_while_another_could_and_leads_where_none_does():
    dial, wire, radio = PathSpec("dial", 10.0, "110", carries=False), PathSpec("wire"), PathSpec("radio")
    paths = Supervision((dial, wire, radio))
    paths.start(0.0)
    assert paths.leader == "wire"
    paths.echo("dial")
    paths.echo("radio")
    paths.late(AWAY_S)
    assert paths.leader == "radio"
    assert Supervision((dial,)).leader == "dial"


def test_a_path_that_never_answers_is_lost():
    paths = started()
    assert paths.late(AWAY_S - 0.1) == []
    assert paths.late(AWAY_S) == ["wire"]
    assert paths.state("wire") is PathState.LOST


def test_a_beat_without_echo_is_a_loss_within_twenty_seconds_of_the_death():
    paths = started()
    paths.echo("wire")
    died_s = 100.0
    paths.beat("wire", died_s + BEAT_S)
    assert paths.next_deadline() <= died_s + 20
    assert paths.late(paths.next_deadline()) == ["wire"]


def test_a_second_beat_does_not_put_off_the_loss():
    paths = started()
    paths.echo("wire")
    paths.beat("wire", 10.0)
    paths.beat("wire", 15.0)
    assert paths.next_deadline() == 10.0 + ECHO_S


def test_a_connection_that_comes_back_in_time_is_no_loss():
    paths = started()
    paths.echo("wire")
    paths.away("wire", 50.0)
    assert not paths.echo("wire")
    assert paths.late(1000.0) == []


def test_a_far_end_that_hung_up_itself_is_given_all_of_the_twenty_seconds_but_one():
    paths = started()
    paths.echo("wire")
    paths.away("wire", 50.0, closed=True)
    assert paths.next_deadline() == 50.0 + CLOSED_AWAY_S <= 50.0 + 20
    assert paths.late(50.0 + AWAY_S) == []
    assert paths.late(50.0 + CLOSED_AWAY_S) == ["wire"]


def test_an_echo_after_the_loss_is_the_return():
    paths = started()
    paths.late(AWAY_S)
    assert paths.echo("wire")
    assert not paths.echo("wire")


def test_the_first_path_leads_until_it_is_lost_and_again_when_it_is_back():
    paths = started("wire", "radio")
    paths.echo("radio")
    assert paths.leader == "wire"
    paths.late(AWAY_S)
    assert paths.leader == "radio"
    paths.echo("wire")
    assert paths.leader == "wire"


def test_when_all_are_lost_the_first_one_leads():
    paths = started("wire", "radio")
    paths.late(AWAY_S)
    assert paths.leader == "wire"


class Machine(RuleBasedStateMachine):
    """Against the plain rule: alive means heard, and nothing has been awaited for too long since."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.paths = started("wire", "radio")
        self.owed = {"wire": AWAY_S, "radio": AWAY_S}
        self.heard = dict.fromkeys(self.owed, False)

    @rule(name=st.sampled_from(["wire", "radio"]), event=st.sampled_from(["beat", "away", "echo"]))
    def event(self, name, event):
        if event == "echo":
            assert self.paths.echo(name) == (self.owed[name] == -1)
            self.heard[name], self.owed[name] = True, math.inf
            return
        getattr(self.paths, event)(name, self.now)
        if self.owed[name] == math.inf:
            self.owed[name] = self.now + (ECHO_S if event == "beat" else AWAY_S)

    @rule(seconds=st.floats(0.1, 30))
    def wait(self, seconds):
        self.now += seconds
        late = [name for name, owed in self.owed.items() if 0 <= owed <= self.now]
        assert self.paths.late(self.now) == late
        for name in late:
            self.heard[name], self.owed[name] = False, -1

    @invariant()
    def alive_is_what_was_heard(self):
        assert self.paths.alive == any(self.heard.values())


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=50, deadline=None)
