"""Allure's own generator on our results: a real report that opens from disk and calls nobody."""

import json
import re

from harness.report.allure import generate_html, write_crashed_cell, write_environment
from harness.report.node_setup import PACKAGES
from tests.support.report_samples import make_run_dir


def test_allure_makes_one_page_of_our_results_and_files_their_history(tmp_path) -> None:
    PACKAGES.ensure()
    run = make_run_dir(tmp_path)
    results, history = tmp_path / "allure-results", tmp_path / "history.jsonl"
    for cell in run.cells:
        write_crashed_cell(results, cell, tmp_path)
    write_environment(results, run)
    page = generate_html([results], tmp_path / "allure-report", history=history).read_text(encoding="utf-8")
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', page)
    assert "googletagmanager" not in page
    (line,) = history.read_text().splitlines()
    tests = json.loads(line)["testResults"].values()
    assert sorted(each["status"] for each in tests) == ["broken", "failed", "passed", "skipped"]
