"""A path that speaks SIA DC-09 to one alarm receiver. It owns the dialer (what to send when) and the line (TCP).

Transmit, Note, Lead, Wake ─▶ Dialer ─▶ wire ─▶ Line ─▶ receiver
PathUp, PathDown, Beat, Echo, Receipt, Refused ◀─ Dialer ◀─ wire ◀─ Line ◀─ receiver

The ACK is the receiving centre's own word, so it is a receipt: this path names the receiver that it speaks to.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, assert_never

from firmware.adapters.backlog import Wake
from firmware.adapters.dc09_line import HungUp, Line, LineError, LineEvent, Opened, Received
from firmware.adapters.dc09_refusals import Refusals
from firmware.adapters.dc09_teller import Bareness, Teller
from firmware.adapters.path_actor import PathActor
from firmware.core.calls import Answer, Outcome, Seal, Verdict, Word
from firmware.core.codes import ReportClass
from firmware.core.dial_numbers import Numbers
from firmware.core.dialer import Dialer
from firmware.core.effects import Health, Lead, Note, Reply, Transmit
from firmware.core.facts import Beat, Echo, Receipt, Refused, TroubleOver
from firmware.core.far_clock import APART_S
from firmware.core.report import RECEIVER_STEPS, Step
from firmware.wire import dc09 as wire
from firmware.wire.dc09_key import Cipher, load_aes_key
from firmware.wire.sign import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.adapters.backlog import Backlog
    from firmware.config import PathConfig
    from firmware.core.facts import Fact
    from firmware.core.link import Due
    from firmware.core.report import Report
    from firmware.wire.report import Site
    from hal.ports import Clock

log = logging.getLogger(__name__)

UNITS = (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def random_pad(count: int) -> str:
    """Padding that nobody can foretell: it does an initialisation vector's work."""
    return "".join(secrets.choice(wire.PAD_LETTERS) for _ in range(count))


