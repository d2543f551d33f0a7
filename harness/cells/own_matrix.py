"""A matrix's Linux cells, played on a user's own image instead of its own images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TypeAlias

from emulator.errors import SpecError
from emulator.lab_file.write import toml_tables
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix
from harness.scenario.kind import GuestKind
from harness.scenario.settings import PLAIN, Settings
from harness.scenarios import find_scenario

Place: TypeAlias = tuple[str, str]
"""A machine and a firmware."""


def own_matrix(matrix: Matrix, image: str, place_of: Callable[[Cell], Place | None]) -> str:
    """Return the text of a matrix file with the Linux cells of `matrix` on `image`; raises SpecError.

    `place_of` returns where a cell is played, or None for one that does not fit the image.
    """
    if matrix.port:
        raise SpecError(f"matrix {matrix.name} is played on a serial port, where no file can be booted")
    chosen: dict[tuple[str, str, int, Settings], set[str]] = defaultdict(set)
    known: set[tuple[str, str, int, str]] = set()
    for cell in matrix.cells:
        place = place_of(cell)
        if place is not None and find_scenario(cell.scenario).guest is GuestKind.LINUX:
            same = (*place, cell.vcpus, cell.scenario)  # the first one's settings count
            if same not in known:
                chosen[*place, cell.vcpus, cell.settings].add(cell.scenario)
                known.add(same)
    if not chosen:
        raise SpecError(f"matrix {matrix.name} has no cell that fits {image}")
    head = {
        "name": matrix.name,
        "description": f"The Linux cells of {matrix.name} on {image}",
        "timeout_s": matrix.timeout_s,
        "target": matrix.target.name,
    }
    blocks = (
        {
            "images": [image],
            "machines": [machine],
            "firmwares": [firmware],
            "vcpus": [vcpus],
            "scenarios": sorted(scenarios),
            **({} if settings == PLAIN else {"settings": settings}),
        }
        for (machine, firmware, vcpus, settings), scenarios in sorted(chosen.items(), key=repr)
    )
    return "\n".join([toml_tables({"matrix": head}), *(toml_tables({"[block]": one}) for one in blocks)])
