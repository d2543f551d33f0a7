"""From a cell to the machine that plays it; a reproduction gets the same machine."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import replace

from emulator.images.kinds import GuestImage
from emulator.machine.spec import Board, MachineSpec
from emulator.sac.knobs import knob_words
from harness.cells.cell import Cell
from harness.guests.drivers import require_pair
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario

HAS_KNOBS = "has_knobs"
"""Feature of a guest whose conduct can be set."""
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's, for names that are addresses


def guest_spec(cell: Cell, scenario: Scenario, image: GuestImage) -> MachineSpec:
    """Return the machine of `cell`.

    The seed follows from the cell's id, a SAC guest's UUID from all of it but the scenario: one snapshot
    of the machine serves them all.

    Raises:
        SpecError: there is no such machine, or the image is of another kind than the scenario's guest.
    """
    require_pair(scenario, image)
    board = Board(
        machine=cell.machine,
        firmware=cell.firmware,
        words=start_words(scenario, image),
        name=_name(cell),
        uuid=_uuid(cell) if scenario.guest is GuestKind.SAC else None,
    )
    return replace(
        image.spec(board),
        vcpus=cell.vcpus,
        devices=scenario.devices,
        watchdog_action=scenario.watchdog_action,
        seed=zlib.crc32(cell.id.encode()),
    )


def _uuid(cell: Cell) -> str:
    return str(uuid.uuid5(_NAMESPACE, cell.id.rpartition(".")[0]))


def _name(cell: Cell) -> str:
    return f"{cell.image}-{cell.scenario}"[:64].rstrip("-")


def start_words(scenario: Scenario, image: GuestImage) -> tuple[str, ...]:
    """Return the words that a guest is started with: kernel arguments, or knobs where it has some."""
    if scenario.guest is GuestKind.SAC:
        return knob_words(scenario.knobs) if HAS_KNOBS in image.features else ()
    return scenario.kernel_args
