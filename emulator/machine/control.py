"""What stands beside a console and can do things to the machine: the words that targets share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from emulator.clock import Deadline
from emulator.machine.capability import Capability


class Control(Protocol):
    """What stands beside a console and can do things to the machine.

    Every call returns when the far end has accepted it, which proves nothing about its effect
    (design.md, fact 8). Every call may raise ControlError, and StateError where the capability
    is not in `capabilities`.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this target can do."""
        ...

    def nmi(self, deadline: Deadline) -> None:
        """Raise a non-maskable interrupt."""
        ...

    def send_break(self, deadline: Deadline) -> None:
        """Hold the serial line in BREAK once."""
        ...

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        """Press keys together on the machine's keyboard, in QEMU's qcode names ("alt", "sysrq", "h")."""
        ...

    def reset(self, deadline: Deadline) -> None:
        """Push the reset button."""
        ...

    def power_button(self, deadline: Deadline) -> None:
        """Push the power button: a request to the guest (ACPI)."""
        ...

    def power_off(self, deadline: Deadline) -> None:
        """Cut the power; the machine is off when this returns."""
        ...

    def power_on(self, deadline: Deadline) -> None:
        """Give power to a machine that is off; the console stays the same."""
        ...


@runtime_checkable
class SystemRequestControl(Control, Protocol):
    """A control whose far end makes a whole system request by itself: BREAK, pauses, key.

    Its SERIAL_BREAK is this: a BREAK without a key can't be had.
    """

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a magic system request with one key over the serial line."""
        ...
