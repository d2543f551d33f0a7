"""What scenarios can be played on: a machine here, a VM behind the service, a serial port, a board."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from emulator.errors import SpecError, unknown_name
from emulator.guest_images.board import BOARD
from emulator.lab_file.boards import LabBoard, lab_boards

if TYPE_CHECKING:
    from harness.targets.target_kind import TargetKind

MACHINE = "machine"
SERIAL = "serial"
TARGETS: Mapping[str, str] = MappingProxyType(
    {
        MACHINE: "harness.targets.machine",
        "service": "harness.targets.service",
        SERIAL: "harness.targets.serial_port",
    }
)
"""The module that has each kind of target as its KIND; it is loaded when the kind is needed."""


def find_target(name: str = MACHINE) -> TargetKind:
    """Return the kind of target called `name`, one of `TARGETS` or a board; raises SpecError without."""
    if name in TARGETS:
        return cast("TargetKind", import_module(TARGETS[name]).KIND)
    from harness.targets.board import BoardTargets  # noqa: PLC0415  # most runs have none

    return BoardTargets(board=find_board(name))


def find_board(name: str) -> LabBoard:
    """Return a board of the lab; the SpecError for an unknown one names all targets."""
    boards = lab_boards()
    if name not in boards:
        raise unknown_name("target", name, [*TARGETS, *boards])
    return boards[name]


def target_of(image: str, machine: str, port: str = "") -> TargetKind:
    """Return the target of a cell: a board, or a machine, or the serial port `port`; raises SpecError."""
    if machine != BOARD:
        return find_target(SERIAL if port else MACHINE)
    if port:
        raise SpecError(f"{image} is a board: its console is in lab.toml, so no --port is taken")
    return find_target(image)
