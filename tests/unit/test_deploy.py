"""What is shipped for a booth: the example is a configuration, the unit is one that the panel's own words fit."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

import pytest

from firmware.config_file import parse

DEPLOY = Path(__file__).parents[2] / "deploy"


class Unit(configparser.RawConfigParser):
    """A unit file, which may name a key more than once."""

    def __init__(self):
        super().__init__(strict=False, interpolation=None)

    def optionxform(self, optionstr):
        return optionstr


@pytest.fixture
def unit():
    found = Unit()
    found.read_string((DEPLOY / "gatebooth.service").read_text())
    return found


def test_the_example_is_a_configuration_that_a_panel_takes():
    example = DEPLOY / "panel.example.toml"
    config = parse(example.read_bytes(), str(example))
    assert len(config.path) == 2
    assert {zone.type.value for zone in config.zone.values()} == {"panic", "hold-up", "tamper"}


def test_the_unit_and_the_example_agree_on_where_the_state_is(unit):
    example = tomllib.loads((DEPLOY / "panel.example.toml").read_text())
    assert example["panel"]["state_dir"] == "/var/lib/" + unit["Service"]["StateDirectory"]


def test_the_unit_waits_for_the_panels_word_and_watches_it(unit):
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "always"
    assert int(service["WatchdogSec"]) >= 5
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_unit_lets_paths_choose_their_interfaces_without_a_privilege(unit):
    service = unit["Service"]
    assert {"AF_INET", "AF_INET6", "AF_NETLINK"} <= set(service["RestrictAddressFamilies"].split())
    assert service["CapabilityBoundingSet"] == ""
    assert "RestrictNetworkInterfaces" not in service
    example = parse((DEPLOY / "panel.example.toml").read_bytes(), "example")
    assert [path.bind for path in example.path] == ["eth0", "wwan0"]
