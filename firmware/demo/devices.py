"""Real sound cards and cameras of this machine, offered to the person who runs the demonstration."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

from firmware.demo.stage import Devices
from firmware.demo.words import say

CARDS = Path("/proc/asound/cards")
_CARD = re.compile(r"^\s*\d+\s+\[[^\]]*\]:\s*\S+\s+-\s+(.+)$", re.MULTILINE)


def sound_cards(text: str) -> list[str]:
    """Names of the cards in the text of `/proc/asound/cards`."""
    return [name.strip() for name in _CARD.findall(text)]


def offer(devices: Devices, language: str) -> Devices:
    """Ask whether to use what is really there; what was chosen already stays."""
    microphone, camera = devices.microphone, devices.camera
    cards = sound_cards(CARDS.read_text(errors="replace")) if CARDS.exists() else []
    if microphone == "test:" and cards:
        if importlib.util.find_spec("pyaudio") is None:
            sys.stdout.write(say(language, "no-pyaudio") + "\n")
        elif _yes(say(language, "offer", what=say(language, "a-microphone"), name=cards[0])):
            microphone = cards[0]
    cameras = sorted(Path("/dev").glob("video*"))
    if camera == "test:" and cameras and _yes(say(language, "offer", what=say(language, "a-camera"), name=cameras[0])):
        camera = str(cameras[0])
    return Devices(microphone, camera)


def _yes(question: str) -> bool:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")
