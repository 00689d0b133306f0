"""`python -m proof [PART ...] [--short] [--seed N] [--only N] [--no-page]`: prove what docs/reliability.md says."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from proof.campaign import PARTS, SHORT, Plan
from proof.cuts import sweep
from proof.page import keep


def main() -> int:
    """Run parts of the campaign; the exit status is 1 if a promise was broken."""
    arguments = _parse()
    if arguments.only is not None:
        found = sweep(arguments.seed, only=arguments.only)
        print(found.verdict)
        return bool(found.verdict.failures)
    logging.disable()
    plan = replace(SHORT if arguments.short else Plan(), seed=arguments.seed)
    began, rows, failures = time.monotonic(), [], []
    print(f"seed {plan.seed}")
    for name in arguments.parts or PARTS:
        since = time.monotonic()
        result = PARTS[name](plan)
        rows += result.rows
        failures += result.failures
        for row in result.rows:
            print(
                f"  {row.fault}: {row.trials} trials, {row.accepted} accepted, {row.lost} lost, {row.invented} invented"
                f"{'' if row.kept else '  BROKEN'}{f'  ({row.note})' if row.note else ''}"
            )
        for failure in result.failures[:20]:
            print(f"  BROKEN: {failure}")
        print(f"{name}: {time.monotonic() - since:.0f} s", flush=True)
    if not arguments.no_page and not arguments.short:
        keep(rows)
    print(f"{'a promise was broken' if failures else 'every promise was kept'}; {time.monotonic() - began:.0f} s")
    return bool(failures)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="proof", description="Prove what docs/reliability.md says.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--short", action="store_true", help="a few trials of each; does not write the page")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (default 1)")
    parser.add_argument("--only", type=int, help="play this one cut of the seed again, with everything it says")
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    found = parser.parse_args()
    unknown = set(found.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
