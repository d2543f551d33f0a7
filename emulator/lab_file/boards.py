"""The boards that users name: those of their lab.toml, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import SpecError
from emulator.lab_file.packages import brought
from emulator.lab_file.read import current_lab, read_brought
from emulator.lab_file.tables import BoardTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LabBoard:
    """Real hardware behind a serial port.

    Attributes:
        name: what its user calls it.
        table: what its user said of it.
        directory: where its commands run: that of its lab.toml.
    """

    name: str
    table: BoardTable
    directory: Path


def lab_boards() -> Mapping[str, LabBoard]:
    """Return every board by name.

    Raises:
        SpecError: a lab.toml is wrong, or two boards have one name.
    """
    lab = current_lab()
    sources = [(who, read_brought(value, who=who)) for who, value in brought("ttylab.targets")]
    found: dict[str, LabBoard] = {}
    for who, tables in [*sources, (str(lab.path), lab)]:
        directory = Path.cwd() if tables.path is None else tables.path.parent
        for name, table in tables.boards.items():
            if name in found:
                raise SpecError(
                    f"{who}: boards.{name}: there is a board of that name already; choose another"
                )
            found[name] = LabBoard(name=name, table=table, directory=directory)
    return found
