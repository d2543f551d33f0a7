"""Files of runs and cells: read back as they were, and whole or not at all."""

import pytest

from emulator.errors import FileError
from emulator.values import load_json
from harness.report.model import load_run, write_cell, write_run
from tests.support.full_disk import full_disk
from tests.support.report_samples import make_cell, make_run


def test_run_file_is_read_back_as_it_was(tmp_path) -> None:
    run = make_run(make_cell("failed"), make_cell(scenario="other"))
    assert load_run(write_run(run, tmp_path)) == run
    assert load_run(write_run(run, tmp_path / "elsewhere.json")) == run


def test_run_file_of_before_stays_when_the_disk_is_full(tmp_path) -> None:
    old = make_run(run_id="old")
    write_run(old, tmp_path)
    with full_disk(), pytest.raises(FileError, match=r"run\.json can't be written: File too large"):
        write_run(make_run(make_cell(), run_id="new"), tmp_path)
    assert load_run(tmp_path) == old
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_cell_file_lies_in_the_cells_directory(tmp_path) -> None:
    cell = make_cell("failed")
    file = write_cell(cell, tmp_path)
    assert file == tmp_path / cell.directory / "result.json"
    assert load_json(file.read_bytes(), type(cell), origin="here") == cell
