"""From what is typed after `ttylab boot` to a machine; pure."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from emulator.errors import SpecError
from emulator.images import Image
from emulator.images.sac.image import SacImage
from emulator.images.sac.knob_words import parse_knobs
from emulator.machine.linux_boot import linux_spec
from emulator.machine.sac_boot import sac_spec
from emulator.machine.spec import Device, Firmware, MachineSpec, MachineType
from harness.cells.spec import SAC_WAYS

_E = TypeVar("_E", bound=StrEnum)


def interactive_spec(
    image: Image | SacImage,
    *,
    machine: str,
    firmware: str,
    vcpus: int,
    memory_mib: int,
    append: tuple[str, ...],
    devices: tuple[str, ...],
) -> MachineSpec:
    """Return the machine that the words describe.

    Raises:
        SpecError: a word is wrong; the text names it and what is allowed.
    """
    board, starter = word(MachineType, "machine", machine), word(Firmware, "firmware", firmware)
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
        vcpus=vcpus,
        memory_mib=memory_mib,
        devices=frozenset(word(Device, "device", one) for one in devices),
    )


def word(enum: type[_E], field: str, value: str) -> _E:
    """Return the member of `enum` that `value` names.

    Raises:
        SpecError: there is none; the text names those there are.
    """
    try:
        return enum(value)
    except ValueError:
        raise SpecError(f"{field} is {value!r}; allowed: {', '.join(enum)}") from None
