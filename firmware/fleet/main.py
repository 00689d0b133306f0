"""`gatebooth fleet`: many panels over real sockets, or a region-wide outage in virtual time."""

from __future__ import annotations

import json
import logging
import math
import random
import sys
from typing import TYPE_CHECKING

from firmware.core.retry import PAUSE_CAP_S
from firmware.fleet.storm import Plan, play
from firmware.fleet.tally import Tally, plot, plot_waiting, table
from firmware.receiver.options import UsageError, broker_address

if TYPE_CHECKING:
    import argparse

    from firmware.fleet.fleet import Fleet
    from hal.ports import Clock

LIMIT = 0.05
"""The share of all panels that a broker is to expect in one second."""
SETTLE_S = PAUSE_CAP_S + 5.0
"""At the end nobody presses any more, and what is pending or away has this long."""
OF_BROKER = ("seconds", "press_every", "receiver", "no_responder")
OF_SIMULATION = ("outage", "presses", "silent", "brokers", "connect_rate", "scatter")
PANELS_MAX = 1_000_000
LIMITS = {
    "outage": (0.1, 86_400.0, "s; a fleet that a day does not bring back is not brought back by two"),
    "seconds": (0.1, 2_592_000.0, "s, 30 days"),
    "press_every": (0.001, 86_400.0, "s, or 0 for nobody"),
    "connect_rate": (0.1, 1_000_000.0, "connects a second; leave it out for any number"),
    "scatter": (5.0, 300.0, "s, as scatter_s of a path"),
}
"""Least and most of each option that is a number with a fraction, and what it is."""
WITHOUT = {"press_every": 0.0, "connect_rate": math.inf}
"""What stands for none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gatebooth fleet`."""
    add = parser.add_argument
    add("--panels", type=int, required=True, metavar="N", help="how many panels")
    add("--seed", type=int, default=1, help="of all that is random (default: 1)")
    add("--json", action="store_true", help="print one JSON object a line and nothing else")
    add("--broker", metavar="HOST[:PORT]", help="run real panels against this broker, without TLS")
    add("--simulate", action="store_true", help="an outage in virtual time, without sockets")
    add = parser.add_argument_group("with --broker").add_argument
    add("--seconds", type=float, metavar="S", help="how long somebody presses; then all settles (default: 60)")
    add("--press-every", type=float, metavar="S", help="somebody presses this often; 0: nobody (default: 1)")
    add("--receiver", metavar="NAME", help="who acknowledges (default: 110)")
    add("--no-responder", action="store_true", help="bring no receiver along: `gatebooth watch` acknowledges")
    add = parser.add_argument_group("with --simulate").add_argument
    add("--outage", type=float, metavar="S", help="how long nothing is reached (default: 300)")
    add("--presses", type=int, metavar="N", help="alarms raised meanwhile (default: one in 100 panels)")
    add("--silent", action="store_true", help="packets vanish in the outage; else all connections break at once")
    add("--scatter", type=float, metavar="S", help="the paths' scatter_s (default: 30)")
    add("--brokers", type=int, metavar="N", help="brokers that share the panels (default: 1)")
    add("--connect-rate", type=float, metavar="N", help="connects a second that a broker takes (default: any number)")


def _fill(args: argparse.Namespace) -> None:
    """What was not said."""
    values: dict[str, object] = {
        "seconds": 60.0,
        "press_every": 1.0,
        "receiver": "110",
        "outage": 300.0,
        "presses": args.panels // 100,
        "brokers": 1,
        "connect_rate": math.inf,
        "scatter": PAUSE_CAP_S,
    }
    for name, value in values.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def main(args: argparse.Namespace) -> int:
    """Run; 0 when everybody is back and every alarm is through, 1 when not, 2 when the options make no sense."""
    problem = _misplaced(args)
    _fill(args)
    problem = problem or _problem(args)
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    if not args.simulate:
        return _real(args)
    plan = Plan(args.panels, args.outage, args.presses, args.silent, args.brokers, args.connect_rate, args.scatter)
    tally = play(plan, random.Random(args.seed).random)  # noqa: S311 - repeatable on purpose
    _show(tally, args)
    return _status(tally)


