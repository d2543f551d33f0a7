"""A cell's result in Allure's own model: one description for both ways that lead there.

Allure 3 takes `testCaseId`, and every parameter that is not `excluded`, for a test's identity, and
allure-pytest 2.16.2 does the same with `fullName`. So the identity is made of the cell id alone and all
parameters are excluded: worker, order and values of parameters change nothing in the history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from allure_commons.model2 import Label, Parameter, StatusDetails, TestResult, TestStepResult
from allure_commons.types import LabelType

from harness.report.comparison import target_of
from harness.report.model import CellResult
from harness.report.text import visible

_SUITES = frozenset({LabelType.PARENT_SUITE, LabelType.SUITE, LabelType.SUB_SUITE})
_STEP_STATUS = {
    "done": "passed",
    "failed": "failed",
    "broken": "broken",
    "skipped": "skipped",
    "not-run": "skipped",
}


def full_name_of(cell_id: str) -> str:
    """Return what Allure takes for the test's identity."""
    return f"ttylab#{cell_id}"


def history_id_of(cell_id: str) -> str:
    """Return the id under which Allure files the history of a cell."""
    return hashlib.md5(full_name_of(cell_id).encode(), usedforsecurity=False).hexdigest()


def describe(result: CellResult, test: TestResult) -> None:
    """Fill everything but status and attachments into `test`; labels and steps of others stay."""
    cell = result.cell
    test.name = visible(result.title)
    test.fullName = full_name_of(cell.id)
    test.testCaseId = test.historyId = history_id_of(cell.id)
    test.titlePath = [cell.image, target_of(result).partition(" ")[2]]
    test.description = visible(_description(result), keep="\n")
    test.parameters = [
        Parameter(name=name, value=visible(str(value)), excluded=True) for name, value in _parameters(result)
    ]
    labels = list(_labels(result))
    taken = {label.name for label in labels} - {LabelType.TAG}
    test.labels = [label for label in test.labels if label.name not in taken] + labels
    test.steps = [*test.steps, *_steps(result)]


def describe_end(result: CellResult, test: TestResult) -> None:
    """Fill status, message and times into `test`: for a result that no pytest reports."""
    test.status = result.status
    if result.status != "passed":
        trace = "\n".join([*(each.says for each in result.evidence), result.repro])
        test.statusDetails = StatusDetails(message=visible(result.message), trace=visible(trace, keep="\n"))
    test.start = epoch_ms(result, 0.0)
    test.stop = epoch_ms(result, result.duration_s)


def epoch_ms(result: CellResult, at: float) -> int:
    """Return the second `at` of a cell in milliseconds since 1970, as Allure wants it."""
    try:
        start = datetime.fromisoformat(result.started_utc).timestamp()
    except ValueError:
        start = 0.0
    return round(1000 * (start + at))


def _parameters(result: CellResult) -> Iterable[tuple[str, object]]:
    cell = result.cell
    yield from (
        ("image", cell.image), ("machine", cell.machine), ("firmware", cell.firmware), ("vcpus", cell.vcpus),
        ("accelerator", result.accelerator or "unknown"), ("qemu", result.qemu or "unknown"),
    )  # fmt: skip
    if kernel := result.image.get("kernel_release"):
        yield "kernel", kernel
    if result.seed is not None:
        yield "seed", result.seed


def _labels(result: CellResult) -> Iterable[Label]:
    cell = result.cell
    pairs = [
        (LabelType.SEVERITY, result.severity),
        (LabelType.EPIC, "ttylab"),
        (LabelType.FEATURE, result.tags[0] if result.tags else "console"),
        (LabelType.STORY, cell.scenario),
        (LabelType.PARENT_SUITE, cell.image),
        (LabelType.SUITE, f"{cell.machine} {cell.firmware} {cell.vcpus} vCPU"),
        (LabelType.SUB_SUITE, cell.scenario),
        *((LabelType.TAG, tag) for tag in result.tags),
    ]
    return [Label(name=name, value=visible(value)) for name, value in pairs]


def _description(result: CellResult) -> str:
    lines = [result.description, "", f"`{result.repro}`"]
    if result.injections:
        lines += ["", "| stimulus | at | outcome | first evidence after |", "|---|---|---|---|"]
        lines += [
            f"| {each.stimulus} | {each.at:.3f} s | {each.outcome} | "
            + ("-" if each.latency_s is None else f"{1000 * each.latency_s:.1f} ms")
            + " |"
            for each in result.injections
        ]
    return "\n".join(lines)


def _steps(result: CellResult) -> Iterable[TestStepResult]:
    for step in result.steps:
        end = step.begin if step.end is None and step.outcome == "not-run" else step.end
        yield TestStepResult(
            name=visible(step.text),
            status=_STEP_STATUS[step.outcome],
            start=epoch_ms(result, step.begin),
            stop=epoch_ms(result, result.duration_s if end is None else end),
        )
