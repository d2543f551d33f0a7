"""The run result as JUnit XML, for CI systems; valid XML whatever the guest wrote.

The strictest reader is Jenkins' xunit plug-in: by its schema (junit-10.xsd) `testsuites` counts no skipped
cases and a case has no properties, so what is known of a case stands before its console. GitLab shows an
element's text and not its message, hence both.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from emulator.console.transcript import CONSOLE_FILE
from emulator.files import write_whole
from emulator.guest_text.printable import visible
from harness.report.comparison import target_of
from harness.report.console_html import plain
from harness.report.model import CellResult, RunResult

JUNIT_FILE = "junit.xml"
_TAIL = 8000
"""Bytes at the end of each transcript that go into the file."""


def write_junit(run: RunResult, run_dir: Path) -> Path:
    """Write junit.xml into `run_dir`, with the ends of the transcripts there; raises FileError."""
    tails = {result.cell.id: _tail(run_dir / result.directory / CONSOLE_FILE) for result in run.cells}
    write_whole(run_dir / JUNIT_FILE, render_junit(run, tails), private=True)
    return run_dir / JUNIT_FILE


def render_junit(run: RunResult, tails: dict[str, bytes]) -> bytes:
    """Return the XML; `tails` has the last bytes of each cell's console, by cell id."""
    counts = {
        "tests": str(len(run.cells)),
        "failures": str(_count(run, "failed")),
        "errors": str(_count(run, "broken")),
        "time": _seconds(run.duration_s),
    }
    root = ET.Element("testsuites", counts)
    skipped = _count(run, "skipped") + _count(run, "not-run")
    own = {"skipped": str(skipped), "timestamp": visible(run.started_utc)}
    suite = ET.SubElement(root, "testsuite", {"name": "ttylab", **counts, **own})
    _properties(suite, {"run": run.run_id, "matrix": run.matrix, "ttylab": run.ttylab})
    for result in run.cells:
        _add_case(suite, result, tails.get(result.cell.id, b""))
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def _count(run: RunResult, status: str) -> int:
    return sum(result.status == status for result in run.cells)


def _add_case(suite: ET.Element, result: CellResult, tail: bytes) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": visible(f"ttylab.{result.cell.scenario}"),
            "name": visible(result.cell.id),
            "time": _seconds(result.duration_s),
        },
    )
    _add_outcome(case, result)
    if tail:
        # Readers would take it for the name of a file to publish.
        console = visible(plain(tail), keep="\n").replace("[[ATTACHMENT|", "[[ATTACHMENT\\x7c")
        ET.SubElement(case, "system-out").text = f"{_about(result)}\n\n{console}"


def _about(result: CellResult) -> str:
    facts = {
        "title": result.title,
        "target": target_of(result),
        "severity": result.severity,
        "repro": result.repro,
        "accelerator": result.accelerator,
        "qemu": result.qemu,
    }
    return "\n".join(f"{name}: {visible(value)}" for name, value in facts.items())


def _seconds(duration: float) -> str:
    return f"{max(0.0, duration):.3f}"


def _add_outcome(case: ET.Element, result: CellResult) -> None:
    tag = {"failed": "failure", "broken": "error", "skipped": "skipped", "not-run": "skipped"}.get(
        result.status
    )
    if tag is None:
        return
    outcome = ET.SubElement(case, tag, {"message": visible(result.message)})
    outcome.text = visible(result.message)
    if tag == "skipped":
        return
    outcome.set("type", visible(result.reason))
    lines = [
        result.message,
        *(f"evidence at {each.at:.3f} s: {each.says}" for each in result.evidence),
        result.repro,
        *result.held,
    ]
    outcome.text = visible("\n".join(lines), keep="\n")


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": visible(value)})


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            return file.read()
    except OSError:
        return b""
