"""The pytest hooks that ttylab calls; write them in a conftest.py or a plug-in, with the arguments you want.

All but `pytest_ttylab_run_ends` are called in the process that plays the cell, under xdist a worker; none is
historic or ends at a first result, and what they return is ignored. A cell is a cell of a matrix, or a test
of your own that uses a machine. A hook that raises makes its cell BROKEN (one that FAILED stays so) with the
plug-in's name in the message; the run goes on. Of a cell whose worker was killed only the run's end tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from harness.report.model import CellRecord, CellResult, FindingRecord, RunResult
    from harness.scenario.verdict import Injection


def pytest_ttylab_cell_begins(cell: CellRecord, item: pytest.Item) -> None:
    """Tell that a cell is about to be played; its machine is not there yet.

    If a hook raises, the cell is not played.
    """


def pytest_ttylab_injection_judged(cell: CellRecord, injection: Injection, item: pytest.Item) -> None:
    """Tell what became of one stimulus of a scenario: its outcome, and how soon the guest reacted.

    Called when the whole cell is judged, in the order of the injections.
    """


def pytest_ttylab_finding_seen(cell: CellRecord, finding: FindingRecord, item: pytest.Item) -> None:
    """Tell of one finding in the cell's transcript, with its place, and whether it was expected.

    Called when the whole cell is judged, in the order of the transcript, after the injections.
    """


def pytest_ttylab_cell_ends(result: CellResult, item: pytest.Item, run_dir: Path) -> None:
    """Tell how a cell ended; its files are in `run_dir` / `result.directory`, its transcript is complete."""


def pytest_ttylab_run_ends(result: RunResult, run_dir: Path, config: pytest.Config) -> None:
    """Tell how the run ended, on the controller, once run.json and all reports are written.

    A hook that raises makes the run's exit code that of a broken lab.
    """
