"""`gatebooth check-config FILE`: all mistakes at once, or what the panel would run."""

from __future__ import annotations

import dataclasses
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.adapters.mqtt_client import connect_options
from firmware.adapters.pipe import PipeError
from firmware.config_file import ConfigError, Use, check_files, load, named_files
from firmware.config_paths import MQTT, carries, is_address, same_way
from firmware.config_text import visible
from firmware.config_words import say
from firmware.core.chinese import chinese
from firmware.core.path import ECHO_S
from firmware.core.patience import ANSWER_S
from firmware.language import language
from firmware.wire.dc09_key import TEXT, looks_like_hex
from firmware.wire.sign import exposure
from hal.urls import masked

if TYPE_CHECKING:
    import argparse

    from firmware.config import Config

GOOD, BAD, FILES = 0, 1, 2
OLD_MQTT = "3.1.1"
CAMERAS_MIN = 2
"""DB15/T 3968-2025."""
GRADES = ((20.0, "SP6"), (90.0, "SP5, DP4"), (180.0, "SP4, DP3"), (1800.0, "SP3, DP2"))
"""Reporting times of EN 50136-1, seconds: single path, and the primary path of two."""
SLOWEST = "SP2, DP1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth check-config`."""
    parser.add_argument("file", type=Path, help="the panel's TOML file")
    parser.add_argument("--print", action="store_true", dest="show", help="print every value, secrets as ****")
    parser.add_argument("--no-files", action="store_true", help="do not look for keys and certificates")
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the system's)")


def main(args: argparse.Namespace) -> int:
    """0 good; 1 mistakes in the file; 2 the file is good, but keys or certificates that it names are not."""
    spoken = language(args.lang)
    try:
        config = load(args.file, spoken)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n{say(spoken, 'mistakes', count=error.count)}\n")
        return BAD
    if args.show:
        sys.stdout.write("".join(f"{name} = {value}\n" for name, value in listing(config)))
    missing = [] if args.no_files else check_files(config, spoken) or bad_certificates(config)
    for problem in missing:
        sys.stderr.write(f"{args.file}: {visible(chinese(problem) if spoken == 'zh' else problem)}\n")
    if missing:
        sys.stderr.write(f"{args.file}: {say(spoken, 'files', count=len(missing))}\n")
        return FILES
    counts = {"zones": len(config.zone), "paths": len(config.path), "receivers": len(config.receiver)}
    sys.stdout.write(f"{args.file}: {say(spoken, 'good', **counts)}\n")
    for note in notes(config, spoken):
        sys.stdout.write(f"{args.file}: {say(spoken, 'note', text=note)}\n")
    return GOOD


def bad_certificates(config: Config) -> list[str]:
    """Certificates and passwords that are there and of no use, in the words that the panel itself would use."""
    problems = []
    for path in config.path:
        if path.kind != MQTT:
            continue
        try:
            options = connect_options(path)
            if options.tls is not None:
                options.tls_context()
        except PipeError as error:
            problems.append(str(error))
    return problems


def notes(config: Config, spoken: str) -> list[str]:
    """What is allowed and yet worth a second thought, in "zh" or "en"."""
    found = [
        say(spoken, "unsigned-receiver", name=receiver.name)
        for receiver in config.receiver
        if receiver.key_file is None
    ]
    found += [say(spoken, "unencrypted", name=path.name) for path in config.path if path.tls is None and not path.dc09]
    there = {name for _, name in socket.if_nameindex()}
    found += [
        say(spoken, "bind-absent", name=path.name, bind=path.bind, known=", ".join(sorted(there)))
        for path in config.path
        if path.bind and not is_address(path.bind) and path.bind not in there
    ]
    found += [say(spoken, "same-way", name=name, other=other) for name, other in same_way(config)]
    if "." in config.panel.id:
        old = [path.name for path in config.path if path.kind == MQTT and path.protocol == OLD_MQTT]
        found += [say(spoken, "dots", name=name, panel=config.panel.id) for name in old]
    clear = [path.name for path in config.path if path.dc09 and path.dc09.key_file is None]
    found += [say(spoken, "dc09-clear", name=name) for name in clear]
    found += [say(spoken, "dc09-hex-text", name=name) for name in _hex_as_text(config)]
    found += _pace(config, spoken)
    if config.panel.key_file is None:
        found.append(say(spoken, "unsigned-panel"))
    if len(config.camera) < CAMERAS_MIN:
        found.append(say(spoken, "few-cameras", count=len(config.camera)))
    secrets = [file for _, file, use in named_files(config) if use is not Use.CERTIFICATE]
    return found + [exposure(file) for file in secrets if exposure(file)]


def _hex_as_text(config: Config) -> list[str]:
    dials = [(path.name, path.dc09) for path in config.path if path.dc09 is not None]
    keyed = [(name, dial.key_file) for name, dial in dials if dial.key_encoding == TEXT]
    return [name for name, file in keyed if file is not None and looks_like_hex(file)]


def _pace(config: Config, spoken: str) -> list[str]:
    """How late a loss is told over paths that speak less often than the strictest grade asks."""
    found = []
    for path in config.path:
        lost_s = 0.0 if path.dc09 is None else path.dc09.interval_s + ECHO_S
        if path.dc09 is not None and lost_s > GRADES[0][0]:
            grade = next((name for limit_s, name in GRADES if lost_s <= limit_s), SLOWEST)
            interval = path.dc09.interval_s
            found.append(say(spoken, "dc09-slow", name=path.name, interval=interval, seconds=lost_s, grade=grade))
        if path.dc09 is not None and path.dc09.answer_s > ANSWER_S:
            found.append(say(spoken, "dc09-patient", name=path.name, answer=path.dc09.answer_s, limit=ANSWER_S))
    leader = next(path for path in config.path if carries(path))
    if leader.dc09 is not None:
        dialled = {path.dc09.receiver for path in config.path if path.dc09 is not None}
        others = ", ".join(receiver.name for receiver in config.receiver if receiver.name not in dialled)
        if others:
            values = {"name": leader.name, "receiver": leader.dc09.receiver, "others": others}
            found.append(say(spoken, "dc09-leads", **values))
    return found


def listing(config: Config) -> list[tuple[str, str]]:
    """Every value by its full name; passwords in addresses are masked."""
    return list(_walk("", config))


def _walk(name: str, value: Any, *, secret: bool = False) -> list[tuple[str, str]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        rows = [(field.name, getattr(value, field.name), "secret" in field.metadata) for field in fields]
    elif isinstance(value, dict):
        rows = [(key, item, False) for key, item in value.items()]
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        rows = [(str(place), item, False) for place, item in enumerate(value, 1)]
    else:
        return [(name, visible(masked(str(value)) if secret else str(value)))]
    return [row for key, item, hidden in rows for row in _walk(f"{name}.{key}" if name else key, item, secret=hidden)]
