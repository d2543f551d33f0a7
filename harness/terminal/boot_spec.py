"""From what is typed after `ttylab boot` to a machine; pure."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from emulator.errors import SpecError
from emulator.images.kinds import GuestImage
from emulator.machine.spec import Board, Device, Firmware, MachineSpec, MachineType

_E = TypeVar("_E", bound=StrEnum)
_MEMORY_MIB = 256


def interactive_spec(
    image: GuestImage,
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
    usual = image.usual_board
    board = Board(
        machine=word(MachineType, "machine", usual.machine if machine is None else machine),
        firmware=word(Firmware, "firmware", usual.firmware if firmware is None else firmware),
        words=append,
    )
    parts = frozenset(word(Device, "device", one) for one in devices)
    own = image.spec(board)
    return replace(
        own,
        vcpus=own.vcpus if vcpus is None else vcpus,
        memory_mib=max(own.memory_mib, _MEMORY_MIB) if memory_mib is None else memory_mib,
        devices=parts,
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
