"""`ttylab report`: make the reports of a kept run anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import SpecError
from harness.errors import ReportError
from harness.report.allure import RESULTS_DIRECTORY
from harness.report.allure_html import ALLURE_REPORT_DIRECTORY, generate_html
from harness.report.junit import write_junit
from harness.report.model import load_run
from harness.report.page import write_report


def report(
    run_dir: Annotated[Path, typer.Argument(help="The directory of a run (it holds run.json).")],
    *,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier run, directory or run.json, to compare with.")
    ] = None,
    allure: Annotated[bool, typer.Option(help="Make Allure's report too.")] = True,
) -> None:
    """Make the reports of a kept run anew: HTML, JUnit and Allure's.

    Examples: `ttylab report results/RUN`, `ttylab report results/RUN --compare results/OLD`.
    """
    if not run_dir.is_dir():
        raise SpecError(f"{run_dir}: no directory of a run")
    run = load_run(run_dir)
    old = load_run(compare) if compare else None
    write_junit(run, run_dir)
    notes = _write_allure(run_dir) if allure else []
    page = write_report(run, run_dir, old=old, notes=notes)
    typer.echo(page.absolute().as_uri())


def _write_allure(run_dir: Path) -> list[str]:
    """Make Allure's report; return why it could not be made, which spoils no other report."""
    results = run_dir / RESULTS_DIRECTORY
    if not results.is_dir():
        return []
    try:
        generate_html([results], run_dir / ALLURE_REPORT_DIRECTORY)
    except ReportError as error:
        typer.echo(f"ttylab: {error}", err=True)
        return [str(error)]
    return []
