"""`ttylab report`: make the reports of an earlier run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import SpecError
from harness.commands import say
from harness.report.model import load_run
from harness.report.reports import page_of_run, write_reports
from harness.scenario.errors import ReportError


def report(
    run_dir: Annotated[Path, typer.Argument(help="Directory of a run (it holds run.json).")],
    *,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier run to compare with: its directory or run.json.")
    ] = None,
    allure: Annotated[bool, typer.Option(help="Make Allure's report too.")] = True,
) -> None:
    """Make the reports of an earlier run again: HTML, JUnit and Allure's.

    Examples: `ttylab report results/RUN`, `ttylab report results/RUN --compare results/OLD`.
    """
    if not run_dir.is_dir():
        raise SpecError(f"{run_dir}: no directory of a run")
    old = load_run(compare) if compare else None
    for note in write_reports(load_run(run_dir), run_dir, old=old, allure=allure):
        say(f"ttylab: {note}", err=True)
    page = page_of_run(run_dir)
    if not page.is_file():
        raise ReportError("the HTML report could not be made (see above)")
    say(page.absolute().as_uri())