def _misplaced(args: argparse.Namespace) -> str:
    mode, strange = ("--simulate", OF_BROKER) if args.simulate else ("--broker", OF_SIMULATION)
    said = [name for name in strange if getattr(args, name) not in {None, False}]
    return f"--{said[0].replace('_', '-')} does nothing with {mode}: leave it out" if said else ""


def _problem(args: argparse.Namespace) -> str:
    if not 1 <= args.panels <= PANELS_MAX:
        return f"--panels {args.panels}: must be 1 to {PANELS_MAX}"
    if args.simulate == bool(args.broker):
        return "say either --broker HOST:PORT, for real panels, or --simulate"
    if not 0 <= args.presses <= args.panels:
        return f"--presses {args.presses}: must be 0 to {args.panels}, one a panel"
    if not 1 <= args.brokers <= args.panels:
        return f"--brokers {args.brokers}: must be 1 to {args.panels}, a panel each"
    return next(filter(None, map(_beyond, LIMITS, (getattr(args, name) for name in LIMITS))), "")


def _beyond(name: str, value: float) -> str:
    """Why an option's number cannot be taken; infinity and what is no number are beyond every limit."""
    low, high, unit = LIMITS[name]
    if value == WITHOUT.get(name, low) or low <= value <= high:
        return ""
    return f"--{name.replace('_', '-')} {value:g}: must be {low:.10g} to {high:.10g} {unit}"


def _real(args: argparse.Namespace) -> int:
    from firmware.fleet.fleet import Fleet, FleetError  # noqa: PLC0415 - the simulation needs no MQTT library
    from hal.clock import SystemClock  # noqa: PLC0415

    logging.getLogger("firmware").setLevel(logging.ERROR)  # of thousands of panels nobody reads each one's log
    clock = SystemClock()
    try:
        host, port = broker_address(args.broker, tls=False)
        fleet = Fleet(
            args.panels,
            host,
            port,
            receiver=args.receiver,
            answers=not args.no_responder,
            clock=clock,
            random01=random.Random(args.seed).random,  # noqa: S311 - repeatable on purpose
        )
    except (UsageError, FleetError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        _run(fleet, clock, args)
    finally:
        fleet.close()
    tally = fleet.tally()
    if tally is not None:
        _show(tally, args)
        return _status(tally)
    return _end(args.panels - fleet.up, fleet.pending)


def _run(fleet: Fleet, clock: Clock, args: argparse.Namespace) -> None:
    began_s = now_s = clock.now().mono_s
    end_s = began_s + args.seconds
    press_s = began_s + args.press_every if args.press_every > 0 else math.inf
    told_s = began_s
    while now_s < end_s or (now_s < end_s + SETTLE_S and (fleet.pending or not fleet.complete)):
        fleet.turn()
        now_s = clock.now().mono_s
        if press_s <= now_s < end_s:
            press_s += args.press_every
            fleet.press()
        if now_s >= told_s + 1:
            _second(fleet, began_s, told_s, args)
            told_s += 1


def _second(fleet: Fleet, began_s: float, from_s: float, args: argparse.Namespace) -> None:
    at_s, connects = round(from_s + 1 - began_s), fleet.ups_between(from_s, from_s + 1)
    if args.json:
        _line(at_s=at_s, up=fleet.up, connects=connects, pending=fleet.pending)
    else:
        print(f"{at_s:>5} s  {fleet.up:>6} up  {connects:>5} connects/s  {fleet.pending:>4} alarms pending", flush=True)  # noqa: T201


def _show(tally: Tally, args: argparse.Namespace) -> None:
    if args.json:
        _line(**tally.figures())
        return
    for line in (*table(tally), "", *plot(tally.back, LIMIT * tally.panels), "", *plot_waiting(tally.through)):
        print(line)  # noqa: T201


def _status(tally: Tally) -> int:
    away = max(0, tally.lost - len(tally.back))
    return _end(away, tally.pending)


def _end(away: int, pending: int) -> int:
    if away or pending:
        sys.stderr.write(f"not well at the end: {away} panels are not back, {pending} alarms are not through\n")
    return 1 if away or pending else 0


def _line(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
