"""The desk's mail room: what comes on a topic is checked and handed to the desk; what the desk answers is sealed."""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING

from firmware.core.codes import ReportClass
from firmware.core.report import Step
from firmware.receiver import events as e
from firmware.receiver.link import Letter
from firmware.receiver.memory import KeptAlarm, KeptStep
from firmware.receiver.unsigned import Unsigned
from firmware.wire import topics
from firmware.wire.beat import decode_beat, encode_echo
from firmware.wire.command import decode_result, encode_command
from firmware.wire.fields import PANEL_PATTERN, WireError
from firmware.wire.health import decode_health
from firmware.wire.receipt import encode_receipt
from firmware.wire.report import decode_report
from firmware.wire.sign import KeyFileError, SignatureError, load_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from firmware.receiver.desk import Desk
    from firmware.receiver.memory import Kept, Memory

WARN_EVERY_S = 10.0
"""The same complaint about the same panel is shown once in this time, with how often it came."""
COMPLAINTS_MAX = 256
COMPLAINTS_SHOWN = 20
"""Complaints of all kinds about all panels in the same time: whoever floods a broker has as many names as he likes."""


class PanelKeys:
    """The keys of the panels: none, one for all, or a folder with a file `PANEL.key` for each.

    Args:
        path: A key file, a folder of key files, or None.

    Raises:
        KeyFileError: The file, or a panel's file in the folder, cannot be used; from a folder only when it is asked.

    Synchronization: any thread.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder = path if path is not None and path.is_dir() else None
        self._one = load_key(path) if path is not None and self._folder is None else None

    def of(self, panel: str) -> bytes | None:
        """A panel's key; None when its signature is not to be checked."""
        if self._folder is None:
            return self._one
        if not PANEL_PATTERN.fullmatch(panel):
            raise KeyFileError(f"no panel has the identity {panel[:80]!r}")
        return load_key(self._folder / f"{panel}.key")


class Complaints:
    """Keeps a flood of rubbish from flooding the screen.

    Synchronization: one thread.
    """

    def __init__(self) -> None:
        self._since_s = float("-inf")
        self._shown = self._left_out = self._untold = 0
        self._last: collections.OrderedDict[tuple[str, str], tuple[float, int]] = collections.OrderedDict()

    def about(self, panel: str, kind: str, text: str, mono_s: float) -> list[e.Warned]:
        """The complaint, unless one of its kind was shown lately."""
        shown_s, held = self._last.get((panel, kind), (float("-inf"), 0))
        if mono_s - shown_s < WARN_EVERY_S:
            self._last[panel, kind] = (shown_s, held + 1)
            return []
        admitted, told = self.admit(mono_s), self._owed()
        if not admitted:
            return told
        self._last[panel, kind] = (mono_s, 0)
        self._last.move_to_end((panel, kind))
        if len(self._last) > COMPLAINTS_MAX:
            self._last.popitem(last=False)
        return [*told, e.Warned(panel, f"{text} (and {held} more like it)" if held else text)]

    def admit(self, mono_s: float) -> bool:
        """Whether there is room for one more line now; one that has none is counted."""
        if mono_s - self._since_s >= WARN_EVERY_S:
            self._untold += self._left_out
            self._since_s, self._shown, self._left_out = mono_s, 0, 0
        if self._shown >= COMPLAINTS_SHOWN:
            self._left_out += 1
            return False
        self._shown += 1
        return True

    def _owed(self) -> list[e.Warned]:
        untold, self._untold = self._untold, 0
        text = f"{untold} more complaints were left out: somebody floods this broker; look at its access list"
        return [e.Warned("", text)] if untold else []


