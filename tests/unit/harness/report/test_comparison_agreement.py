"""Two runs agree cell by cell, or the differences are named."""

from dataclasses import replace

import pytest

from emulator.errors import SpecError
from harness.report.comparison import disagreements
from tests.support.report_samples import make_cell, make_run


def sample_run():
    return make_run(
        make_cell(scenario="one", start="forked from shell 12"), make_cell("failed", scenario="two")
    )


def changed(run, cell_id, **facts):
    cells = [replace(cell, **facts) if cell.cell.id == cell_id else cell for cell in run.cells]
    return replace(run, cells=tuple(cells))


def test_a_run_agrees_with_itself_however_it_began() -> None:
    run = sample_run()
    other = replace(run, cells=tuple(replace(cell, start="booted") for cell in run.cells))
    assert disagreements(run, other) == {}


def test_another_verdict_reason_or_step_and_a_missing_cell_are_named() -> None:
    run = sample_run()
    first = run.cells[0]
    found = disagreements(run, changed(run, first.cell.id, status="broken", reason="lab", step=2))
    assert found.keys() == {first.cell.id}
    assert found[first.cell.id][1] == "broken (lab) at step 2"
    fewer = replace(run, cells=run.cells[1:])
    ((ours, theirs),) = disagreements(run, fewer).values()
    assert theirs == "not run"
    assert disagreements(fewer, run) == {first.cell.id: ("not run", ours)}


def test_runs_without_a_common_cell_can_not_be_compared() -> None:
    run = sample_run()
    with pytest.raises(SpecError, match="have no cell in common"):
        disagreements(run, replace(run, cells=()))
