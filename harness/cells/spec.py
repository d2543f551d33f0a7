"""From a cell to the machine that plays it; a reproduction gets the same machine."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

from emulator.errors import SpecError
from emulator.images.image import Image
from emulator.images.linux_boot import linux_spec
from emulator.machine.spec import Firmware, MachineSpec
from emulator.sac.boot import SacBoot, sac_spec
from emulator.sac.image import SacImage
from emulator.sac.knobs import knob_words
from emulator.windows.boot import windows_spec
from emulator.windows.image import WindowsImage
from harness.cells.cell import Cell
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario

GuestImage: TypeAlias = Image | SacImage | WindowsImage
SAC_WAYS = MappingProxyType({Firmware.SEABIOS: SacBoot.BIOS_DISK, Firmware.OVMF: SacBoot.UEFI_DISK})
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's, for names that are addresses


def guest_spec(cell: Cell, scenario: Scenario, image: GuestImage) -> MachineSpec:
    """Return the machine of `cell`.

    The seed follows from the cell's id, the UUID from all of it but the scenario: one saved state of the
    machine serves them all.

    Raises:
        SpecError: there is no such machine, or the image is of another kind than the scenario's guest.
    """
    plain = _SPECS[scenario.guest](cell, scenario, image)
    return replace(
        plain,
        vcpus=cell.vcpus,
        devices=scenario.devices,
        watchdog_action=scenario.watchdog_action,
        seed=zlib.crc32(cell.id.encode()),
    )


def _linux(cell: Cell, scenario: Scenario, image: GuestImage) -> MachineSpec:
    if isinstance(image, SacImage | WindowsImage):
        raise SpecError(f"scenario {scenario.name} is for Linux; image {image.name} is none")
    return linux_spec(
        image,
        machine=cell.machine,
        firmware=cell.firmware,
        words=scenario.kernel_args,
        name=_name(cell),
    )


def _sac(cell: Cell, scenario: Scenario, image: GuestImage) -> MachineSpec:
    identifier = str(uuid.uuid5(_NAMESPACE, cell.id.rpartition(".")[0]))
    if isinstance(image, WindowsImage):
        return windows_spec(image, machine=cell.machine, name=_name(cell), uuid=identifier)
    if not isinstance(image, SacImage):
        raise SpecError(f"scenario {scenario.name} is for a SAC guest; image {image.name} is none")
    return sac_spec(
        way=SAC_WAYS[cell.firmware],
        machine=cell.machine,
        knobs=replace(scenario.knobs, profile=image.profile.name),
        name=_name(cell),
        uuid=identifier,
    )


_SPECS: Mapping[GuestKind, Callable[[Cell, Scenario, GuestImage], MachineSpec]] = MappingProxyType(
    {GuestKind.LINUX: _linux, GuestKind.SAC: _sac}
)


def _name(cell: Cell) -> str:
    return f"{cell.image}-{cell.scenario}"[:64].rstrip("-")


def start_words(scenario: Scenario) -> tuple[str, ...]:
    """Return the words that a VM's guest is started with: kernel arguments, or knobs of a SAC guest."""
    return knob_words(scenario.knobs) if scenario.guest is GuestKind.SAC else scenario.kernel_args


def vm_name(cell: Cell) -> str:
    """Return the name of a cell's VM: at most 64 characters, another one for each cell."""
    return f"{cell.scenario[:50].rstrip('-')}-{zlib.crc32(cell.id.encode()):08x}"