class Dc09Path(PathActor[LineEvent]):
    """One DC-09 path.

    Args:
        config: The path; its `dc09` part is there.
        epoch: The panel's present epoch.
        site: Where it stands.
        zones: The number of every zone.
        backlog: Where faults and status come from while this path leads, if it carries them at all.
        line: The connection.
        clock: Both clocks.
        post: Where facts go.
        random01: Random numbers, 0 to 1, for the pauses between tries.
        pad: Random letters for encrypted frames.
        place: Where its frames' numbers begin, 0 to 1.

    Attributes:
        receiver: Whose machine answers here.

    Synchronization: one thread.
    """

    def __init__(
        self,
        config: PathConfig,
        *,
        epoch: int,
        site: Site,
        zones: Mapping[str, int],
        backlog: Backlog | None,
        line: Line,
        clock: Clock,
        post: Callable[[Fact], None],
        random01: Callable[[], float],
        pad: Callable[[int], str] = random_pad,
        place: float = 0.0,
    ) -> None:
        if config.dc09 is None:
            raise ValueError(f"path {config.name} has no [path.dc09]")
        super().__init__(config.name, line, clock, post)
        self.name = f"dc09 {config.name}"
        numbers = Numbers(epoch, place)
        self.dialer = Dialer(config.dc09.interval_s, config.dc09.answer_s, numbers, config.scatter_s)
        self.receiver = config.dc09.receiver
        self._settings = config.dc09
        self._caller = wire.Caller(config.dc09.account.upper(), config.dc09.receiver_number, config.dc09.prefix)
        self._teller = Teller(config.dc09, self._caller.account, epoch, site, zones)
        self._backlog = backlog if config.dc09.reports == "all" else None
        self._leads = self._backlog is not None
        self._line = line
        self._random01 = random01
        self._pad = pad
        self._cipher: Cipher | None = None
        self._reader = wire.AnswerReader(self._caller, None)
        self._complaint = self._blame = ""
        self._refusals = Refusals(config.name)
        self._bareness = Bareness()
        self._refusing = False

    # ── the actor ──────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, order: object) -> None:
        """Obey a `Transmit` of this path, a `Note` that a receiver has a report, a `Lead` or a `Wake`.

        Health and results have no place in DC-09 and are passed over.

        Raises:
            TypeError: Any other order.
        """
        match order:
            case Transmit():
                self._transmit(order)
            case Note(mark):
                if mark.by == self.receiver and mark.step in RECEIVER_STEPS:
                    self.dialer.settle(mark.id)
            case Lead():
                self._lead(order)
            case Wake() | Health() | Reply():
                pass
            case _:
                raise TypeError(f"{self.name} knows no order {type(order).__name__}")
        self._pump()

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `tick` that is wanted."""
        return min(self.dialer.next_deadline(), self._refusals.quiet_s, super().next_deadline())

    def close(self) -> None:
        """Hang up; idempotent."""
        self._line.close()

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

    def _transmit(self, order: Transmit) -> None:
        if not self.dialer.alarm(order.report, self._clock.now().mono_s):
            self._refuse(order.report)

    def _lead(self, order: Lead) -> None:
        self._leads = order.leading and self._backlog is not None
        if not self._leads:
            self._hand_over()

    def _hand_over(self) -> None:
        """Another path leads: what is not under way here is that one's."""
        if self.dialer.holds_event and self.dialer.forget_events() and self._backlog is not None:
            self._backlog.give_back()

    def _due(self, now_s: float) -> Due:
        return self.dialer.due(now_s)

    def _open(self) -> None:
        if self.dialer.up and not self.dialer.waiting:
            self._post(Beat(self._path))  # a receiver that hung up after its last answer: the test begins here
        try:
            self._load_cipher()
            self._line.open(hurried=self.dialer.waiting > 0)
        except KeyFileError as error:
            self._stand("key", f"dc09.key_file: {error}")
            self._lost(str(error))
        except LineError as error:
            self._lost(str(error))
        self._reader = wire.AnswerReader(self._caller, self._cipher)

    def _load_cipher(self) -> None:
        """With each connection, so that a mended key file is found. Without its key a path says nothing at all."""
        key_file = self._settings.key_file
        if key_file is not None:
            self._cipher = Cipher(load_aes_key(key_file, self._settings.key_encoding))
            self._stand("key", "")

    def _give_up(self) -> None:
        self._line.close()
        half = "only half an answer came" if self._reader.waiting else "no answer came in time"
        self._lost(self._complaint or half, overdue=True)

    def _lost(self, why: str, *, overdue: bool = False) -> None:
        self._blame = why
        if not self.dialer.lost(self._clock.now().mono_s, self._random01(), overdue=overdue):
            return
        if not self._leads:
            self._hand_over()
        self._bareness.forget()
        self._complaint = ""
        self._tell_down(f"path {self._path}: {why}")

    def _on(self, event: LineEvent) -> None:
        match event:
            case Opened(lookup):
                self._stand("resolver", lookup)
                self.dialer.opened(self._clock.now().mono_s)
                self._pump()
            case Received():
                self._read(event.data)
            case HungUp():
                self._lost(self._complaint or event.why)
            case _:
                assert_never(event)

    # ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, data: bytes) -> None:
        """What came together counts as one bad answer at the most: a web server's page is one, not a dozen."""
        bad: wire.BadAnswerError | None = None
        for item in self._reader.feed(data):
            if isinstance(item, wire.BadAnswerError):
                bad = bad or item
            else:
                self._heard(item)
        if bad is not None:
            self._heard(bad)

    def _heard(self, item: Answer | wire.BadAnswerError) -> None:
        # What happens while a silent alarm is under way is not told: the booth would see that something is sent.
        current = self.dialer.current
        covert = current is not None and current.covert
        doubted = self.dialer.doubted
        if isinstance(item, wire.BadAnswerError):
            outcome = self.dialer.rubbish()
            self._bad_answer(str(item), covert=covert)
        else:
            outcome = self.dialer.answer(item, self._clock.now())
            if outcome.off_s:
                self._bad_answer(_off(outcome.off_s), covert=covert)
            elif item.word in (Word.NAK, Word.DUH):
                self._unwelcome(item.word)
            elif not covert:
                self._compare(item)
        if outcome.verdict is Verdict.TAKEN and outcome.report is current is not None:
            self._learn(doubted=doubted, covert=covert)
        self._obey(outcome, proves=not isinstance(item, Answer) or item.seal is not Seal.MISSING)

    def _bad_answer(self, what: str, *, covert: bool) -> None:
        self._complaint = self._blame = f"the receiver answered with {what}"
        if not covert:
            self._doorman.refuse(self._complaint, self._clock.now().mono_s)

    def _unwelcome(self, word: Word) -> None:
        self._blame = f"it answers {word}"
        if word is Word.NAK:
            self._complaint = (
                f"the receiver does not accept frames of account {self._caller.account} (NAK): it does not know "
                f"the account, or was given another key; check path.dc09.account, key_file and key_encoding"
            )

    def _compare(self, item: Answer) -> None:
        """Its clock is followed wherever it goes; where a time server sets ours, a person is told which is wrong."""
        now = self._clock.now()
        if item.seal is Seal.WHOLE and item.utc_s is not None and now.synced:
            off_s = item.utc_s - now.utc_s
            wrong = abs(off_s) > APART_S
            self._stand("clock", f"path {self._path}: the receiver's clock is {_apart(off_s)}; set it" if wrong else "")

    def _learn(self, *, doubted: bool, covert: bool) -> None:
        """A doubted frame goes out bare: the receiver may not take extended data."""
        now_s = self._clock.now().mono_s
        if not doubted:
            self._bareness.taken_whole(now_s)
        elif self._bareness.taken_bare(now_s) and not covert:
            log.warning("path %s: the receiver takes no extended data: no position, name or link is sent", self._path)

    def _obey(self, outcome: Outcome, *, proves: bool) -> None:
        match outcome.verdict:
            case Verdict.TAKEN:
                self._alive()
                if outcome.report is not None:
                    self._taken(outcome.report)
                if outcome.refused is not None:
                    self._not_taken(outcome.refused, f"three tries, {self._blame}", for_good=False)
            case Verdict.UNKNOWN:
                if proves:
                    self._alive()
                if outcome.report is not None:
                    self._unknown(outcome.report)
            case Verdict.AGAIN | Verdict.STRAY:
                pass
            case _:
                assert_never(outcome.verdict)

    def _alive(self) -> None:
        self._complaint = ""
        self._post(Echo(self._path, self.receiver))
        self._tell_up()

    def _taken(self, report: Report) -> None:
        if report.cls is not ReportClass.ALARM:
            if self._backlog is not None:
                self._backlog.done((report.id,))
            self._complain(changed=self._refusals.taken(report))
            return
        self._post(Receipt(self.receiver, report.id, Step.RECEIVED, "", self._path))
        if self._refusing and not report.covert:  # what a silent alarm brought must change nothing that shows
            self._refusing = False
            self._post(TroubleOver(f"path {self._path} receiver"))

    def _unknown(self, report: Report) -> None:
        """Sending it again at once would change nothing; the other paths carry it, and a person has to know."""
        if report.cls is not ReportClass.ALARM:
            self._not_taken(report, "it has no use for it (DUH)", for_good=True)
            return
        what = "this report" if report.covert else f"code {report.code}"
        why = f"path {self._path}: the receiver has no use for {what} (DUH): try the other path.dc09.protocol"
        self._refusing = True
        self._post(Refused(self._path, report.id, 0, why))

    def _not_taken(self, report: Report, why: str, *, for_good: bool) -> None:
        """The receiver is there and does not take this fault or status: the next path carries it."""
        if self._backlog is not None:
            self._backlog.pass_on(report.id, for_good=for_good)
        self._complain(changed=self._refusals.refused(report, why, self._clock.now().mono_s))

    def _complain(self, *, changed: bool) -> None:
        if changed:
            self._stand("reports", self._refusals.text)

    # ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        self._complain(changed=self._refusals.settle(self._clock.now().mono_s))
        if self._backlog is not None:
            hungry = self.dialer.appetite()
            if hungry:
                self.dialer.feed(self._backlog.take(hungry, leads=self._leads))
        now = self._clock.now()
        call = self.dialer.pull(now.mono_s)
        if call is None:
            return
        if call.report is None:
            self._post(Beat(self._path))
        bare = self.dialer.doubted or self._bareness.wanted(now.mono_s)
        message = self._teller.tell(call, now.mono_s, self.dialer.stamp(now), bare=bare)
        self._line.send(wire.encode(message, self._caller, self._cipher, self._pad))


def _off(off_s: float) -> str:
    return f"an acknowledgement of a time {_apart(off_s)}: it is a recording, or one of both clocks is wrong"


def _apart(off_s: float) -> str:
    """Coarse, so that it is the same sentence the next time: a new one is told anew."""
    unit, seconds = next((unit for unit in UNITS if abs(off_s) >= 2 * unit[1]), UNITS[-1])
    count = round(abs(off_s) / seconds)
    return f"{count} {unit} ahead of this panel's" if off_s > 0 else f"{count} {unit} behind this panel's"
