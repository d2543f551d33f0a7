"""What CI providers show of a run on their own pages: a summary in Markdown, and annotations.

GitHub: workflow commands and GITHUB_STEP_SUMMARY; Azure Pipelines: logging commands; GitLab: a report of
links, since it shows JUnit itself. Texts come from guests: none of them can become markup or a command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from emulator.errors import FileError
from emulator.files import write_whole
from emulator.guest_text.printable import visible
from harness.report.model import CellResult, RunResult
from harness.report.reports import page_of_run
from harness.report.views import SYMBOLS

Provider: TypeAlias = Literal["github", "gitlab", "azure"]
SUMMARY_FILE = "summary.md"
LINKS_FILE = "gitlab-annotations.json"
_ANNOTATED = 9
"""GitHub shows ten errors of a step."""
_ROWS = 100
"""Cells in a summary, of which GitHub shows 1 MiB."""
_LONG = 500
"""Characters of a message in a table."""
_BAD = ("failed", "broken", "not-run")


def publish(run: RunResult, run_dir: Path, provider: Provider, *, missing: Sequence[str] = ()) -> list[str]:
    """Write what `provider` shows of a run, and return the lines that its job's log must get.

    The `missing` shards are told too. Files go into `run_dir`, on GitHub also into what GITHUB_STEP_SUMMARY
    names. Raises FileError.
    """
    summary = render_summary(run, missing=missing)
    write_whole(run_dir / SUMMARY_FILE, summary.encode(), private=True)
    if provider == "gitlab":
        write_whole(run_dir / LINKS_FILE, _links(run_dir, os.environ.get("CI_JOB_URL", "")), private=True)
        return []
    if provider == "azure":
        uploaded = (run_dir / SUMMARY_FILE).absolute()
        return [*render_annotations(run, _azure, missing=missing), f"##vso[task.uploadsummary]{uploaded}"]
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(summary)
        except OSError as error:
            raise FileError(f"GITHUB_STEP_SUMMARY {place}: {error.strerror}") from error
    return render_annotations(run, _github, missing=missing)


def render_summary(run: RunResult, *, missing: Sequence[str] = ()) -> str:
    """Return the run in GitHub's Markdown: what it comes to, and a row for each cell that did not pass."""
    counts = ", ".join(f"{count} {word}" for word, count in run.summary.items() if word != "cells")
    bad = [one for one in run.cells if one.status in _BAD]
    lines = [
        f"### ttylab: {_plain(run.matrix)}",
        "",
        f"{len(run.cells)} cells: {counts}; {run.duration_s:.0f} s",
    ]
    if run.interrupted:
        lines += ["", "**The run was interrupted.**"]
    lines += ["", *(f"**Shard {each} is missing: its cells were not reported.**\n" for each in missing)]
    if bad:
        lines += ["| | cell | what the console shows | again |", "|---|---|---|---|", *map(_row, bad[:_ROWS])]
    if len(bad) > _ROWS:
        lines += ["", f"{len(bad) - _ROWS} more are in the report."]
    return "\n".join(lines) + "\n\n"


def _row(cell: CellResult) -> str:
    words = (cell.cell.id, cell.message[:_LONG], cell.repro)
    return f"| {SYMBOLS[cell.status]} {cell.status} | " + " | ".join(map(_code, words)) + " |"


def _code(text: str) -> str:
    return f"<code>{_plain(text)}</code>"


def _plain(text: str) -> str:
    """Return Markdown that shows `text` and nothing else: whatever could be markup is an entity."""
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in visible(text))


def render_annotations(
    run: RunResult, command: Callable[[Mapping[str, str], str], str], *, missing: Sequence[str] = ()
) -> list[str]:
    """Return a command of the provider for each cell that did not pass, and each shard that is missing."""
    bad = [one for one in run.cells if one.status in _BAD]
    lines = [command({}, f"shard {each} is missing: its cells were not reported") for each in missing]
    lines += [command(_place(run, one), f"{one.message}\n{one.repro}") for one in bad[:_ANNOTATED]]
    if len(bad) > _ANNOTATED:
        lines.append(command({}, f"{len(bad) - _ANNOTATED} more cells did not pass: see the summary"))
    return lines


def _place(run: RunResult, cell: CellResult) -> dict[str, str]:
    """Return title, file and line of a cell: of a test its file, of a matrix where it names the scenario."""
    there = {"title": f"{cell.status}: {cell.cell.id}"}
    named = cell.cell.id.partition("::")[0]
    for file in run.files:
        path = Path(file)
        if not path.is_absolute() and ".." not in path.parts and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            here = (n for n, line in enumerate(lines, start=1) if f'"{cell.cell.scenario}"' in line)
            line = 1 if file == named else next(here, 0)
            if line:
                return there | {"file": file, "line": str(line)}
    return there


def _github(place: Mapping[str, str], text: str) -> str:
    """Return a workflow command (docs.github.com, "Workflow commands"; escapes as in actions/toolkit)."""
    properties = ",".join(f"{name}={_escaped(value, '%', ':,')}" for name, value in place.items())
    return f"::error{' ' if properties else ''}{properties}::{_escaped(text, '%', '')}"


def _azure(place: Mapping[str, str], text: str) -> str:
    """Return a logging command (learn.microsoft.com, "Logging commands", formatting)."""
    names = {"file": "sourcepath", "line": "linenumber"}
    words = "".join(f";{names[k]}={_escaped(v, '%', ';]')}" for k, v in place.items() if k in names)
    title = f"{place['title']}: " if "title" in place else ""
    return f"##vso[task.logissue type=error{words}]{_escaped(title + text, '%', '')}"


def _escaped(text: str, percent: str, more: str) -> str:
    """Return visible `text` in one line; `percent` and what is in `more` are escaped as in URLs."""
    codes = {c: f"%{ord(c):02X}" for c in f"{percent}\r\n{more}"}
    return "".join(codes.get(c, c) for c in visible(text, keep="\n"))


def _links(run_dir: Path, job: str) -> bytes:
    """Return GitLab's report of links to a job's files (docs.gitlab.com, artifacts:reports:annotations)."""
    page = page_of_run(run_dir)
    here = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    link = {"label": "ttylab's report", "url": f"{job}/artifacts/file/{here.as_posix()}"}
    return json.dumps({"ttylab": [{"external_link": link}] if job else []}).encode() + b"\n"
