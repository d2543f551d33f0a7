"""What the controller knows of a run: which cells were to run, which workers died; makes the run result."""

from __future__ import annotations

import json
import platform
import re
import secrets
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, Clock, utc_now
from emulator.errors import EmulatorError
from emulator.guest_text.printable import visible
from emulator.values import json_ready
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix
from harness.plugin.process import held_back
from harness.report.allure import write_crashed_cell
from harness.report.model import CellResult, RunResult, load_run, write_run
from harness.report.reports import page_of_run, write_reports
from harness.run.cell_run import CELLS, kept_transcript, lost_cell, read_result
from harness.run.result import Circumstances, cell_result, repro_of, skipped
from harness.scenario.errors import HarnessError
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from harness.scenarios import find_scenario

STATUSES = ("passed", "failed", "broken", "skipped")
HISTORY_FILE = "allure-history.jsonl"
"""Allure's history of the runs in one results directory, kept beside them."""
RECORD = "ttylab-record"
"""Name under which the plug-in registers its RecordHooks."""
_CELL = re.compile(r"::test_cell\[(?P<id>[^\]]+)\]$")
_ENDS = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
"""Exit codes that cells decide; a defect of pytest or a plug-in keeps pytest's own."""


def new_run_id() -> str:
    """Return a name for a run: its time in UTC and four random digits, so that two at once differ."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(slots=True)
class RunRecorder:
    """Follow one run on the controller.

    Attributes:
        run_dir: the run's directory; its name is the run's id.
        workers: how many cells run at once.
        version: of ttylab.
        matrices: what is run.
        selected: ids of the cells to run.
        died: message for each cell whose worker died, by cell id.
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
        """Return the run so far, with every selected cell, even one whose worker died.

        Raises:
            StateError: no matrix was run.
        """
        cells = tuple(self._cell_result(cell) for cell in self._cells())
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
            excluded=tuple(
                {"cell": one.cell.id, "reason": one.reason}
                for matrix in self.matrices
                for one in matrix.excluded
            ),
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
            return self._lost(cell, self.died[cell.id])
        if self.interrupted:
            around = Circumstances(
                started_utc=self._started_utc, duration_s=0.0, worker="", directory=f"{CELLS}/{cell.id}"
            )
            transcript = kept_transcript(self.run_dir / CELLS / cell.id)
            return cell_result(cell, scenario, transcript, around, given=skipped("the run was interrupted"))
        return self._lost(cell, "it left no result: its worker died or never began it")

    def _lost(self, cell: Cell, message: str) -> CellResult:
        port = next((one.port for one in self.matrices if cell in one.cells), "")
        scenario = find_scenario(cell.scenario)
        return lost_cell(cell, scenario, self.run_dir, message=message, repro=repro_of(cell, port))


def host_facts() -> dict[str, object]:
    """Return what a report says about the machine it was made on."""
    uname = platform.uname()
    return {
        "system": f"{uname.system} {uname.release}",
        "machine": uname.machine,
        "python": platform.python_version(),
    }


