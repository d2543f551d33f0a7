"""The boards that users name: those of their lab.toml, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import SpecError
from emulator.lab_file.packages import all_labs
from emulator.lab_file.tables import BoardTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LabBoard:
    """Real hardware behind a serial port; its commands run in `directory`, that of its lab.toml."""

    name: str
    table: BoardTable
    directory: Path


def lab_boards() -> Mapping[str, LabBoard]:
    """Return every board by name; raises SpecError if a lab.toml is wrong, or two boards have one name."""
    found: dict[str, LabBoard] = {}
    for who, lab in all_labs("ttylab.targets"):
        directory = Path.cwd() if lab.path is None else lab.path.parent
        for name, table in lab.boards.items():
            if name in found:
                raise SpecError(
                    f"{who}: boards.{name}: there is a board of that name already; choose another"
                )
            found[name] = LabBoard(name=name, table=table, directory=directory)
    return found
