"""Which scenario can run on which machine and image, from facts that are known beforehand; pure."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.machine.capability import Capability
from emulator.machine.spec import Device, Firmware, MachineType
from harness.cell import Cell
from harness.scenario import Scenario

_EVERY_MACHINE = frozenset(
    {
        Capability.NMI,
        Capability.SERIAL_BREAK,
        Capability.KEYBOARD,
        Capability.RESET,
        Capability.POWER_BUTTON,
        Capability.POWER_CYCLE,
        Capability.BULK_CONSOLE,
    }
)

CAPABILITIES: Mapping[MachineType, frozenset[Capability]] = {
    MachineType.PC: _EVERY_MACHINE | {Capability.WATCHDOG, Capability.PANIC_EVENT},
    MachineType.Q35: _EVERY_MACHINE | {Capability.WATCHDOG, Capability.PANIC_EVENT},
    MachineType.MICROVM: _EVERY_MACHINE - {Capability.KEYBOARD},
}
"""What QEMU 7.2 can do to each board, once it has the parts that a scenario asks for."""

_DEVICE_NEEDS = {Device.I6300ESB: Capability.WATCHDOG, Device.PVPANIC: Capability.PANIC_EVENT}


def misfit(cell: Cell, scenario: Scenario, features: frozenset[str]) -> str | None:
    """Return why `cell` can't be, or None if it can.

    Args:
        cell: the cell.
        scenario: the scenario that it names.
        features: what its image offers ("i6300esb", "spin").
    """
    if cell.machine is MachineType.MICROVM and cell.firmware is Firmware.OVMF:
        return "microvm has no flash for OVMF"
    if cell.vcpus < scenario.min_vcpus:
        return f"{scenario.name} takes {scenario.min_vcpus} vCPUs, the cell has {cell.vcpus}"
    wanted = scenario.needs | {_DEVICE_NEEDS[device] for device in scenario.devices}
    missing = wanted - CAPABILITIES[cell.machine]
    if missing:
        return f"{cell.machine} can't do {', '.join(sorted(missing))}"
    absent = scenario.modules - features
    if absent:
        return f"the kernel of {cell.image} has no {', '.join(sorted(absent))}"
    return None
