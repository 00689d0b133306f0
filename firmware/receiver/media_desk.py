"""Evidence and live sound at the desk: a thread with a connection of its own, so that no alarm waits for a picture."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from typing import TYPE_CHECKING

from firmware.core.report import ReportId
from firmware.receiver import events as e
from firmware.receiver.evidence import EvidenceError, EvidenceStore, LiveSound
from firmware.receiver.link import Letter, Link, LinkConfig, LinkRefused
from firmware.receiver.mail import Complaints, PanelKeys
from firmware.receiver.seals import Seals
from firmware.wire import media, topics
from firmware.wire.fields import PANEL_PATTERN, SHOWN_MAX
from firmware.wire.sign import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.receiver.evidence import Saved

log = logging.getLogger(__name__)

STEP_S = 1.0
INCIDENT_MAX = 33
"""Characters of `EPOCH-SEQ`, both below 2**53."""


class MediaDesk:
    """Saves evidence into a folder and answers for it.

    Args:
        link: How to reach the broker; the session must not be persistent: panels send again what nobody answered.
        panel: One panel, or "+" for all.
        name: The receiver's name.
        folder: Where the files go.
        keys: The panels' keys.
        receiver_key: Signs the answers.
        live: Whether to record live sound.
        post: Takes what there is to show; called on this object's thread.

    Raises:
        OSError: The folder cannot be made.

    Synchronization: `start` and `stop` from one thread.
    """

    def __init__(
        self,
        link: LinkConfig,
        panel: str,
        *,
        name: str,
        folder: Path,
        keys: PanelKeys,
        receiver_key: bytes | None,
        live: bool,
        post: Callable[[e.Shown], None],
    ) -> None:
        subscribe = [(f"{topics.ROOT}/{panel}/evidence/+/+", 1)]
        if live:
            subscribe.append((f"{topics.ROOT}/{panel}/live/+/audio", 0))
        self._link = Link(link, tuple(subscribe), self._take, lambda up, why: post(e.LinkChanged("media", up, why)))
        self._name = name
        self._store = EvidenceStore(folder)
        self._live = LiveSound(folder)
        self._seals = Seals(folder)
        self._keys = keys
        self._receiver_key = receiver_key
        self._post = post
        self._complaints = Complaints()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="media desk", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Close the files and the connection."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._wake)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._step()
            except LinkRefused as error:
                self._post(e.Warned("", f"no evidence is saved: {error}"))
                return
            except Exception as error:  # the outermost frame of this thread (law 8)
                log.exception("media desk")
                self._post(e.Warned("", f"evidence: {type(error).__name__}: {error}"))
                select.select([self._wake], [], [], STEP_S)
        self._tell(self._live.close(), signed=False)
        self._link.close()

    def _step(self) -> None:
        now_s = time.monotonic()
        reading, writing = self._link.sockets()
        pause_s = min(max(self._link.next_deadline(now_s) - now_s, 0.0), STEP_S)
        select.select([*reading, self._wake], writing, [], pause_s)
        self._link.step(time.monotonic())
        self._tell(self._live.finish_quiet(time.monotonic()), signed=False)
        self._post_all(self._seals.due(time.monotonic()))

    def _take(self, topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the broker's flag
        panel, kind, incident, name = _address(topic)
        try:
            if kind == "evidence":
                self._evidence(panel, incident, name, payload)
            elif kind == "live":
                self._hear(panel, incident, payload)
        except (media.MediaWireError, EvidenceError, KeyFileError, OSError) as error:
            known = panel if PANEL_PATTERN.fullmatch(panel) else ""
            for warned in self._complaints.about(known, kind, f"{kind}: {error}", time.monotonic()):
                self._post(warned)

    def _evidence(self, panel: str, incident: str, name: str, payload: bytes) -> None:
        key = self._keys.of(panel)
        chunk = media.decode_chunk(payload, key)
        if topics.evidence(chunk.incident, chunk.name) != f"{topics.ROOT}/{panel}/evidence/{incident}/{name}":
            where = f"{panel}/{incident}/{name}"[:SHOWN_MAX]
            raise media.MediaWireError(f"evidence of {chunk.incident} came on the topic of {where!r}")
        self._live.trust(chunk.incident)
        saved = self._store.add(chunk)
        if saved is None:
            return
        receipt = media.EvidenceReceipt(saved.incident, saved.name, saved.sha256, self._name)
        payload = media.encode_evidence_receipt(receipt, self._receiver_key)
        self._link.publish(Letter(topics.evidence_receipt(panel, self._name), payload))
        if saved.again:
            return
        self._tell([saved], signed=key is not None)
        now_s = time.monotonic()
        if saved.kind == "manifest":
            self._tell(self._live.end(saved.incident), signed=False)
            manifest = media.decode_manifest(saved.path.read_bytes(), key)
            if manifest.incident != saved.incident:
                raise media.MediaWireError(f"the manifest of {saved.incident} lists files of {manifest.incident}")
            self._post_all(self._seals.manifest(manifest, signed=key is not None, mono_s=now_s))
        else:
            self._post_all(self._seals.file(saved, now_s))

    def _hear(self, panel: str, incident: str, payload: bytes) -> None:
        epoch, _, seq = incident.partition("-")
        try:
            ident = ReportId.parse(f"{panel}/{epoch}/{seq}")
        except ValueError as error:
            raise media.MediaWireError(str(error)) from None
        if (
            not PANEL_PATTERN.fullmatch(panel)
            or f"{ident.epoch}-{ident.seq}" != incident
            or len(incident) > INCIDENT_MAX
        ):
            raise media.MediaWireError(f"live sound of {str(ident)[:80]!r}: no identity that a panel can have")
        self._tell(self._live.add(ident, media.decode_live(payload), time.monotonic()), signed=False)

    def _post_all(self, events: list[e.Sealed]) -> None:
        for event in events:
            self._post(event)

    def _tell(self, files: list[Saved], *, signed: bool) -> None:
        for saved in files:
            self._post(e.FileSaved(saved, signed))


def _address(topic: str) -> tuple[str, str, str, str]:
    """Panel, kind, incident and the rest of a media topic; the subscription leaves no other form."""
    panel, kind, incident, rest = topic.removeprefix(f"{topics.ROOT}/").split("/", 3)
    return panel, kind, incident, rest
