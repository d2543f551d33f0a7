from pathlib import Path

import pytest

from emulator.machine.control import Capability, capabilities, lacks
from emulator.machine.spec import Device, Firmware, MachineSpec, MachineType

KERNEL = Path("/k")
ANYWHERE = {"nmi", "serial_break", "keyboard", "reset", "power_cycle"}
WITH_ACPI = ANYWHERE | {"unknown_nmi", "power_button", "soft_off", "screen"}


def test_capabilities_of_a_bare_pc_and_q35():
    for machine in (MachineType.PC, MachineType.Q35):
        assert capabilities(MachineSpec(name="m", machine=machine)) == WITH_ACPI


def test_capabilities_of_a_microvm_are_fewer():
    assert capabilities(MachineSpec(name="m", machine=MachineType.MICROVM, kernel=KERNEL)) == ANYWHERE


@pytest.mark.parametrize("firmware", [Firmware.NONE, Firmware.AAVMF])
def test_capabilities_of_virt_have_no_nmi_and_a_power_button_with_uefi(firmware):
    spec = MachineSpec(name="m", machine=MachineType.VIRT, firmware=firmware, kernel=KERNEL)
    button = {"power_button"} if firmware is Firmware.AAVMF else set()
    assert capabilities(spec) == ANYWHERE - {"nmi"} | {"soft_off"} | button
    assert set(lacks(spec)) == {"nmi", "unknown_nmi", "screen"} | ({"power_button"} - button)


def test_capabilities_grow_with_the_parts():
    spec = MachineSpec(name="m", machine=MachineType.PC, devices=frozenset(Device), bulk_console=True)
    assert capabilities(spec) == set(Capability)
