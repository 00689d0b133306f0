"""Random scenarios: everything goes wrong in any order, and the laws hold all the same."""

from __future__ import annotations

import random
import re

from firmware.sim.centre import MODES

POOLS = {
    "zone": ("booth-button", "foot-bar", "lid"),
    "open": ("booth-button", "lid"),
    "silent": ("foot-bar",),
    "receiver": ("110", "station"),
    "ms": ("3ms", "12ms", "29ms", "35ms", "60ms"),
    "count": ("1", "3", "12", "50"),
    "end": ("press", "release"),
    "link": ("up", "up", "down", "blackhole"),
    "broker": ("up", "up", "down", "refuses", "denies", "forgets", "nacks", "loses"),
    "centre": ("answers", "answers", *MODES),
    "pause": ("0.1", "0.7", "3"),
    "slow": ("0.1", "0.5", "2"),
    "presence": ("away", "back", "mute"),
    "step": ("accepts", "dispatches", "arrives", "closes"),
    "fault": ("", "", "expired ", "forged ", "stale ", "unsigned "),
    "target": ("all", "all", "lid", "booth-button", "foot-bar"),
    "disk": ("ok", "ok", "full", "readonly", "eio", "hangs"),
    "jump": ("back 10y", "ahead 10y", "back 10", "ahead 1h"),
    "word": ("lost", "back"),
}

THEMES = {
    "wires": (
        "press {zone}",
        "release {zone}",
        "click {zone}",
        "click {zone}",
        "click booth-button foot-bar lid",
        "cut {zone}",
        "short {zone}",
        "mend {zone}",
        "glitch {zone} {ms} {count} times every {pause}",
        "bounce {zone} {count} times every {ms} then {end}",
        "deaf {zone}",
        "hears {zone}",
    ),
    "network": (
        "link {link}",
        "link {link}",
        "link slow {slow}",
        "link flaps {count} times every {pause}",
        "broker {broker}",
        "broker {broker}",
        "broker hoards {slow}",
        "centre {centre}",
        "centre {centre}",
        "receiver {receiver} {presence}",
    ),
    "people": (
        "receiver {receiver} {step}",
        "command from {receiver} {fault}reset {target}",
        "command from {receiver} {fault}bell-off",
        "receiver {receiver} sends rubbish",
        "receiver {receiver} replays command",
        'console types "reset all Wang done"',
        "console types status",
    ),
    "clock": ("clock jumps {jump}", "clock synced", "clock unsynced", "console {word}", "output siren {word}"),
    "disk": ("disk {disk}", "disk {disk}", "disk slow {slow}", "journal deleted", "disk ok"),
    "power": ("kill", "kill for {pause}", "power cut", "power on", "power on", "restart"),
    "torn": ("power cut during the next write", "power on", "disk {disk}"),
}

CONFIGS = ("booth", "mqtt-and-dc09", "two-paths")
STEPS_S = (0.0, 0.01, 0.1, 1.0, 5.0, 20.0)


def storm(seed: int, *themes: str, pools: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    """Lines of a random scenario: 20 to 60 actions out of the themes."""
    chance = random.Random(seed)
    known = POOLS | (pools or {})
    actions = [action for theme in themes for action in THEMES[theme]]
    lines, at_s = [f"SEED {seed}", f"CONFIG {CONFIGS[seed % len(CONFIGS)]}"], 0.0
    for _ in range(chance.randint(20, 60)):
        at_s += chance.choice(STEPS_S) * chance.random() * 2
        action = re.sub(r"\{(\w+)\}", lambda found: chance.choice(known[found[1]]), chance.choice(actions))
        lines.append(f"AT {at_s:.3f} {action}".rstrip())
    return lines


def with_hold_ups(lines: list[str], seed: int) -> list[str]:
    """The same scenario, with somebody at the silent button now and then."""
    chance = random.Random(f"hold-up {seed}")
    timed = [(float(line.split()[1]), line) for line in lines if line.startswith("AT ")]
    for _ in range(6):
        at_s = round(chance.random() * timed[-1][0], 3)
        deed = chance.choice(("click foot-bar", "press foot-bar", "release foot-bar"))
        timed.append((at_s, f"AT {at_s} {deed}"))
    head = [line for line in lines if not line.startswith("AT ")]
    return head + [line for _, line in sorted(timed, key=lambda pair: pair[0])]
