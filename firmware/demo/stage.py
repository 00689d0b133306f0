"""What the demonstration stands on: a temporary folder with keys and a configuration, and a folder that stays."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from firmware import keys

RECEIVERS = ("110", "station")
ZONE = "booth-button"
PRE_ROLL_S = 10
CLIP_S = 5
STILLS_S = 20


@dataclass(frozen=True, slots=True)
class Devices:
    """Where sound and pictures come from: "test:" or real ones."""

    microphone: str = "test:"
    camera: str = "test:"


class Stage:
    """Files of one demonstration.

    Args:
        folder: Temporary; keys, configuration, journal and logs.
        keep: Where evidence stays; one folder for each receiver below it.
        language: "zh" or "en".
        devices: Where sound and pictures come from.

    Synchronization: one thread.
    """

    def __init__(self, folder: Path, keep: Path, language: str, devices: Devices) -> None:
        self.folder = folder
        self.keep = keep
        self.panel_key = folder / "panel.key"
        self.config = folder / "panel.toml"
        self._language = language
        self._devices = devices
        for path in (self.panel_key, *(self.receiver_key(name) for name in RECEIVERS)):
            keys.make(path)

    @property
    def synthesised_voice(self) -> bool:
        """Whether the microphone is the simulated one."""
        return self._devices.microphone == "test:"

    def receiver_key(self, name: str) -> Path:
        """The key that the panel shares with a receiver."""
        return self.folder / f"{name}.key"

    def evidence(self, name: str) -> Path:
        """Where a receiver saves its evidence."""
        return self.keep / name

    def log(self, name: str) -> Path:
        """Where a process writes what is for nobody's eyes as long as all goes well."""
        return self.folder / f"{name}.log"

    def write_config(self, port: int) -> None:
        """Write the panel's configuration for a broker on this machine."""
        zh = self._language == "zh"
        receivers = "".join(
            f'[[receiver]]\nname = "{name}"\nkey_file = {quoted(self.receiver_key(name))}\n\n' for name in RECEIVERS
        )
        self.config.write_text(
            f"""[panel]
id = "demo-school"
state_dir = {quoted(self.folder / "state")}
board = "mock"
key_file = {quoted(self.panel_key)}
name = "{"示范小学" if zh else "Demonstration School"}"
address = "{"东门岗亭" if zh else "East gate, booth 1"}"
language = "{self._language}"

[zone.{ZONE}]
pin = 17
type = "panic"

[output.siren]
pin = 22
role = "siren"

[output.strobe]
pin = 23
role = "strobe"

[output.lamp]
pin = 24
role = "lamp"

[[path]]
name = "broker"
host = "127.0.0.1"
port = {port}
protocol = "3.1.1"

{receivers}[camera.gate]
url = {quoted(self._devices.camera)}
width = 640
height = 360

[microphone]
device = {quoted(self._devices.microphone)}

[media]
pre_roll_s = {PRE_ROLL_S}
clip_s = {CLIP_S}
stills_s = {STILLS_S}
""",
            encoding="utf-8",
        )


def quoted(value: Path | str) -> str:
    """A TOML string of any text."""
    plain = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def keep_folder(chosen: Path | None) -> Path:
    """The folder that evidence stays in: the chosen one, or a new one below `demo-evidence`."""
    if chosen is not None:
        return chosen.absolute()
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    home = Path.cwd() / "demo-evidence"
    folder, number = home / stamp, 1
    while folder.exists():
        number += 1
        folder = home / f"{stamp}-{number}"
    return folder
