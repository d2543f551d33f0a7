"""Allure results written by the controller, and the identity that both ways share."""

import json
from pathlib import Path

import pytest
from allure_commons.model2 import TestResult as AllureResult

from harness.report.allure import attach_cell, describe, history_id_of, write_crashed_cell, write_environment
from harness.report.model import StepRecord
from harness.scenario.errors import ReportError
from tests.support.report_samples import make_cell, make_guest, make_run


def crashed(tmp_path: Path, **changes: object) -> dict:
    """Write a cell whose worker died; return its Allure result."""
    cell = make_cell("broken", reason="lab", message="worker gw1 died", worker="gw1", **changes)
    make_guest(tmp_path / cell.directory)
    (tmp_path / cell.directory / "qemu.stderr").write_bytes(b"\x1b[2Joops")
    write_crashed_cell(tmp_path / "allure-results", cell, tmp_path)
    (file,) = (tmp_path / "allure-results").glob("*-result.json")
    return json.loads(file.read_text())


def test_crashed_cell_is_broken_with_message_times_and_steps(tmp_path) -> None:
    result = crashed(tmp_path)
    assert result["status"] == "broken"
    assert result["statusDetails"]["message"] == "worker gw1 died"
    assert "ttylab repro " in result["statusDetails"]["trace"]
    assert result["stop"] - result["start"] == 2750
    assert [step["status"] for step in result["steps"]] == ["passed", "failed", "skipped"]
    assert result["steps"][1]["start"] - result["start"] == 2000
    assert result["steps"][1]["stop"] - result["start"] == 2300


def test_crashed_cell_has_its_files_attached(tmp_path) -> None:
    result = crashed(tmp_path)
    found = {each["name"]: tmp_path / "allure-results" / each["source"] for each in result["attachments"]}
    assert sorted(found) == [
        "qemu.stderr",
        "reproduce",
        "result.json",
        "timeline",
        "timeline.jsonl",
        "transcript",
    ]
    text = found["transcript"].read_text()
    assert "Kernel panic" in text
    assert "\x1b[1;32mwelcome\x1b[0m" in text  # Allure shows colours
    assert "\\x1b[2J" in text  # and nothing else
    assert found["qemu.stderr"].read_text() == "\\x1b[2Joops"
    assert found["timeline"].read_text().startswith("<svg")
    assert json.loads(found["result.json"].read_text())["worker"] == "gw1"


def test_crashed_cell_without_transcript_says_so(tmp_path) -> None:
    write_crashed_cell(tmp_path / "allure-results", make_cell("broken"), tmp_path)
    texts = [path.read_text() for path in (tmp_path / "allure-results").glob("*-attachment.txt")]
    assert any("no transcript was kept" in text for text in texts)


def test_crashed_cell_says_where_it_can_not_write(tmp_path) -> None:
    (tmp_path / "allure-results").write_text("")
    with pytest.raises(ReportError, match="no Allure result for bookworm"):
        write_crashed_cell(tmp_path / "allure-results", make_cell("broken"), tmp_path)


def test_identity_is_the_cell_id_alone() -> None:
    one, two = AllureResult(), AllureResult()
    describe(make_cell(worker="gw0", seed=1, qemu="7.2"), one)
    describe(make_cell("failed", worker="gw5", seed=2, qemu="8.0", title="another title"), two)
    assert one.historyId == two.historyId == history_id_of("bookworm.q35.seabios.1.nmi-panics")
    assert one.testCaseId == two.testCaseId
    assert all(parameter.excluded for parameter in [*one.parameters, *two.parameters])
    assert history_id_of("a") != history_id_of("b")


def test_description_fills_what_people_select_by() -> None:
    test = AllureResult()
    describe(make_cell("failed"), test)
    labels = {(label.name, label.value) for label in test.labels}
    assert {("severity", "critical"), ("feature", "nmi"), ("story", "nmi-panics"), ("tag", "panic")} <= labels
    assert {p.name: p.value for p in test.parameters}["firmware"] == "seabios"
    assert test.titlePath == ["bookworm", "q35 seabios 1 vCPU"]
    assert "| nmi | 2.100 s | effective | 12.0 ms |" in test.description


def test_a_step_that_never_ended_lasts_to_the_end_of_the_cell() -> None:
    test = AllureResult()
    describe(make_cell(steps=[StepRecord(text="wait", begin=1.0, end=None, outcome="broken")]), test)
    assert test.steps[0].stop - test.steps[0].start == 1750


def test_an_odd_start_time_spoils_nothing() -> None:
    test = AllureResult()
    describe(make_cell(started_utc="yesterday", seed=None, tags=[], injections=[]), test)
    assert test.steps[0].start == 0


def test_attach_cell_does_nothing_where_allure_is_off(tmp_path) -> None:
    attach_cell(make_cell(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_environment_says_where_it_ran(tmp_path) -> None:
    write_environment(tmp_path, make_run(make_cell(), host={"odd name": "a\nb = c"}))
    lines = (tmp_path / "environment.properties").read_text().splitlines()
    assert "odd_name = a\\nb = c" in lines
    assert "qemu = 7.2.22" in lines


def test_allure_says_once_how_to_join_a_guest_that_is_held() -> None:
    held = ("held until 12:00:00 UTC (15 min)", "ttylab attach bookworm --write", "ttylab release bookworm")
    result = AllureResult()
    describe(make_cell("failed", held=held), result)
    assert [result.description.count(line) for line in held] == [1, 1, 1]
    assert f"{held[0]}\n\n`{held[1]}`\n\n`{held[2]}`" in result.description