class RecordHooks:
    """pytest's hooks on the controller while a matrix runs.

    Attributes:
        recorder: collects what the hooks learn.
        result: the run, once it has ended.
        complaints: what could not be reported, to show at the end of the run.
        others_failed: whether a test that is no cell failed.
    """

    def __init__(self, recorder: RunRecorder, config: pytest.Config) -> None:
        self.recorder = recorder
        self.result: RunResult | None = None
        self.complaints: list[str] = []
        self.others_failed = False
        self._options = config.option

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """Start xdist's workers with Ctrl-C held back (see `InterruptibleTests`)."""
        with held_back():
            return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the cells, if there are no workers."""
        self._select([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the cells that a worker has found; all find the same."""
        self._select(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Note that a worker died while it ran a cell."""
        found = _CELL.search(crashitem)
        if found is not None:
            self.recorder.died[found["id"]] = "the worker that ran this cell died (killed, or out of memory)"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test outside the matrix failed."""
        self.others_failed |= report.failed and _CELL.search(report.nodeid) is None

    def pytest_keyboard_interrupt(self) -> None:
        """Note that the run was ended by hand."""
        self.recorder.interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write run.json, then every report; set the exit code that says how the run ended."""
        if not self.recorder.selected or self._options.collectonly:
            return
        self.result = self.recorder.result()
        self._try(lambda run: write_run(run, self.recorder.run_dir))
        self._try(self._write_json)
        self._try(self._complete_allure)
        self._try(self._write_reports)
        if session.exitstatus in _ENDS:
            ours = exit_code(self.result, complaints=self.complaints)
            session.exitstatus = ours or (EXIT_FAILED if self.others_failed else EXIT_PASSED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where everything is, and how to reproduce each failure."""
        if self.result is None:
            return
        terminalreporter.section("ttylab")
        for line in self.last_words():
            terminalreporter.write_line(line)

    def last_words(self) -> list[str]:
        """Return the lines for people at the end; none if nothing was run."""
        if self.result is None:
            return []
        complaints = [visible(one, keep="\n") for one in self.complaints]
        return [*summary_lines(self.result, self.recorder.run_dir), *complaints]

    def _try(self, write: Callable[[RunResult], object]) -> None:
        """Write one report; if it fails the others are still written."""
        assert self.result is not None  # noqa: S101  # set by the only caller
        try:
            write(self.result)
        except (HarnessError, EmulatorError, OSError) as error:
            self.complaints.append(f"report: {error}")
        except Exception as error:  # noqa: BLE001  # a defect; the end of the run must still be reported
            self.complaints.append(f"report: {error!r}")

    def _write_json(self, result: RunResult) -> None:
        if self._options.run_json == "-":
            sys.stdout.write(json.dumps(json_ready(result), indent=1) + "\n")  # ASCII: safe on a terminal
        elif self._options.run_json:
            write_run(result, Path(self._options.run_json))

    def _complete_allure(self, result: RunResult) -> None:
        """Add the cells whose worker died before it wrote them (allure-python#825)."""
        directory = self._options.allure_report_dir
        for cell in result.cells if directory else ():
            if cell.cell.id in self.recorder.died:
                write_crashed_cell(Path(directory), cell, self.recorder.run_dir)

    def _write_reports(self, result: RunResult) -> None:
        run_dir = self.recorder.run_dir
        self.complaints += write_reports(
            result,
            run_dir,
            old=load_run(Path(self._options.compare)) if self._options.compare else None,
            history=run_dir.parent / HISTORY_FILE,
            allure=self._options.allure_html,
        )

    def _select(self, node_ids: list[str]) -> None:
        found = (_CELL.search(node_id) for node_id in node_ids)
        self.recorder.selected |= {match["id"] for match in found if match is not None}


def exit_code(result: RunResult, *, complaints: Sequence[str] = ()) -> int:
    """Return 0 if all passed, 1 if a guest failed, 3 if the lab broke, 130 if the run was interrupted."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    if result.summary["failed"]:
        return EXIT_FAILED
    return EXIT_BROKEN if result.summary["broken"] or complaints else EXIT_PASSED


def summary_lines(result: RunResult, run_dir: Path) -> list[str]:
    """Return a run's end for people: a line for each cell that did not pass, then where the report is."""
    lines = []
    for cell in result.cells:
        if cell.status != "passed":
            lines += [
                f"{cell.status.upper():8}{cell.cell.id}: {visible(cell.message)}",
                f"        reproduce: {visible(cell.repro)}",
            ]
    wanted = [cell.start for cell in result.cells if cell.start.startswith("booted: no snapshot")]
    if wanted:
        lines.append(f"{len(wanted)} cells were booted, not forked: {visible(wanted[0][8:])}")
    counts = ", ".join(f"{count} {word}" for word, count in result.summary.items() if count)
    lines.append(f"{counts} in {result.duration_s:.1f} s" + (" (interrupted)" if result.interrupted else ""))
    lines.append(f"report: {visible(str(page_of_run(run_dir)))}")
    return lines
