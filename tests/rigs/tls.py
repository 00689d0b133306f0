"""Certificates for tests, made by the openssl command: two authorities, brokers' and panels' certificates, bad ones."""

from __future__ import annotations

import datetime as dt
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pathlib

CONFIG = """
[ca]
default_ca = here
[here]
dir = .
database = ./index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
"""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    cert: pathlib.Path
    key: pathlib.Path


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "ca.conf").write_text(CONFIG)
        (folder / "index.txt").touch()
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"),
            *(
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-subj",
                f"/CN={name}",
                "-config",
                "ca.conf",
                "-extensions",
                "v3_ca",
            ),
        )
        self.ca = folder / "ca.pem"

    def issue(self, name: str, san: str = "", begin: str = "", end: str = "") -> Pair:
        """A certificate; `san` as openssl writes it ("IP:127.0.0.1"), `begin` and `end` as "YYYYMMDD"."""
        extension = ("-addext", f"subjectAltName={san}") if san else ()
        self._openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "ca.conf"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", *extension),
        )
        today = dt.datetime.now(dt.UTC)
        begin = begin or f"{today - dt.timedelta(days=1):%Y%m%d}"
        end = end or f"{today + dt.timedelta(days=30):%Y%m%d}"
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem"),
            *(
                "-in",
                f"{name}.csr",
                "-out",
                f"{name}.pem",
                "-startdate",
                f"{begin}000000Z",
                "-enddate",
                f"{end}000000Z",
            ),
        )
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self._folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")


@dataclass(frozen=True)
class Certificates:
    """All that the tests need; keys are not encrypted.

    Attributes:
        ca: The authority that everybody trusts.
        other_ca: One that nobody knows.
        server: The broker's, for 127.0.0.1.
        server_expired: The same, expired.
        server_early: The same, not valid before 2090: what a clock at 1970 makes of every certificate.
        server_elsewhere: For another host.
        client: The panel's.
        client_stranger: A panel's, by the authority that nobody knows.
    """

    ca: pathlib.Path
    other_ca: pathlib.Path
    server: Pair
    server_expired: Pair
    server_early: Pair
    server_elsewhere: Pair
    client: Pair
    client_stranger: Pair


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made once a test run."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(folder / "ours", "Test Authority"), Authority(folder / "theirs", "Other Authority")
    here = "IP:127.0.0.1,IP:10.0.2.100,DNS:localhost"  # the second as the virtual board sees this machine
    return Certificates(
        ca=ours.ca,
        other_ca=theirs.ca,
        server=ours.issue("server", here),
        server_expired=ours.issue("expired", here, begin="20200101", end="20200201"),
        server_early=ours.issue("early", here, begin="20900101", end="20910101"),
        server_elsewhere=ours.issue("elsewhere", "DNS:broker.example"),
        client=ours.issue("panel"),
        client_stranger=theirs.issue("stranger"),
    )
