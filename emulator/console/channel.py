"""What a console is to everybody above it: a transcript to read and a way to write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from emulator.clock import Deadline
from emulator.console.transcript import Transcript
from emulator.errors import ControlError, SpecError


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


QUIET_BEFORE_BREAK_S = 0.05
"""A BREAK within 2 ms of a typed byte is lost, from 10 ms on it is safe."""
BREAK_TO_KEY_S = 0.03
"""Time for the guest to take the BREAK's interrupt; a key in the same FIFO would be typed instead."""
_LOOK_EVERY_S = 0.005

Write = Callable[[bytes, Deadline], None]


class SerialLine(Protocol):
    """A console, as far as a system request needs it; `emulator.console.pump.Console` is one."""

    @property
    def transcript(self) -> Transcript:
        """All that came and went."""
        ...

    @property
    def unread(self) -> int:
        """How many typed bytes the guest's UART has not taken yet, as far as this host can know."""
        ...

    def held(self) -> AbstractContextManager[Write]:
        """Keep back what others type, for the time of the `with`; gives what writes nevertheless."""
        ...


def require_key(key: object) -> str:
    """Return `key` if it can be one of a system request.

    Raises:
        SpecError: it is not one printable ASCII character.
    """
    if not isinstance(key, str) or len(key) != 1 or not key.isascii() or not key.isprintable():
        raise SpecError(f"sysrq key {key!r}: need one printable ASCII character")
    return key


def make_system_request(
    line: SerialLine, key: str, deadline: Deadline, *, send_break: Callable[[Deadline], None]
) -> None:
    """Send the request; what the guest makes of it is for others to see. Takes 30 to 90 ms besides the BREAK.

    What others type meanwhile comes after the key: a byte between BREAK and key would be the key.

    Raises:
        SpecError: `key` is not one printable ASCII character.
        ControlError: the guest does not read what was typed before.
        ConsoleClosed, DeadlineExceeded: the key was not taken.
        StateError, LabError: `send_break` failed.
    """
    require_key(key)
    with line.held() as write:
        _let_line_rest(line, deadline)
        send_break(deadline)
        deadline.clock.sleep(BREAK_TO_KEY_S)
        write(key.encode(), deadline)


def _let_line_rest(line: SerialLine, deadline: Deadline) -> None:
    """Wait until all typed bytes were read, and the last one is QUIET_BEFORE_BREAK_S old.

    A BREAK would overtake bytes that wait on the way, and the first of them would be the key.
    """
    quiet_since = -QUIET_BEFORE_BREAK_S
    while True:
        waiting, now = line.unread, line.transcript.now()
        typed = line.transcript.typed
        if waiting or typed:
            quiet_since = max(quiet_since, now if waiting else typed[-1].at)
        rest = round(quiet_since + QUIET_BEFORE_BREAK_S - now, 6)  # as exact as the transcript's clock
        if rest <= 0:
            return
        if waiting and deadline.expired():
            raise ControlError(f"the guest does not read its console: {waiting} typed bytes wait")
        line.transcript.clock.sleep(min(rest, _LOOK_EVERY_S))
