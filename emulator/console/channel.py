"""What a console is to everything above it: a transcript, a way to write, and system requests on its line.

A magic system request (docs/facts/qemu.md 4, docs/facts/hardware.md 3) waits until all typed bytes were sent
and read and the line has rested for 50 ms; then come BREAK, a pause, and the key.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from emulator.clock import Deadline
from emulator.console.transcript import Transcript
from emulator.errors import ControlError, SpecError


class Channel(Protocol):
    """A live console: QEMU's ttyS0, a serial port, a link of the service.

    It always reads, even when nobody listens; the transcript is the only way to see what came.
    """

    @property
    def transcript(self) -> Transcript:
        """All bytes both ways."""

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Hand all of `data` to the far end and note it in the transcript.

        Raises:
            ConsoleClosed: the far end is gone; the text says how many bytes were handed over.
            DeadlineExceeded: the far end took no more (a stopped QEMU); the text says the same.
        """


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
        """Return how many bytes can be read now."""
        return len(self.transcript) - max(self.position, self.transcript.first)

    def read(self, size: int = 65536) -> bytes:
        """Return up to `size` bytes that are there already, or b"".

        A transcript that keeps only its end (`Transcript.keep`) moves a late reader to its oldest byte, which
        `position` shows.
        """
        self.position = max(self.position, self.transcript.first)
        data = self.transcript.read(self.position, self.position + size)
        self.position += len(data)
        return data


QUIET_BEFORE_BREAK_S = 0.05
"""A BREAK within 2 ms of a typed byte is lost; after 10 ms it is safe."""
BREAK_TO_KEY_S = 0.03
"""Time for the guest to handle the BREAK's interrupt; a key in the same FIFO would just be typed."""
_LOOK_EVERY_S = 0.005

Write = Callable[[bytes, Deadline], None]


class SerialLine(Protocol):
    """What a system request needs of a console; `emulator.console.pump.Console` has it."""

    @property
    def transcript(self) -> Transcript:
        """All bytes both ways."""

    @property
    def unread(self) -> int:
        """How many typed bytes the guest's UART has not taken yet, as far as the host can tell."""

    def held(self) -> AbstractContextManager[Write]:
        """Hold back what others type during the `with`; gives a function that writes all the same."""


def require_key(key: object) -> str:
    """Return `key` if it is one printable ASCII character, as SysRq needs; else raises SpecError."""
    if not isinstance(key, str) or len(key) != 1 or not key.isascii() or not key.isprintable():
        raise SpecError(f"sysrq key {key!r}: need one printable ASCII character")
    return key


def make_system_request(
    line: SerialLine, key: str, deadline: Deadline, *, send_break: Callable[[Deadline], None]
) -> None:
    """Send the request, whose effect others observe; takes 30 to 90 ms besides the BREAK.

    What others type meanwhile follows the key: a byte between BREAK and key would be taken for the key.

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
    """Wait until all typed bytes were read and the last one is QUIET_BEFORE_BREAK_S old.

    A BREAK would overtake bytes that wait on the way, and the first of them would be taken for the key.
    """
    quiet_since = -QUIET_BEFORE_BREAK_S
    while True:
        waiting, now = line.unread, line.transcript.now()
        typed = line.transcript.typed
        if waiting or typed:
            quiet_since = max(quiet_since, now if waiting else typed[-1].at)
        rest = round(quiet_since + QUIET_BEFORE_BREAK_S - now, 6)  # no finer than the transcript's clock
        if rest <= 0:
            return
        if waiting and deadline.expired():
            raise ControlError(f"the guest does not read its console: {waiting} typed bytes wait")
        line.transcript.clock.sleep(min(rest, _LOOK_EVERY_S))
