"""What the media child is told at birth: plain frozen data, and its way through one line of JSON.

Secrets are not in it: it names the files that hold them.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.config import (  # noqa: TC001 - get_type_hints reads them at run time
    CameraConfig,
    MediaConfig,
    MicrophoneConfig,
    PathConfig,
    ReceiverConfig,
)
from firmware.config_paths import MQTT

if TYPE_CHECKING:
    from firmware.config import Config

EVIDENCE_FOLDER = "evidence"


@dataclass(frozen=True, slots=True)
class NamedCamera:
    """A camera with its name in the configuration."""

    name: str
    config: CameraConfig


@dataclass(frozen=True, slots=True)
class MediaSpec:
    """All that the media child needs.

    Attributes:
        panel: The panel's identity.
        epoch: The panel's epoch.
        spool: Folder of the evidence, below the panel's state folder.
        path: Whose broker carries sound and pictures.
        receivers: Who must confirm every file.
        cameras: Sources of pictures.
        microphone: The source of sound, if there is one.
        media: How much belongs to an incident.
        key_file: The panel's signing key.
    """

    panel: str
    epoch: int
    spool: Path
    path: PathConfig
    receivers: tuple[ReceiverConfig, ...]
    cameras: tuple[NamedCamera, ...]
    microphone: MicrophoneConfig | None
    media: MediaConfig
    key_file: Path | None

    @classmethod
    def of(cls, config: Config, epoch: int) -> MediaSpec:
        """The part of a panel's configuration that concerns its media child."""
        brokers = [path for path in config.path if path.kind == MQTT]
        named = [path for path in brokers if path.name == config.media.path]
        return cls(
            panel=config.panel.id,
            epoch=epoch,
            spool=config.panel.state_dir / EVIDENCE_FOLDER,
            path=(named or brokers or list(config.path))[0],
            receivers=config.receiver,
            cameras=tuple(NamedCamera(name, camera) for name, camera in config.camera.items()),
            microphone=config.microphone,
            media=config.media,
            key_file=config.panel.key_file,
        )

    @property
    def has_sources(self) -> bool:
        """Whether there is anything to capture."""
        return bool(self.cameras) or self.microphone is not None


def to_json(value: Any) -> Any:
    """Frozen data as what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: Any, value: Any) -> Any:
    """Frozen data of the type `kind` out of what `to_json` made.

    Raises:
        ValueError: It is something else; the message names the place.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        (some,) = (item for item in inner if item is not types.NoneType)
        return None if value is None else from_json(some, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"a list of {inner[0]} is {value!r:.80}")
        return tuple(from_json(inner[0], item) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    wanted = str if kind is Path else kind
    if type(value) is not wanted:
        raise ValueError(f"a {wanted.__name__} is {value!r:.80}")
    return kind(value)


def _record(kind: type, value: Any) -> Any:
    # A panel and a child of two versions may meet while an update is being installed: what the other does not know
    # stays at its default.
    if not isinstance(value, dict):
        raise ValueError(f"{kind.__name__} is {value!r:.80}")  # noqa: TRY004 - one error for all that JSON can hold
    hints = typing.get_type_hints(kind)
    try:
        return kind(**{name: from_json(hint, value[name]) for name, hint in hints.items() if name in value})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{kind.__name__}: {error}") from None
