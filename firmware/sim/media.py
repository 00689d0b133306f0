"""The media child without a process: the real engine, spool and uploader, with simulated devices, in virtual time.

The panel's end is the real `MediaLink`; what lies between is the lines that cross the socket on a board.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.adapters.media_link import MediaLink
from firmware.core.effects import Capture
from firmware.core.facts import EvidenceFile, EvidenceSealed, Trouble, TroubleOver
from firmware.media import control
from firmware.media.child import BEAT_S, IDLE_S
from firmware.media.codecs import FfmpegCodecs
from firmware.media.control import Beat, CaptureAgain, Lines
from firmware.media.engine import MediaEngine
from firmware.media.ledger import Ledger
from firmware.media.orders import Scan
from firmware.media.outlet import CountingSpool, Outlet
from firmware.media.spec import MediaSpec
from firmware.media.uploader import Uploader
from firmware.sim.booths import key_of
from firmware.sim.crew import InlineCrew
from firmware.sim.devices import SimCamera, SimMicrophone
from firmware.sim.network import SimPipe

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from firmware.adapters.pipe import Letter
    from firmware.config import Config
    from firmware.core.effects import Seal
    from firmware.core.facts import Fact
    from firmware.media.items import Found
    from firmware.sim.clock import BoardClock
    from firmware.sim.events import Log
    from firmware.sim.network import Broker

EAGER_S = 0.04
"""How often sources are read while an incident runs; at rest as seldom as on a board."""
LOAD_S = 0.4
"""A child's first word comes this long after its birth: Python and FFmpeg are loaded."""
TURNS_MAX = 2000


class SimMediaPort(SimPipe):
    """The media child's connection: the path's broker, under another client identity."""

    def connect(self, subscribe: tuple[str, ...], *, hurried: bool) -> float:
        """See `MediaPort.connect`."""
        return self.open(subscribe, None, hurried=hurried)

    def publish_live(self, letter: Letter) -> None:
        """See `MediaPort.publish_live`."""
        if self._connection is not None:
            self._broker.publish_live(self._connection, letter)


class SimMediaLink(MediaLink):
    """The real link; in virtual time it is woken by what its child says as a descriptor would wake it."""

    def tick(self) -> None:
        """See `MediaLink.tick`; what the child said is taken before, as `wait` does on a board."""
        if self._child is not None:
            self._hear()
            self._flush()
        super().tick()

    def next_deadline(self) -> float:
        """See `MediaLink.next_deadline`."""
        child = self.child
        if isinstance(child, InlineChild) and child.speaks:
            return self._clock.now().mono_s
        return super().next_deadline()


