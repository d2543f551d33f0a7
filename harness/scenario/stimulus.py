"""What can be injected into a guest; pure values, which `harness.play.runner.inject` carries out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from emulator.console.channel import require_key
from emulator.machine.control import Capability


class Via(StrEnum):
    """Ways to make a system request."""

    BREAK = "break"  # BREAK and a key on the serial line
    KEYBOARD = "keyboard"  # Alt + SysRq + key on the machine's keyboard
    PROC = "proc"  # typed into a root shell: echo KEY > /proc/sysrq-trigger


_VIA_NEEDS = {
    Via.BREAK: frozenset({Capability.SERIAL_BREAK}),
    Via.KEYBOARD: frozenset({Capability.KEYBOARD}),
    Via.PROC: frozenset[Capability](),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nmi:
    """A non-maskable interrupt on every CPU, as Azure's NMI button gives."""

    @property
    def name(self) -> str:
        """Short name for marks and reports."""
        return "nmi"

    @property
    def needs(self) -> frozenset[Capability]:
        """What the target must be able to do."""
        return frozenset({Capability.NMI})


@dataclass(frozen=True, slots=True, kw_only=True)
class SysRq:
    """A magic system request.

    Attributes:
        key: one printable ASCII character ("h", "9").
        via: how the request reaches the kernel.

    Raises:
        SpecError: `key` is not such a character.
    """

    key: str
    via: Via = Via.BREAK

    def __post_init__(self) -> None:
        """Refuse anything but a key."""
        require_key(self.key)

    @property
    def name(self) -> str:
        """Short name for marks and reports."""
        return f"sysrq-{self.key} by {self.via.value}"

    @property
    def needs(self) -> frozenset[Capability]:
        """What the target must be able to do."""
        return _VIA_NEEDS[self.via]


class Button(StrEnum):
    """What can be done by hand to a machine without a keyboard."""

    RESET = "reset"
    POWER_BUTTON = "power-button"
    POWER_OFF = "power-off"
    POWER_ON = "power-on"


_BUTTON_NEEDS = {
    Button.RESET: frozenset({Capability.RESET}),
    Button.POWER_BUTTON: frozenset({Capability.POWER_BUTTON}),
    Button.POWER_OFF: frozenset({Capability.POWER_CYCLE}),
    Button.POWER_ON: frozenset({Capability.POWER_CYCLE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Push the reset or power button, or cut or restore power."""

    button: Button

    @property
    def name(self) -> str:
        """Short name for marks and reports."""
        return self.button.value

    @property
    def needs(self) -> frozenset[Capability]:
        """What the target must be able to do."""
        return _BUTTON_NEEDS[self.button]


Stimulus: TypeAlias = Nmi | SysRq | Press
