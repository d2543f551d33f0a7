"""What the controller knows of a run: its cells, and what pytest saw of each; makes the run result."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, Clock, utc_now
from emulator.errors import FileError, SpecError
from emulator.files import PRIVATE_DIRECTORY, make_private_directory
from emulator.machine.host import host_load
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix
from harness.plugin.plays import Play, cell_of, worst_of
from harness.report.model import CellResult, RunResult, summary_of
from harness.run.cell_run import CELLS, directories_of, lost_cell, read_result
from harness.run.lab import Lab
from harness.run.latest import remember_run
from harness.run.own_run import forget_own_run, keep_lab
from harness.run.result import repro_of
from harness.scenarios import find_scenario


def new_run_id() -> str:
    """Return a name for a run: its time in UTC and four random digits, so that two at once differ."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass
class RunRecorder:
    """Follow one run on the controller.

    Attributes:
        run_dir: the run's directory; its name is the run's id.
        workers: how many cells run at once.
        version: of ttylab.
        matrices: what is run.
        time_scale: the factor on every wait.
        shard: which part of the matrices is run ("2/5"); empty for all of them.
        plays: what pytest saw of each item that plays a cell, by node id.
        interrupted: whether the run was ended by hand.
        stopped: why it ended before all cells had been played; empty if it did not.
    """

    run_dir: Path
    workers: int
    version: str
    clock: Clock = SYSTEM_CLOCK
    matrices: tuple[Matrix, ...] = ()
    time_scale: float = 1.0
    shard: str = ""
    plays: dict[str, Play] = field(default_factory=dict)
    interrupted: bool = False
    stopped: str = ""
    _started: float = 0.0
    _started_utc: str = ""
    _load: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Note when the run began."""
        self._started = self.clock.monotonic()
        self._started_utc = utc_now().isoformat(timespec="seconds")
        self._load = host_load()

    def claim(self) -> None:
        """Make the run's directory for this run alone, so that all that is in it is of this run.

        Raises:
            SpecError: it holds a run already.
            FileError: it can't be made.
        """
        make_private_directory(self.run_dir, users=True)
        try:
            (self.run_dir / CELLS).mkdir(mode=PRIVATE_DIRECTORY)
        except FileExistsError:
            raise SpecError(
                f"{self.run_dir} holds a run already, which stays as it is; "
                "choose another directory, or remove this one"
            ) from None
        except OSError as error:
            raise FileError(f"directory {self.run_dir / CELLS}: {error.strerror}") from error
        keep_lab(self.run_dir)
        with suppress(FileError):  # `repro` then takes the newest of ./results
            remember_run(self.run_dir)

    def release(self) -> None:
        """Remove the run's directory if nothing came into it."""
        with suppress(OSError):  # it is not empty
            (self.run_dir / CELLS).rmdir()
            forget_own_run(self.run_dir)
            self.run_dir.rmdir()

    def select(self, node_ids: Iterable[str]) -> None:
        """Note which items are to run."""
        for node_id in node_ids:
            cell_id = cell_of(node_id, self._cells)
            if cell_id is not None:
                self.plays.setdefault(node_id, Play(cell_id))

    def see(self, report: pytest.TestReport) -> bool:
        """Take in a report; return whether it is of a cell."""
        if report.nodeid not in self.plays:
            self.select([report.nodeid])
        play = self.plays.get(report.nodeid)
        if play is not None:
            play.see(report)
        return play is not None

    def result(self) -> RunResult:
        """Return the run so far, with every selected cell, even one that nobody played."""
        selected: dict[str, list[Play]] = {}
        for play in self.plays.values():
            selected.setdefault(play.cell_id, []).append(play)
        cells = tuple(
            self._cell_result(self._cells[cell_id], selected[cell_id]) for cell_id in sorted(selected)
        )
        return RunResult(
            run_id=self.run_dir.name,
            started_utc=self._started_utc,
            duration_s=round(self.clock.monotonic() - self._started, 3),
            matrix=" + ".join(matrix.name for matrix in self.matrices),
            files=tuple(sorted({node_id.partition("::")[0] for node_id in self.plays})),
            shard=self.shard,
            ttylab=self.version,
            host=host_facts()
            | {
                "load_before": self._load,
                "load_after": host_load(),
                "time_scale": self.time_scale,
                "slowdown": max((one.slowdown for one in cells), default=1.0),
            },
            workers=self.workers,
            interrupted=self.interrupted,
            excluded=tuple(
                {"cell": one.cell.id, "reason": one.reason}
                for matrix in self.matrices
                for one in matrix.excluded
            ),
            summary=summary_of(cells),
            cells=cells,
        )

    def died(self) -> frozenset[str]:
        """Return the ids of the cells whose worker died under them."""
        return frozenset(play.cell_id for play in self.plays.values() if play.died)

    @cached_property
    def _cells(self) -> dict[str, Cell]:
        return {cell.id: cell for matrix in self.matrices for cell in matrix.cells}

    def _cell_result(self, cell: Cell, plays: list[Play]) -> CellResult:
        silent = [play for play in plays if not play.directories and "call" not in play.phases]
        if silent:
            told = {name for play in plays for name in play.directories}
            untold = (name for name in directories_of(self.run_dir, cell.id) if name not in told)
            for play, name in zip(silent, untold, strict=False):
                play.directories = [name]
        return worst_of([self._settled(cell, play) for play in plays])

    def _settled(self, cell: Cell, play: Play) -> CellResult:
        left = [result for name in play.directories if (result := read_result(self.run_dir, name))]
        settled = play.settle(left, stopped=self.stopped)
        if isinstance(settled, CellResult):
            return settled
        port = next((one.port_of(cell) for one in self.matrices if cell in one.cells), "")
        name = play.directories[-1] if play.directories else cell.id
        shown = Lab(run_dir=self.run_dir).run_shown
        return lost_cell(
            cell,
            find_scenario(cell.scenario),
            self.run_dir / CELLS / name,
            given=settled,
            repro=repro_of(cell, run=shown, port=port, time_scale=self.time_scale),
        )


def host_facts() -> dict[str, object]:
    """Return what a report says about the machine it was made on."""
    uname = platform.uname()
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{uname.system} {uname.release}",
        "machine": uname.machine,
        "python": platform.python_version(),
    }
