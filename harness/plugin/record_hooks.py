"""pytest's hooks on the controller while a matrix runs: the run's record, its reports, its exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import EmulatorError
from emulator.guest_text.printable import visible
from emulator.values import json_ready
from harness.plugin.hook_calls import call_hook
from harness.plugin.plays import TELLS_PROPERTY
from harness.plugin.process import RUN_DIRECTORY
from harness.plugin.run_recorder import RunRecorder
from harness.report.allure import write_crashed_cell
from harness.report.model import RunResult, load_run, write_run
from harness.report.reports import page_of_run, write_reports
from harness.run.interrupts import held_back, let_through, uninterrupted
from harness.scenario.errors import HarnessError, ReportError
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED

HISTORY_FILE = "allure-history.jsonl"
"""Allure's history of the runs in one results directory, kept beside them."""
RECORD = "ttylab-record"
"""Name under which the plug-in registers its RecordHooks."""
_ENDS = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
"""Exit codes that cells decide; a defect of pytest or a plug-in keeps pytest's own."""


class RecordHooks:
    """pytest's hooks on the controller while a matrix runs.

    Attributes:
        recorder: collects what the hooks learn.
        result: the run, once it has ended.
        complaints: what could not be reported, to show at the end of the run.
        others_failed: whether a test that is no cell failed.
        told: whether people know the end already, as guests were held after it.
    """

    def __init__(self, recorder: RunRecorder, config: pytest.Config) -> None:
        self.recorder = recorder
        self.result: RunResult | None = None
        self.complaints: list[str] = []
        self.others_failed = self.told = False
        self._config = config
        self._old = load_run(Path(config.option.compare)) if config.option.compare else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """Start xdist's workers with Ctrl-C held back (see `InterruptibleTests`)."""
        with held_back():
            try:
                return (yield)
            except (EOFError, OSError) as error:
                reason = f"a worker died while it was started ({error})"
        pytest.exit(reason, returncode=EXIT_BROKEN)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the cells, if there are no workers."""
        self.recorder.select(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the cells that a worker has found; all find the same."""
        self.recorder.select(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker the run's directory; xdist hands on only what the command line says (3.8)."""
        node.workerinput[RUN_DIRECTORY] = str(self.recorder.run_dir)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what pytest says of a cell, or that another test failed; show what a cell tells meanwhile."""
        tells = dict(report.user_properties).get(TELLS_PROPERTY)
        reporter = self._config.pluginmanager.getplugin("terminalreporter")  # none where `progress` shows it
        if tells and reporter is not None:
            reporter.write_line(f"ttylab: {visible(str(tells))}")
        if not self.recorder.see(report):
            self.others_failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note why the run ended early: by hand, by pytest itself (-x), by a plug-in.

        First, so that the reason is kept if another one's hook fails: pytest's own makes a traceback here.
        """
        by_hand = excinfo.type is KeyboardInterrupt  # pytest's and xdist's own Interrupted derive from it
        self.recorder.interrupted = by_hand
        self.recorder.stopped = "the run was interrupted" if by_hand else str(excinfo.value)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note that pytest or a plug-in gave up."""
        self.recorder.stopped = f"pytest gave up: {str(excrepr).strip().splitlines()[-1:]}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the run's result before anybody sums it up."""
        self.finish(session)

    def finish(self, session: pytest.Session) -> None:
        """Write run.json, then every report, once; set the exit code that says how the run ended."""
        if self._config.option.collectonly or self.result is not None:
            return
        with uninterrupted() as came:
            self._write(session)
            if came():
                session.exitstatus = EXIT_INTERRUPTED

    def _write(self, session: pytest.Session) -> None:
        if not self.recorder.plays:
            session.exitstatus = self._code_without_cells(int(session.exitstatus))
            return
        self.recorder.stopped = self.recorder.stopped or str(session.shouldfail or session.shouldstop or "")
        self.result = self.recorder.result()
        self._try(lambda run: write_run(run, self.recorder.run_dir))
        self._try(self._write_json)
        self._try(self._complete_allure)
        self._try(self._write_reports)
        hook = self._config.hook.pytest_ttylab_run_ends
        told = call_hook(hook, result=self.result, run_dir=self.recorder.run_dir, config=self._config)
        self.complaints += [told] if told else []
        if session.exitstatus in _ENDS:
            session.exitstatus = self._code(session)

    def pytest_unconfigure(self) -> None:
        """Leave no directory of a run that came to no cell."""
        if self.result is None:
            self.recorder.release()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where everything is, and how to reproduce each failure."""
        if self.result is None or self.told:
            return
        terminalreporter.section("ttylab")
        for line in self.last_words():
            terminalreporter.write_line(line)

    def last_words(self) -> list[str]:
        """Return the lines for people at the end."""
        if self.result is None:
            told = self.recorder.stopped and not self.recorder.interrupted
            return [f"no cell was run: {self.recorder.stopped}"] if told else []
        complaints = [visible(one) for one in self.complaints]
        return [*summary_lines(self.result, self.recorder.run_dir), *complaints]

    def _code(self, session: pytest.Session) -> int:
        """Return the run's exit code; red wherever pytest saw something that no cell's verdict tells."""
        assert self.result is not None  # noqa: S101  # set by the only caller
        if session.testsfailed and not self.others_failed and not _is_red(self.result):
            self.complaints.append(f"pytest counts {session.testsfailed} failed, and no cell is among them")
        if why := nothing_played(self.result):
            self.complaints.append(why)
        code = exit_code(self.result, complaints=self.complaints)
        if self.others_failed and code in {EXIT_PASSED, EXIT_BROKEN}:
            return EXIT_FAILED
        return code

    def _code_without_cells(self, code: int) -> int:
        """Return the exit code of a run that came to no cell; its worker died, or its tests aren't cells."""
        if self.recorder.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_BROKEN if code == EXIT_FAILED and not self.others_failed else code

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
        wanted = self._config.option.run_json
        if wanted == "-":
            sys.stdout.write(json.dumps(json_ready(result), indent=1) + "\n")  # ASCII: safe on a terminal
            sys.stdout.flush()
        elif wanted:
            write_run(result, Path(wanted))

    def _complete_allure(self, result: RunResult) -> None:
        """Add the cells whose worker died before it wrote them (allure-python#825)."""
        directory = self._config.getoption("allure_report_dir", None)
        died = self.recorder.died()
        for cell in result.cells if directory else ():
            if cell.cell.id in died:
                write_crashed_cell(Path(str(directory)), cell, self.recorder.run_dir)

    def _write_reports(self, result: RunResult) -> None:
        run_dir = self.recorder.run_dir
        self.complaints += write_reports(
            result,
            run_dir,
            old=self._old,
            history=run_dir.parent / HISTORY_FILE,
            allure=self._config.option.allure_html,
            around_allure=_interruptible,
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a report that takes long, and only it; raises ReportError if it did."""
    try:
        with let_through():
            yield
    except KeyboardInterrupt:
        raise ReportError("no Allure report: interrupted") from None


def exit_code(result: RunResult, *, complaints: Sequence[str] = ()) -> int:
    """Return 0 if all passed, 1 if a guest failed, 3 if the lab broke or left one out, 130 if interrupted."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    if result.summary["failed"]:
        return EXIT_FAILED
    return EXIT_BROKEN if _is_red(result) or complaints else EXIT_PASSED


def nothing_played(result: RunResult) -> str:
    """Return why a run that skipped every cell proves nothing; empty if one was played, or it has none."""
    cells = [cell for cell in result.cells if "::" not in cell.cell.id]  # tests skip by their own will
    if not cells or any(cell.status != "skipped" for cell in cells):
        return ""
    return f"no cell was played: {len(cells)} skipped, the first since {cells[0].message}"


def _is_red(result: RunResult) -> bool:
    return any(cell.status not in {"passed", "skipped"} for cell in result.cells)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def summary_lines(result: RunResult, run_dir: Path) -> list[str]:
    """Return a run's end for people: each cell that did not pass, then where the report is."""
    lines = []
    unplayed: dict[str, list[str]] = {}
    for cell in result.cells:
        if cell.status == "not-run":
            unplayed.setdefault(cell.message, []).append(cell.cell.id)
        elif cell.status != "passed":
            lines += [
                f"{cell.status.upper():8}{cell.cell.id}: {_first_line(cell.message)}",
                f"        reproduce: {cell.repro}",
            ]
    for message, cells in unplayed.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        lines.append(f"NOT RUN {cells[0]}{more}: {message.removeprefix('not run: ')}")
    wanted = [cell.start for cell in result.cells if cell.start.startswith("booted: no snapshot")]
    if wanted:
        lines.append(f"{len(wanted)} cells were booted, not forked: {wanted[0].removeprefix('booted: ')}")
    counts = ", ".join(f"{count} {word.replace('-', ' ')}" for word, count in result.summary.items() if count)
    lines.append(f"{counts} in {result.duration_s:.1f} s" + (" (interrupted)" if result.interrupted else ""))
    lines.append(f"report: {page_of_run(run_dir)}")
    return [visible(line) for line in lines]
