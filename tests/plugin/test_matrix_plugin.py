"""Matrix files under pytest: what is collected, how runs end, and that a lost worker loses no cell."""

import json
import os
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from emulator.console.transcript import load_transcript
from emulator.values import json_ready
from harness.commands.run import PYTEST_WORDS
from harness.report.model import load_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_PASSED
from tests.support.fake_guest import KERNEL_LINE
from tests.support.matrix_project import FIXED, IDS, MATRIX, cells, run


def collected(project: pytest.Pytester, *options: str) -> list[str]:
    result = project.runpytest_inprocess(*FIXED, "--collect-only", "-q", *options)
    return [line for line in result.outlines if "::" in line]


# -- collection --------------------------------------------------------------------------------


def test_each_cell_is_an_item_with_a_stable_id(project):
    assert collected(project) == [f"small.toml::test_cell[{id_}]" for id_ in IDS]
    assert not project.path.joinpath("run").exists()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("-k", "boot and q35"), [IDS[2], IDS[6]]),
        (("-m", "power"), IDS[1::2]),
        (("-m", "login and boot"), IDS[0::2]),
        (("--shard", "2/3"), IDS[1::3]),
        (("-k", "pc", "--shard", "1/2"), [IDS[0], IDS[4]]),
    ],
)
def test_cells_are_selected_as_pytest_selects(project, options, wanted):
    assert collected(project, *options) == [f"small.toml::test_cell[{id_}]" for id_ in wanted]


def test_one_cell_is_run_by_its_node_id(project):
    result = project.runpytest_inprocess(*FIXED[:-1], f"small.toml::test_cell[{IDS[2]}]")
    result.assert_outcomes(passed=1)
    assert list(cells(project)) == [IDS[2]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MATRIX.replace("q35", "q36"), "*small.toml: block.0: key 'machines'*'q36'*"),
        (MATRIX.replace("vcpus = [1]", 'vcpus = ["one"]'), "*small.toml*vcpus*"),
        (MATRIX + "colour = 1\n", "*small.toml*colour*"),
        (MATRIX.replace("bookworm", "bokworm"), "*unknown value 'bokworm'; did you mean bookworm*"),
    ],
)
def test_wrong_matrix_is_one_line_and_no_traceback(project, text, said):
    project.path.joinpath("small.toml").write_text(text)
    result = project.runpytest_inprocess(*FIXED)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_wrong_shard_is_a_usage_error(project):
    result = project.runpytest_inprocess(*FIXED, "--shard", "4/3")
    assert result.ret != 0
    assert "1 to 3" in result.stdout.str() + result.stderr.str()


def test_other_toml_files_are_left_alone(project):
    project.path.joinpath("other.toml").write_text("[tool]\nname = 1\n")
    project.path.joinpath("broken.toml").write_text("][")
    assert project.runpytest_inprocess("--collect-only", "-q", ".").ret == 0


def test_fixtures_and_markers_are_documented(project):
    said = project.runpytest_inprocess("--fixtures", "-q", "-p", "no:anyio").stdout.str()
    for name in ("machine", "console", "guest", "screen", "target", "lab", "machine_spec"):
        assert f"\n{name}" in said
    assert "no docstring" not in said
    markers = project.runpytest_inprocess("--markers").stdout.str()
    for name in ("image(name)", "board(", "kernel_args(", "devices(", "sysrq:"):
        assert f"@pytest.mark.{name}" in markers


# -- how a run ends ----------------------------------------------------------------------------


def test_run_in_which_all_pass_ends_with_0(project):
    result = run(project)
    result.assert_outcomes(passed=8)
    assert result.ret == EXIT_PASSED
    assert {cell.status for cell in cells(project).values()} == {"passed"}
    assert load_run(project.path / "run").summary == {
        "cells": 8, "passed": 8, "failed": 0, "broken": 0, "skipped": 0
    }  # fmt: skip
    result.stdout.fnmatch_lines(["8 cells, 8 passed in *", "report: */run/report/index.html"])


def test_run_in_which_a_guest_fails_ends_with_1_and_says_how_to_reproduce_it(project):
    result = run(project, bookworm_pc="fail", trixie_pc="break")
    result.assert_outcomes(passed=6, failed=2)
    assert result.ret == EXIT_FAILED
    assert cells(project)[IDS[0]].message.startswith("'tty' ended with status 127")
    result.stdout.fnmatch_lines([f"FAILED  {IDS[0]}: *", f"*reproduce: ttylab repro {IDS[0]} --run run"])


def test_run_in_which_the_lab_breaks_ends_with_3(project):
    result = run(project, trixie_q35="break")
    assert result.ret == EXIT_BROKEN
    result.stdout.fnmatch_lines([f"BROKEN  {IDS[6]}: QEMU did not like it"])


