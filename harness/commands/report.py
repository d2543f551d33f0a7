"""`ttylab report`: make the reports of earlier runs again, of several as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from typer import Argument, Option

from emulator.errors import SpecError
from harness.commands import say
from harness.report.merge import write_merged
from harness.report.model import RunResult, load_run
from harness.report.providers import Provider, publish
from harness.report.reports import page_of_run, write_reports
from harness.scenario.errors import ReportError
from harness.scenario.exit_codes import EXIT_BROKEN

EXAMPLES = """Examples:
  ttylab report results/RUN                                 the reports anew
  ttylab report results/RUN --compare results/OLD           with what changed
  ttylab report shards/* --into results --ci github         the shards of a run as one, and what GitHub shows
"""


def report(
    run_dir: Annotated[Path, Argument(help="Directory of a run (it holds run.json).")],
    more: Annotated[list[Path] | None, Argument(help="More of them, for --into.")] = None,
    *,
    into: Annotated[Path | None, Option(help="Merge the runs into this new directory.")] = None,
    ci: Annotated[str, Option(help="Also tell a provider: github, gitlab or azure.")] = "",
    compare: Annotated[
        Path | None, Option(help="An earlier run to compare with: its directory or run.json.")
    ] = None,
    allure: Annotated[bool, Option(help="Make Allure's report too.")] = True,
) -> None:
    """Make the reports of earlier runs again: HTML, JUnit and Allure's.

    --into makes one run of several, such as the shards of a matrix. --ci writes summary.md into the run's
    directory and what the provider shows on its own pages. Exit code 3 if a shard is missing.
    """
    if ci and ci not in get_args(Provider):
        raise SpecError(f"--ci is {ci!r}; allowed: {', '.join(get_args(Provider))}")
    run, run_dir, missing = _the_run([run_dir, *(more or ())], into)
    old = load_run(compare) if compare else None
    for note in write_reports(run, run_dir, old=old, allure=allure):
        say(f"ttylab: {note}", err=True)
    for line in publish(run, run_dir, cast("Provider", ci), missing=missing) if ci else ():
        say(line)
    page = page_of_run(run_dir)
    if not page.is_file():
        raise ReportError("the HTML report could not be made (see above)")
    say(page.absolute().as_uri())
    for each in missing:
        say(f"ttylab: error: shard {each} is missing: its cells were not reported", err=True)
    if missing:
        raise typer.Exit(EXIT_BROKEN)


def _the_run(directories: list[Path], into: Path | None) -> tuple[RunResult, Path, tuple[str, ...]]:
    """Return the one run that was asked for, its directory, and the shards that it lacks."""
    for each in directories:
        if not each.is_dir():
            raise SpecError(f"{each}: no directory of a run")
    if into is not None:
        run, missing = write_merged(directories, into)
        return run, into, missing
    if len(directories) > 1:
        raise SpecError(f"{len(directories)} runs are given; --into DIRECTORY makes one of them")
    return load_run(directories[0]), directories[0], ()
