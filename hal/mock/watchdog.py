"""A supervisor that only takes notes."""

from __future__ import annotations


class MockWatchdog:
    """Keeps what it was told.

    Attributes:
        messages: In sd_notify's words: "READY=1", "STATUS=…", "STOPPING=1"; pets are only counted.
        pets: How often the owner loop reported.

    Synchronization: any thread.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.pets = 0
        self._closed = False

    def ready(self) -> None:
        """Tell that the inputs are armed."""
        self._note("READY=1")

    def pet(self) -> None:
        """Tell that the owner loop still decides."""
        if not self._closed:
            self.pets += 1

    def status(self, text: str) -> None:
        """One line for a person; line ends become blanks."""
        self._note("STATUS=" + " ".join(text.split()))

    def close(self) -> None:
        """Tell that the stop is intended."""
        self._note("STOPPING=1")
        self._closed = True

    def _note(self, message: str) -> None:
        if not self._closed:
            self.messages.append(message)
