"""A cell described from inside a pytest test, as allure-pytest writes it."""

import json
from pathlib import Path

import pytest

from harness.report.allure import history_id_of

ROOT = Path(__file__).parents[2]
CELL = "bookworm.q35.seabios.1.nmi-panics"
TEST = """
import sys
from pathlib import Path
import pytest
sys.path.insert(0, {root!r})
from harness.report.allure import attach_cell
from tests.support.report_samples import make_cell, make_guest

@pytest.mark.parametrize("cell", [object()], ids=["{cell}"])
def test_cell(cell, tmp_path):
    cell = make_cell("failed")
    make_guest(tmp_path / cell.directory)
    attach_cell(cell, tmp_path)
    raise AssertionError("guest died")
"""


@pytest.fixture
def result(pytester: pytest.Pytester, bare_pytest) -> dict:
    """Run one cell on an xdist worker; return its Allure result."""
    pytester.makepyfile(TEST.format(root=str(ROOT), cell=CELL))
    bare_pytest("--alluredir=results", "-n", "1", plugins=("xdist.plugin", "allure_pytest.plugin"))
    (file,) = (pytester.path / "results").glob("*-result.json")
    return json.loads(file.read_text())


def test_a_failed_cell_is_described_under_the_history_id_of_a_crashed_one(result) -> None:
    assert result["historyId"] == result["testCaseId"] == history_id_of(CELL)
    assert result["status"] == "failed"
    assert "guest died" in result["statusDetails"]["message"]
    assert result["name"] == "NMI panics a guest that was told so"
    parameters = {each["name"]: each["value"] for each in result["parameters"]}
    assert (parameters["machine"], parameters["vcpus"]) == ("q35", "1")
    assert "cell" not in parameters
    assert [step["status"] for step in result["steps"]] == ["passed", "failed", "skipped"]
    attached = {each["name"] for each in result["attachments"]}
    assert attached >= {"reproduce", "transcript", "timeline", "result.json"}
    labels = [(label["name"], label["value"]) for label in result["labels"]]
    assert ("severity", "critical") in labels
    assert [value for name, value in labels if name == "suite"] == ["q35 seabios 1 vCPU"]
