"""`ttylab report`, and all reports at once."""

from pathlib import Path

import pytest
import typer

from emulator.errors import SpecError
from harness.commands.report import report
from harness.report import reports
from harness.report.allure import write_crashed_cell
from harness.report.model import load_run, write_run
from harness.report.reports import write_reports
from harness.scenario.errors import ReportError
from tests.support.report_samples import make_run, make_run_dir


@pytest.fixture
def kept(tmp_path) -> Path:
    """Return the directory of a kept run with Allure results."""
    run = make_run_dir(tmp_path / "run")
    write_run(run, tmp_path / "run")
    write_crashed_cell(tmp_path / "run" / "allure-results", run.cells[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _no_allure(monkeypatch):
    def fails(*args, **named):
        raise ReportError("no Allure report: made to fail")

    monkeypatch.setattr(reports, "generate_html", fails)


def test_a_report_that_can_not_be_made_spoils_no_other(kept) -> None:
    assert write_reports(load_run(kept), kept) == ["no Allure report: made to fail"]
    assert (kept / "junit.xml").is_file()
    assert "no Allure report: made to fail" in (kept / "report" / "index.html").read_text()


def test_a_run_without_allure_results_needs_no_allure(kept) -> None:
    assert write_reports(load_run(kept), kept, allure=False) == []


def test_command_makes_the_reports_anew_and_says_where(kept, capsys) -> None:
    report(kept, allure=False)
    assert capsys.readouterr().out == f"{(kept / 'report' / 'index.html').as_uri()}\n"


def test_command_compares_with_an_earlier_run(kept, tmp_path) -> None:
    old = write_run(make_run(run_id="the-old-one"), tmp_path / "old.json")
    report(kept, compare=old, allure=False)
    assert "Compared with run the-old-one" in (kept / "report" / "index.html").read_text()


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda path: path.write_text("{}")])
def test_command_refuses_what_is_no_run(tmp_path, make) -> None:
    make(tmp_path / "x")
    with pytest.raises(SpecError):
        report(tmp_path / "x")


def test_command_fails_when_there_is_no_page(kept, monkeypatch, capsys) -> None:
    def fails(*args, **named):
        raise ReportError("no room")

    monkeypatch.setattr(reports, "write_report", fails)
    with pytest.raises(ReportError, match="could not be made"):
        report(kept, allure=False)
    assert "no room" in capsys.readouterr().err


def test_command_can_be_typed() -> None:
    app = typer.Typer()
    app.command()(report)
    assert typer.main.get_command(app)
