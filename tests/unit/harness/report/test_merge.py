"""Several runs as one."""

from pathlib import Path

import pytest

from emulator.errors import FileError, SpecError
from harness.report.merge import merge_runs, missing_shards, write_merged
from harness.report.model import load_run, write_run
from tests.support.report_samples import make_cell, make_run

INTO = Path("merged")


def test_the_cells_of_all_are_there_and_counted_once() -> None:
    one = make_run(make_cell("passed"), duration_s=10, workers=2, matrix="push", files=("a.toml",))
    other = make_run(
        make_cell("failed", scenario="x"), duration_s=30, workers=1, matrix="push", files=("a.toml",)
    )
    run = merge_runs({"one": one, "other": other}, INTO)
    assert run.cells == tuple(sorted((*one.cells, *other.cells), key=lambda cell: cell.cell.id))
    assert (run.summary["cells"], run.summary["passed"], run.summary["failed"]) == (2, 1, 1)
    assert (run.run_id, run.matrix, run.files) == ("merged", "push", ("a.toml",))
    assert (run.duration_s, run.workers, run.excluded) == (30, 3, one.excluded)


def test_one_that_was_interrupted_makes_the_whole_so() -> None:
    runs = {
        "a": make_run(make_cell("passed")),
        "b": make_run(make_cell("passed", scenario="x"), interrupted=True),
    }
    assert merge_runs(runs, INTO).interrupted


def test_a_cell_in_two_runs_is_refused_with_both_named() -> None:
    runs = {"shards/a": make_run(make_cell("passed")), "shards/b": make_run(make_cell("failed"))}
    with pytest.raises(SpecError, match=r"was played in shards/a and in shards/b; give one of them"):
        merge_runs(runs, INTO)


def test_the_line_that_reproduces_a_cell_names_the_merged_run() -> None:
    cell = make_cell("failed", repro="ttylab repro a.b.c.1.d --run shard-1 --time-scale 2")
    plain = make_cell("failed", scenario="x", repro="ttylab repro e --run")
    run = merge_runs({"shard-1": make_run(cell, plain)}, Path("all of it"))
    assert {one.repro for one in run.cells} == {
        "ttylab repro a.b.c.1.d --run 'all of it' --time-scale 2",
        "ttylab repro e --run",
    }


@pytest.mark.parametrize(
    ("shards", "missing"),
    [
        (("1/2", "2/2"), ()),
        (("2/3",), ("1/3", "3/3")),
        (("", ""), ()),
        (("x/2", "1/99999999"), ()),
        (("1/2", "2/2", "1/3"), ("2/3", "3/3")),
    ],
)
def test_a_shard_that_is_missing_is_named(shards, missing) -> None:
    assert missing_shards([make_run(shard=shard) for shard in shards]) == missing


@pytest.fixture
def shards(tmp_path) -> list[Path]:
    made = []
    for number in (1, 2):
        directory = tmp_path / f"shard-{number}"
        cell = make_cell("passed", scenario=f"s-{number}")
        (directory / cell.directory).mkdir(parents=True)
        (directory / cell.directory / "console.bin").write_bytes(b"shard %d" % number)
        (directory / "allure-results").mkdir()
        (directory / f"allure-results/{number}-result.json").write_text("{}")
        write_run(make_run(cell, shard=f"{number}/2"), directory)
        made.append(directory)
    return made


def test_evidence_and_allures_results_come_along(shards, tmp_path) -> None:
    into = tmp_path / "merged"
    run, missing = write_merged(shards, into)
    assert (load_run(into), missing) == (run, ())
    assert [(into / one.directory / "console.bin").read_bytes() for one in run.cells] == [
        b"shard 1",
        b"shard 2",
    ]
    assert sorted(path.name for path in (into / "allure-results").iterdir()) == [
        "1-result.json",
        "2-result.json",
    ]


def test_a_directory_that_holds_a_run_stays_as_it_was(shards) -> None:
    before = (shards[0] / "run.json").read_bytes()
    with pytest.raises(SpecError, match="holds a run already"):
        write_merged(shards[1:], shards[0])
    assert (shards[0] / "run.json").read_bytes() == before


def test_evidence_that_cannot_be_copied_leaves_no_run(shards, tmp_path) -> None:
    (tmp_path / "merged/cells").mkdir(parents=True)
    (tmp_path / "merged/cells" / Path(load_run(shards[0]).cells[0].directory).name).write_text("in the way")
    with pytest.raises(FileError, match="can't be copied"):
        write_merged(shards, tmp_path / "merged")
    assert not (tmp_path / "merged/run.json").exists()
