"""What `gatebooth watch` takes on its command line, checked before anything starts."""

from __future__ import annotations

import getpass
import re
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.receiver.link import LinkConfig
from firmware.wire.fields import NAME_PATTERN, PANEL_PATTERN

if TYPE_CHECKING:
    import argparse

PORT, TLS_PORT = 1883, 8883
PASSWORD_MAX = 4096
AUTO_ACCEPT_MAX_S = 86400
ORDERS = ("accept [PERSON]", "dispatch [PERSON]", "arrive [PERSON]", "close [PERSON]", "reset REASON", "quit")
"""Lines that `--control-stdin` understands."""


class UsageError(ValueError):
    """The command line cannot be obeyed; the message says what to correct."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `gatebooth watch` takes."""
    parser.add_argument(
        "--broker", required=True, metavar="HOST[:PORT]", help="the broker; port 1883, or 8883 with --ca"
    )
    parser.add_argument("--as", dest="name", default="110", metavar="NAME", help="this receiver's name (default: 110)")
    parser.add_argument("--panel", default="+", metavar="ID", help="one panel only (default: all)")
    parser.add_argument("--person", default="", metavar="NAME", help="who sits here (default: the user's name)")
    parser.add_argument("--key-file", type=Path, help="the panel's key, or a folder with PANEL.key for each panel")
    parser.add_argument("--receiver-key-file", type=Path, help="the key that signs this receiver's receipts and orders")
    parser.add_argument("--evidence", type=Path, metavar="DIR", help="save pictures, clips and sound below this folder")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep open incidents here over a restart")
    parser.add_argument("--no-live", action="store_true", help="record no live sound")
    parser.add_argument("--auto-accept", type=float, metavar="SECONDS", help="accept by itself after this long")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and nothing else")
    parser.add_argument("--control-stdin", action="store_true", help=f"read orders as lines: {', '.join(ORDERS)}")
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the system's)")
    parser.add_argument("--mqtt", choices=("5", "3.1.1"), default="5", help="MQTT version (default: 5)")
    parser.add_argument("--username", default="", help="user name at the broker")
    parser.add_argument("--password-file", type=Path, help="file with the password")
    parser.add_argument("--ca", type=Path, help="certificate of the authority that signed the broker's; turns TLS on")
    parser.add_argument("--cert", type=Path, help="this receiver's certificate")
    parser.add_argument("--tls-key", type=Path, help="the private key of --cert")


def broker_address(text: str, *, tls: bool) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `ADDRESS` or `[ADDRESS]:PORT`.

    Raises:
        UsageError: It is none of these.
    """
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^:\[\]/@\s]+))(?::(?P<port>\d{1,5}))?", text)
    if not found:
        raise UsageError(f"--broker {text!r} is not of the form HOST or HOST:PORT (an IPv6 address in brackets)")
    port = int(found["port"] or (TLS_PORT if tls else PORT))
    if not 1 <= port <= 65535:  # noqa: PLR2004 - TCP's own limit
        raise UsageError(f"--broker {text!r}: port {port} is not from 1 to 65535")
    return found["six"] or found["host"], port


def link_config(args: argparse.Namespace) -> LinkConfig:
    """How to reach the broker.

    Raises:
        UsageError: Options that do not fit together, or a file that cannot be read.
    """
    host, port = broker_address(args.broker, tls=args.ca is not None)
    if (args.cert or args.tls_key) and not (args.ca and args.cert and args.tls_key):
        raise UsageError("--cert and --tls-key belong together, and both need --ca")
    for option in ("ca", "cert", "tls_key"):
        _readable(f"--{option.replace('_', '-')}", getattr(args, option))
    _check_certificates(args)
    return LinkConfig(
        host=host,
        port=port,
        client_id=f"gatebooth-desk-{args.name}-{'all' if args.panel == '+' else args.panel}",
        protocol=args.mqtt,
        username=args.username,
        password=_password(args.password_file),
        ca=args.ca,
        cert=args.cert,
        tls_key=args.tls_key,
    )


def media_link(link: LinkConfig) -> LinkConfig:
    """The second connection: panels repeat evidence that nobody answered, so the broker need not keep any."""
    return replace(link, client_id=f"{link.client_id}-media", persistent=False)


def check_names(args: argparse.Namespace) -> None:
    """Check what no file and no broker is needed for.

    Raises:
        UsageError: An option is out of its form or range.
    """
    names = [("--as", args.name, NAME_PATTERN)]
    if args.panel != "+":
        names.append(("--panel", args.panel, PANEL_PATTERN))
    for option, value, form in names:
        if not form.fullmatch(value):
            raise UsageError(f"{option} {value!r} is not of the form {form.pattern}")
    if args.auto_accept is not None and not 0 <= args.auto_accept <= AUTO_ACCEPT_MAX_S:
        raise UsageError(f"--auto-accept {args.auto_accept} is not from 0 to {AUTO_ACCEPT_MAX_S} seconds")


def person(args: argparse.Namespace) -> str:
    """Who accepts, unless a person says another name."""
    if args.person or args.auto_accept is not None:
        return str(args.person)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _check_certificates(args: argparse.Namespace) -> None:
    if args.ca is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(args.ca)
    except ssl.SSLError:
        raise UsageError(f"--ca {args.ca} holds no PEM certificate") from None
    if args.cert is None:
        return
    try:
        context.load_cert_chain(args.cert, args.tls_key, password=lambda: "")  # an encrypted key must not ask
    except ssl.SSLError:
        raise UsageError(
            f"--cert {args.cert} and --tls-key {args.tls_key} are not a PEM certificate and its unencrypted key"
        ) from None


def _readable(option: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be read: {error.strerror}") from None


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(PASSWORD_MAX).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"--password-file {path} cannot be read: {why}") from None
