"""The panel's configuration as frozen data; the TOML file is read by `firmware.config_file`.

Each field's metadata carries what `docs/configuration.md` prints and what the reader checks: a meaning, bounds, whether
the value is a secret. All durations are seconds unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware.core.effects import Role
from firmware.core.zone import ZoneType


def key(doc: str, default: Any = ..., **limits: Any) -> Any:
    """A configuration key: its meaning, its default (none: the key is required) and its limits.

    Limits: `low`, `high` for numbers; `pattern` for text; `secret=True` for values printed as `****`;
    `unit` for the reference page.
    """
    metadata = {"doc": doc, **limits}
    if default is ...:
        return field(metadata=metadata)
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
"""What a zone, output, camera, path or receiver may be called: it stands in topics and file names."""


@dataclass(frozen=True, slots=True)
class PanelConfig:
    """`[panel]`: who and where this panel is."""

    id: str = key("Identity on the wire; one panel in the world has it.", pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
    state_dir: Path = key("Folder for journal and evidence; made when absent.")
    board: str = key('"pi" for real pins, "mock" for the simulated board.', "pi", choices=("pi", "mock"))
    key_file: Path | None = key("File with the panel's signing key: 64 hexadecimal digits, mode 0600.", None)
    name: str = key("The school's name as the desk shows it.", "", high=200)
    address: str = key("Postal address and gate, for the responders.", "", high=200)
    latitude: str = key("Degrees north, WGS 84, as text.", "", pattern=r"-?\d{1,2}(\.\d{1,8})?|")
    longitude: str = key("Degrees east, WGS 84, as text.", "", pattern=r"-?\d{1,3}(\.\d{1,8})?|")
    language: str = key("What guard and technician read.", "zh", choices=("zh", "en"))


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """`[zone.NAME]`: one loop and what its alarm means. Every zone here is a 24-hour zone."""

    pin: int = key("GPIO number (BCM).", low=0, high=53)
    type: ZoneType = key("panic (audible), hold-up (silent) or tamper.")
    contact: str = key(
        '"closes": pressed joins pin and ground; "opens": pressed breaks it.', "closes", choices=("closes", "opens")
    )
    debounce_ms: int = key("How long a level must hold to count.", 30, low=5, high=500, unit="ms")
    stuck_s: float = key(
        "A button held this long is reported as stuck; its alarm stays.", 120.0, low=5, high=3600, unit="s"
    )


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """`[output.NAME]`: one relay or lamp."""

    pin: int = key("GPIO number (BCM).", low=0, high=53)
    role: Role = key("siren, strobe, lamp (chain of receipt), path-lamp or trouble-lamp.")
    active_high: bool = key("Whether the pin is high when on.", default=True)


@dataclass(frozen=True, slots=True)
class SounderConfig:
    """`[sounder]`: what the booth hears."""

    siren_s: float = key(
        "Bell cut-off: the siren falls silent after this long; the strobe stays.", 180.0, low=0, high=3600, unit="s"
    )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """`[path.tls]` inside a `[[path]]`: encryption of that path."""

    ca_file: Path = key("Certificate of the authority that signed the broker's.")
    cert_file: Path | None = key("This panel's certificate.", None)
    key_file: Path | None = key("The private key of `cert_file`.", None)


@dataclass(frozen=True, slots=True)
class PathConfig:
    """`[[path]]`: one way to the receivers."""

    name: str = key("Name in reports and on the console.", pattern=NAME)
    host: str = key("Broker's host name or address.", high=253)
    kind: str = key("How the path speaks.", "mqtt", choices=("mqtt",))
    port: int = key("Broker's TCP port.", 8883, low=1, high=65535)
    protocol: str = key('MQTT version: "5" or "3.1.1".', "5", choices=("5", "3.1.1"))
    username: str = key("User name at the broker.", "")
    password_file: Path | None = key("File that holds the password, mode 0600.", None)
    tls: TlsConfig | None = key("Encryption; without it the broker must be on this machine or in a tunnel.", None)
    keepalive_s: int = key("MQTT keep-alive.", 15, low=5, high=600, unit="s")
    window: int = key("Reports under way at once; 4 places are kept for alarms.", 16, low=5, high=16)
    events_hz: float = key(
        "Faults and status reports a second at the most: after an outage no receiver has a queue in front of an alarm.",
        1000.0,
        low=1,
        high=100000,
        unit="Hz",
    )


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """`[[receiver]]`: a machine that must acknowledge every alarm for itself."""

    name: str = key("Name that signs its acknowledgements, as 110 or station.", pattern=NAME)
    key_file: Path | None = key(
        "File with the key shared with this receiver; without it no command is taken from it.", None
    )


@dataclass(frozen=True, slots=True)
class AlarmConfig:
    """`[alarm]`: how an unacknowledged alarm is repeated."""

    resend_s: tuple[float, ...] = key(
        "Pauses before each repetition; the last goes on for ever.", (2.0, 4.0, 5.0), low=0.5, high=60, unit="s"
    )


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """`[journal]`: room for what must survive. Everything is preallocated at first start."""

    alarm_kib: int = key("Ring of the alarms.", 2048, low=256, high=65536, unit="KiB")
    event_kib: int = key("Ring of faults and status reports.", 8192, low=256, high=262144, unit="KiB")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """`[camera.NAME]`: one source of pictures."""

    url: str = key("rtsp://…, /dev/video0, or test: for the moving test picture.", high=500)
    transport: str = key("How RTSP travels.", "tcp", choices=("tcp", "udp"))
    width: int = key("Wanted width of a V4L2 or test camera.", 1280, low=64, high=3840, unit="pixel")
    height: int = key("Wanted height of a V4L2 or test camera.", 720, low=64, high=2160, unit="pixel")
    rate_hz: int = key("Wanted pictures a second of a V4L2 or test camera.", 15, low=1, high=60, unit="Hz")


@dataclass(frozen=True, slots=True)
class MicrophoneConfig:
    """`[microphone]`: the booth's sound."""

    device: str = key("Name of the sound device (part of it is enough), or test: for the synthesised voice.")
    rate_hz: int = key("Samples a second.", 16000, choices=(8000, 16000, 48000), unit="Hz")


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """`[media]`: how much sound and picture belongs to an incident."""

    pre_roll_s: float = key("Kept in memory before an alarm.", 30.0, low=0, high=120, unit="s")
    stills_s: float = key("One picture a second is sent for this long.", 60.0, low=1, high=3600, unit="s")
    capture_s: float = key("Capture ends by itself after this long.", 1800.0, low=10, high=7200, unit="s")
    clip_s: float = key(
        "A clip is closed and sent after this long past the alarm; the next begins.", 60.0, low=2, high=600, unit="s"
    )
    quota_mib: int = key(
        "Room for evidence on disk; the oldest delivered incident goes first.", 2048, low=16, high=1048576, unit="MiB"
    )
    path: str = key("Path whose broker carries sound and pictures; empty: the first.", "")


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """`[console]`: the technician's serial line."""

    port: str = key("Serial device, as /dev/ttyAMA0.", high=200)
    baud: int = key("Bits a second.", 115200, choices=(9600, 19200, 38400, 57600, 115200))


@dataclass(frozen=True, slots=True)
class Config:
    """A whole panel."""

    panel: PanelConfig = key("Who and where this panel is.")
    zone: dict[str, ZoneConfig] = key("The loops.")
    path: tuple[PathConfig, ...] = key("The ways to the receivers.")
    receiver: tuple[ReceiverConfig, ...] = key("Who must acknowledge.")
    output: dict[str, OutputConfig] = key("Relays and lamps.", dict)
    sounder: SounderConfig = key("What the booth hears.", SounderConfig)
    alarm: AlarmConfig = key("Repetition of unacknowledged alarms.", AlarmConfig)
    journal: JournalConfig = key("Room for what must survive.", JournalConfig)
    media: MediaConfig = key("Sound and picture of an incident.", MediaConfig)
    camera: dict[str, CameraConfig] = key("Sources of pictures.", dict)
    microphone: MicrophoneConfig | None = key("The booth's sound.", None)
    console: ConsoleConfig | None = key("The technician's serial line.", None)
