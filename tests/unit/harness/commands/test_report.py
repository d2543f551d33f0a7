"""`ttylab report`, and all reports at once."""

from pathlib import Path

import pytest
import typer

from emulator.errors import SpecError
from harness import cli
from harness.commands.report import report
from harness.report import reports
from harness.report.allure import write_crashed_cell
from harness.report.model import load_run, write_run
from harness.report.reports import write_reports
from harness.scenario.errors import ReportError
from tests.support.report_samples import make_cell, make_run, make_run_dir


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


def shard(directory: Path, number: int) -> Path:
    cell = make_cell("failed", scenario=f"s-{number}")
    write_run(make_run(cell, shard=f"{number}/2"), directory)
    return directory


@pytest.fixture
def shards(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        (tmp_path / f"shard-{number}").mkdir()
        shard(tmp_path / f"shard-{number}", number)
    return ["shard-1", "shard-2"]


def test_command_makes_one_run_of_shards_and_tells_the_provider(shards, capfd, tmp_path) -> None:
    assert cli.main(["report", *shards, "--into", "all", "--ci", "azure", "--no-allure"]) == 0
    *issues, summary, page = capfd.readouterr().out.splitlines()
    assert [line.partition("]")[0] for line in issues] == ["##vso[task.logissue type=error"] * 2
    assert summary == f"##vso[task.uploadsummary]{tmp_path / 'all/summary.md'}"
    assert page == (tmp_path / "all/report/index.html").as_uri()
    assert (tmp_path / "all/junit.xml").is_file()
    assert len(load_run(tmp_path / "all").cells) == 2


def test_command_ends_with_3_where_a_shard_is_missing(shards, capfd, tmp_path) -> None:
    assert cli.main(["report", "shard-1", "--into", "all", "--ci", "github", "--no-allure"]) == 3
    said = capfd.readouterr()
    assert "::error::shard 2/2 is missing" in said.out
    assert "error: shard 2/2 is missing" in said.err
    assert (tmp_path / "all/junit.xml").is_file()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["shard-1", "shard-2"], "2 runs are given; --into DIRECTORY makes one of them"),
        (["shard-1", "--ci", "jenkins"], "--ci is 'jenkins'; allowed: github, gitlab, azure"),
        (["shard-1", "shards/*", "--into", "all"], "shards/*: no directory of a run"),
        (["shard-1", "shard-2", "--into", "shard-1"], "shard-1 holds a run already"),
    ],
)
def test_command_refuses_wrong_words_and_writes_nothing(shards, capfd, tmp_path, words, text) -> None:
    assert cli.main(["report", *words, "--no-allure"]) == 2
    assert text in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == shards
    assert not (tmp_path / "shard-1/report").exists()
