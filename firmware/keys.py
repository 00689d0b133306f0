"""`gatebooth keys FILE…`: make signing keys as a panel and its receivers need them."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.wire.sign import KEY_BYTES

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth keys`."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a key file to make; an old one is kept")


def main(args: argparse.Namespace) -> int:
    """Make every file that can be made; 1 when one could not."""
    problems = [problem for file in args.files if (problem := make(file))]
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


def make(file: Path) -> str:
    """Make one key, readable by its owner alone; what kept it from being made, or ""."""
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return f"{file}: is there already and was kept; remove it first if a new key is meant"
    except OSError as error:
        return f"{file}: cannot be made: {error.strerror}"
    with os.fdopen(fd, "w") as out:
        out.write(secrets.token_hex(KEY_BYTES) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return ""
