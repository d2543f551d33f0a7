"""From what is typed after `ttylab boot` to a machine; pure."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from emulator.errors import SpecError
from emulator.images.image import Image
from emulator.images.linux_boot import linux_spec
from emulator.machine.spec import Device, Firmware, MachineSpec, MachineType
from emulator.sac.boot import sac_spec
from emulator.sac.image import SacImage
from emulator.sac.knobs import parse_knobs
from emulator.windows.boot import windows_spec
from emulator.windows.image import WindowsImage
from harness.cells.spec import SAC_WAYS

_E = TypeVar("_E", bound=StrEnum)
_MEMORY_MIB = 256


def interactive_spec(
    image: Image | SacImage | WindowsImage,
    *,
    machine: str | None,
    firmware: str | None,
    vcpus: int | None,
    memory_mib: int | None,
    append: tuple[str, ...],
    devices: tuple[str, ...],
) -> MachineSpec:
    """Return the machine that the words describe; None takes what suits the image.

    Raises:
        SpecError: a word is wrong; the text names it and what is allowed.
    """
    usual = ("q35", image.firmware) if isinstance(image, WindowsImage) else ("pc", "seabios")
    board = word(MachineType, "machine", usual[0] if machine is None else machine)
    starter = word(Firmware, "firmware", usual[1] if firmware is None else firmware)
    parts = frozenset(word(Device, "device", one) for one in devices)
    if isinstance(image, WindowsImage):
        own = _windows(image, board, starter, append=append)
        vcpus = own.vcpus if vcpus is None else vcpus
        memory_mib = own.memory_mib if memory_mib is None else memory_mib
        return replace(own, vcpus=vcpus, memory_mib=memory_mib, devices=parts)
    plain = (
        sac_spec(
            way=SAC_WAYS[starter],
            machine=board,
            knobs=parse_knobs((*append, f"profile={image.profile.name}")),
        )
        if isinstance(image, SacImage)
        else linux_spec(image, machine=board, firmware=starter, words=append)
    )
    return replace(
        plain,
        vcpus=1 if vcpus is None else vcpus,
        memory_mib=_MEMORY_MIB if memory_mib is None else memory_mib,
        devices=parts,
    )


def _windows(
    image: WindowsImage, board: MachineType, starter: Firmware, *, append: tuple[str, ...]
) -> MachineSpec:
    if append:
        raise SpecError(f"--append {' '.join(append)!r}: nobody hands Windows words of ours; leave it out")
    if starter != image.firmware:
        raise SpecError(f"firmware is {starter}; allowed: {image.firmware}, as {image.name} is registered")
    return windows_spec(image, machine=board)


def word(enum: type[_E], field: str, value: str) -> _E:
    """Return the member of `enum` that `value` names.

    Raises:
        SpecError: there is none; the text names those there are.
    """
    try:
        return enum(value)
    except ValueError:
        raise SpecError(f"{field} is {value!r}; allowed: {', '.join(enum)}") from None