def test_cell_that_the_machine_cannot_do_is_skipped_with_the_reason(project):
    project.path.joinpath("small.toml").write_text(MATRIX.replace('"boot-login", ', ""))
    project.path.joinpath("behaviours.json").write_text(json.dumps({IDS[1]: "skip"}))
    result = project.runpytest_inprocess(*FIXED)
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == EXIT_PASSED
    assert cells(project)[IDS[1]].message == f"{IDS[1]} can't do power_button"


def test_failing_test_beside_the_matrix_fails_the_run(project):
    project.makepyfile(test_other="def test_other():\n    assert False\n")
    result = project.runpytest_inprocess(*FIXED, "test_other.py")
    result.assert_outcomes(passed=8, failed=1)
    assert result.ret == EXIT_FAILED


def test_run_json_goes_where_it_is_wanted(project):
    run(project, "--run-json", "copy.json")
    assert json.loads(project.path.joinpath("copy.json").read_text())["summary"]["cells"] == 8


# -- workers -----------------------------------------------------------------------------------

VOLATILE = {"worker", "started_utc", "duration_s", "slowdown"}


def stable(run_dir: Path) -> list[dict]:
    found = json_ready(load_run(run_dir))["cells"]
    return [{key: value for key, value in cell.items() if key not in VOLATILE} for cell in found]


@pytest.mark.parametrize("workers", [("-n", "2"), ("-n", "0", "-p", "harness.plugin.apart")])
def test_workers_give_the_same_result_and_a_killed_one_loses_no_cell(project, workers):
    """One run on workers, one of which is killed in the middle of a cell."""
    run(project)
    alone = stable(project.path / "run")
    shutil.rmtree(project.path / "run")
    project.path.joinpath("behaviours.json").write_text(json.dumps({IDS[4]: "kill"}))
    result = project.runpytest_subprocess(*PYTEST_WORDS, *FIXED, *workers, "--alluredir", "allure")
    assert result.ret == EXIT_BROKEN
    found = stable(project.path / "run")
    assert [cell for cell in found if cell["cell"]["id"] != IDS[4]] == [
        cell for cell in alone if cell["cell"]["id"] != IDS[4]
    ]
    lost = cells(project)[IDS[4]]
    assert (lost.status, lost.reason) == ("broken", "lab")
    assert "worker" in lost.message
    transcript = load_transcript(project.path / "run" / lost.directory)
    assert transcript.read() == KERNEL_LINE
    assert lost.console_bytes == len(KERNEL_LINE)
    _check_junit(project.path / "run")
    _check_allure(project.path / "allure")


def _check_junit(run_dir: Path) -> None:
    (file,) = run_dir.rglob("*unit*.xml")
    cases = {case.get("name"): case for case in ET.parse(file).iter("testcase")}
    assert len(cases) == len(IDS)
    (lost,) = [case for name, case in cases.items() if IDS[4] in name]
    assert lost.find("error") is not None


def _check_allure(directory: Path) -> None:
    results = [json.loads(file.read_text()) for file in directory.glob("*-result.json")]
    assert sorted(result["status"] for result in results) == ["broken", *["passed"] * 7]
    assert len({result["historyId"] for result in results}) == len(IDS)
    (lost,) = [result for result in results if result["status"] == "broken"]
    (attached,) = [one for one in lost["attachments"] if one["name"] == "transcript"]
    assert "Linux version 6.1.0" in directory.joinpath(attached["source"]).read_text()


@pytest.mark.parametrize("workers", [(), ("-p", "harness.plugin.apart"), ("-n", "2")])
def test_run_command_shows_progress_and_passes_the_exit_code_on(project, workers):
    """`ttylab run` becomes pytest with the progress plug-in; what it prints is read here as CI would."""
    run_dir = project.path / "run"
    fixed = (*PYTEST_WORDS, "-p", "tests.support.fake_lab", *workers)
    project.path.joinpath("behaviours.json").write_text(json.dumps({IDS[0]: "fail", IDS[1]: "tells"}))
    result = project.runpytest_subprocess(*fixed, "--run-dir", str(run_dir), "-k", "bookworm", "small.toml")
    assert result.ret == EXIT_FAILED
    lines = result.errlines
    assert any(re.match(r"\[  \d/4\] failed", line) and IDS[0] in line for line in lines)
    told = [line for line in lines if line.startswith("ttylab: disk b.vhd: ")]
    assert told == ["ttylab: disk b.vhd: copying", "ttylab: disk b.vhd: ready"]
    assert lines[-2:] == [
        next(line for line in lines if line.startswith("4 cells, 3 passed, 1 failed in ")),
        f"report: {run_dir}/report/index.html",
    ]
    assert os.environ["PYTHONPATH"]
