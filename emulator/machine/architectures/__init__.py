"""The architectures that machines can have: one module each, and the one list of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from emulator.machine.architectures.arm64 import ARM64
from emulator.machine.architectures.parts import Architecture, Firmware, MachineType, QemuBoard
from emulator.machine.architectures.x86_64 import X86_64

ARCHITECTURES = (X86_64, ARM64)
"""The first is what a guest has that says nothing."""
_BOARDS: Mapping[MachineType, tuple[Architecture, QemuBoard]] = MappingProxyType(
    {board.machine: (architecture, board) for architecture in ARCHITECTURES for board in architecture.boards}
)


def board_of(machine: MachineType) -> QemuBoard:
    """Return what a board is."""
    return _BOARDS[machine][1]


def architecture_of(machine: MachineType) -> Architecture:
    """Return the architecture of a board."""
    return _BOARDS[machine][0]


def architecture_for(kernel: str) -> Architecture | None:
    """Return what starts a kernel for `kernel`, as `uname -m` says it there; None if nothing does."""
    return next((one for one in ARCHITECTURES if kernel in one.kernels), None)


UNKNOWN = "of-unknown-architecture"
"""Feature of an image whose file does not tell; what is wrong with it is said when it is opened."""


def feature_of(architecture: Architecture | None) -> frozenset[str]:
    """Return the feature by which an image says its architecture; the first one needs no word."""
    if architecture is None:
        return frozenset({UNKNOWN})
    return frozenset() if architecture is ARCHITECTURES[0] else frozenset({architecture.name})


def architecture_among(features: Collection[str]) -> Architecture | None:
    """Return the architecture that an image's features name, the first one if they name none.

    None if they say that it is UNKNOWN.
    """
    if UNKNOWN in features:
        return None
    return next((one for one in ARCHITECTURES if one.name in features), ARCHITECTURES[0])


def architecture_with(firmware: Firmware) -> Architecture | None:
    """Return the architecture whose UEFI `firmware` is; None if it is no UEFI."""
    return next((one for one in ARCHITECTURES if one.uefi.firmware is firmware), None)
