"""From a cell to the machine that plays it; pure, so a reproduction gets the same machine."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace

from emulator.images import Image
from emulator.machine.spec import Firmware, MachineSpec, MachineType, kernel_for
from harness.cells.cell import Cell
from harness.scenario import Scenario

CONSOLE_ARGS = ("console=ttyS0,115200",)
FAST_ARGS = ("no_timer_check", "cryptomgr.notests")
"""What a guest whose command line is ours may leave out: 0.5 s of a boot under TCG (spec/qemu.md 2)."""


def linux_spec(
    image: Image, *, machine: MachineType, firmware: Firmware, words: Iterable[str] = (), name: str = ""
) -> MachineSpec:
    """Return a machine that boots a Linux image of ours with `words` on its command line.

    Everything else has its default; `dataclasses.replace` changes it.

    Raises:
        SpecError: there is no such machine.
    """
    return MachineSpec(
        name=name or image.name,
        machine=machine,
        firmware=firmware,
        kernel=kernel_for(image, firmware),
        initrd=image.initrd,
        tell_tsc=True,
        command_line=(*CONSOLE_ARGS, *FAST_ARGS, *words),
    )


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
