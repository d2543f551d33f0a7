"""Matrix files as pytest modules: each cell is an item `ci/push.toml::test_cell[ID]`.

pytest takes a matrix file's tests from this module: `test_cell` is the only one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType

import pytest

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.guest_images.board import BOARD
from emulator.guest_text.printable import visible
from emulator.values import TOML_MOST, read_toml
from emulator.work import listening
from harness.azure.address import ServiceAddress, address_of_ready
from harness.cells.cell import Cell, mark_name, spread
from harness.cells.matrix import Matrix, chosen_cells, read_matrix
from harness.plugin.holding import HELD_PROPERTY, holding_of
from harness.plugin.hook_calls import call_hook, tell_result
from harness.plugin.plays import DIRECTORY_PROPERTY, STATUS_PROPERTY, TELLS_PROPERTY, WAITS_PROPERTY
from harness.report.model import CellResult
from harness.run.cell_run import CellRun, claim_directory
from harness.run.result import record_of
from harness.scenario.errors import CellBroken, CellFailed
from harness.scenarios import find_scenario, library
from harness.snapshots.lab import Lab

_TABLE = re.compile(r"^[ \t]*\[[ \t]*matrix\b", re.MULTILINE)


def test_cell(cell: Cell, lab: Lab, request: pytest.FixtureRequest) -> None:
    """Boot the cell's machine, play its scenario and judge what the console shows."""
    __tracebackhide__ = True
    matrix = request.node.getparent(pytest.Module).matrix
    target = matrix.target_of(cell)
    name = claim_directory(lab.run_dir, cell.id)
    request.node.user_properties.append((DIRECTORY_PROPERTY, name))
    run = CellRun(
        cell=cell,
        scenario=find_scenario(cell.scenario),
        lab=lab,
        worker=os.environ.get("PYTEST_XDIST_WORKER", "main"),
        target=target,
        address=_cloud(request) if target.name == "service" else matrix.port_of(cell) or None,
        time_limit_s=matrix.timeout_s,
        directory_name=name,
        holding=holding_of(request.config),
    )
    told = call_hook(request.node.ihook.pytest_ttylab_cell_begins, cell=record_of(cell), item=request.node)
    try:
        with listening(partial(_tell, request.node)):
            result = run.give_up(told) if told else run.run()
    except (SpecError, OSError) as error:  # a port that can't be opened, a file that is gone, a full disk
        result = run.give_up(str(error))
    result = tell_result(result, request.node, lab.run_dir)
    request.node.user_properties.append((STATUS_PROPERTY, result.status))
    if result.held:
        request.node.user_properties.append((HELD_PROPERTY, "\n".join(result.held)))
    raise_for(result)


def _tell(item: pytest.Item, what: str, stage: str, fraction: float) -> None:
    """Report that what takes long begins or has ended: the controller shows it while the cell runs."""
    if 0 < fraction < 1:
        return
    report = pytest.TestReport(item.nodeid, item.location, {}, "passed", None, "setup", [])
    report.user_properties = [(TELLS_PROPERTY, f"{what}: {stage}"), (WAITS_PROPERTY, fraction < 1)]
    capture = item.config.pluginmanager.getplugin("capturemanager")  # which keeps what is written meanwhile
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        item.ihook.pytest_runtest_logreport(report=report)


def _cloud(request: pytest.FixtureRequest) -> ServiceAddress:
    """Return the cloud of this worker, which starts it on first use."""
    return address_of_ready(asdict(request.getfixturevalue("cloud")), name="the fixture cloud")


def raise_for(result: CellResult) -> None:
    """Raise CellFailed, CellBroken or pytest's Skipped for a result that did not pass."""
    __tracebackhide__ = True
    message = visible(result.message, keep="\n")
    text = f"{result.cell.id}: {message}\n  reproduce: {visible(result.repro)}"
    if result.status == "failed":
        raise CellFailed(text)
    if result.status == "broken":
        raise CellBroken(text)
    if result.status == "skipped":
        pytest.skip(message)


def is_matrix_file(path: Path) -> bool:
    """Tell whether `path` is a TOML file with a [matrix] table."""
    if path.suffix != ".toml":
        return False
    try:
        return "matrix" in read_toml(path)
    except SpecError:
        pass
    try:  # whoever wrote [matrix] meant one, and is to learn that it is none
        return _TABLE.search(read_whole(path, most=TOML_MOST).decode("utf-8")) is not None
    except (OSError, ValueError):
        return False


class MatrixFile(pytest.Module):
    """A matrix file; its one test is `test_cell`, once for each cell."""

    def _getobj(self) -> ModuleType:
        return sys.modules[__name__]

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Return its cells; raises CollectError, in one line, if the file or the shard is wrong."""
        try:
            cells_of(self)
        except SpecError as error:
            raise self.CollectError(str(error)) from None
        return super().collect()

    @cached_property
    def matrix(self) -> Matrix:
        """What the file says, read once; raises as `read_matrix`."""
        return read_matrix(self.path)


def cells_of(file: MatrixFile) -> tuple[Cell, ...]:
    """Return the cells that --shard and --cells choose, in the order to play them; raises SpecError."""
    option = file.config.getoption
    chosen, _ = chosen_cells(file.matrix, file.path, expression=option("cells"), part=option("shard"))
    scenarios = library()
    return spread(chosen, lambda cell: scenarios[cell.scenario].guest)


def _marks(cell: Cell) -> list[pytest.MarkDecorator]:
    """Return the marks of a cell: its scenario's tags, and for a board's cells that one worker plays all."""
    tags = [getattr(pytest.mark, mark_name(tag)) for tag in sorted(find_scenario(cell.scenario).tags)]
    return [*tags, pytest.mark.xdist_group(cell.image)] if cell.machine == BOARD else tags


def cell_params(cells: Iterable[Cell]) -> list[object]:
    """Return the cells as pytest parameters, marked with their scenarios' tags."""
    return [pytest.param(cell, id=cell.id, marks=_marks(cell)) for cell in cells]
