"""The controller's memory of a run: which cells were to run, which workers died; makes the run result."""

from __future__ import annotations

import platform
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock, utc_now
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix
from harness.cells.result import Circumstances, skipped_result
from harness.cells.run import CELLS, kept_transcript, lost_cell, read_result
from harness.report.model import CellResult, RunResult
from harness.scenarios import find_scenario

STATUSES = ("passed", "failed", "broken", "skipped")


def new_run_id() -> str:
    """Return a name for a run: its time in UTC and four random digits, so that two at once differ."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(slots=True)
class RunRecorder:
    """Follow one run on the controller.

    Attributes:
        run_dir: the run's directory; its name is the run's id.
        workers: how many cells run at once.
        version: ttylab's own.
        matrices: what is run.
        selected: ids of the cells that are to run.
        died: what is said of a cell whose worker died, by cell id.
        interrupted: whether the run was ended by hand.
    """

    run_dir: Path
    workers: int
    version: str
    clock: Clock = SYSTEM_CLOCK
    matrices: tuple[Matrix, ...] = ()
    selected: set[str] = field(default_factory=set)
    died: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    _started: float = 0.0
    _started_utc: str = ""

    def __post_init__(self) -> None:
        """Note when the run began."""
        self._started = self.clock.monotonic()
        self._started_utc = utc_now().isoformat(timespec="seconds")

    def result(self) -> RunResult:
        """Return the run as it is now: every selected cell is in it, also one whose worker died.

        Raises:
            StateError: no matrix was run.
        """
        cells = [self._cell_result(cell) for cell in self._cells()]
        counts = {status: sum(cell.status == status for cell in cells) for status in STATUSES}
        return RunResult(
            run_id=self.run_dir.name,
            started_utc=self._started_utc,
            duration_s=round(self.clock.monotonic() - self._started, 3),
            matrix=" + ".join(matrix.name for matrix in self.matrices),
            ttylab=self.version,
            host=host_facts(),
            workers=self.workers,
            interrupted=self.interrupted,
            excluded=[
                {"cell": one.cell.id, "reason": one.reason}
                for matrix in self.matrices
                for one in matrix.excluded
            ],
            summary={"cells": len(cells), **counts},
            cells=cells,
        )

    def _cells(self) -> list[Cell]:
        known = {cell.id: cell for matrix in self.matrices for cell in matrix.cells}
        return [known[id_] for id_ in sorted(self.selected)]

    def _cell_result(self, cell: Cell) -> CellResult:
        result = read_result(self.run_dir, cell.id)
        if result is not None and result.started_utc >= self._started_utc:  # else of an earlier run
            return result
        scenario = find_scenario(cell.scenario)
        if cell.id in self.died:
            return lost_cell(cell, scenario, self.run_dir, message=self.died[cell.id])
        if self.interrupted:
            around = Circumstances(
                started_utc=self._started_utc, duration_s=0.0, worker="", directory=f"{CELLS}/{cell.id}"
            )
            transcript = kept_transcript(self.run_dir / CELLS / cell.id)
            return skipped_result(cell, scenario, transcript, around, message="the run was interrupted")
        return lost_cell(
            cell, scenario, self.run_dir, message="it left no result: its worker died or never began it"
        )


def host_facts() -> dict[str, object]:
    """Return what a report says of the machine that ran it."""
    uname = platform.uname()
    return {
        "system": f"{uname.system} {uname.release}",
        "machine": uname.machine,
        "python": platform.python_version(),
    }
