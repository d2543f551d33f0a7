"""What GitHub, GitLab and Azure Pipelines show of a run."""

import json
import re
from pathlib import Path

import pytest

from emulator.errors import FileError
from harness.report.providers import publish, render_summary
from tests.support.report_samples import make_cell, make_run

EVIL = "x|<b>`*_[a](http://b)\n::error::no\r\n##vso[task.setvariable]\x1b[31m%0A"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)


def test_summary_counts_and_has_a_row_for_what_did_not_pass() -> None:
    run = make_run(make_cell("passed"), make_cell("failed", scenario="a"), make_cell("broken", scenario="b"))
    text = render_summary(run)
    assert "3 cells: 1 passed, 1 failed, 1 broken, 0 skipped; 62 s" in text
    assert len([line for line in text.splitlines() if line.startswith("| ✗ failed |")]) == 1
    assert len([line for line in text.splitlines() if line.startswith("| ! broken |")]) == 1
    assert "guest&#32;" not in text


def test_summary_of_a_run_that_passed_has_no_table() -> None:
    assert "|" not in render_summary(make_run(make_cell("passed")))


def test_nothing_that_a_guest_wrote_is_markup() -> None:
    row = next(
        line
        for line in render_summary(make_run(make_cell("failed", message=EVIL))).splitlines()
        if "✗" in line
    )
    cells = row.removeprefix("| ").removesuffix(" |").split(" | ")
    assert [re.sub(r"</?code>|&#\d+;|\w| ", "", cell) for cell in cells] == ["✗", "", "", ""]


def test_summary_says_what_is_missing_and_how_many_more_there_are() -> None:
    run = make_run(*(make_cell("failed", scenario=f"s-{n}") for n in range(103)), interrupted=True)
    text = render_summary(run, missing=("2/3",))
    assert "Shard 2/3 is missing" in text
    assert "The run was interrupted" in text
    assert text.count("✗ failed") == 100
    assert "3 more are in the report" in text


def test_github_gets_errors_and_its_summary(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step"))
    (tmp_path / "step").write_text("before\n")
    (tmp_path / "m.toml").write_text('scenarios = [\n  "boot",\n  "nmi-x",\n]\n')
    run = make_run(make_cell("failed", scenario="nmi-x", message="dead, 100%: yes"), files=("m.toml",))
    (line,) = publish(run, tmp_path, "github")
    cell = run.cells[0]
    title = f"failed%3A {cell.cell.id}"
    assert line == f"::error title={title},file=m.toml,line=3::dead, 100%25: yes%0A{cell.repro}"
    assert (tmp_path / "step").read_text() == "before\n" + (tmp_path / "summary.md").read_text()


def test_azure_gets_issues_and_its_summary(tmp_path) -> None:
    (tmp_path / "m.toml").write_text('"nmi-x"\n')
    run = make_run(make_cell("broken", scenario="nmi-x", message="why; [no]"), files=("m.toml",))
    issue, summary = publish(run, tmp_path, "azure")
    head = "##vso[task.logissue type=error;sourcepath=m.toml;linenumber=1]"
    assert issue == f"{head}broken: {run.cells[0].cell.id}: why; [no]%0A{run.cells[0].repro}"
    assert summary == f"##vso[task.uploadsummary]{tmp_path / 'summary.md'}"


@pytest.mark.parametrize("provider", ["github", "azure"])
def test_no_guest_gives_the_provider_a_command(tmp_path, provider) -> None:
    lines = publish(make_run(make_cell("failed", message=EVIL)), tmp_path, provider)
    said = "\n".join(lines).splitlines()
    assert len(said) == len(lines)
    assert [line for line in said if not line.startswith(("::error title=", "##vso[task."))] == []
    assert "\x1b" not in "".join(said)


def test_github_shows_nine_errors_and_how_many_there_are(tmp_path) -> None:
    cells = (make_cell("broken", scenario=f"s-{n}") for n in range(12))
    lines = publish(make_run(*cells), tmp_path, "github", missing=("1/2",))
    assert len(lines) == 11
    assert lines[0] == "::error::shard 1/2 is missing: its cells were not reported"
    assert lines[-1] == "::error::3 more cells did not pass: see the summary"


@pytest.mark.parametrize("files", [("/etc/passwd",), ("../m.toml",), ("gone.toml",), ("other.toml",), ()])
def test_a_file_elsewhere_or_of_others_is_not_annotated(tmp_path, files) -> None:
    (tmp_path / "other.toml").write_text("")
    (line,) = publish(make_run(make_cell("failed"), files=files), tmp_path, "github")
    assert "file=" not in line


def test_gitlab_gets_a_link_to_the_page(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/a/-/jobs/7")
    (tmp_path / "results").mkdir()
    assert publish(make_run(make_cell("failed")), tmp_path / "results", "gitlab") == []
    ((link,),) = json.loads((tmp_path / "results/gitlab-annotations.json").read_text()).values()
    url = "https://gitlab.example/a/-/jobs/7/artifacts/file/results/report/index.html"
    assert link == {"external_link": {"label": "ttylab's report", "url": url}}


def test_outside_gitlab_there_is_no_link(tmp_path) -> None:
    publish(make_run(), tmp_path, "gitlab")
    assert json.loads((tmp_path / "gitlab-annotations.json").read_text()) == {"ttylab": []}


def test_a_summary_that_cannot_be_written_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no/where"))
    with pytest.raises(FileError, match="GITHUB_STEP_SUMMARY"):
        publish(make_run(), tmp_path, "github")
    assert Path(tmp_path / "summary.md").is_file()
