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