class MailRoom:
    """Stands between topics with bytes and the desk.

    Args:
        desk: The logic.
        name: The receiver's name.
        keys: The panels' keys.
        receiver_key: Shared with the panels; signs receipts and commands.
        now: The desk's clocks.
        memory: Where open incidents are kept over a restart, or None.

    Synchronization: one thread.
    """

    def __init__(
        self,
        desk: Desk,
        name: str,
        *,
        keys: PanelKeys,
        receiver_key: bytes | None,
        now: Callable[[], e.Moment],
        memory: Memory | None = None,
    ) -> None:
        self._memory = memory
        self._desk = desk
        self._name = name
        self._keys = keys
        self._receiver_key = receiver_key
        self._now = now
        self._complaints = Complaints()
        self._unsigned = Unsigned(self._complaints.admit)

    def take(self, topic: str, payload: bytes, retained: bool) -> tuple[list[Letter], list[e.Shown]]:  # noqa: FBT001 - the broker's flag
        """Take one message; anything at all may come.

        Returns:
            What to send and what to show.
        """
        panel, kind = _address(topic)
        try:
            acts = self._open(panel, kind, payload, retained=retained)
        except (WireError, KeyFileError) as error:
            told = self._speaks_unsigned(panel, kind, payload) if _live(error, retained=retained) else None
            if told is None:
                told = [*self._complaints.about(panel, kind, f"refused: {error}", self._now().mono_s)]
            return [], told
        acts += self._remember(acts, payload)
        letters, shown = self.seal(acts)
        told = [kept for event in shown for kept in self._calm(kind, event)]
        if any(isinstance(act, e.Pulsed) for act in acts):
            told += self._unsigned.proved(panel, self._now())
        return letters, told

    def _speaks_unsigned(self, panel: str, kind: str, payload: bytes) -> list[e.Shown] | None:
        """What to tell of words that are not signed by the panel whose topic they came on."""
        alarm = False
        if kind == "report":
            with contextlib.suppress(WireError):  # what it claims is shown as a claim, nothing more
                alarm = decode_report(payload, None).cls is ReportClass.ALARM
        return self._unsigned.refused(panel, self._now(), alarm=alarm)

    def _calm(self, kind: str, event: e.Shown) -> list[e.Shown]:
        """What the desk warns of because a message came can come as often as somebody sends it."""
        if not isinstance(event, e.Warned):
            return [event]
        return [*self._complaints.about(event.panel, f"{kind} warning", event.text, self._now().mono_s)]

    def seal(self, acts: Iterable[e.Act]) -> tuple[list[Letter], list[e.Shown]]:
        """Split what the desk wants into what to send and what to show."""
        letters: list[Letter] = []
        shown: list[e.Shown] = []
        for act in acts:
            match act:
                case e.Answer(receipt=receipt):
                    payload = encode_receipt(receipt, at_utc_ms=act.utc_ms, key=self._receiver_key)
                    letters.append(Letter(topics.receipt(receipt.id.panel, self._name), payload))
                case e.Pulsed(pulse=pulse):
                    payload = encode_echo(pulse, receiver=self._name, key=self._receiver_key)
                    letters.append(Letter(topics.echo(pulse.panel, self._name), payload))
                case e.Order():
                    shown += self._order(act, letters)
                case e.StepTaken() if act.step is not Step.RECEIVED:
                    shown.append(act)
                    shown += self._keep(KeptStep(act.incident, act.step, act.person, self._now().utc_ms))
                case _:
                    shown.append(act)
        return letters, shown

    def _remember(self, acts: list[e.Act], payload: bytes) -> list[e.Act]:
        """Have new alarms on the disk before their receipts go out."""
        told: list[e.Act] = []
        for act in acts:
            if isinstance(act, e.ReportCame) and act.report.cls is ReportClass.ALARM and not act.duplicate:
                root = act.report.incident or act.report.id
                told += self._keep(KeptAlarm(root, payload, act.report.signed, self._now().utc_ms))
        return told

    def _keep(self, line: Kept) -> list[e.Warned]:
        if self._memory is None:
            return []
        try:
            self._memory.keep(line)
        except OSError as error:
            why = f"incidents are not kept over a restart: {error}"
            return self._complaints.about("", "memory", why, self._now().mono_s)
        incident = self._desk.incidents.get(line.incident)
        if incident is not None and not incident.open:
            self._memory.forget(line.incident)
        return []

    def _open(self, panel: str, kind: str, payload: bytes, *, retained: bool) -> list[e.Act]:
        match kind:
            case "report":
                report = decode_report(payload, self._keys.of(panel))
                _same_panel("report", report.id.panel, panel)
                return self._desk.report(report, self._now())
            case "health":
                health = decode_health(payload, self._keys.of(panel))
                _same_panel("health", health.panel, panel)
                return self._desk.health(health, self._now(), retained=retained)
            case "beat":
                pulse = decode_beat(payload, self._keys.of(panel))
                _same_panel("beat", pulse.panel, panel)
                return self._desk.beat(pulse, self._now())
            case "result":
                result = decode_result(payload, self._keys.of(panel))
                _same_panel("result", result.panel, panel)
                return self._desk.result(result)
            case _:
                return []

    def _order(self, order: e.Order, letters: list[Letter]) -> list[e.Shown]:
        if self._receiver_key is None:
            return [e.Warned(order.panel, "an order must be signed: start the desk with --receiver-key-file")]
        payload = encode_command(
            order.command,
            panel=order.panel,
            epoch=order.epoch,
            not_after_mono_ms=order.not_after_mono_ms,
            key=self._receiver_key,
        )
        letters.append(Letter(topics.command(order.panel, self._name), payload))
        return []


def _address(topic: str) -> tuple[str, str]:
    """Panel and kind of a topic; empty when it is none of ours."""
    levels = topic.split("/")
    root = topics.ROOT.split("/")
    if levels[: len(root)] != root or len(levels) < len(root) + 2:
        return "", ""
    panel, kind = levels[len(root) : len(root) + 2]
    return (panel, kind) if PANEL_PATTERN.fullmatch(panel) else ("", "")


def _live(error: Exception, *, retained: bool) -> bool:
    """Whether somebody speaks now, and not as who he says he is; what a broker kept may be from long ago."""
    return isinstance(error, SignatureError) and not retained


def _same_panel(what: str, said: str, topic: str) -> None:
    if said != topic:
        raise WireError(what, "panel", said, f"{topic!r}, as its topic says")
