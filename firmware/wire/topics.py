"""Topic names, as `docs/mqtt-api.md` explains them.

All lie below `gatebooth/v1/PANEL/`, so that a broker's access list gives a panel exactly one subtree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.core.codes import ReportClass
    from firmware.core.report import ReportId

ROOT = "gatebooth/v1"


def report(panel: str, cls: ReportClass) -> str:
    """Panel to receivers, QoS 1: one report."""
    return f"{ROOT}/{panel}/report/{cls.value}"


def receipt(panel: str, receiver: str) -> str:
    """Receiver to panel, QoS 1: a step of the chain of receipt; `+` as receiver subscribes to all."""
    return f"{ROOT}/{panel}/receipt/{receiver}"


def command(panel: str, receiver: str) -> str:
    """Receiver to panel, QoS 1: a signed command; `+` as receiver subscribes to all."""
    return f"{ROOT}/{panel}/command/{receiver}"


def result(panel: str, receiver: str) -> str:
    """Panel to receiver, QoS 1: what became of a command."""
    return f"{ROOT}/{panel}/result/{receiver}"


def health(panel: str) -> str:
    """Panel to all, retained, QoS 1; the broker's last will on the same topic says that the panel is gone."""
    return f"{ROOT}/{panel}/health"


def beat(panel: str) -> str:
    """Panel to receivers, QoS 1: a heartbeat of one path."""
    return f"{ROOT}/{panel}/beat"


def echo(panel: str, receiver: str) -> str:
    """Receiver to panel, QoS 1: the answer to a heartbeat; `+` as receiver subscribes to all."""
    return f"{ROOT}/{panel}/echo/{receiver}"


def live_audio(incident: ReportId) -> str:
    """Panel to receivers, QoS 0, media connection: one Opus frame of 20 ms."""
    return f"{ROOT}/{incident.panel}/live/{incident.epoch}-{incident.seq}/audio"


def evidence(incident: ReportId, name: str) -> str:
    """Panel to receivers, QoS 1, media connection: one chunk of one file of evidence.

    Dots of the name turn into hyphens: RabbitMQ takes a dot for the end of a level, and NATS 2.9 hangs up on it.
    """
    level = name.replace(".", "-")
    return f"{ROOT}/{incident.panel}/evidence/{incident.epoch}-{incident.seq}/{level}"


def evidence_receipt(panel: str, receiver: str) -> str:
    """Receiver to panel, QoS 1, media connection: a whole file has come and its hash is right."""
    return f"{ROOT}/{panel}/evidence-receipt/{receiver}"
