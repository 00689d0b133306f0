"""The panel's configuration file for a bench: one form, filled in with the bench's pins and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.api import BOOTH_BUTTON, FOOT_BAR, LID

if TYPE_CHECKING:
    from hil.api import Setup

PANEL = "bench-1"
RECEIVERS = ("110", "station")
OUTPUTS = ("siren", "strobe", "lamp", "path-lamp", "trouble-lamp")
SITE = "No. 1 School"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the form is filled in with; all paths as the panel sees them.

    Attributes:
        board: `mock` or `pi`.
        folder: Where key files lie: `panel.key`, one for each receiver, and `ca.pem` for TLS.
        state_dir: The panel's own folder.
        host: The broker's address.
        port: The broker's port.
        loop_pins: For the zones in the order of `zones`.
        output_pins: By the output's name; what is missing is not wired.
        camera: The camera's URL.
        microphone: The sound device.
        console: The serial port, or "" without one.
        button_contact: `closes` or `opens`.
    """

    board: str
    folder: str
    state_dir: str
    host: str
    port: int
    loop_pins: tuple[int, ...]
    output_pins: dict[str, int]
    camera: str = "test:"
    microphone: str = "test:"
    console: str = "/dev/ttyAMA0"
    button_contact: str = "closes"


def zones(setup: Setup, lines: int) -> dict[str, str]:
    """Zones of a panel with so many lines for loops, and their types, in the order of their pins."""
    found = {BOOTH_BUTTON: "panic", FOOT_BAR: "hold-up"}
    if setup.two_state_lid:
        found[LID] = "tamper"
    for number in range(2, setup.buttons + 1):
        if len(found) < lines:
            found[f"button-{number}"] = "panic"
    return found


def buttons(setup: Setup, lines: int) -> tuple[str, ...]:
    """The panic buttons among them."""
    return tuple(name for name, kind in zones(setup, lines).items() if kind == "panic")


def panel_toml(setup: Setup, wiring: Wiring) -> str:
    """The file's text."""
    parts = [_panel(wiring), *_zones(setup, wiring), *_outputs(wiring), _path(setup, wiring)]
    parts += [f'[[receiver]]\nname = "{name}"\nkey_file = "{wiring.folder}/{name}.key"' for name in RECEIVERS]
    parts.append(f"[journal]\nalarm_kib = {setup.journal_kib}\nevent_kib = 512")
    if wiring.console:
        parts.append(f'[console]\nport = "{wiring.console}"')
    if setup.media:
        parts.append(_media(setup, wiring))
    return "\n\n".join([*parts, setup.more, ""])


def _panel(wiring: Wiring) -> str:
    return (
        f'[panel]\nid = "{PANEL}"\nstate_dir = "{wiring.state_dir}"\nboard = "{wiring.board}"\nlanguage = "en"\n'
        f'key_file = "{wiring.folder}/panel.key"\nname = "{SITE}"'
    )


def _zones(setup: Setup, wiring: Wiring) -> list[str]:
    found = zones(setup, len(wiring.loop_pins))
    contacts = {LID: "opens"}
    return [
        f'[zone.{name}]\npin = {pin}\ntype = "{kind}"\ncontact = "{contacts.get(name, wiring.button_contact)}"'
        for (name, kind), pin in zip(found.items(), wiring.loop_pins, strict=False)
    ]


def _outputs(wiring: Wiring) -> list[str]:
    return [f'[output.{name}]\npin = {pin}\nrole = "{name}"' for name, pin in wiring.output_pins.items()]


def _path(setup: Setup, wiring: Wiring) -> str:
    text = f'[[path]]\nname = "main"\nhost = "{wiring.host}"\nport = {wiring.port}\nkeepalive_s = 5'
    return f'{text}\n\n[path.tls]\nca_file = "{wiring.folder}/ca.pem"' if setup.tls else text


def _media(setup: Setup, wiring: Wiring) -> str:
    return (
        f"[media]\npre_roll_s = {setup.pre_roll_s}\nclip_s = 3\nstills_s = 5\n\n"
        f'[camera.gate]\nurl = "{wiring.camera}"\nwidth = 320\nheight = 180\nrate_hz = 15\n\n'
        f'[microphone]\ndevice = "{wiring.microphone}"'
    )
