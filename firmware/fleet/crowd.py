"""Many booths and their receiver on one thread, over one epoll: a socket each."""

from __future__ import annotations

import contextlib
import heapq
import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.adapters.mqtt_pipe import MqttPipe
    from hal.ports import Clock

TURN_S = 0.5
"""The longest sleep, so that whoever runs the crowd can look at it."""


class Member(Protocol):
    """Who has a pipe and deadlines."""

    def step(self) -> None:
        """Do all that is due now."""
        ...

    def next_deadline(self) -> float:
        """Monotonic seconds of the next `step` that is wanted."""
        ...

    def close(self) -> None:
        """Say goodbye."""
        ...


class Crowd:
    """Steps everybody when a socket or a deadline asks for it.

    Args:
        clock: Both clocks.

    Synchronization: one thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._seats: list[tuple[Member, MqttPipe]] = []
        self._by_fd: dict[int, int] = {}
        self._due: list[tuple[float, int]] = []
        self._wake_s: list[float] = []
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def join(self, member: Member, pipe: MqttPipe) -> None:
        """Take somebody in, who is stepped from now on."""
        self._seats.append((member, pipe))
        self._wake_s.append(0.0)
        self._step(len(self._seats) - 1)

    def at(self, when_s: float, deed: Callable[[], None]) -> None:
        """Have something done at a monotonic time."""
        self._number += 1
        heapq.heappush(self._calls, (when_s, self._number, deed))

    def wake(self, member: Member) -> None:
        """Step somebody now, to whom something was done."""
        self._step(next(seat for seat, (found, _) in enumerate(self._seats) if found is member))

    def turn(self) -> None:
        """Wait for whatever comes first, at most `TURN_S`, and do what it asks for."""
        now_s = self._clock.now().mono_s
        until_s = min(self._due[0][0] if self._due else now_s + TURN_S, now_s + TURN_S)
        if self._calls:
            until_s = min(until_s, self._calls[0][0])
        for fd, _ in self._epoll.poll(max(0.0, until_s - now_s)):
            seat = self._by_fd.get(fd)
            if seat is not None:
                self._seats[seat][1].stir()
                self._step(seat)
        now_s = self._clock.now().mono_s
        while self._calls and self._calls[0][0] <= now_s:
            heapq.heappop(self._calls)[2]()
        while self._due and self._due[0][0] <= now_s:
            due_s, seat = heapq.heappop(self._due)
            if due_s == self._wake_s[seat]:
                self._step(seat)

    def close(self) -> None:
        """Everybody says goodbye."""
        for member, _ in self._seats:
            member.close()
        self._epoll.close()

    def _step(self, seat: int) -> None:
        member, pipe = self._seats[seat]
        member.step()
        self._watch(seat, pipe)
        # Never in the past: who is due at once waits until the sockets of the others have been looked at.
        wake_s = self._wake_s[seat] = max(member.next_deadline(), self._clock.now().mono_s)
        heapq.heappush(self._due, (wake_s, seat))

    def _watch(self, seat: int, pipe: MqttPipe) -> None:
        fd = pipe.fd
        if fd < 0:
            return
        self._by_fd[fd] = seat
        wanted = select.EPOLLIN | (select.EPOLLOUT if pipe.wants_write else 0)
        try:
            self._epoll.modify(fd, wanted)
        except FileNotFoundError:  # a closed socket leaves the set by itself, and a new one may have its number
            with contextlib.suppress(FileExistsError):
                self._epoll.register(fd, wanted)
