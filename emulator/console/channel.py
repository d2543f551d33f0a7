"""What a console is to everybody above it: a transcript to read and a way to write."""

from __future__ import annotations

from typing import Protocol

from emulator.clock import Deadline
from emulator.console.transcript import Transcript


class Channel(Protocol):
    """A live console: QEMU's ttyS0, a serial port, a link of the service.

    Whoever implements it reads always, also when nobody listens; the transcript is the only way
    to see what came.
    """

    @property
    def transcript(self) -> Transcript:
        """All that came and went."""
        ...

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Hand `data` to the far end and note it in the transcript; returns once all of it is handed over.

        Raises:
            ConsoleClosed: the far end is gone; how many bytes were handed over is in the text.
            DeadlineExceeded: the far end took no more (a stopped QEMU); the same.
        """
        ...


class Cursor:
    """A position in a transcript that moves only when its owner reads.

    Attributes:
        transcript: what is read.
        position: offset of the next byte, in guest output.
    """

    def __init__(self, transcript: Transcript, *, position: int = 0) -> None:
        self.transcript = transcript
        self.position = position

    def available(self) -> int:
        """Return how many bytes can be read at once."""
        return len(self.transcript) - max(self.position, self.transcript.first)

    def read(self, size: int = 65536) -> bytes:
        """Return up to `size` bytes that are there already, b"" where none are.

        A transcript that keeps only its end (`Transcript.keep`) moves a reader who is too late to its
        oldest byte; `position` tells.
        """
        self.position = max(self.position, self.transcript.first)
        data = self.transcript.read(self.position, self.position + size)
        self.position += len(data)
        return data

    def read_wait(self, size: int, deadline: Deadline) -> bytes:
        """Return up to `size` bytes as soon as there is one; b"" at the deadline or at the end."""
        while True:
            version = self.transcript.version
            data = self.read(size)
            if data or self.transcript.closed is not None or deadline.expired():
                return data or self.read(size)
            self.transcript.wait_change(version, deadline)
