"""Allure's HTML report, with a program in place of Allure that does as it is told."""

import json
import sys
from pathlib import Path

import pytest

from harness.report import allure as allure_html
from harness.report.allure import generate_html
from harness.scenario.errors import ReportError

FAKE = """
import pathlib, re, sys
config = pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text()
out = pathlib.Path(re.search(r'"output": "([^"]*)"', config)[1])
history = re.search(r'"historyPath": "([^"]*)"', config)
if history:
    with open(history[1], "a") as file:
        file.write("one more run\\n")
{act}
"""
WRITES = """
out.mkdir()
(out / "index.html").write_text(\"\"\"<p>before</p>
    <script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
    <script>
        window.dataLayer = window.dataLayer || [];
        function gtag(){dataLayer.push(arguments);}
    </script>
<p>""\" + " ".join(sys.argv[1:]) + config + "</p>")
"""


@pytest.fixture
def allure(tmp_path, monkeypatch):
    """Return a function that makes Allure do `act`."""

    def does(act: str) -> None:
        script = tmp_path / "fake.py"
        script.write_text(FAKE.replace("{act}", act))
        monkeypatch.setattr(allure_html, "_programs", lambda: (Path(sys.executable), script))

    return does


def test_report_replaces_the_old_one_and_calls_nobody(tmp_path, allure) -> None:
    allure(WRITES)
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale").write_text("")
    page = generate_html([tmp_path / "one", tmp_path / "two"], out, name='a "run"').read_text()
    assert [path.name for path in out.iterdir()] == ["index.html"]
    assert "googletagmanager" not in page
    assert "dataLayer" not in page
    assert "<p>before</p>" in page
    assert f"{tmp_path / 'one'} {tmp_path / 'two'}" in page
    assert json.dumps('a "run"') in page
    assert '"singleFile": true' in page


def test_history_grows_with_each_report(tmp_path, allure) -> None:
    allure(WRITES)
    history = tmp_path / "history.jsonl"
    for count in (1, 2):
        generate_html([tmp_path], tmp_path / "out", history=history)
        assert history.read_text() == "one more run\n" * count


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        ("sys.exit('no \\x1b results')", r"Allure made no report \(exit 1\): no \\x1b results"),
        ("pass", r"Allure made no report \(exit 0\)"),
    ],
)
def test_a_failure_leaves_report_and_history_as_they_were(tmp_path, allure, act, complaint) -> None:
    allure(WRITES)
    out, history = tmp_path / "out", tmp_path / "history.jsonl"
    before = generate_html([tmp_path], out, history=history).read_bytes()
    allure(act)
    with pytest.raises(ReportError, match=complaint):
        generate_html([tmp_path], out, history=history)
    assert (out / "index.html").read_bytes() == before
    assert history.read_text() == "one more run\n"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "history.jsonl", "fake.py"}


def test_relative_paths_are_those_of_who_asks(tmp_path, allure, monkeypatch) -> None:
    allure(WRITES)
    monkeypatch.chdir(tmp_path)
    page = generate_html([Path("one")], Path("out"), history=Path("history.jsonl"))
    assert str(tmp_path / "one") in page.read_text()
    assert (tmp_path / "out" / "index.html").is_file()
    assert (tmp_path / "history.jsonl").read_text() == "one more run\n"


def test_a_hanging_generator_is_ended(tmp_path, allure, monkeypatch) -> None:
    allure("import time; time.sleep(60)")
    monkeypatch.setattr(allure_html, "_BOUND_S", 0.2)
    with pytest.raises(ReportError, match="took more than"):
        generate_html([tmp_path], tmp_path / "out")


def test_without_packages_the_error_names_the_remedy(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(allure_html, "node_modules", lambda: None)
    with pytest.raises(ReportError, match=r"python -m harness\.report\.node_setup"):
        generate_html([tmp_path], tmp_path / "out")
