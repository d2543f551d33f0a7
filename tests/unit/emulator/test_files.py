"""Run files and report directories appear whole or not at all."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from emulator.files import copy_whole, staged_tree, write_whole
from emulator.values import load_json
from harness.report.model import load_run, write_cell, write_run
from harness.scenario.errors import ReportError
from tests.support.report_samples import make_cell, make_run


@contextmanager
def full_disk(room: int = 64) -> Iterator[None]:
    """Let no file grow beyond `room` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_run_file_is_read_back_as_it_was(tmp_path) -> None:
    run = make_run(make_cell("failed"), make_cell(scenario="other"))
    assert load_run(write_run(run, tmp_path)) == run
    assert load_run(write_run(run, tmp_path / "elsewhere.json")) == run


def test_run_file_of_before_stays_when_the_disk_is_full(tmp_path) -> None:
    old = make_run(run_id="old")
    write_run(old, tmp_path)
    with full_disk(), pytest.raises(ReportError, match=r"run\.json can't be written: File too large"):
        write_run(make_run(make_cell(), run_id="new"), tmp_path)
    assert load_run(tmp_path) == old
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_cell_file_lies_in_the_cells_directory(tmp_path) -> None:
    cell = make_cell("failed")
    file = write_cell(cell, tmp_path)
    assert file == tmp_path / cell.directory / "result.json"
    assert load_json(file.read_bytes(), type(cell), origin="here") == cell


def test_staged_tree_replaces_what_was_there(tmp_path) -> None:
    target = tmp_path / "report"
    for name in ("one", "two"):
        with staged_tree(target) as new:
            (new / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_staged_tree_keeps_the_old_one_when_the_body_fails(tmp_path) -> None:
    target = tmp_path / "report"
    write_whole(target / "index.html", b"old")
    fails = pytest.raises(ZeroDivisionError)
    with fails, staged_tree(target) as new:
        (new / "index.html").write_text(f"new {1 / 0}")
    no_room = pytest.raises(ReportError, match="report can't be written")
    with full_disk(), no_room, staged_tree(target) as new:
        (new / "index.html").write_bytes(b"x" * 100)
    assert (target / "index.html").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_copy_whole_keeps_the_old_file_when_there_is_no_room(tmp_path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 100)
    (tmp_path / "target").write_bytes(b"old")
    with full_disk(), pytest.raises(ReportError):
        copy_whole(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"old"
    copy_whole(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"x" * 100
