"""`ttylab doctor`: what this machine can do, why, and how to fix the rest."""

from __future__ import annotations

import json as json_format
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from harness.commands import say
from harness.doctor.diagnosis import Diagnosis, State, debian_packages, run_is_possible
from harness.scenario.exit_codes import EXIT_BROKEN

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {State.OK: "[green]ok[/]", State.NOTE: "[yellow]note[/]", State.MISSING: "[red]missing[/]"}


def doctor(
    *,
    json: Annotated[bool, Option("--json", help="Print one JSON object: possible, findings.")] = False,
    packages: Annotated[bool, Option(help="Print only the Debian packages that lack, for apt-get.")] = False,
) -> None:
    """Explain what this machine can do and why, and name the command that fixes each missing part.

    Exit code 0 if the default matrix can run, 3 if it lacks something; with --packages always 0.

    Examples: `ttylab doctor`, `ttylab doctor --json`, `apt-get install $(ttylab doctor --packages)`.
    """
    from harness.doctor.examination import examine  # noqa: PLC0415 - slow to import

    findings = examine()
    lacking = debian_packages(findings)
    if packages:
        say(" ".join(lacking))
        return
    possible = run_is_possible(findings)
    if json:
        answer = {"possible": possible, "findings": [asdict(finding) for finding in findings]}
        say(json_format.dumps(answer, indent=2))
    else:
        from rich.console import Console  # noqa: PLC0415

        show(findings, Console())
        if lacking:
            sudo = "" if os.geteuid() == 0 else "sudo "
            say(f"\nall at once: {sudo}apt-get install --yes --no-install-recommends {' '.join(lacking)}")
    if not possible:
        raise typer.Exit(EXIT_BROKEN)


def show(findings: tuple[Diagnosis, ...], console: Console) -> None:
    """Print the findings: as a table on a terminal, as lines for a program or a file."""
    if not console.is_terminal:
        for finding in findings:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            console.out(f"{finding.state:8}{finding.part:15}{finding.detail}{remedy}", highlight=False)
        return
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("", "part", "what was found, and how to fix it", box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"  # a path stays readable
    for finding in findings:
        remedy = f"\n[bold]fix: {escape(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(MARKS[finding.state], finding.part, escape(finding.detail) + remedy)
    console.print(table)
