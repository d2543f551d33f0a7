"""A magic system request on a serial line, safely (docs/facts/qemu.md 4, docs/facts/hardware.md 3).

What was typed before is sent and read; the line rests for 50 ms; then BREAK, a pause, and the key.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from emulator.clock import Deadline
from emulator.console.transcript import Transcript
from emulator.errors import ControlError, SpecError

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
