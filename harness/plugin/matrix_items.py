"""Matrix files as pytest modules: each cell is an item `ci/push.toml::test_cell[ID]`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from emulator.errors import SpecError
from harness.cells.cell import Cell, mark_name, parse_shard, shard, spread
from harness.cells.matrix import Matrix, read_matrix
from harness.plugin import cell_test
from harness.scenarios import LIBRARY


def is_matrix_file(path: Path) -> bool:
    """Tell whether `path` is a TOML file with a [matrix] table."""
    if path.suffix != ".toml":
        return False
    try:
        return "matrix" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


class MatrixFile(pytest.Module):
    """A matrix file; its tests are those of `cell_test`, once for each cell."""

    def _getobj(self) -> ModuleType:
        return cell_test

    def matrix(self) -> Matrix:
        """Return what the file says.

        Raises:
            pytest.UsageError: it is wrong.
        """
        return usable_matrix(self.path)


def usable_matrix(path: Path) -> Matrix:
    """Return the matrix in `path`.

    Raises:
        pytest.UsageError: it is wrong.
    """
    try:
        return read_matrix(path)
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error


def cells_of(file: MatrixFile, shard_text: str) -> tuple[Cell, ...]:
    """Return the file's cells, or those of a shard ("2/5"; "" for all), in the order to play them.

    Raises:
        pytest.UsageError: there is no such shard.
    """
    cells = file.matrix().cells
    try:
        chosen = shard(cells, *parse_shard(shard_text)) if shard_text else cells
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    return spread(chosen, lambda cell: LIBRARY[cell.scenario].guest)


def cell_params(cells: Iterable[Cell]) -> list[object]:
    """Return the cells as pytest parameters, marked with their scenarios' tags."""
    return [
        pytest.param(
            cell,
            id=cell.id,
            marks=[getattr(pytest.mark, mark_name(tag)) for tag in sorted(LIBRARY[cell.scenario].tags)],
        )
        for cell in cells
    ]
