"""Write the run result; `harness.report.model.load_run` reads it back."""

from __future__ import annotations

from pathlib import Path

from harness.report.model import RESULT_FILE, RUN_FILE, CellResult, RunResult
from harness.report.staging import write_whole


def write_run(run: RunResult, path: Path) -> Path:
    """Write `run` to the file `path`, or as run.json into the directory `path`; return the file.

    Raises:
        ReportError: it can't be written; an older file stays as it was.
    """
    file = path / RUN_FILE if path.is_dir() else path
    write_whole(file, run.model_dump_json(indent=1).encode() + b"\n")
    return file


def write_cell(result: CellResult, run_dir: Path) -> Path:
    """Write result.json into the cell's directory; return the file.

    Raises:
        ReportError: it can't be written; an older file stays as it was.
    """
    file = run_dir / result.directory / RESULT_FILE
    write_whole(file, result.model_dump_json(indent=1).encode() + b"\n")
    return file
