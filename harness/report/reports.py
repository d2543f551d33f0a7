"""All reports of a run; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from emulator.errors import FileError
from emulator.files import make_private
from harness.report.allure import ALLURE_REPORT_DIRECTORY, RESULTS_DIRECTORY, generate_html, write_environment
from harness.report.junit import write_junit
from harness.report.model import RunResult
from harness.report.page import REPORT_DIRECTORY, write_report
from harness.scenario.errors import ReportError


def write_reports(
    run: RunResult,
    run_dir: Path,
    *,
    old: RunResult | None = None,
    history: Path | None = None,
    allure: bool = True,
    around_allure: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[str]:
    """Write JUnit, Allure's report and the HTML report; return a line for each that could not be made.

    run.json is not written here (`model.write_run` does that). The `old` run is compared with; this one is
    added to `history`, Allure's file of earlier runs. Allure's report is made where there are Allure results;
    `around_allure` is entered while it works, which can take minutes, and ReportError ends that.
    """
    notes: list[str] = []
    results = run_dir / RESULTS_DIRECTORY
    _try(lambda: write_junit(run, run_dir), notes)
    if allure and results.is_dir():
        _try(lambda: write_environment(results, run), notes)
        out = run_dir / ALLURE_REPORT_DIRECTORY

        def make_allure() -> None:
            with around_allure():
                generate_html([results], out, name=f"ttylab {run.run_id}", history=history)

        _try(make_allure, notes)
    for each in (results, run_dir / "cells"):  # allure-pytest and QEMU write with the umask that they find
        make_private(each)
    _try(lambda: write_report(run, run_dir, old=old, notes=tuple(notes)), notes)
    return notes


def page_of_run(run_dir: Path) -> Path:
    """Return where the HTML report of a run is."""
    return run_dir / REPORT_DIRECTORY / "index.html"


def _try(make: Callable[[], object], notes: list[str]) -> None:
    try:
        make()
    except (ReportError, FileError) as error:
        notes.append(str(error))
