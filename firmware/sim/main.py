"""`gatebooth simulate`: play scenarios in virtual time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.sim.language import ScenarioError, load
from firmware.sim.runner import play, scenario_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from firmware.sim.events import Event
    from firmware.sim.runner import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth simulate`."""
    parser.add_argument(
        "--scenario",
        type=Path,
        required=True,
        action="append",
        help="a .scn file, or a folder of them; may be repeated",
    )
    parser.add_argument("--verbose", action="store_true", help="show every event as it happens")
    parser.add_argument("--json", action="store_true", help="print every event and the result as a JSON line")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the files of panel and receivers in DIR/SCENARIO"
    )


def main(args: argparse.Namespace) -> int:
    """Play; 0 when everything held, 1 when something did not, 2 when a file is no scenario."""
    status = 0
    for path in args.scenario:
        files = list(scenario_files(path))
        if not files:
            _complain(path.stem, [f"{path}: no .scn file is in this folder"], args)
            status = 2
        for file in files:
            try:
                status = max(status, _play(file, args))
            except ScenarioError as error:
                _complain(file.stem, error.problems, args)
                status = 2
    return status


def _complain(name: str, problems: Iterable[str], args: argparse.Namespace) -> None:
    for problem in problems:
        if args.json:
            _line(result="error", scenario=name, why=problem)
        else:
            sys.stderr.write(f"{problem}\n")


def _play(file: Path, args: argparse.Namespace) -> int:
    scenario = load(file)
    keep = args.keep / scenario.name if args.keep else None
    began_s = time.monotonic()
    outcome = play(scenario, show=_shower(args), keep=keep)
    took_s = time.monotonic() - began_s
    if args.json:
        result = "failed" if outcome.failures else "ok"
        _line(result=result, scenario=outcome.name, virtual_s=round(outcome.virtual_s, 3), failures=outcome.failures)
    else:
        _report(outcome, took_s)
    return 1 if outcome.failures else 0


def _shower(args: argparse.Namespace) -> Callable[[Event], None] | None:
    if args.json:
        return lambda event: _line(at_s=round(event.at_s, 6), event=event.kind, text=event.text, data=dict(event.data))
    if args.verbose:
        return _show
    return None


def _show(event: Event) -> None:
    sys.stdout.write(f"{event}\n")


def _report(outcome: Outcome, took_s: float) -> None:
    word = "FAILED" if outcome.failures else "ok"
    print(f"{word:<6}  {outcome.name}: {outcome.virtual_s:.0f} s in {took_s:.2f} s")  # noqa: T201
    for failure in outcome.failures:
        print(failure)  # noqa: T201


def _line(**values: object) -> None:
    sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
    sys.stdout.flush()
