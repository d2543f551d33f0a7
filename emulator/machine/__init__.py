"""One QEMU process: from a spec to an argv to a running machine and back to nothing.

Names are loaded when first used: a command that only asks for a spec must not pay for asyncio and QMP.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.machine.boots import boot_starts
    from emulator.machine.capability import Capability, capabilities
    from emulator.machine.control import Control
    from emulator.machine.garbage import Collected, collect_garbage
    from emulator.machine.ledger import Entry, Ledger, list_machines
    from emulator.machine.machine import Machine, open_machine
    from emulator.machine.power import MachineState
    from emulator.machine.process import Exit
    from emulator.machine.spec import Accelerator, Device, Disk, Firmware, MachineSpec, MachineType

__all__ = [
    "Accelerator",
    "Capability",
    "Collected",
    "Control",
    "Device",
    "Disk",
    "Entry",
    "Exit",
    "Firmware",
    "Ledger",
    "Machine",
    "MachineSpec",
    "MachineState",
    "MachineType",
    "boot_starts",
    "capabilities",
    "collect_garbage",
    "list_machines",
    "open_machine",
]

_HOMES = {
    "boots": ("boot_starts",),
    "capability": ("Capability", "capabilities"),
    "control": ("Control",),
    "garbage": ("Collected", "collect_garbage"),
    "ledger": ("Entry", "Ledger", "list_machines"),
    "machine": ("Machine", "open_machine"),
    "power": ("MachineState",),
    "process": ("Exit",),
    "spec": ("Accelerator", "Device", "Disk", "Firmware", "MachineSpec", "MachineType"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
