from pathlib import Path

from emulator.machine.control import Capability, capabilities
from emulator.machine.spec import Device, MachineSpec, MachineType

KERNEL = Path("/k")
ANYWHERE = {"nmi", "serial_break", "keyboard", "reset", "power_cycle"}
WITH_ACPI = ANYWHERE | {"unknown_nmi", "power_button", "soft_off", "screen"}


def test_capabilities_of_a_bare_pc_and_q35():
    for machine in (MachineType.PC, MachineType.Q35):
        assert capabilities(MachineSpec(name="m", machine=machine)) == WITH_ACPI


def test_capabilities_of_a_microvm_are_fewer():
    assert capabilities(MachineSpec(name="m", machine=MachineType.MICROVM, kernel=KERNEL)) == ANYWHERE


def test_capabilities_grow_with_the_parts():
    spec = MachineSpec(name="m", machine=MachineType.PC, devices=frozenset(Device), bulk_console=True)
    assert capabilities(spec) == set(Capability)
