"""What pytest saw of each cell, held against the result that the cell left; where they disagree it is red."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pytest

from harness.plugin.hook_calls import with_complaint
from harness.report.model import BAD, WORST_FIRST, CellResult
from harness.run.result import broken, not_run, skipped
from harness.scenario.verdict import Verdict

STATUS_PROPERTY = "verdict"
"""Test property that carries a cell's status to the controller and into JUnit."""
DIRECTORY_PROPERTY = "evidence"
"""Test property that carries the name of the directory with a cell's evidence."""
TELLS_PROPERTY = "tells"
"""Test property of a report that only says what a cell waits for, while it is under way."""
WAITS_PROPERTY = "waits"
"""Whether it waits for that from now on, or did until now."""
_LOST = "???"
"""Phase of the report that xdist makes for the test whose worker died (pytest-xdist 3.8)."""
_PARAMETERS = re.compile(r"\.toml::test_cell\[(?P<text>.*)\](?:@[^\]]*)?$", re.DOTALL)


def cell_of(node_id: str, known: Collection[str]) -> str | None:
    """Return which of the `known` cells an item plays; None for a test that is no cell.

    Other plug-ins add parameters of their own to a cell's id (pytest-repeat: "CELL-1-3").
    """
    found = _PARAMETERS.search(node_id)
    if found is None or found["text"] in known:
        return None if found is None else found["text"]
    text = f"-{found['text']}-"
    return max((one for one in known if f"-{one}-" in text), key=len, default=None)


def is_lost(report: pytest.TestReport) -> bool:
    """Tell whether a report is xdist's, of a test whose worker died."""
    return str(report.when) == _LOST


def plays_cell(node_id: str) -> bool:
    """Tell whether an item is a cell of a matrix file."""
    return _PARAMETERS.search(node_id) is not None


def why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return in one line why pytest says that something failed or was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash else report.longrepr).strip().splitlines() or [report.outcome]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    return (errors or lines)[0].strip()


@dataclass(slots=True)
class Play:
    """One item of a run: pytest was to play a cell, once unless a plug-in repeats what failed.

    Attributes:
        cell_id: the cell.
        directories: names of the directories with its evidence.
        phases: outcome of each phase that pytest reported.
        faults: what failed besides the cell itself, as "setup: …".
        skipped: why pytest skipped it or expected it to fail.
    """

    cell_id: str
    directories: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def died(self) -> bool:
        """Whether its worker died under it."""
        return _LOST in self.phases

    def see(self, report: pytest.TestReport) -> None:
        """Take in what pytest reports of one phase."""
        told = [str(value) for name, value in report.user_properties if name == DIRECTORY_PROPERTY]
        verdicts = [value for name, value in report.user_properties if name == STATUS_PROPERTY]
        self.directories = list(dict.fromkeys([*self.directories, *told]))
        self.phases[report.when] = report.outcome
        own = verdicts[-1] if report.when != "teardown" and verdicts else ""
        if report.skipped and own != "skipped":
            self.skipped = str(getattr(report, "wasxfail", "")) or why(report)
        elif report.outcome not in {"passed", "skipped"} and own not in BAD and report.when != _LOST:
            self.faults.append(f"{report.when}: {why(report)}")

    def settle(self, left: Sequence[CellResult], *, stopped: str) -> CellResult | Verdict:
        """Return the cell's result: the worst of those `left`, if pytest agrees, else what is true instead.

        `stopped` is why the run ended before its end.
        """
        if not left:
            return self._without_result(stopped)
        worst = worst_of(left)
        note = self._objection(worst, stopped)
        return with_complaint(worst, note) if note else worst

    def _objection(self, result: CellResult, stopped: str) -> str:
        """Return what pytest says against a result; empty if it agrees."""
        call = self.phases.get("call", "") or self.phases.get("setup", "").replace("passed", "")
        expected = {"passed": "passed", "skipped": "skipped"}.get(result.status, "failed")
        if self.died:
            return "its worker died before it had reported the end"
        told = (fault.partition(": ")[2].removeprefix("Failed: ") for fault in self.faults)
        unknown = [fault for fault, text in zip(self.faults, told, strict=True) if text not in result.message]
        if unknown:
            return "pytest reports an error: " + "; ".join(unknown)
        if not call:
            return "" if stopped else "pytest reported no end of it"
        if call not in {expected, "rerun"}:
            return f"pytest reports it as {call}" + (f" ({self.skipped})" if self.skipped else "")
        return ""

    def _without_result(self, stopped: str) -> Verdict:
        if self.died:
            return broken("the worker that ran this cell died (killed, or out of memory)")
        if self.faults:
            began = "call" in self.phases
            return broken(("no result: " if began else "not run: ") + "; ".join(self.faults))
        if self.skipped:
            return skipped(f"not run: {self.skipped}")
        if "call" in self.phases:
            return broken(f"no result, although pytest reports it as {self.phases['call']}")
        if self.phases and not stopped:
            return not_run("pytest set it up and did not call it (--setup-only or --setup-plan)")
        return not_run(stopped or "pytest did not run it")


def worst_of(results: Sequence[CellResult]) -> CellResult:
    """Return the result to report of a cell that was played more than once, and say of how many it is."""
    worst = min(results, key=lambda one: WORST_FIRST.index(one.status))
    if len(results) == 1:
        return worst
    alike = sum(one.status == worst.status for one in results)
    told = f"{alike} of {len(results)} times {worst.status}"
    return replace(worst, message=f"{told}: {worst.message}" if worst.message else told)
