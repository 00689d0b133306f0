"""What paths, receivers and zones of a configuration have to do with each other, beyond single keys."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firmware.config import Config, PathConfig

MQTT, DC09 = "mqtt", "dc09"
MQTT_TLS_PORT = 8883
MEDIA = "-media"
"""What the client identity of the media child's connection ends with, behind that of its path."""
Problem = tuple[str, dict[str, Any]]
"""Key of the sentence in `firmware.config_words`, and its values."""


def path_problems(config: Config) -> list[Problem]:
    """Everything that is wrong between the paths, the receivers and the zones."""
    receivers = [receiver.name for receiver in config.receiver]
    found: list[Problem] = []
    for path in config.path:
        found += _dial_problems(path, receivers) if path.kind == DC09 else _stray(path)
        found += _bind_problems(path)
    return [*found, *_together(config), *_numbers_twice(config)]


def zone_numbers(config: Config) -> dict[str, int]:
    """The number of every zone: its own, or the lowest that is free, in the order of the file."""
    taken = {zone.number for zone in config.zone.values() if zone.number is not None}
    free = (number for number in range(1, len(config.zone) + len(taken) + 1) if number not in taken)
    return {name: next(free) if zone.number is None else zone.number for name, zone in config.zone.items()}


def dial_places(config: Config) -> dict[str, float]:
    """Where each DC-09 path begins in the circle of its frames' numbers, 0 to 1: far from those of every other.

    Two of one account would otherwise say the same number of different reports to one receiver.
    """
    dials = [path.name for path in config.path if path.kind == DC09]
    return {name: place / len(dials) for place, name in enumerate(dials)}


def carries(path: PathConfig) -> bool:
    """Whether faults and status may go over a path, so that it can lead."""
    return path.dc09 is None or path.dc09.reports == "all"


def same_way(config: Config) -> list[tuple[str, str]]:
    """Paths that lead where an earlier one leads, by the same interface, and the earlier one."""
    first: dict[tuple[str, int, str], str] = {}
    ways = [(path.name, (_host(path), path.port, path.bind)) for path in config.path if path.kind == MQTT]
    return [(name, first[way]) for name, way in ways if first.setdefault(way, name) != name]


def is_address(bind: str) -> bool:
    """Whether a path's `bind` is meant as an address; otherwise it names an interface."""
    return ":" in bind or (bind != "" and bind.replace(".", "").isdecimal())


def _bind_problems(path: PathConfig) -> list[Problem]:
    if not is_address(path.bind):
        return []
    try:
        own = ipaddress.ip_address(path.bind.partition("%")[0])
        good = not (own.is_unspecified or own.is_multicast)
    except ValueError:
        good = False
    return [] if good else [("bind-address", {"name": path.name, "bind": path.bind})]


def _host(path: PathConfig) -> str:
    return path.host.lower().removesuffix(".")


def _stray(path: PathConfig) -> list[Problem]:
    return [] if path.dc09 is None else [("dc09-stray", {"name": path.name})]


def _dial_problems(path: PathConfig, receivers: list[str]) -> list[Problem]:
    if path.dc09 is None:
        return [("dc09-missing", {"name": path.name})]
    found: list[Problem] = [
        ("dc09-mqtt-key", {"name": path.name, "what": key})
        for key in ("tls", "username", "password_file")
        if getattr(path, key)
    ]
    if path.port == MQTT_TLS_PORT:
        found.append(("dc09-port", {"name": path.name, "port": path.port}))
    if path.dc09.receiver not in receivers:
        found.append(
            ("dc09-receiver", {"name": path.name, "receiver": path.dc09.receiver, "known": ", ".join(receivers)})
        )
    return found


def _together(config: Config) -> list[Problem]:
    found: list[Problem] = []
    owners: dict[tuple[str, int, str, tuple[int, ...]], str] = {}
    for path in config.path:
        if path.dc09 is None:
            continue
        numbers = (path.dc09.account, path.dc09.receiver_number, path.dc09.prefix)
        identity = (_host(path), path.port, path.bind, tuple(int(number, 16) for number in numbers))
        other = owners.setdefault(identity, path.name)
        if other != path.name:
            found.append(("dc09-twice", {"name": path.name, "other": other, "account": path.dc09.account}))
    mqtt = [path.name for path in config.path if path.kind == MQTT]
    media = {f"{name}{MEDIA}": name for name in mqtt}
    found += [("media-twice", {"name": name, "other": media[name]}) for name in mqtt if name in media]
    if config.path and not mqtt:
        reached = {path.dc09.receiver for path in config.path if path.dc09 is not None}
        found += [("unreached", {"name": item.name}) for item in config.receiver if item.name not in reached]
    if config.path and not any(carries(path) for path in config.path):
        found.append(("no-carrier", {"name": config.path[0].name}))
    return found + _media(config, mqtt)


def _media(config: Config, mqtt: list[str]) -> list[Problem]:
    named = config.media.path
    if named and named not in mqtt and any(path.name == named for path in config.path):
        return [("media-dc09", {"name": named, "known": ", ".join(mqtt)})]
    if config.path and not mqtt and (config.camera or config.microphone):
        return [("media-mqtt", {})]
    return []


def _numbers_twice(config: Config) -> list[Problem]:
    found: list[Problem] = []
    owners: dict[int, str] = {}
    for name, zone in config.zone.items():
        if zone.number is None:
            continue
        other = owners.setdefault(zone.number, name)
        if other != name:
            found.append(("number-twice", {"name": name, "number": zone.number, "other": other}))
    return found
