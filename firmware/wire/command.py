"""Commands on the wire: signed, expiring on the panel's own monotonic clock, never taken twice."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.core.facts import Command
from firmware.core.report import SEQ_MAX
from firmware.wire.fields import INBOUND_MAX, NAME_PATTERN, PANEL_PATTERN, Fields, WireError, parse_object
from firmware.wire.receipt import known_receiver
from firmware.wire.report import clean
from firmware.wire.sign import seal, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.core.effects import Reply
    from hal.types import Instant

AHEAD_MAX_MS = 120_000
"""A command may be valid for at most this long."""
REMEMBERED_MAX = 1024
"""Identities of commands that have not expired; only holders of a key can fill this."""
ACTOR_MAX = 80
REASON_MAX = 200
TEXT_MAX = 500
COMMAND_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_VERB = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TARGET = re.compile(f"({NAME_PATTERN.pattern})?")


class CommandRefused(WireError):  # noqa: N818 - the panel's answer, not a defect
    """A command of a known sender that is not obeyed; its sender is told.

    Attributes:
        command: Its identity.
        origin: The receiver that signed it.
    """

    def __init__(self, command: str, origin: str, error: WireError) -> None:
        ValueError.__init__(self, str(error))
        self.what, self.where, self.shown, self.limit = error.what, error.where, error.shown, error.limit
        self.command = command
        self.origin = origin


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command, as the receiver reads it."""

    panel: str
    command: str
    ok: bool
    text: str


def encode_command(command: Command, *, panel: str, epoch: int, not_after_mono_ms: int, key: bytes) -> bytes:
    """The payload of a command.

    Args:
        command: The order; `origin` is the receiver that sends it.
        panel: Whom it is for.
        epoch: The panel's present epoch, from its health or the `sent` part of a report.
        not_after_mono_ms: On the panel's monotonic clock, at most 120 s ahead of it.
        key: The key that this receiver shares with the panel.
    """
    return seal(
        {
            "v": 1,
            "command": command.id,
            "panel": panel,
            "epoch": epoch,
            "not_after_mono_ms": not_after_mono_ms,
            "origin": command.origin,
            "verb": command.verb,
            "target": command.target,
            "actor": command.actor,
            "reason": command.reason,
        },
        key,
    )


@dataclass(slots=True)
class _Taken:
    """A command that came through: until when it could be replayed, its signature, the paths it came over."""

    not_after_ms: int
    mac: object
    paths: set[str]


class CommandGate:
    """Lets a command through once, and only if its sender, time and address are right.

    Args:
        panel: This panel.
        epoch: Its present epoch.
        receivers: The configured receivers with their keys; from one without a key no command is taken.

    Synchronization: any thread; one gate serves all paths, so that no command is replayed on another.
    """

    def __init__(self, panel: str, epoch: int, receivers: Mapping[str, bytes | None]) -> None:
        self._lock = threading.Lock()
        self._panel = panel
        self._epoch = epoch
        self._receivers = receivers
        self._taken: dict[str, _Taken] = {}

    def admit(self, payload: bytes, *, receiver: str, now: Instant, path: str = "") -> Command | None:
        """Read a command.

        Args:
            payload: What came.
            receiver: The last level of the topic it came on.
            now: The panel's clock.
            path: The path it came over.

        Returns:
            The command; None when the very same one came over another path before: a desk sends it over all it has.

        Raises:
            CommandRefused: The sender is who it says, but the command is malformed, expired, of another epoch or panel,
                or came before over this path, or otherwise. Its sender should be told.
            WireError: Nothing proves who sent this: nobody should be told.
        """
        found = parse_object(payload, "command", INBOUND_MAX)
        key = known_receiver("command", receiver, self._receivers)
        if key is None:
            raise WireError("command", "topic's receiver", receiver, "one with a key_file: commands must be signed")
        verify(found, key, "command")
        fields = Fields(found, "command")
        ident = fields.text("command", 64, COMMAND_ID)
        now_ms, name = round(now.mono_s * 1000), f"{receiver} {ident}"
        try:
            with self._lock:
                if self._came_elsewhere(name, found.get("mac"), path):
                    return None
                command, not_after_ms = self._read(fields, ident, receiver)
                self._check_time(not_after_ms, now_ms)
                self._check_new(name, now_ms)
                self._taken[name] = _Taken(not_after_ms, found.get("mac"), {path})
        except WireError as error:
            raise CommandRefused(ident, receiver, error) from None
        return command

    def _came_elsewhere(self, name: str, mac: object, path: str) -> bool:
        taken = self._taken.get(name)
        if taken is None or taken.mac != mac or path in taken.paths:
            return False
        taken.paths.add(path)
        return True

    def _read(self, fields: Fields, ident: str, receiver: str) -> tuple[Command, int]:
        fields.version()
        fields.same("panel", self._panel, "this panel")
        fields.same("origin", receiver, "as its topic says")
        epoch = fields.integer("epoch", 0, SEQ_MAX)
        if epoch != self._epoch:
            raise WireError("command", "epoch", epoch, f"{self._epoch}: the panel has restarted since; send it anew")
        command = Command(
            id=ident,
            origin=receiver,
            verb=fields.text("verb", 32, _VERB),
            target=fields.text("target", 32, _TARGET),
            actor=fields.text("actor", ACTOR_MAX),
            reason=fields.text("reason", REASON_MAX),
        )
        return command, fields.integer("not_after_mono_ms", 0, SEQ_MAX)

    @staticmethod
    def _check_time(not_after_ms: int, now_ms: int) -> None:
        if not_after_ms < now_ms:
            late_ms = now_ms - not_after_ms
            raise WireError("command", "not_after_mono_ms", not_after_ms, f"not past: it expired {late_ms} ms ago")
        if not_after_ms > now_ms + AHEAD_MAX_MS:
            raise WireError(
                "command", "not_after_mono_ms", not_after_ms, f"at most {AHEAD_MAX_MS} ms after the panel's {now_ms}"
            )

    def _check_new(self, ident: str, now_ms: int) -> None:
        if ident in self._taken:
            raise WireError("command", "command", ident, "new: this one was taken already, its first result counts")
        if len(self._taken) >= REMEMBERED_MAX:
            self._taken = {known: end for known, end in self._taken.items() if end.not_after_ms >= now_ms}
        if len(self._taken) >= REMEMBERED_MAX:
            raise WireError("command", "command", ident, f"one of at most {REMEMBERED_MAX} in two minutes; wait")


def encode_result(reply: Reply, *, panel: str, key: bytes | None) -> bytes:
    """The payload of a command's result, signed with the panel's key if it has one."""
    return seal(
        {"v": 1, "panel": panel, "command": reply.command, "ok": reply.ok, "text": clean(reply.text, TEXT_MAX)}, key
    )


def decode_result(payload: bytes, key: bytes | None) -> Result:
    """Read a command's result.

    Raises:
        WireError: The payload is no result, or its signature is missing or wrong.
    """
    found = parse_object(payload, "result", INBOUND_MAX)
    if key is not None:
        verify(found, key, "result")
    fields = Fields(found, "result")
    fields.version()
    return Result(
        panel=fields.text("panel", 64, PANEL_PATTERN),
        command=fields.text("command", 64, COMMAND_ID),
        ok=fields.flag("ok"),
        text=fields.text("text", TEXT_MAX),
    )
