"""The media child measured from outside: memory, processor time, how soon things come, how far sound and pictures part.

Run alone: `python tests/bench/bench_media.py [--quick]`.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))

import test_media_clip as clips
from bench.table import Row, print_table, row_of
from rigs.broker import Mosquitto
from rigs.media import Bench
from rigs.media_house import INCIDENT, Desk, House, spec

from firmware.config import CameraConfig, MediaConfig
from firmware.core.facts import EvidenceSealed
from firmware.core.report import ReportId
from firmware.media.spec import NamedCamera

TICKS_HZ = os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Proportional set size."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def processor_s(pid: int) -> float:
    """User and system time so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_HZ


def load(pid: int, seconds: float) -> float:
    """Percent of one core over some time."""
    before_s, began_s = processor_s(pid), time.monotonic()
    threading.Event().wait(seconds)
    return (processor_s(pid) - before_s) / (time.monotonic() - began_s) * 100


def incident(number: int) -> ReportId:
    return ReportId(INCIDENT.panel, INCIDENT.epoch, number)


def one_incident(panel: House, desk: Desk, number: int) -> tuple[float, float, float]:
    """Milliseconds from order to first still and live sound at the desk, and from seal to manifest there."""
    desk.kept.clear()
    desk.live.clear()
    ordered_s = time.monotonic()
    panel.capture(incident(number))
    still_s, _, _ = desk.kept.until(lambda row: row[1] == "still")
    live_s, _, _ = desk.live.until(lambda _row: True)
    desk.live.until(lambda row: row[2].number > 50)
    sealed_s = time.monotonic()
    panel.seal(incident(number))
    panel.until(EvidenceSealed, incident=incident(number))
    manifest_s, _, _ = desk.kept.until(lambda row: row[1] == "manifest")
    return (still_s - ordered_s) * 1000, (live_s - ordered_s) * 1000, (manifest_s - sealed_s) * 1000


def live_delay_ms(panel: House, desk: Desk, number: int) -> list[float]:
    """Age of each frame's first sample when the desk has it: 20 ms of it are the frame itself."""
    desk.live.clear()
    panel.capture(incident(number))
    desk.live.until(lambda row: row[2].number > 150)
    panel.seal(incident(number))
    panel.until(EvidenceSealed, incident=incident(number))
    return [(at_s - frame.mono_ms / 1000) * 1000 for at_s, _, frame in desk.live.items]


def return_ms(panel: House) -> float:
    """From SIGKILL to the next child's first word."""
    born = len(panel.children.items)
    killed_s = time.monotonic()
    os.kill(panel.pid, signal.SIGKILL)
    panel.children.until(lambda _birth: len(panel.children.items) > born)
    while not panel.link._speaks:
        threading.Event().wait(0.001)
    return (time.monotonic() - killed_s) * 1000


def measure_child(quick: bool) -> list[Row]:  # noqa: FBT001 - the bench's one switch
    rounds, seconds = (3, 5.0) if quick else (10, 20.0)
    camera = NamedCamera("gate", CameraConfig(url="test:", width=1280, height=720, rate_hz=15))
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "broker").mkdir()
        broker = Mosquitto(folder / "broker").start()
        desk = Desk(broker.port)
        panel = House(spec(broker.port, folder / "evidence", cameras=(camera,), media=MediaConfig(stills_s=5.0)))
        panel.children.until(lambda _birth: True)
        threading.Event().wait(4.0)
        idle_load, idle_pss = load(panel.pid, seconds), pss_mb(panel.pid)
        soon = [one_incident(panel, desk, number) for number in range(1, rounds + 1)]
        delays = live_delay_ms(panel, desk, 100)
        panel.capture(incident(200))
        threading.Event().wait(6.0)
        busy_load, busy_pss = load(panel.pid, seconds), pss_mb(panel.pid)
        panel.seal(incident(200))
        panel.until(EvidenceSealed, incident=incident(200))
        threading.Event().wait(1.0)
        after_pss = pss_mb(panel.pid)
        returns = []
        for _ in range(rounds):
            threading.Event().wait(5.2)
            returns.append(return_ms(panel))
        panel.close()
        desk.close()
        broker.stop()
    one = "720p15 test camera and microphone"
    return [
        Row("media child, memory at rest (PSS)", idle_pss, None, "MB", note=f"{one}, 30 s of pre-roll filling"),
        Row("media child, memory in an incident (PSS)", busy_pss, None, "MB", note=one),
        Row("media child, memory after it (PSS)", after_pss, None, "MB", limit="all processes <= 130", note=one),
        Row("media child, processor at rest", idle_load, None, "% core", limit="panel <= 5", note=f"{seconds:.0f} s"),
        Row(
            "media child, processor in an incident", busy_load, None, "% core", note="clip and live sound, stills over"
        ),
        row_of("capture ordered to still at the desk", [row[0] for row in soon], "ms", limit="<= 1000"),
        row_of("capture ordered to live sound at the desk", [row[1] for row in soon], "ms"),
        row_of("seal ordered to manifest at the desk", [row[2] for row in soon], "ms"),
        row_of("live sound: first sample to the desk", delays, "ms", note="20 ms are the frame itself"),
        row_of("child killed to its successor's first word", returns, "ms", limit="<= 1000"),
    ]


def measure_skew() -> list[Row]:
    """Flash and beep of one moment, found again by decoding the files."""
    still = [abs(skew) * 1000 for clip in clips.recorded(quiet()) for skew in clips.skews(clip)]
    rough = [abs(skew) * 1000 for clip in clips.recorded(jittery()) for skew in clips.skews(clip)]
    return [
        row_of("sound and pictures part by", still, "ms", limit="<= 80"),
        row_of("the same with 150 ms of jitter on both", rough, "ms", limit="<= 80"),
    ]


def quiet() -> Bench:
    return Bench(real=True, picture_late_s=0.0, sound_late_s=0.0)


def jittery() -> Bench:
    return clips.with_jitter(Bench(real=True, picture_late_s=0.05, sound_late_s=0.05), 0.15)


def main() -> None:
    print_table([*measure_child("--quick" in sys.argv), *measure_skew()])


if __name__ == "__main__":
    main()
