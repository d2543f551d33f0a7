"""What the controller knows of a run: its cells, and what pytest saw of each; makes the run result."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, utc_now
from emulator.errors import FileError, SpecError
from emulator.files import PRIVATE_DIRECTORY, make_private_directory
from emulator.machine.host import host_load
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix, read_matrix
from harness.plugin.plays import DIRECTORY_PROPERTY, Play, cell_of, plays_cell, worst_of
from harness.report.model import CellResult, RunResult, summary_of
from harness.report.views import page_of
from harness.run.cell_run import CELLS, directories_of, lost_cell, read_result
from harness.run.latest import remember_run
from harness.run.own_run import forget_own_run, keep_lab
from harness.run.own_tests import lost_test
from harness.run.result import repro_of
from harness.scenario.verdict import Verdict
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab


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
        root: the directory that node ids begin from.
        test_repro: returns the command that runs a user's test again, from its node id.
        plays: what pytest saw of each item that plays a cell, by node id.
        interrupted: whether the run was ended by hand.
        stopped: why it ended before all cells had been played; empty if it did not.
    """

    run_dir: Path
    workers: int
    version: str
    matrices: tuple[Matrix, ...] = ()
    time_scale: float = 1.0
    shard: str = ""
    root: Path = Path()
    test_repro: Callable[[str], str] = lambda node_id: f"pytest {node_id}"
    plays: dict[str, Play] = field(default_factory=dict)
    interrupted: bool = False
    stopped: str = ""
    _found: set[Path] = field(default_factory=set)
    _started: float = 0.0
    _started_utc: str = ""
    _load: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Note when the run began."""
        self._started = SYSTEM_CLOCK.monotonic()
        self._started_utc = utc_now().isoformat(timespec="seconds")
        self._load = host_load()

    def backdate(self, seconds: float) -> None:
        """Note that the run began before this record of it."""
        self._started -= seconds
        self._started_utc = (utc_now() - timedelta(seconds=seconds)).isoformat(timespec="seconds")

    def claim(self, *, begun: bool = False) -> None:
        """Make the run's directory for this run alone, or, if it has `begun`, for its workers too.

        Raises SpecError if it holds a run already; FileError.
        """
        make_private_directory(self.run_dir, users=True)
        try:
            (self.run_dir / CELLS).mkdir(mode=PRIVATE_DIRECTORY, exist_ok=begun)
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
        """Note which items are cells that are to run; SpecError says that a matrix is wrong."""
        for node_id in node_ids:
            self._learn(node_id)
            cell_id = cell_of(node_id, self._cells)
            if cell_id is not None:
                self.plays.setdefault(node_id, Play(cell_id))

    def _learn(self, node_id: str) -> None:
        """Read the matrix of a cell that was found in a directory; a wrong one has no cells."""
        file = self.root / node_id.partition("::")[0]
        if not plays_cell(node_id) or node_id in self.plays or file in self._found:
            return
        self._found.add(file)
        if cell_of(node_id, self._cells) is None:
            self.matrices = (*self.matrices, read_matrix(file))
            self.__dict__.pop("_cells", None)

    def see(self, report: pytest.TestReport) -> bool:
        """Take in a report; return whether it is of a cell, or of a test that used a guest."""
        if report.nodeid not in self.plays:
            self.select([report.nodeid])
        if report.nodeid not in self.plays and self._used_guest(report):
            self.plays[report.nodeid] = Play(report.nodeid)
        play = self.plays.get(report.nodeid)
        if play is not None:
            play.see(report)
        return play is not None

    def _used_guest(self, report: pytest.TestReport) -> bool:
        told = any(name == DIRECTORY_PROPERTY for name, _ in report.user_properties)
        return told or bool(directories_of(self.run_dir, page_of(report.nodeid)))

    def result(self) -> RunResult:
        """Return the run so far, with every selected cell, even one that nobody played."""
        selected: dict[str, list[Play]] = {}
        for play in self.plays.values():
            selected.setdefault(play.cell_id, []).append(play)
        found = (one for key, plays in selected.items() for one in self._results(key, plays))
        cells = tuple(sorted(found, key=lambda one: one.cell.id))
        return RunResult(
            run_id=self.run_dir.name,
            started_utc=self._started_utc,
            duration_s=round(SYSTEM_CLOCK.monotonic() - self._started, 3),
            matrix=" + ".join(matrix.name for matrix in self.matrices) or "tests",
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

    def _results(self, key: str, plays: list[Play]) -> list[CellResult]:
        """Return the result of a cell, or those of a user's test, one for each guest.

        The `key` is a cell's id or a test's node id. Of what left no result it is what is known.
        """
        _find_untold(self.run_dir, page_of(key), plays)
        settled: dict[str, list[CellResult]] = {}
        for play in plays:
            left: dict[str, list[CellResult]] = {}
            for name in play.directories:
                if result := read_result(self.run_dir, name):
                    left.setdefault(result.cell.id, []).append(result)
            for guest, results in (left or {key: []}).items():
                one = play.settle(results, stopped=self.stopped)
                settled.setdefault(guest, []).append(
                    one if isinstance(one, CellResult) else self._lost(key, play, one)
                )
        return [worst_of(results) for results in settled.values()]

    def _lost(self, key: str, play: Play, given: Verdict) -> CellResult:
        directory = self.run_dir / CELLS / (play.directories[-1] if play.directories else page_of(key))
        cell = self._cells.get(key)
        if cell is None:
            return lost_test(key, directory, given=given, repro=self.test_repro(key))
        port = next((one.port_of(cell) for one in self.matrices if cell in one.cells), "")
        shown = Lab(run_dir=self.run_dir).run_shown
        repro = repro_of(cell, run=shown, port=port, time_scale=self.time_scale)
        return lost_cell(cell, find_scenario(cell.scenario), directory, given=given, repro=repro)


def _find_untold(run_dir: Path, name: str, plays: Iterable[Play]) -> None:
    """Give plays whose worker told nothing the directories that nobody told of."""
    silent = [play for play in plays if not play.directories and "call" not in play.phases]
    if silent:
        told = {name for play in plays for name in play.directories}
        untold = (one for one in directories_of(run_dir, name) if one not in told)
        for play, directory in zip(silent, untold, strict=False):
            play.directories = [directory]


def host_facts() -> dict[str, object]:
    """Return what a report says about the machine it was made on."""
    uname = platform.uname()
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{uname.system} {uname.release}",
        "machine": uname.machine,
        "python": platform.python_version(),
    }
