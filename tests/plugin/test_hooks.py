"""The hooks that ttylab declares: who is told what of a cell, and that no plug-in's error is green."""

import json

import pytest

from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_PASSED
from tests.support.matrix_project import FIXED, IDS, cells, run

TELLS = """
import json, pathlib

def note(*words):
    with open("told.jsonl", "a") as file:
        file.write(json.dumps(words) + "\\n")

def pytest_ttylab_cell_begins(cell, item):
    note("begins", cell.id, item.name)

def pytest_ttylab_injection_judged(cell, injection):
    note("injection", cell.id, injection.stimulus, injection.outcome)

def pytest_ttylab_finding_seen(cell, finding):
    note("finding", cell.id, finding.rule)

def pytest_ttylab_cell_ends(result, run_dir):
    size = (run_dir / result.directory / "console.bin").stat().st_size
    note("ends", result.cell.id, result.status, size == result.console_bytes)

def pytest_ttylab_run_ends(result, run_dir):
    note("run", dict(result.summary), (run_dir / "report" / "index.html").is_file())
"""
ONE = (*FIXED[:-1], f"small.toml::test_cell[{IDS[1]}]")


def told(project: pytest.Pytester) -> list:
    return [json.loads(line) for line in project.path.joinpath("told.jsonl").read_text().splitlines()]


def test_plugin_is_told_of_a_cell_from_its_beginning_to_the_runs_end(project):
    project.makeconftest(TELLS)
    assert project.runpytest_inprocess(*ONE).ret == EXIT_PASSED
    assert told(project) == [
        ["begins", IDS[1], f"test_cell[{IDS[1]}]"],
        ["injection", IDS[1], "power-button", "no-effect"],
        ["ends", IDS[1], "passed", True],
        ["run", {"cells": 1, "passed": 1, "failed": 0, "broken": 0, "skipped": 0}, True],
    ]


def test_plugin_is_told_of_findings(project):
    project.makeconftest(TELLS)
    result = run(project, "-k", IDS[0], bookworm_pc="panic")
    assert result.ret == EXIT_FAILED
    assert [line[:2] + line[2:3] for line in told(project)[:3]] == [
        ["begins", IDS[0], f"test_cell[{IDS[0]}]"],
        ["finding", IDS[0], "panic"],
        ["ends", IDS[0], "failed"],
    ]


@pytest.mark.parametrize("hook", ["cell_begins(cell)", "injection_judged(cell)", "cell_ends(result)"])
@pytest.mark.parametrize("raises", ["raise ValueError('no ' + 'room\\nmore')", "raise SystemExit(0)"])
def test_hook_that_raises_makes_its_cell_broken_and_names_the_plugin(project, hook, raises):
    project.makepyfile(uploader=f"def pytest_ttylab_{hook}:\n    {raises}\n")
    project.syspathinsert()
    result = project.runpytest_inprocess("-p", "uploader", *ONE)
    assert result.ret == EXIT_BROKEN
    broken = cells(project)[IDS[1]]
    assert broken.status == "broken"
    name = hook.partition("(")[0]
    assert f"plug-in uploader: pytest_ttylab_{name} raised " in broken.message
    assert ("ValueError: no room" in broken.message) is raises.startswith("raise ValueError")
    assert (broken.console_bytes == 0) is (name == "cell_begins")  # then it is not played


def test_hook_that_skips_or_fails_makes_the_cell_broken_too(project):
    project.makeconftest(
        "import pytest\ndef pytest_ttylab_cell_ends(result):\n    pytest.skip('not today')\n"
    )
    assert project.runpytest_inprocess(*ONE).ret == EXIT_BROKEN
    message = cells(project)[IDS[1]].message
    assert message.startswith("played: passed; but plug-in ")
    assert "conftest.py: pytest_ttylab_cell_ends raised Skipped: not today" in message


def test_failed_cell_stays_failed_whatever_a_plugin_raises(project):
    project.makeconftest("def pytest_ttylab_cell_ends(result):\n    1 / 0\n")
    result = run(project, "-k", IDS[0], bookworm_pc="fail")
    assert result.ret == EXIT_FAILED
    failed = cells(project)[IDS[0]]
    assert failed.status == "failed"
    assert failed.message.endswith("pytest_ttylab_cell_ends raised ZeroDivisionError: division by zero")


def test_error_at_the_runs_end_is_told_and_leaves_every_report(project):
    project.makeconftest("def pytest_ttylab_run_ends(result):\n    1 / 0\n")
    result = project.runpytest_inprocess(*ONE)
    assert result.ret == EXIT_BROKEN
    result.stdout.fnmatch_lines(["plug-in *conftest.py: pytest_ttylab_run_ends raised ZeroDivisionError*"])
    assert cells(project)[IDS[1]].status == "passed"
    assert project.path.joinpath("run", "report", "index.html").is_file()


def test_unknown_argument_of_a_hook_is_refused(project):
    project.makeconftest("def pytest_ttylab_cell_ends(verdict):\n    pass\n")
    result = project.runpytest_subprocess(*ONE)
    assert "PluginValidationError" in result.stderr.str()
    assert "'pytest_ttylab_cell_ends'" in result.stderr.str()
