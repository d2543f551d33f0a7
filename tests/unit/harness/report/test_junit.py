"""JUnit XML."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from emulator.errors import FileError
from harness.report.junit import render_junit, write_junit
from tests.support.junit_rules import read_as_gitlab, violations
from tests.support.report_samples import HOSTILE, make_cell, make_run, make_run_dir


def case(xml: bytes, index: int = 0) -> ET.Element:
    return ET.fromstring(xml).findall("testsuite/testcase")[index]


@pytest.mark.parametrize(
    ("status", "tag"), [("passed", None), ("failed", "failure"), ("broken", "error"), ("skipped", "skipped")]
)
def test_junit_tells_whose_fault_it_is(status: str, tag: str | None) -> None:
    found = case(render_junit(make_run(make_cell(status)), {}))
    tags = {child.tag for child in found} - {"properties", "system-out"}
    assert tags == ({tag} if tag else set())


EVERY_STATUS = [make_cell(status, scenario=status) for status in ("passed", "failed", "broken", "skipped")]


def test_junit_is_valid_for_jenkins() -> None:
    tails = {cell.cell.id: HOSTILE for cell in EVERY_STATUS}
    for run in (make_run(*EVERY_STATUS), replace(make_run(*EVERY_STATUS), duration_s=-0.1)):
        assert list(violations(ET.fromstring(render_junit(run, tails)))) == []


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<testsuites skipped='0'/>", "testsuites has the attribute skipped"),
        ("<testcase name='a'><properties/></testcase>", "testcase has the element properties"),
        ("<testcase/>", "testcase lacks the attribute name"),
        ("<testsuites time='-1.0'/>", "testsuites has the time '-1.0'"),
        ("<testsuites>text</testsuites>", "testsuites has text"),
    ],
)
def test_rules_of_jenkins_refuse(xml: str, said: str) -> None:
    assert list(violations(ET.fromstring(xml))) == [said]


def test_gitlab_shows_what_each_cell_ended_with() -> None:
    shown = read_as_gitlab(ET.fromstring(render_junit(make_run(*EVERY_STATUS), {})))
    for cell, outcome in zip(EVERY_STATUS, ("success", "failure", "error", "skipped"), strict=True):
        tag, text = shown[f"ttylab.{cell.cell.scenario}", cell.cell.id]
        assert (tag, tag == "success" or cell.message in text) == (outcome, True)


def test_junit_says_of_a_cell_what_it_ran_on_before_its_console() -> None:
    cell = make_cell()
    said = case(render_junit(make_run(cell), {cell.cell.id: b"last words"})).findtext("system-out")
    assert f"repro: {cell.repro}\n" in said.partition("\n\nlast words")[0]


def test_guest_can_not_name_a_file_to_publish() -> None:
    cell = make_cell()
    said = case(render_junit(make_run(cell), {cell.cell.id: b"[[ATTACHMENT|/etc/shadow]]"}))
    assert "[[ATTACHMENT\\x7c/etc/shadow]]" in said.findtext("system-out")


def test_junit_counts_what_it_holds() -> None:
    run = make_run(
        make_cell("failed", scenario="a"), make_cell("broken", scenario="b"), make_cell(scenario="c")
    )
    suite = ET.fromstring(render_junit(run, {})).find("testsuite")
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "1", "skipped": "0",
    }  # fmt: skip


def test_junit_carries_the_line_that_reproduces_a_failure() -> None:
    failed = make_cell("failed")
    failure = case(render_junit(make_run(failed), {})).find("failure")
    assert failed.repro in failure.text
    assert failure.get("message") == failed.message


@pytest.mark.parametrize(
    "tail", [HOSTILE, bytes(range(256)), b"]]>", "\ufffe\uffff\ud7ff\U0001f600".encode()]
)
def test_junit_is_valid_xml_whatever_the_guest_wrote(tail: bytes) -> None:
    cell = make_cell("failed", message="quotes \x1b[31m\x00 \ufffe & <b>")
    found = case(render_junit(make_run(cell), {cell.cell.id: tail}))
    assert found.findtext("system-out")
    assert "\\x1b[31m\\x00 \\ufffe & <b>" in found.find("failure").get("message")


def test_junit_holds_the_end_of_a_long_transcript(tmp_path) -> None:
    run = make_run_dir(tmp_path)
    (tmp_path / run.cells[0].directory / "console.bin").write_bytes(b"early" + b"x" * 9000 + b"late")
    text = write_junit(run, tmp_path).read_text()
    assert "late" in text
    assert "early" not in text


def test_junit_does_without_a_transcript(tmp_path) -> None:
    assert case(write_junit(make_run(make_cell("broken")), tmp_path).read_bytes()).find("system-out") is None


def test_junit_says_where_it_can_not_write(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"junit\.xml can't be written"):
        write_junit(make_run(), tmp_path / "file")


def test_junit_says_once_how_to_join_a_guest_that_is_held() -> None:
    held = ("held until 12:00:00 UTC (15 min)", "ttylab attach bookworm --write")
    xml = render_junit(make_run(make_cell("failed", held=held)), {})
    assert [xml.decode().count(line) for line in held] == [1, 1]
    assert f"{held[0]}\n{held[1]}" in str(case(xml).findtext("failure"))
