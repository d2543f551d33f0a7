"""Reports are as private as the cells that they show, whatever the umask."""

import os
import stat

import pytest

from harness.report.allure import write_crashed_cell
from harness.report.model import write_cell, write_run
from harness.report.reports import write_reports
from tests.support.report_samples import make_run_dir


@pytest.fixture(params=[0o000, 0o022])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_every_file_of_a_run_is_for_its_owner_alone(tmp_path):
    run_dir = tmp_path / "results" / "run"
    run = make_run_dir(run_dir)
    for cell in run.cells:
        write_cell(cell, run_dir)
    (run_dir / "allure-results").mkdir()
    write_crashed_cell(run_dir / "allure-results", run.cells[0], run_dir)
    write_run(run, run_dir)
    assert write_reports(run, run_dir, allure=True) == []
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (run_dir, *run_dir.rglob("*"))}
    wrong = {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)}
    assert not wrong
    assert {"index.html", "junit.xml", "run.json", "console.bin"} <= {path.name for path in modes}
