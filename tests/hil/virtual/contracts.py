"""Contract suites of the HAL inside the virtual board, and the answers to what they ask of the outside."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from hil.virtual.hand import RefusedError
from hil.virtual.inside import UNIT
from hil.virtual.recipe import PROJECT

if TYPE_CHECKING:
    from hil.virtual.bench import VirtualBench
    from hil.virtual.machine import Machine

PLACE: Final = "/opt/bench/tests"
ROOMS: Final = ("contract", "rigs")
LIMIT_S: Final = 120.0
SETTLE_S: Final = 5.0


def run(bench: VirtualBench, suites: tuple[str, ...]) -> str:
    """Run them; what pytest printed.

    Raises:
        AssertionError: A test failed.
    """
    hand = bench.machine.hand
    hand.put(f"{PLACE}.tar", _packed())
    answering = threading.Thread(target=_answer, args=(bench,), name="outside", daemon=True)
    answering.start()
    files = " ".join(f"contract/{name}.py" for name in suites)
    found = f"-o pythonpath='{PLACE} {PLACE}/contract'"
    try:
        return hand.run(
            f"systemctl stop {UNIT}; mkdir -p {PLACE}; cd {PLACE}; tar -xf ../tests.tar; "
            f"/opt/gatebooth/bin/python -m pytest -q -rs --import-mode=importlib -p no:cacheprovider {found} "
            f"-k 'board or watchdog' {files} >out 2>&1 || {{ tail -c 3000 out >&2; exit 1; }}; cat out",
            LIMIT_S,
        )
    except RefusedError as error:
        raise AssertionError(str(error)) from error


def _packed() -> bytes:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as packed:
        for name in ROOMS:
            for path in sorted((PROJECT / "tests" / name).glob("*.py")):
                packed.add(path, f"{name}/{path.name}")
    return room.getvalue()


def _answer(bench: VirtualBench) -> None:
    port, start = bench.machine.outside, 0
    assert port is not None
    with contextlib.suppress(OSError, ValueError), port.makefile("rb") as orders:
        for line in orders:
            order = json.loads(line)
            if order["do"] == "type":
                start = bench.machine.cable.length
            port.sendall(json.dumps(_obeyed(bench, order, start)).encode() + b"\n")


def _obeyed(bench: VirtualBench, order: dict[str, Any], start: int) -> dict[str, Any]:
    # Without an answer whoever asked inside would wait for ever.
    try:
        return {"is": _obey(bench, order, start)}
    except RefusedError as error:
        return {"is": None, "error": str(error)}


def _obey(bench: VirtualBench, order: dict[str, Any], start: int) -> Any:
    machine = bench.machine
    match order["do"]:
        case "drive":
            machine.drive(order["line"], high=order["high"])
        case "level":
            return _level(machine, order["line"])
        case "type":
            machine.cable.send(bytes.fromhex(order["data"]))
        case "shown":
            return machine.cable.wait(bytes.fromhex(order["data"]), start, SETTLE_S).hex()
        case "camera":
            getattr(bench.camera, order["what"])()
        case _:
            return _sound(bench, order)
    return None


def _sound(bench: VirtualBench, order: dict[str, Any]) -> str | None:
    match order["do"]:
        case "play":
            bench.microphone.play_samples(bytes.fromhex(order["data"]))
        case "unplug":
            bench.microphone.unplug()
        case "replug":
            bench.microphone.replug()
        case "hear":
            return bench.loudspeaker.hear(order["seconds"]).hex()
        case "listen":
            bench.loudspeaker.listen()
        case "heard":
            return bench.loudspeaker.heard(order["seconds"]).hex()
    return None


def _level(machine: Machine, line: int) -> bool:
    time.sleep(0.05)  # an edge that was made inside comes out by a thread of its own
    with machine.news:
        return next((edge.high for edge in reversed(machine.edges) if edge.line == line), False)