class SimMedia:
    """Devices of sound and picture, and the child that records them.

    Args:
        config: The panel's.
        clock: The panel's.
        log: What happened.
        broker: Where evidence goes.
        random: For the pauses between connections.
        defect: Told of every exception.

    Synchronization: one thread.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: BoardClock,
        log: Log,
        broker: Broker,
        random: random.Random,
        defect: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.broker = broker
        self.random = random
        self.defect = defect
        self.cameras = dict.fromkeys(config.camera, "back")
        self.microphone = "back"
        self._config = config
        self._log = log
        self._child: InlineChild | None = None

    def make(self, epoch: int, post: Callable[[Fact], None]) -> tuple[SimMediaLink, None]:
        """The link to a new child, for `Parts.media`."""

        def tell(fact: Fact) -> None:
            self._tell(fact)
            post(fact)

        return SimMediaLink(MediaSpec.of(self._config, epoch), clock=self.clock, post=tell, spawn=self._spawn), None

    def set_camera(self, name: str, state: str) -> None:
        """A camera is lost, frozen or back."""
        self.cameras[name] = state
        if self._child is not None:
            self._child.apply_faults()

    def set_microphone(self, state: str) -> None:
        """The microphone is lost, frozen or back."""
        self.microphone = state
        if self._child is not None:
            self._child.apply_faults()

    def kill_child(self) -> None:
        """SIGKILL for the child alone; the link notices."""
        if self._child is not None:
            self._log.add("child", "media child killed")
            self._child.die(quietly=False)

    def heal(self) -> None:
        """All devices are there."""
        for name in self.cameras:
            self.set_camera(name, "back")
        self.set_microphone("back")

    def die(self, *, quietly: bool) -> None:
        """The child ends with the panel, as by the kernel's signal or the loss of power."""
        if self._child is not None:
            self._child.die(quietly=quietly)
            self._child = None

    def step(self) -> bool:
        """Do what is due; whether anything was."""
        return self._child is not None and self._child.step()

    def next_s(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        return math.inf if self._child is None else self._child.next_s()

    def _spawn(self) -> InlineChild:
        self._log.add("child", "media child born")
        self._child = InlineChild(self)
        return self._child

    def _tell(self, fact: Fact) -> None:
        match fact:
            case EvidenceFile():
                text = f"{fact.kind} {fact.name} ({fact.size} bytes)"
                self._log.add("evidence", text, kind=fact.kind, of=fact.source)
            case EvidenceSealed():
                text = f"{fact.files} files of {fact.incident}, {'' if fact.complete else 'in'}complete"
                self._log.add("sealed", text, complete=fact.complete)
            case _:
                pass


class InlineChild:
    """One media child; see `firmware.media.child.Child`, whose parts it steps by hand.

    Args:
        media: Its devices and its broker.

    Synchronization: one thread.
    """

    def __init__(self, media: SimMedia) -> None:
        self._media = media
        self._clock = media.clock
        self._lines = Lines()
        self._orders: list[control.Order] = []
        self._out = bytearray()
        self._dead = False
        self._ledger = Ledger(self._post, knows_all=False)
        self._outlet = Outlet(self._ledger.of("outlet"))
        self._crew = InlineCrew(media.clock, self._post, media.defect)
        self._engine: MediaEngine | None = None
        self._port: SimMediaPort | None = None
        self._spool: CountingSpool | None = None
        self._cameras: dict[str, SimCamera] = {}
        self._microphone: SimMicrophone | None = None
        self._found: list[Found] = []
        self._known = False
        self._waiting: list[Capture | CaptureAgain | Seal] = []
        self._loaded_s = self._beat_s = self._look_s = self._clock.now().mono_s + LOAD_S

    # ── as the panel sees it ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def speaks(self) -> bool:
        """Whether the panel has something to read: words, or that the child is gone."""
        return bool(self._out) or self._dead

    def fileno(self) -> int:
        """Nobody waits in virtual time."""
        raise NotImplementedError

    def send(self, data: bytes) -> int:
        """See `ChildProcess.send`."""
        if self._dead:
            raise BrokenPipeError
        self._orders += [control.decode_order(line) for line in self._lines.feed(data)]
        return len(data)

    def receive(self) -> bytes | None:
        """See `ChildProcess.receive`."""
        if self._out:
            data = bytes(self._out)
            self._out.clear()
            return data
        return b"" if self._dead else None

    def kill(self) -> str:
        """See `ChildProcess.kill`."""
        self.die(quietly=False)
        return "it was killed"

    def finish(self, timeout_s: float) -> None:
        """See `ChildProcess.finish`."""
        del timeout_s  # it takes none
        if self._engine is not None and not self._dead:
            self._engine.close()
            self._crew.stop()
        self.die(quietly=False)

    # ── life and death ─────────────────────────────────────────────────────────────────────────────────────────────

    def die(self, *, quietly: bool) -> None:
        """SIGKILL; the kernel closes its files and, unless it died too (`quietly`), its connection."""
        if self._dead:
            return
        self._dead = True
        if self._spool is not None:
            self._spool.close()
        if self._port is not None:
            self._port.die(quietly=quietly)

    def apply_faults(self) -> None:
        """Bring the devices in line with the world."""
        for name, camera in self._cameras.items():
            camera.set(self._media.cameras[name])
        if self._microphone is not None:
            self._microphone.set(self._media.microphone)

    def step(self) -> bool:
        """Do what is due; whether anything was."""
        now_s = self._clock.now().mono_s
        if self._dead or now_s < self.next_s():
            return False
        orders, self._orders = self._orders, []
        for order in orders:
            self._obey(order)
        if self._engine is None:
            return False
        self._crew.touch()
        self._crew.step()
        while self._found:
            self._begin(self._engine, self._found.pop())
        if now_s >= self._look_s:
            self._look(self._engine, now_s)
        self._drive(self._engine, now_s)
        if now_s >= self._beat_s:
            self._beat_s = now_s + BEAT_S
            if not self._out:
                self._out += control.encode_word(Beat())
        self._crew.touch()
        return True

    def next_s(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        if self._dead:
            return math.inf
        if self._engine is None or self._orders:
            return max(self._loaded_s, self._clock.now().mono_s) if self._orders else math.inf
        self._crew.touch()
        return min(self._beat_s, self._look_s, self._engine.next_deadline(), self._crew.next_s())

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, engine: MediaEngine, now_s: float) -> None:
        self._look_s = now_s + (EAGER_S if engine.capturing else IDLE_S)
        sources = self._ledger.of("sources")
        for camera in self._cameras.values():
            camera.step(engine, sources)
        if self._microphone is not None:
            self._microphone.step(engine, sources)

    def _drive(self, engine: MediaEngine, now_s: float) -> None:
        turns = 0
        while engine.next_deadline() <= now_s:
            engine.tick()
            turns += 1
            if turns > TURNS_MAX:
                self._media.defect("the media engine wants to be woken at the same moment for ever")
                return

    def _obey(self, order: control.Order) -> None:
        if isinstance(order, MediaSpec):
            self._set_up(order)
        elif self._engine is None or not self._known:
            self._waiting.append(order)
        elif isinstance(order, CaptureAgain):
            self._engine.capture(order.order, again=True)
        elif isinstance(order, Capture):
            self._engine.capture(order)
        else:
            self._engine.seal(order.incident)

    def _begin(self, engine: MediaEngine, found: Found) -> None:
        engine.know(found.taken, found.sealed)
        self._known = True
        waiting, self._waiting = self._waiting, []
        for order in waiting:
            self._obey(order)

    def _post(self, fact: Fact) -> None:
        if isinstance(fact, (EvidenceFile, EvidenceSealed, Trouble, TroubleOver)):
            self._out += control.encode_word(fact)

    def _set_up(self, spec: MediaSpec) -> None:
        key = key_of("panel")
        self._port = SimMediaPort(spec.path, self._media.broker, self._clock)
        uploader = Uploader(
            spec.panel,
            self._port,
            {receiver.name: key_of(receiver.name) for receiver in spec.receivers},
            key=key,
            clock=self._clock,
            post=self._ledger.of("uploader"),
            confirm=self._outlet.confirm,
            random=self._media.random.random,
        )
        upload = self._crew.take_on(uploader)
        self._spool = CountingSpool(
            spec.spool,
            spec.panel,
            frozenset(receiver.name for receiver in spec.receivers),
            spec.media.quota_mib * 2**20,
            key=key,
            clock=self._clock,
            post=self._ledger.of("spool"),
            offer=upload.put,
            found=self._found.append,
        )
        self._spool.outlet = self._outlet
        self._outlet.spool = self._crew.take_on(self._spool)  # type: ignore[assignment]  # it takes orders alike
        self._outlet.uploader = upload  # type: ignore[assignment]
        self._engine = MediaEngine(
            tuple(camera.name for camera in spec.cameras),
            None if spec.microphone is None else spec.microphone.rate_hz,
            spec.media,
            epoch=spec.epoch,
            clock=self._clock,
            codecs=FfmpegCodecs(),
            sink=self._outlet,
            post=self._ledger.of("engine"),
        )
        self._outlet.keep(Scan())
        self._crew.start()
        self._cameras = {camera.name: SimCamera(camera, self._clock) for camera in spec.cameras}
        if spec.microphone is not None:
            self._microphone = SimMicrophone(spec.microphone.rate_hz, self._clock)
        self.apply_faults()
