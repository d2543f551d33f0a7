"""From a cell to the machine that plays it; pure, so a reproduction gets the same machine."""

from __future__ import annotations

import zlib
from dataclasses import replace

from emulator.images import Image
from emulator.machine.linux_boot import linux_spec
from emulator.machine.spec import MachineSpec
from harness.cells.cell import Cell
from harness.scenario import Scenario


def guest_spec(cell: Cell, scenario: Scenario, image: Image) -> MachineSpec:
    """Return the machine of `cell`; the seed follows from the cell's id.

    Raises:
        SpecError: there is no such machine.
    """
    plain = linux_spec(
        image,
        machine=cell.machine,
        firmware=cell.firmware,
        words=scenario.kernel_args,
        name=f"{cell.image}-{cell.scenario}"[:64].rstrip("-"),
    )
    return replace(
        plain,
        vcpus=cell.vcpus,
        devices=scenario.devices,
        watchdog_action=scenario.watchdog_action,
        seed=zlib.crc32(cell.id.encode()),
    )


def vm_name(cell: Cell) -> str:
    """Return the name of a cell's VM: at most 64 characters, another one for each cell."""
    return f"{cell.scenario[:50].rstrip('-')}-{zlib.crc32(cell.id.encode()):08x}"
