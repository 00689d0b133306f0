"""Writes `docs/scenarios.md` from the language's own tables: `python -m firmware.sim.reference tests/scenario`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.sim.vocabulary import ACTIONS, CONDITIONS

if TYPE_CHECKING:
    from firmware.sim.grammar import Rule

HEAD = """# Scenarios

A scenario is a text file that drives the whole panel on the simulated board in virtual time: the real application,
core, journal (on real files), uplink, media engine and desk, with simulated wires, lamps, network, broker, devices and
power. No thread, no sleep: time jumps from one moment at which something happens to the next, so ten minutes of outage
take a fraction of a second, and the same file gives the same run every time.

```
gatebooth simulate --scenario FILE.scn            # or a folder; exit status 0 held, 1 failed, 2 no scenario
gatebooth simulate --scenario FILE.scn --verbose  # every event as it happens
gatebooth simulate --scenario FILE.scn --json     # the same as JSON lines
gatebooth simulate --scenario FILE.scn --keep DIR # keep the journal, the evidence and what the receivers saved
```

This page is made from the simulator's own tables (`python -m firmware.sim.reference tests/scenario`).

## A file

```
# A comment: which failure of the field this is.
CONFIG sounder.siren_s = 30
AT 1 press booth-button
EXPECT strobe fast within 0.1
EXPECT report PA at all zone booth-button within 2
AFTER 0.5 release booth-button
AT 10 link blackhole
EXPECT path main down within 40
NEVER siren on for 5
```

| line | meaning |
|---|---|
| `CONFIG NAME` | A built-in configuration: `booth` (the default), `two-paths`, `mqtt-and-dc09` or `ten-zones`. |
| `CONFIG a.b = VALUE` | A line of TOML on top of it; keys as in the [configuration reference](configuration.md). |
| `MEDIA on` | With a camera `gate` and a microphone; without the line there is neither, which is faster. |
| `SEED 7` | For everything that is random on a panel. The default is 1. |
| `ALLOW loss` | The judgement at the end overlooks alarms that never arrived. |
| `BEFORE ACTION` | Done before the panel starts. |
| `AT TIME [ACTION]` | Done at a moment since the start. Without an action only a place in time. |
| `AFTER TIME [ACTION]` | Done so long after the line before. |
| `EXPECT CONDITION` | It is so right after the action above. |
| `EXPECT CONDITION within TIME` | It becomes so, or it happens, in this time after the action above. |
| `EXPECT CONDITION within TIME for TIME` | It becomes so, and then stays so. `for` alone: it is so already. |
| `NEVER CONDITION [for TIME]` | It does not become so, and does not happen, in this time or until the end. |

Times are `0.2`, `200ms`, `5`, `5s`, `10m`, `1h30m`, `10y`. Text with blanks stands in double quotes. A pattern below
reads: words stand as they are, `a|b` one of these, `UPPER` a value, `UPPER...` several, `[x]` may be left out,
`{a | b}` any of these in any order. `all` as a receiver means every one, as a zone of a command every zone.

The panel is `booth-1` with the zones `booth-button` (panic), `foot-bar` (hold-up) and `lid` (tamper), the outputs
`siren`, `strobe`, `lamp`, `path-lamp` and `trouble-lamp`, the path `main`, and the receivers `110` and `station`;
`two-paths` adds the path `spare`, `mqtt-and-dc09` the path `dial` to an alarm receiver of `110`, `ten-zones` the panic
buttons `button-1` to `button-10`.
"""

ACTION_HEAD = "\n## Actions\n\n| action | what happens |\n|---|---|\n"

CONDITION_HEAD = "\n## Conditions\n\n| condition | when it holds |\n|---|---|\n"

TAIL = """
## What holds in every scenario

After its last line everything is mended: links, brokers, receivers, disk, devices and power; buttons stay as they are.
The panel then has ten virtual minutes. A scenario fails, whatever it expects, if

- a button was held long enough and there was no alarm (law 1), however deaf, full or wrong the rest was;
- an alarm that was decided did not reach every receiver, or the panel does not know that it did (`ALLOW loss` overlooks
  the first);
- two different reports had one identity, at the panel or in the eyes of a receiver;
- an adapter raised an exception, or somebody asked to be woken at the same moment for ever.

`tests/scenario/test_storms.py` holds the same over random scenarios, and plays each of some with and without a hold-up
alarm: what the booth shows, says and logs must not differ.

What is simulated, and what is not: TCP loses nothing but what the scenario takes away; a connection that vanished stays
dead after the link is back, as behind a router that has forgotten it; all that the journal writes is written
synchronously, so a cut takes memory and not the files, save in `power cut during the next write`; what a cut takes from
evidence files between two syncs is the business of the media tests.

## When a scenario fails

The line, the virtual time, why, and the last 20 events are printed:

```
FAILED  late-alarm: 32 s in 0.03 s
late-alarm.scn:5: EXPECT report PA at 110 within 30
  at 32.000 s: not within 30 s at 110
  the last events:
       2.000  script    AT 2 click booth-button
       2.030  decided   PA booth-1/1767225600/2 booth-button {'presses': 1}
       …
```

A mistake in a file names file, line, what was expected and the nearest word that is known; all mistakes at once.
"""

MUSEUM_HEAD = """
## The museum of field failures

Each of these plays in `make test`; the reason stands at its head.

| scenario | what it plays |
|---|---|
"""


def page(folder: Path) -> str:
    """The whole page, with the scenarios of a folder."""
    museum = "".join(f"| `{file.stem}` | {_title(file)} |\n" for file in sorted(folder.glob("*.scn")))
    return HEAD + ACTION_HEAD + _rows(ACTIONS) + CONDITION_HEAD + _rows(CONDITIONS) + TAIL + MUSEUM_HEAD + museum


def _rows(rules: tuple[Rule, ...]) -> str:
    return "".join(f"| `{_escape(rule.pattern)}` | {_escape(rule.doc)} |\n" for rule in rules)


def _title(file: Path) -> str:
    """The first sentence of the comment at a scenario's head."""
    lines = file.read_text(encoding="utf-8").splitlines()
    head = [
        line.removeprefix("#").strip()
        for line in lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]
    ]
    text = " ".join(head).removeprefix("Field failure: ")
    sentence = text.split(". ")[0].rstrip(".")
    return _escape(f"{sentence[:1].upper()}{sentence[1:]}.")


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
