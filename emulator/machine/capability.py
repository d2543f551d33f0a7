"""What can be done to a machine, told from its spec alone.

Each line was seen on a guest (kernel 6.1, QEMU 7.2, TCG) on pc, q35 with OVMF, and microvm.
"""

from __future__ import annotations

from enum import StrEnum

from emulator.machine.spec import Device, MachineSpec, MachineType


class Capability(StrEnum):
    """One thing that can be done to, or seen of, a machine."""

    NMI = "nmi"
    """`inject-nmi` reaches the guest."""
    UNKNOWN_NMI = "unknown_nmi"
    """Linux calls an injected NMI unknown. microvm has no port 0x61: Linux reads ff there, says "PCI
    system error (SERR)", and heeds panic_on_unrecovered_nmi but not unknown_nmi_panic."""
    SERIAL_BREAK = "serial_break"
    """`chardev-send-break` reaches the guest's ttyS0."""
    KEYBOARD = "keyboard"
    """`send-key` reaches the guest, so its SysRq too."""
    RESET = "reset"
    """`system_reset` starts the firmware again."""
    POWER_CYCLE = "power_cycle"
    """The machine can be switched off by force and on again."""
    POWER_BUTTON = "power_button"
    """`system_powerdown` reaches the guest."""
    SOFT_OFF = "soft_off"
    """The guest can switch itself off; without it Linux ends in "System halted" and QEMU stays."""
    SCREEN = "screen"
    """`screendump` gives a picture."""
    WATCHDOG = "watchdog"
    """The guest can arm a watchdog whose expiry is a QMP event."""
    PANIC_EVENT = "panic_event"
    """A panic of the guest is a QMP event."""
    BULK_CONSOLE = "bulk_console"
    """The guest has a virtio port for bulk output."""


_EVERY_BOARD = frozenset(
    {
        Capability.NMI,
        Capability.SERIAL_BREAK,
        Capability.KEYBOARD,
        Capability.RESET,
        Capability.POWER_CYCLE,
    }
)
_BOARDS_WITH_ACPI = frozenset(
    {Capability.UNKNOWN_NMI, Capability.POWER_BUTTON, Capability.SOFT_OFF, Capability.SCREEN}
)


def capabilities(spec: MachineSpec) -> frozenset[Capability]:
    """Return what can be done to a machine of this spec; the guest may still ignore it."""
    optional = {
        Capability.WATCHDOG: Device.I6300ESB in spec.devices,
        Capability.PANIC_EVENT: Device.PVPANIC in spec.devices,
        Capability.BULK_CONSOLE: spec.bulk_console,
    }
    board = frozenset() if spec.machine is MachineType.MICROVM else _BOARDS_WITH_ACPI
    return _EVERY_BOARD | board | {name for name, present in optional.items() if present}
