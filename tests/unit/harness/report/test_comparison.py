"""Two runs side by side."""

import pytest

from harness.report.comparison import compare_runs
from harness.report.model import StageRecord
from tests.support.report_samples import make_cell, make_run


def names(changes) -> list[str]:
    return [now.cell.id.rpartition(".")[2] for _, now in changes]


def test_comparison_sorts_cells_by_what_became_of_them() -> None:
    old = make_run(
        make_cell("passed", scenario="breaks"),
        make_cell("failed", scenario="mends"),
        make_cell("failed", scenario="stays"),
        make_cell("skipped", scenario="awakes"),
        make_cell("failed", scenario="sleeps"),
        make_cell("passed", scenario="gone"),
    )
    new = make_run(
        make_cell("broken", scenario="breaks"),
        make_cell("passed", scenario="mends"),
        make_cell("broken", scenario="stays"),
        make_cell("failed", scenario="awakes"),
        make_cell("skipped", scenario="sleeps"),
        make_cell("passed", scenario="fresh"),
    )
    it = compare_runs(old, new)
    assert names(it.newly_failing) == ["awakes", "breaks"]
    assert names(it.fixed) == ["mends"]  # a skip is no repair
    assert names(it.still_failing) == ["stays"]
    assert it.added == ("bookworm.q35.seabios.1.fresh",)
    assert it.vanished == ("bookworm.q35.seabios.1.gone",)


def booted(scenario: str, *moments: float, boot: int = 0):
    stages = [
        StageRecord(boot=boot, stage=stage, at=at)
        for stage, at in zip(("kernel", "login"), moments, strict=True)
    ]
    return make_cell(scenario=scenario, stages=stages)


def test_comparison_names_stages_that_take_longer_by_ratio_and_by_seconds() -> None:
    old = make_run(booted("a", 1.0, 2.0), booted("b", 1.0, 2.0))
    new = make_run(booted("a", 1.1, 4.1), booted("b", 1.1, 4.1))
    (slow,) = compare_runs(old, new).slower
    assert (slow.stage, slow.was_s, slow.cells) == ("login", 1.0, 2)
    assert slow.ratio == pytest.approx(3.0)


def test_comparison_takes_the_median_so_that_one_slow_cell_is_no_finding() -> None:
    old = make_run(*(booted(name, 1.0, 2.0) for name in "abc"))
    new = make_run(booted("a", 1.0, 9.0), booted("b", 1.0, 2.0), booted("c", 1.0, 2.0))
    assert compare_runs(old, new).slower == ()


def test_comparison_ignores_later_boots_and_differences_too_small_to_see() -> None:
    old = make_run(booted("a", 0.01, 1.0), booted("b", 1.0, 2.0, boot=1))
    new = make_run(booted("a", 0.04, 1.03), booted("b", 5.0, 9.0, boot=1))
    assert compare_runs(old, new).slower == ()
