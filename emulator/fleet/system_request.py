"""A magic system request to a machine, by BREAK and key on its serial line, or on its keyboard."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import ControlError, SpecError
from emulator.machine.control import Capability
from emulator.machine.machine import Machine

QUIET_BEFORE_BREAK_S = 0.05
"""A BREAK within 2 ms of a typed byte is lost, from 10 ms on it is safe (docs/facts/qemu.md 4)."""
BREAK_TO_KEY_S = 0.03
"""Time for the guest to take the BREAK's interrupt; a key in the same FIFO would be typed instead."""
_LOOK_EVERY_S = 0.005


def require_key(key: str) -> str:
    """Return `key` if it can be one of a system request.

    Raises:
        SpecError: it is not one printable ASCII character.
    """
    if len(key) != 1 or not key.isascii() or not key.isprintable():
        raise SpecError(f"sysrq key is {key!r}; allowed: one printable ASCII character")
    return key


def make_system_request(machine: Machine, key: str, deadline: Deadline) -> None:
    """Send the request; what the guest makes of it is for others to see. Blocks for 30 to 90 ms.

    Nobody may type on the console meanwhile: a byte between BREAK and key would be the key.

    Raises:
        StateError: the machine is off.
        ControlError: QMP failed, or the guest does not read what was typed before.
        ConsoleClosed, DeadlineExceeded: the key was not taken.
    """
    if Capability.SERIAL_BREAK not in machine.capabilities:
        machine.press_keys(("alt", "sysrq", key.lower()), deadline)
        return
    _let_line_rest(machine, deadline)
    machine.send_break(deadline)
    deadline.clock.sleep(BREAK_TO_KEY_S)
    machine.console.write(key.encode(), deadline)


def has_read_all(machine: Machine) -> bool:
    """Tell whether the guest has taken all that was typed; a request in front of the rest would be lost."""
    return machine.console.unsent + _unread(machine.console.path) == 0


def _let_line_rest(machine: Machine, deadline: Deadline) -> None:
    """Wait until all typed bytes were read, and the last one is QUIET_BEFORE_BREAK_S old.

    QMP's BREAK would overtake bytes that wait in the pty, and the first of them would be the key.
    """
    typed = machine.transcript.typed
    busy_at = typed[-1].at if typed else -QUIET_BEFORE_BREAK_S
    while True:
        now = machine.transcript.now()
        if waiting := machine.console.unsent + _unread(machine.console.path):
            busy_at = now
        elif now - busy_at >= QUIET_BEFORE_BREAK_S:
            return
        if deadline.expired():
            raise ControlError(f"the guest does not read its console: {waiting} typed bytes wait")
        deadline.clock.sleep(_LOOK_EVERY_S)


def _unread(pty: Path) -> int:
    """Return how many bytes wait in a pty's slave for QEMU, which reads while the guest's FIFO has room."""
    slave = os.open(pty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"\0" * 4))
    finally:
        os.close(slave)
    return int(count)
