"""`gatebooth check-config FILE`: all mistakes at once, or what the panel would run."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.config_file import ConfigError, check_files, load
from hal.urls import masked

if TYPE_CHECKING:
    import argparse

    from firmware.config import Config

GOOD, BAD, FILES = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth check-config`."""
    parser.add_argument("file", type=Path, help="the panel's TOML file")
    parser.add_argument("--print", action="store_true", dest="show", help="print every value, secrets as ****")
    parser.add_argument("--no-files", action="store_true", help="do not look for keys and certificates")


def main(args: argparse.Namespace) -> int:
    """0 good; 1 mistakes in the file; 2 the file is good, but keys or certificates that it names are not."""
    try:
        config = load(args.file)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n{len(error.problems)} mistake(s) 处错误\n")
        return BAD
    missing = [] if args.no_files else check_files(config)
    for problem in missing:
        sys.stderr.write(f"{args.file}: {problem}\n")
    if args.show:
        sys.stdout.write("".join(f"{name} = {value}\n" for name, value in listing(config)))
    if missing:
        return FILES
    counts = f"{len(config.zone)} zones, {len(config.path)} paths, {len(config.receiver)} receivers"
    sys.stdout.write(f"{args.file}: good 正确 ({counts})\n")
    for warning in warnings(config):
        sys.stdout.write(f"{args.file}: note 注意: {warning}\n")
    return GOOD


def warnings(config: Config) -> list[str]:
    """What is allowed and yet worth a second thought."""
    notes = [
        f"receiver {receiver.name} has no key_file: its acknowledgements are believed unsigned, its commands refused"
        for receiver in config.receiver
        if receiver.key_file is None
    ]
    notes += [f"path {path.name} is not encrypted (no [path.tls])" for path in config.path if path.tls is None]
    if config.panel.key_file is None:
        notes.append("panel.key_file is not set: reports are not signed")
    if not config.camera:
        notes.append("no camera: two are asked for by DB15/T 3968-2025")
    return notes


def listing(config: Config) -> list[tuple[str, str]]:
    """Every value by its full name; passwords in addresses are masked."""
    return list(_walk("", config))


def _walk(name: str, value: Any) -> list[tuple[str, str]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        rows = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        rows = list(value.items())
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        rows = [(str(place), item) for place, item in enumerate(value, 1)]
    else:
        return [(name, masked(str(value)) if name.endswith("url") else str(value))]
    return [row for key, item in rows for row in _walk(f"{name}.{key}" if name else key, item)]
