"""What an uplink asks of the thing that moves its bytes: a pipe that forgets everything with each connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from firmware.core.retry import STEP_S


class PipeError(OSError):
    """A connection cannot be made; the message is for the technician: what, where, what to do."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One publication, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The broker took the session; what it says to the subscriptions follows."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The broker took the connection and answered for every subscription.

    Attributes:
        receive_maximum: Unanswered publications that the broker allows.
        complaint: Why a subscription was refused, or "": such a connection carries reports away and nothing back.
        notice: What is out of order with the broker's certificate though the connection stands, or "".
        lookup: What is out of order with the name server though the connection stands, or "".
    """

    receive_maximum: int
    complaint: str = ""
    notice: str = ""
    lookup: str = ""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker answered for the subscriptions that it was asked for again.

    Attributes:
        complaint: Why one was refused once more, or "".
    """

    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker answered for a publication.

    Attributes:
        token: The publication's.
        reason: MQTT 5 reason code; always 0 with 3.1.1.
        why: The reason in words, "" for success.
    """

    token: int
    reason: int
    why: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A publication for us.

    Attributes:
        topic: Where it was published.
        payload: Empty when there is a `why`.
        why: "" or why it must not be read.
    """

    topic: str
    payload: bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or was refused; the pipe is closed.

    Attributes:
        closed: Whether the far end itself ended it, and so was alive until now.
    """

    why: str
    closed: bool = False


PipeEvent = Welcomed | Ready | Subscribed | Answered | Incoming | Lost


class Pipe(Protocol):
    """One connection at a time to one broker.

    Synchronization: one thread.
    """

    def open(
        self, subscribe: tuple[str, ...], will: Letter | None, *, hurried: bool = False, step_s: float = STEP_S
    ) -> float:
        """Begin a new connection, closing the one before; `Ready` or `Lost` follows.

        May block for some seconds (name, TCP, TLS).

        Args:
            subscribe: Topic filters.
            will: What the broker publishes when the connection breaks; None for a connection that nobody misses.
            hurried: Whether an alarm waits for it.
            step_s: How long TLS may take, unless TCP was slow too.

        Returns:
            How long the broker took for the slower of TCP and TLS, in seconds: what a step takes on this link.

        Raises:
            PipeError: No connection; nothing follows.
        """
        ...

    def ask(self) -> None:
        """Ask once more for the subscriptions that were refused; `Subscribed` or `Lost` follows, if there are any."""
        ...

    def publish(self, token: int, letter: Letter, *, more: bool = False) -> None:
        """Write a publication out; never blocks or raises: a dead connection is told by `Lost`.

        Args:
            token: Names it in the answer.
            letter: What is published.
            more: The next call is another `publish`, and this one may wait for it: they travel together.
        """
        ...

    def drive(self) -> list[PipeEvent]:
        """Do what the sockets and timers of the connection ask for, and return what came of it."""
        ...

    def next_deadline(self) -> float:
        """Monotonic seconds at which `drive` is wanted even if `wait` saw nothing; infinite when closed."""
        ...

    def wait(self, fd: int, timeout_s: float) -> None:
        """Wait until `fd` or the connection is readable, or the time is over."""
        ...

    def close(self, *, orderly: bool = False) -> None:
        """End the connection; idempotent, no event follows.

        Args:
            orderly: Say goodbye, so that the broker drops the will; without it the broker publishes it.
        """
        ...
